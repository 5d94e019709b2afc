"""Sentences on the basis of a comparison: scanner, earlier exams and LSC of each region (F1, F2, C4)."""

from collections.abc import Sequence

from pipeline.clinical.model import Exam, Finding, Flag
from pipeline.clinical.wording.names import lsc_in_text, region_names, site_in_text

LSC_OF_EACH = "LSC (g/cm2, 95 % confidence)"  # F2

REFERENCE_POPULATION = "Reference population"  # R4.5


def basis(findings: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1, F2: the earlier exams, the scanner, and the LSCs."""
    return (*compared_with(findings, exam), *least_significant_changes(findings))


def instrument(exam: Exam) -> str:
    """C4: manufacturer, model, serial number and software."""
    software = f", software {exam.software}" if exam.software else ""
    return f"{exam.scanner}{software}"


def compared_with(findings: Sequence[Finding], exam: Exam) -> tuple[str, ...]:
    """F1: the earlier exams with their scanner, and their regions where they did not serve all."""
    compared = [finding for finding in findings if finding.since_prior and finding.since_baseline]
    used: dict[tuple[str, tuple[str, int]], tuple[Exam, list[Finding]]] = {}
    for finding in compared:
        changes = {"prior": finding.since_prior, "baseline": finding.since_baseline}
        for role, change in changes.items():
            if change is not None and (role == "prior" or change is not finding.since_prior):
                key = (role, change.reference.key)
                used.setdefault(key, (change.reference, []))[1].append(finding)
    by_scanner: dict[str, list[str]] = {}
    for (role, _), (earlier, of) in sorted(used.items(), key=lambda item: item[0][0], reverse=True):
        by_scanner.setdefault(_scanner(earlier, exam), []).append(_exam(role, earlier, of, compared))
    return tuple(f"Compared with {' and '.join(of)} {scanner}." for scanner, of in by_scanner.items()) or (
        f"Scanner: {instrument(exam)}.",
    )


def least_significant_changes(findings: Sequence[Finding]) -> tuple[str, ...]:
    """F2: the LSC of each region, by its source."""
    by_source: dict[str, dict[str, None]] = {}
    for finding in findings:
        for change in (finding.since_prior, finding.since_baseline):
            if change is not None and change.lsc is not None:
                value = f"{site_in_text(change.lsc.region)} {lsc_in_text(change.lsc.lsc)}"
                by_source.setdefault(change.lsc.source, {})[value] = None
    return tuple(f"{LSC_OF_EACH}: {', '.join(of)} ({source})." for source, of in by_source.items())


def reference_populations(findings: Sequence[Finding]) -> tuple[str, ...]:
    """R4.5, E20: the reference population of the scores, if stated; where it has changed, a caution names both."""
    by_population: dict[str, list[Finding]] = {}
    for finding in findings:
        population = " ".join(finding.measurement.reference_population.split())
        if population and finding.valid and not any(c.flag is Flag.REFERENCE_CHANGED for c in finding.cautions):
            by_population.setdefault(population, []).append(finding)
    populations = [
        name if len(of) == len(findings) else f"{name} ({region_names(of)})" for name, of in by_population.items()
    ]
    return (f"{REFERENCE_POPULATION}: {'; '.join(populations)}.",) if populations else ()


def _exam(role: str, earlier: Exam, of: Sequence[Finding], compared: Sequence[Finding]) -> str:
    """One earlier exam with its role, its accession number, and its regions where it did not serve all."""
    served = role if len(of) == len(compared) else f"{role} of {region_names(of)}"
    accession = f"; accession number {earlier.accession_number}" if earlier.accession_number else ""
    return f"{earlier.performed_on} ({served}{accession})"


def _scanner(earlier: Exam, exam: Exam) -> str:
    if earlier.scanner == exam.scanner:
        return f"on the same scanner, {instrument(exam)}"
    return f"on {earlier.scanner}, cross-calibrated with this scanner, {instrument(exam)}"
