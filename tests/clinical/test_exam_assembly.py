"""One exam from the partial reports of a visit."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import permutations

import pytest

from pipeline.clinical.exam_assembly import ContradictionError, assemble
from pipeline.clinical.model import Patient, Sex
from tests.factories.exams import HOLOGIC, PATIENT, ROOM_1, day, exam, measurement

SPINE = exam("2020-01-01", measurement("L1-L4", "0.900", bmc="40.36"), uid="1", software="16")
HIP = exam("2020-01-01", regions={"total hip left": "0.800"}, uid="1", software="")
AGAIN = exam(
    "2020-01-01",
    measurement("total hip left", "0.80"),
    measurement("L1-L4", "0.9", area="44.84"),
    uid="1",
    software="17",
)


def test_an_exam_sent_in_parts_is_one_exam_whatever_the_order() -> None:
    whole = {assemble(parts) for parts in permutations((SPINE, HIP, AGAIN))}
    assert len(whole) == 1
    (one,) = whole
    assert [str(m.region) for m in one.measurements] == ["L1-L4", "total hip left"]
    spine = one.measurements[0]
    assert (str(spine.bmd), spine.bmc, spine.area) == ("0.900", Decimal("40.36"), Decimal("44.84"))
    assert one.software == "16, 17"


def test_a_single_part_is_the_exam() -> None:
    assert assemble([SPINE]) == SPINE


def test_an_exam_has_at_least_one_part() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        assemble([])


def test_parts_that_tell_a_region_differently_are_held() -> None:
    other = exam("2020-01-01", regions={"L1-L4": "0.901"}, uid="1")
    with pytest.raises(ContradictionError, match=r"^bmd of L1-L4 is 0\.900 in one report and 0\.901 in another$"):
        assemble([SPINE, other])


def test_parts_of_two_people_are_held_and_nobody_is_named() -> None:
    """R2.19: identity conflicts stop everything; the text names the DICOM field only."""
    other = exam("2020-01-01", uid="1", patient=Patient(patient_id="P1", birth_date=day("1961-01-01")))
    with pytest.raises(ContradictionError, match=r"^parts of one exam differ in PatientBirthDate$"):
        assemble([SPINE, other])


def test_what_one_part_knows_of_the_patient_the_exam_knows() -> None:
    thin = exam("2020-01-01", uid="1", patient=Patient(patient_id="P1"))
    assert assemble([thin, SPINE]).patient == PATIENT
    assert assemble([thin]).patient.sex is Sex.UNKNOWN


def test_parts_from_two_scanners_or_studies_are_not_one_exam() -> None:
    with pytest.raises(ContradictionError, match=r"302081M"):
        assemble([SPINE, exam("2020-01-01", uid="1", scanner=HOLOGIC)])
    with pytest.raises(ContradictionError, match="StudyInstanceUID"):
        assemble([SPINE, exam("2020-01-01", uid="2", scanner=ROOM_1)])


def test_the_exam_begins_with_its_earliest_part() -> None:
    late = replace(exam("2020-01-01", uid="1"), performed_at=datetime(2020, 1, 1, 13))
    assert assemble([late, SPINE]).performed_at == datetime(2020, 1, 1, 12)


def test_parts_of_two_days_are_not_one_exam() -> None:
    """A study under which a scanner sends earlier exams as well must not give them all one date."""
    with pytest.raises(ContradictionError, match=r"^parts of one exam are of two days: 2020-01-01; 2020-01-02$"):
        assemble([exam("2020-01-02", uid="1"), SPINE])


def test_what_parts_disagree_on_beside_the_bones_is_forgotten_and_holds_nothing() -> None:
    heavy = exam("2020-01-01", measurement("L1-L4", "0.9", scan_mode="fast"), uid="1", weight_kg=Decimal(80))
    light = exam("2020-01-01", measurement("L1-L4", "0.9", scan_mode="array"), uid="1", weight_kg=Decimal(70))
    both = assemble([heavy, light])
    assert both.weight_kg is None
    assert both.measurements[0].scan_mode == ""
    assert assemble([heavy, SPINE]).weight_kg == 80
    assert assemble([heavy, SPINE]).measurements[0].scan_mode == "fast"
