"""Reminders to repeat a precision study before its LSC expires (R1.12), for ``check`` and ``status``."""

from collections.abc import Sequence

from dxatrend.cli.output import today
from pipeline.clinical.model import LeastSignificantChange
from pipeline.clinical.precision import running_out


def print_reminders(lscs: Sequence[LeastSignificantChange]) -> None:
    """Print which LSCs expire soon or have expired: without an LSC no change is judged."""
    for lsc in running_out(lscs, today()):
        expires = "expired" if lsc.valid_until < today() else "expires"
        print(
            f"please repeat the precision study: LSC of {lsc.region} on {lsc.scanner} {expires} on {lsc.valid_until}; "
            "changes in later exams are not judged (NO_LSC)"
        )
