"""Sentences on obstacles: why a region is not compared with an earlier exam (R2, F4)."""

from collections.abc import Sequence

from pipeline.clinical.model import Epoch, Exam, Finding
from pipeline.clinical.regions import Region
from pipeline.clinical.wording.names import region_name, region_names


def identity_conflict(other: Exam, names: Sequence[str]) -> str:
    """R2.19: two people may share an id; the text names fields, never their values."""
    return (
        f"Nothing was compared: an exam of {other.performed_on} under the same patient ID does not agree with this one "
        f"in {', '.join(names)}. Please check whose exam it is."
    )


def same_day(other: Exam) -> str:
    """R2.21: two scans of one day show precision, not change."""
    return f"The other exam is of the same day ({other.performed_on}): it shows precision, not change."


def scanner_unidentified(exam: Exam, other: Exam) -> str:
    """R2.1: without manufacturer, model and serial number the scanner is not identified."""
    return (
        f"It is not known whether the exam of {other.performed_on} was made on the same scanner: "
        f"then {other.scanner}, now {exam.scanner}."
    )


def other_scanner(exam: Exam, other: Exam) -> str:
    """R2.2, R2.3, R2.8: two scanners, even of one model, do not measure alike."""
    return (
        f"The exam of {other.performed_on} was made on {other.scanner}, this one on {exam.scanner}. "
        "Without cross-calibration BMD of two scanners is not compared."
    )


def other_epoch(epoch: Epoch, other: Exam) -> str:
    """R2.6: service, relocation or a new tube ends a series unless the phantom showed that calibration held."""
    return (
        f"Between the exam of {other.performed_on} and this one a new calibration epoch of {epoch.scanner} began "
        f"({epoch.begins}: {epoch.reason}), without a cross-calibration on file."
    )


def not_for_monitoring(region: Region) -> str:
    """R2.17: regions too small or too variable to follow."""
    return f"{region_name(region)} is not used for monitoring."


def other_vertebrae(region: Region, other: Exam) -> str:
    """R2.12: only the same vertebrae compare, at least two."""
    sets = ", ".join(m.region.key for m in other.measurements if len(m.region.vertebrae) > 1) or "single vertebrae only"
    return (
        f"The exam of {other.performed_on} reports other vertebrae ({sets}) than {region.key}, and bone mineral "
        "content and area of at least two shared vertebrae are not on file for both."
    )


def other_side(region: Region, other: Exam) -> str:
    """R2.16: left with left, right with right, mean with mean."""
    sides = ", ".join(m.region.side or "no side stated" for m in other.measurements if m.region.part == region.part)
    here = region.side or "no side stated"
    return f"The exam of {other.performed_on} reports the {region.part} of another side ({sides}), not {here}."


def other_region(region: Region, other: Exam) -> str:
    """R2.11: a region compares only with itself."""
    return f"The exam of {other.performed_on} measured this site, but reports no {region.key}."


def refused(findings: Sequence[Finding]) -> tuple[str, ...]:
    """F4: why earlier exams were not used; each reason once, with its regions where it does not concern all."""
    reasons: dict[str, list[Finding]] = {}
    for finding in findings:
        for refusal in () if finding.of_a_child else finding.refusals:  # E17: stated in the impression
            reasons.setdefault(refusal.text, []).append(finding)
    all_of_them = len(findings)
    return tuple(
        text if len(of) == all_of_them else f"{text[:-1]} ({region_names(of)})." for text, of in reasons.items()
    )
