"""What is left to say of an exam that somebody has taken back."""

from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Overall
from pipeline.clinical.withdrawal import withdrawn
from pipeline.clinical.wording.impression import PRELIMINARY
from tests.factories.exams import exam


def test_a_withdrawn_exam_claims_no_result_and_no_number_and_says_why() -> None:
    """R2.19"""
    told = withdrawn(exam("2024-03-01", regions={"L1-L4": "0.900"}), " scanned as somebody else. ")
    assert (told.overall, told.findings, told.cautions) == (Overall.WITHDRAWN, (), ())
    assert told.exam.measurements == ()
    assert told.rules_version == RULES_VERSION
    mark, said = told.conclusions
    assert mark == PRELIMINARY
    assert said.startswith("This exam was withdrawn: scanned as somebody else. No result and no number")
    assert "0.900" not in " ".join(told.conclusions)
