"""What may be said of an error nobody foresaw? Its kind and its place, never its text, which may quote a patient."""

import traceback

WORKER_LOST = "worker_lost"
"""The reason for which work is held whose worker ended again and again while it had it."""

UNEXPECTED = "unexpected"
"""The reason for which work is held that raised what it should not."""


def where_it_happened(error: BaseException) -> str:
    """The type of an error and the file and line it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
