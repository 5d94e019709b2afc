"""Values of the clinical model: limits, equality, derived properties."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pipeline.clinical.model import (
    Flag,
    ImpossibleMeasurementError,
    LeastSignificantChange,
    Obstacle,
    Overall,
    Result,
    Scanner,
)
from tests.factories.exams import ROOM_1, exam, lsc, measurement


@pytest.mark.parametrize(
    "value", ["0", "-0.9", "NaN", "sNaN", "Infinity", "10", "930", "1E+400", "0.9000000000000000000001"]
)
def test_a_number_that_no_bone_has_is_refused_and_not_repeated(value: str) -> None:
    """R1.8: what cannot be subtracted exactly is no BMD; above 10 the unit was mg/cm2."""
    with pytest.raises(ImpossibleMeasurementError, match=r"^bmd of L1-L4 is not a number between 0 and 10$"):
        measurement("L1-L4", value)
    for name in ("bmc", "area"):
        with pytest.raises(ImpossibleMeasurementError, match=rf"^{name} of L1-L4 is not a number between 0 and 10000$"):
            measurement("L1-L4", "0.9", **{name: value.replace("930", "10000").replace("10", "10000")})


def test_scores_may_be_negative_but_not_nonsense() -> None:
    assert measurement("L1-L4", "0.9", t_score="-7.5").t_score == Decimal("-7.5")
    with pytest.raises(ImpossibleMeasurementError, match="t_score"):
        measurement("L1-L4", "0.9", t_score="NaN")
    with pytest.raises(ImpossibleMeasurementError, match="percent_young_adult"):
        measurement("L1-L4", "0.9", percent_young_adult="1000")


def test_an_lsc_is_more_than_nothing() -> None:
    """R1.8: with an LSC of 0 every difference would be significant."""
    for value in ("0", "-0.03", "NaN"):
        with pytest.raises(ImpossibleMeasurementError, match="lsc of L1-L4"):
            lsc("L1-L4", value)


def test_an_impossible_weight_is_ignored_and_the_exam_kept() -> None:
    odd = exam("2020-01-01", weight_kg=Decimal("NaN"), height_cm=Decimal(0), age=Decimal(-1), menopause_age=Decimal(50))
    assert [odd.weight_kg, odd.height_cm, odd.age, odd.menopause_age] == [None, None, None, Decimal(50)]


def test_an_exam_is_of_the_scanners_own_day() -> None:
    made = replace(exam("2020-01-01"), performed_at=datetime(2020, 1, 1, 23, 30, tzinfo=UTC))
    assert made.performed_at.tzinfo is None
    assert str(made.performed_on) == "2020-01-01"


def test_one_scanner_may_be_written_in_several_ways() -> None:
    """R2.1: letter case and spacing are not identity."""
    assert Scanner("GE HEALTHCARE", "lunar  prodigy", " df+500475") == ROOM_1
    assert hash(Scanner("GE HEALTHCARE", "lunar prodigy", "df+500475")) == hash(ROOM_1)
    assert ROOM_1 != "GE Healthcare Lunar Prodigy"
    assert not Scanner("GE Healthcare", "", "1").identified


def test_an_exam_survives_being_carried_to_another_process() -> None:
    made = exam("2020-01-01", regions={"L1-L4": "0.9", "total hip left": "0.8"})
    back = pickle.loads(pickle.dumps(made))
    assert back == made
    assert back.by_region["L1-L4"] == made.measurements[0]
    assert hash(back.scanner) == hash(made.scanner)


def test_codes_fit_a_dicom_code_value() -> None:
    """PS3.5: a code value of the ordinary kind has 16 characters."""
    ours = [*Flag, *Result, *Overall, Obstacle.NOT_FOR_MONITORING, Obstacle.OTHER_REGION]
    assert [code for code in ours if len(code) > 16] == []


def test_a_generalised_lsc_says_so() -> None:
    record: LeastSignificantChange = lsc("L1-L4", "0.03")
    assert not record.generalised
