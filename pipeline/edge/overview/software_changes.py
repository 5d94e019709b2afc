"""Scanners with new software, as their latest exams show, until a person says what it meant for the calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.edge.store.scanner_exams import ScannedExam

LOOKED_AT = 200
"""How many of a scanner's latest exams are looked at."""

NEWS = timedelta(days=14)
"""For how long new software is told of, where nobody answers."""

LONGEST_PAUSE = timedelta(days=90)
"""Between the last exam with the former software and the first with the new one: history of long ago tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareChange:
    """The software of a scanner's latest exam, that of the exams before it, and the day of its first exam."""

    now: str
    before: str
    since: date


def software_change(exams: Sequence[ScannedExam], *, on: date) -> SoftwareChange | None:
    """Return what is new in the software of exams, the newest first; ``None`` where nothing is on a day.

    Two versions in turn, as of a scanner and of a workstation that analyses its scans, are no news once both are known.
    """
    stated = [exam for exam in exams if exam.software]
    if not stated:
        return None
    now = stated[0].software
    since = min(exam.performed_on for exam in stated if exam.software == now)
    before = next((exam for exam in stated if exam.performed_on < since), None)
    if before is None or on - since > NEWS or since - before.performed_on > LONGEST_PAUSE:
        return None
    return SoftwareChange(now=now, before=before.software, since=since)
