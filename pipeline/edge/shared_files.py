"""Owner and permissions of new files in a data folder that the service and its operators share.

``deploy/install`` makes such folders: they belong to the service's user, and to a group whose members may use the
command (set-group-ID). A command that root or such an operator types must leave no file that the service cannot use.
"""

import os
import stat
from pathlib import Path

_SHARED = stat.S_ISGID | stat.S_IWGRP


def is_link_of_another(path: Path) -> bool:
    """Return whether we are root and this is a link that another user made, who decides where it leads."""
    return os.geteuid() == 0 and path.is_symlink() and path.lstat().st_uid != 0


def share_like_folder(path: Path) -> None:
    """Give a new file or folder of ours to the owner of its folder if root made it, and the group's rights if shared.

    Whoever else can write to the folder may have put a link to something else in its place: that is left alone, and so
    is what somebody else has made.

    Raises:
        OSError: it is not there, or not ours to change.
    """
    folder = path.parent.stat()
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)  # to close it ends no lock on the file, as another handle would
    try:
        found = os.fstat(handle)
        is_folder = stat.S_ISDIR(found.st_mode)
        is_file = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        if found.st_uid != os.geteuid() or not (is_folder or is_file):
            return
        itself = f"/proc/self/fd/{handle}"
        if os.geteuid() == 0:
            os.chown(itself, folder.st_uid, folder.st_gid)
        if folder.st_mode & _SHARED == _SHARED:
            shared = (found.st_mode & stat.S_IRWXU) >> 3 | (stat.S_ISGID if is_folder else 0)
            os.chmod(itself, stat.S_IMODE(found.st_mode) | shared)
    finally:
        os.close(handle)
