"""Interpretation of a withdrawn exam: no result and no number, only the reason (R2.19)."""

from dataclasses import replace

from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Exam, Interpretation, Narrative, Overall
from pipeline.clinical.wording import impression


def withdrawn(exam: Exam, reason: str) -> Interpretation:
    """Return the interpretation of an exam that a person withdrew from every comparison, for ``reason``."""
    return Interpretation(
        exam=replace(exam, measurements=()),
        findings=(),
        overall=Overall.WITHDRAWN,
        cautions=(),
        rules_version=RULES_VERSION,
        narrative=Narrative(status=(impression.PRELIMINARY,), impression=(impression.withdrawn(reason),)),
    )
