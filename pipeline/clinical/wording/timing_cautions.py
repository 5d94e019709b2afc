"""Cautions about the interval between exams and about an unexpected loss (R5.3, R5.4)."""

from datetime import date

from pipeline.clinical.model import Caution, Finding, Flag
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.names import region_name


def too_soon(latest: date, rules: Rules) -> Caution:
    """R5.3: an interval below a year needs a reason."""
    text = (
        f"Less than {rules.short_interval_months} months have passed since the exam of {latest}, and no reason for a "
        "short interval is on record."
    )
    return Caution(flag=Flag.TOO_SOON, text=text)


def too_soon_to_show(rules: Rules) -> Caution:
    """R2.21, R5.3: the expected change is still below the LSC."""
    text = f"At {rules.expected_percent_per_year:f} % a year no significant change was to be expected yet."
    return Caution(flag=Flag.TOO_SOON, text=text)


def unexpected_drop(finding: Finding, *, severe: bool) -> Caution:
    """R5.4: a significant loss at spine or hip; technique first; the published severity is a label, not a result."""
    text = f"{region_name(finding.measurement.region)}: significant loss; please check how it was measured first."
    text += " It is larger than what has been published as unexpected over about a year." if severe else ""
    return Caution(flag=Flag.UNEXPECTED_DROP, text=text, review=True)
