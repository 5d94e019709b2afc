"""What may be said of an error nobody foresaw? Its kind and its place, never its text, which may quote a patient."""

import traceback

from pipeline.edge.store.database import StoreError

WORKER_LOST = "worker_lost"
"""The reason for which work is held whose worker ended again and again while it had it."""

UNEXPECTED = "unexpected"
"""The reason for which work is held that raised what it should not."""


def require_fault_of_one(error: Exception) -> None:
    """Make sure that an error is the fault of the one piece of work that raised it, which is held for it.

    Raises:
        MemoryError: it is the process's fault, which ends.
        StoreError: it is the database's, which is asked again later.
    """
    if isinstance(error, MemoryError) or (isinstance(error, StoreError) and not error.refused):
        raise error


def describe_error(error: BaseException) -> str:
    """The type of an error and the file and line it came from, in our own code where one is there."""
    if isinstance(error, StoreError) and error.__context__ is not None:
        return f"{error}{_place(error.__context__)}"
    return f"{type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/lib/python" not in frame.filename or "/pipeline/" in frame.filename]
    last = (ours or frames)[-1:]
    return "".join(f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in last)
