"""What the comparison rests on: the scanner, the earlier exams, and the LSC of each region (F1, F2, C4)."""

from collections.abc import Sequence

from pipeline.clinical.model import Exam, Finding
from pipeline.clinical.wording.names import lsc_in_text, region_in_text, region_names


def basis(told: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1, F2: which earlier exams, which machine, and which LSC."""
    return (*compared_with(told, exam), *least_significant_changes(told))


def instrument(exam: Exam) -> str:
    """C4: manufacturer, model, serial number and software."""
    software = f", software {exam.software}" if exam.software else ""
    return f"{exam.scanner}{software}"


def compared_with(findings: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1: the earlier exams, for which regions where not for all that were compared, and on which machine."""
    compared = [finding for finding in findings if finding.since_prior and finding.since_baseline]
    exams: dict[tuple[str, int], Exam] = {}
    used: dict[tuple[str, int], dict[str, list[Finding]]] = {}
    for role in ("prior", "baseline"):
        for finding in compared:
            change = finding.since_prior if role == "prior" else finding.since_baseline
            if change is None or (role == "baseline" and change is finding.since_prior):
                continue
            key = change.reference.key
            exams[key] = change.reference
            used.setdefault(key, {}).setdefault(role, []).append(finding)
    machines: dict[str, list[str]] = {}
    for which, roles in used.items():
        machines.setdefault(_machine(exams[which], exam), []).append(_exam(exams[which], roles, compared))
    return tuple(f"Compared with {' and '.join(of)} {machine}." for machine, of in machines.items()) or (
        f"Scanner: {instrument(exam)}.",
    )


def least_significant_changes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """F2: the LSC of each region, by its source."""
    by_source: dict[str, dict[str, None]] = {}
    for finding in findings:
        for change in (finding.since_prior, finding.since_baseline):
            if change is not None and change.lsc is not None:
                value = f"{region_in_text(change.lsc.region)} {lsc_in_text(change.lsc.lsc)}"
                by_source.setdefault(change.lsc.source, {})[value] = None
    return tuple(f"LSC in g/cm2 at 95 % confidence: {', '.join(of)} ({source})." for source, of in by_source.items())


def _exam(earlier: Exam, roles: dict[str, list[Finding]], compared: Sequence[Finding]) -> str:
    """One earlier exam with what it served as; ``for`` names the regions where it was not all of them."""
    parts = [role if len(of) == len(compared) else f"{role} for {region_names(of)}" for role, of in roles.items()]
    accession = [f"accession number {earlier.accession_number}"] if earlier.accession_number else []
    return f"{earlier.performed_on} ({'; '.join([*parts, *accession])})"


def _machine(earlier: Exam, exam: Exam) -> str:
    if earlier.scanner == exam.scanner:
        return f"on the same scanner, {instrument(exam)}"
    return f"on {earlier.scanner}, cross-calibrated with this scanner, {instrument(exam)}"
