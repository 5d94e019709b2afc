"""Owner and permissions of new files in a data folder that the service and its operators share.

``deploy/install`` makes that folder: it belongs to the service's user, and to a group whose members may use the command
(set-group-ID). A command that root or such an operator types must leave no file that the service cannot use.
"""

import os
import stat
from pathlib import Path

_SHARED = stat.S_ISGID | stat.S_IWGRP


def share_like_folder(path: Path) -> None:
    """Give a new file or folder to the owner of its folder if root made it, and the group's rights if that is shared.

    Raises:
        OSError: it is not ours to change.
    """
    folder = path.parent.stat()
    if os.geteuid() == 0:
        os.chown(path, folder.st_uid, folder.st_gid)
    if folder.st_mode & _SHARED == _SHARED:
        mode = path.stat().st_mode
        path.chmod(stat.S_IMODE(mode) | (mode & stat.S_IRWXU) >> 3 | (stat.S_ISGID if stat.S_ISDIR(mode) else 0))
