"""Context of an interpretation: the findings, overall result and diagnosis that recommendations rest on (R5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.clinical_context import ClinicalContext, ContextOnDay
from pipeline.clinical.comparison_context import ComparisonContext
from pipeline.clinical.model import Diagnosis, Exam, Finding
from pipeline.clinical.overall_result import OverallResult
from pipeline.clinical.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpretationContext:
    """Everything found about an exam, as the rules of section 5 see it.

    ``latest`` is the day of the patient's last earlier exam on any scanner.
    """

    comparison: ComparisonContext
    findings: Sequence[Finding]
    overall_result: OverallResult
    diagnosis: Diagnosis | None
    latest: date | None

    @property
    def exam(self) -> Exam:
        """The measurements of the exam that may be judged."""
        return self.comparison.exam

    @property
    def clinical(self) -> ContextOnDay:
        """What is known of the patient on the day of the exam, beside the reports."""
        return self.comparison.clinical

    @property
    def recent(self) -> ClinicalContext:
        """The part of ``clinical`` recent enough to support a suggestion (E7)."""
        return self.comparison.clinical.recent

    @property
    def rules(self) -> Rules:
        """The thresholds in force."""
        return self.comparison.rules

    @property
    def losses(self) -> list[Finding]:
        """The counted sites that lost significantly since the prior or since the baseline (R3.3)."""
        return [finding for finding, _ in self.overall_result.losses]
