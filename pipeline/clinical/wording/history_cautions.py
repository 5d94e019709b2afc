"""Cautions about earlier exams: held, not on file, doubtful, or in contradiction to the scanner's trend (R2.19, F4)."""

from collections.abc import Sequence
from datetime import date

from pipeline.clinical.model import Caution, Change, Finding, Flag
from pipeline.clinical.wording.names import days_in_words, region_name


def earlier_held(days: Sequence[date]) -> Caution:
    """R2.19, F4: a held exam is not compared with, and may be the prior."""
    text = (
        f"Under the same patient ID an exam of {days_in_words(days)} is held for a person to look at; it was not "
        "compared."
    )
    return Caution(flag=Flag.EARLIER_HELD, text=text)


def not_on_file(days: Sequence[date]) -> Caution:
    """Section 5.1, F4: the scanner lists an exam that is not on file; it may be the prior or the baseline."""
    text = f"The scanner's own trend lists an exam of {days_in_words(days)} that is not on file here."
    return Caution(flag=Flag.NOT_ON_FILE, text=text)


def archive_silent() -> Caution:
    """F4: an archive that has not answered may hold the prior or the baseline."""
    text = "An archive that was asked for earlier exams of this patient has not answered; there may be more than these."
    return Caution(flag=Flag.ARCHIVE_SILENT, text=text)


def new_caller(days: Sequence[date]) -> Caution:
    """R2.1: a sender that states another scanner's serial number would create a change that is none."""
    text = (
        f"The exam of {days_in_words(days)} was sent by a system that had not sent exams of this scanner before, and "
        "nobody has confirmed it yet. Please see that the scan is this scanner's and this patient's."
    )
    return Caution(flag=Flag.NEW_CALLER, text=text, review=True)


def date_late(days: Sequence[date]) -> Caution:
    """R2.21: a wrong clock puts an exam in the wrong place of the series."""
    text = (
        f"The exam of {days_in_words(days)} was received long after its date, and nobody has confirmed that date yet. "
        "Please see that the scanner's clock was right."
    )
    return Caution(flag=Flag.DATE_LATE, text=text, review=True)


def vendor_disagrees(finding: Finding, change: Change, printed: str) -> Caution:
    """Section 5.1: the scanner's trend differs from ours; numbers only of a significant change (N6)."""
    name, since = region_name(finding.measurement.region), change.reference.performed_on
    differs = "another change than the one found here"
    if change.result.significant:
        differs = f"{printed}, here it is {change.difference:+f} g/cm2 ({change.percent:+f} %)"
    text = f"{name}: the scanner's own trend says of the change since {since}: {differs}. Please look at both exams."
    return Caution(flag=Flag.VENDOR_DISAGREES, text=text)
