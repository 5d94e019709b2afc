"""The interpretation of a withdrawn exam: no result, and the reason."""

from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Overall
from pipeline.clinical.withdrawal import withdrawn
from pipeline.clinical.wording.impression import PRELIMINARY
from tests.factories.exams import exam


def test_a_withdrawn_exam_claims_no_result_and_no_number_and_says_why() -> None:
    """R2.19"""
    interpretation = withdrawn(exam("2024-03-01", regions={"L1-L4": "0.900"}), " scanned as somebody else. ")
    assert (interpretation.overall, interpretation.findings, interpretation.cautions) == (Overall.WITHDRAWN, (), ())
    assert interpretation.exam.measurements == ()
    assert interpretation.rules_version == RULES_VERSION
    mark, sentence = interpretation.conclusions
    assert mark == PRELIMINARY
    assert sentence.startswith("This exam was withdrawn: scanned as somebody else. No result and no number")
    assert "0.900" not in " ".join(interpretation.conclusions)
