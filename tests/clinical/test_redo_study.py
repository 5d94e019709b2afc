"""When a precision study has to be repeated (R1.11)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from pipeline.clinical.model import Epoch
from pipeline.clinical.precision_register import StudyFacts
from pipeline.clinical.precision_study import TechnologistPrecision
from pipeline.clinical.redo_study import changes_since_study, ending, technologists_outside
from tests.clinical.test_precision_register import FIRST
from tests.factories.exams import ROOM_1, ROOM_2

TODAY = date(2026, 3, 1)
KL = TechnologistPrecision(
    technologist="KL", precision_error=Decimal("0.010"), percent=Decimal("1.0"), degrees_of_freedom=30
)
FACTS = StudyFacts(
    mean=Decimal("1.0"),
    precision_error=Decimal("0.010"),
    percent=Decimal("1.0"),
    degrees_of_freedom=30,
    upper_limit=Decimal("0.013"),
    technologists=(KL,),
    software="17",
    ends=date(2019, 1, 20),
)


def reasons(
    facts: StudyFacts | None = FACTS,
    *,
    epochs: tuple[Epoch, ...] = (),
    software: str = "17",
    exams: dict[str, int] | None = None,
    on: date = TODAY,
) -> tuple[str, ...]:
    return changes_since_study(
        FIRST, facts, epochs=epochs, software_now=software, exams_by_technologist=exams or {}, on=on
    )


def test_nothing_asks_for_a_new_study_while_nothing_has_changed() -> None:
    assert reasons(exams={" kl": 400, "XY": 99}) == ()
    assert reasons(None, software="18", exams={"XY": 400}) == ()


def test_new_software_a_new_technologist_and_the_last_day_each_ask_for_a_new_study() -> None:
    """R1.11, R1.12, R2.4"""
    assert reasons(software="18") == ("the scanner's software is now 18; the study was made with 17",)
    assert reasons(software="17.2") == (), "a minor version is no reason (R2.4)"
    assert reasons(exams={"XY": 100}) == (
        "technologist XY has made 100 exams, and the study has no precision of theirs",
    )
    assert ending(FIRST, date(2029, 10, 3)) == ("it ends on 2030-01-01; after that day no change is judged",)
    assert ending(FIRST, date(2029, 10, 2)) == ()


def test_a_technologist_who_was_no_part_of_the_study_is_told_from_the_first_exam_on() -> None:
    """R1.10, R1.11: after a hundred exams the study has to be repeated with them."""
    (xy,) = technologists_outside(FACTS, {" kl": 400, "XY": 1})
    assert (xy.name, xy.exams, xy.is_experienced) == ("XY", 1, False)
    assert "after 100 it has to be repeated with them" in str(xy)
    (xy,) = technologists_outside(FACTS, {"XY": 100})
    assert xy.is_experienced
    assert technologists_outside(replace(FACTS, technologists=()), {"XY": 100}) == (), "nobody says who made the study"
    assert technologists_outside(None, {"XY": 100}) == ()


def test_a_calibration_epoch_asks_for_a_new_study_whether_or_not_a_phantom_bridged_it() -> None:
    """R1.11, R2.6: the series may go on, its precision has to be shown again."""
    epoch = Epoch(scanner=ROOM_1, begins=date(2024, 3, 1), reason="tube replaced", cross_calibrated=True)
    assert reasons(epochs=(epoch,)) == ("a new calibration epoch began on 2024-03-01 (tube replaced)",)
    assert reasons(epochs=(replace(epoch, scanner=ROOM_2),)) == ()
    assert reasons(epochs=(replace(epoch, begins=date(2019, 1, 20)),)) == (), "the study was made after it"
    assert reasons(epochs=(replace(epoch, begins=date(2026, 3, 2)),)) == (), "it has not begun yet"
    assert len(reasons(None, epochs=(epoch,))) == 1, "without a study its first day counts"
