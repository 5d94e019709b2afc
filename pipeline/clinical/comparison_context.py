"""Context of a comparison: the exam, what is known of the patient, the thresholds, and what is known of the scanner."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clinical.clinical_context import ClinicalContext, ContextOnDay, context_on
from pipeline.clinical.model import Epoch, Exam, QcGap
from pipeline.clinical.regions import Region
from pipeline.clinical.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonContext:
    """What the rules see beside the two exams of a comparison.

    ``exam`` holds the measurements that may be judged; ``excluded`` are the regions that may not (R2.22, N5).
    ``clinical`` is what holds on the day of the exam; ``records`` are the dated records it was combined from.
    """

    exam: Exam
    clinical: ContextOnDay
    rules: Rules
    records: Sequence[ClinicalContext] = ()
    qc_gaps: Sequence[QcGap] = ()
    epochs: Sequence[Epoch] = ()
    excluded: tuple[Region, ...] = ()

    def clinical_of(self, earlier: Exam) -> ContextOnDay:
        """Return what held on the day of an earlier exam."""
        return context_on(self.records, earlier.performed_on)
