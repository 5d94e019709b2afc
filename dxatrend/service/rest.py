"""Rest of a worker: one that has worked ends after a quiet time, and the supervisor starts a fresh copy instead.

What following up and delivering load, above all Prefect and highdicom, takes three times the memory of a worker that
waits, and cannot be unloaded. A department with twenty exams a day needs it for some minutes.
"""

import os

RESTED = 100
"""The exit status of a worker that has ended to be replaced."""

QUIET_SECONDS = 180.0
"""How long a worker has had no work before it rests. Importing Prefect again takes three seconds of processor time."""

_VARIABLE = "X_DXATREND_REST"
_MAY_REST, _GOES_ON = "may rest", "goes on"


def environment(*, goes_on: bool) -> dict[str, str]:
    """Return the variable by which a worker knows that it will be replaced, and whether it replaces another one."""
    return {_VARIABLE: _GOES_ON if goes_on else _MAY_REST}


def is_possible() -> bool:
    """Return whether whoever started this process replaces it when it has rested."""
    return os.environ.get(_VARIABLE, "") in (_MAY_REST, _GOES_ON)


def goes_on() -> bool:
    """Return whether this process goes on in place of one that has rested."""
    return os.environ.get(_VARIABLE, "") == _GOES_ON
