"""Unexpected errors: describe them by type and place, never by their text, which may quote patient data."""

import traceback

from pipeline.edge.store.database import StoreError
from pipeline.edge.store.receipt_contents import DamagedContentError

WORKER_LOST = "worker_lost"
"""The reason for which work is held whose worker crashed repeatedly."""

UNEXPECTED = "unexpected"
"""The reason for which work is held that raised an unexpected error."""


def require_fault_of_one(error: Exception) -> None:
    """Require that an error concerns only the work that raised it, which is then held.

    Raises:
        MemoryError: it concerns the process, which ends.
        StoreError: it concerns the database, and the work is tried again later.
    """
    if isinstance(error, MemoryError) or (isinstance(error, StoreError) and not error.refused):
        raise error


def describe_error(error: BaseException) -> str:
    """Return the type of an error and the file and line it came from, of our own code if possible.

    Of damaged bytes it is which receipt they are of, as that is no error of ours and names no patient.
    """
    if isinstance(error, DamagedContentError):
        return str(error)
    if isinstance(error, StoreError) and error.__context__ is not None:
        return f"{error}{_place(error.__context__)}"
    return f"{type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/lib/python" not in frame.filename or "/pipeline/" in frame.filename]
    last = (ours or frames)[-1:]
    return "".join(f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in last)
