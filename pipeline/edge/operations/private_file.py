"""New files with patient data, for their owner alone."""

import os
from functools import partial
from pathlib import Path
from typing import BinaryIO


def create_private_file(path: Path) -> BinaryIO:
    """Create a file that its owner alone may read, and return it open for writing; one that is there is left alone.

    Raises:
        FileExistsError: there is a file, or a link, of this name.
        OSError: it cannot be created.
    """
    return open(path, "xb", opener=partial(os.open, mode=0o600))
