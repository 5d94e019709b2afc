"""What the comparison rests on: the scanner and the earlier exams (F1, C4)."""

from collections.abc import Iterable, Sequence

from pipeline.clinical.model import Exam, Finding
from pipeline.clinical.wording.names import region_names


def instrument(exam: Exam) -> str:
    """C4: manufacturer, model, serial number and software."""
    software = f", software {exam.software}" if exam.software else ""
    return f"Scanner: {exam.scanner}{software}."


def references(findings: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1: which earlier exam each region was compared with, and on which machine."""
    prior = [(f.since_prior.reference, f) for f in findings if f.since_prior]
    baseline = [
        (f.since_baseline.reference, f) for f in findings if f.since_baseline and f.since_baseline is not f.since_prior
    ]
    return (
        *(f"Compared with the prior exam of {_which(e, exam)}: {region_names(of)}." for e, of in _by_exam(prior)),
        *(f"Compared with the baseline exam of {_which(e, exam)}: {region_names(of)}." for e, of in _by_exam(baseline)),
    )


def _which(earlier: Exam, exam: Exam) -> str:
    accession = f" (accession number {earlier.accession_number})" if earlier.accession_number else ""
    scanner = "the same scanner" if earlier.scanner == exam.scanner else "a scanner cross-calibrated with this one"
    return f"{earlier.performed_on}{accession} on {scanner}, {earlier.scanner}"


def _by_exam(pairs: Iterable[tuple[Exam, Finding]]) -> list[tuple[Exam, list[Finding]]]:
    grouped: dict[str, tuple[Exam, list[Finding]]] = {}
    for exam, finding in pairs:
        grouped.setdefault(exam.study_instance_uid, (exam, []))[1].append(finding)
    return list(grouped.values())
