"""Reminders to repeat a precision study before its LSC expires (R1.12), for ``check``, ``status`` and the desk."""

from collections.abc import Iterator, Sequence
from datetime import date

from pipeline.clinical.model import LeastSignificantChange
from pipeline.clinical.precision import running_out


def reminders(lscs: Sequence[LeastSignificantChange], on: date) -> Iterator[str]:
    """Yield which LSCs expire soon or have expired: without an LSC no change is judged."""
    for lsc in running_out(lscs, on):
        expires = "expired" if lsc.valid_until < on else "expires"
        yield (
            f"please repeat the precision study: LSC of {lsc.region} on {lsc.scanner} {expires} on {lsc.valid_until}; "
            "changes in later exams are not judged (NO_LSC)"
        )
