"""The interpretation of a withdrawn exam: it claims no result and no number, and says why."""

from dataclasses import replace

from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Exam, Interpretation, Narrative, Overall
from pipeline.clinical.wording import impression


def withdrawn(exam: Exam, reason: str) -> Interpretation:
    """What is left to say of an exam that somebody has taken out of every comparison, for ``reason``."""
    return Interpretation(
        exam=replace(exam, measurements=()),
        findings=(),
        overall=Overall.WITHDRAWN,
        cautions=(),
        rules_version=RULES_VERSION,
        narrative=Narrative(status=(impression.PRELIMINARY,), impression=(impression.withdrawn(reason),)),
    )
