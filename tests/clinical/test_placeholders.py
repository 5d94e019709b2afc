"""Ids, names and birth dates that identify nobody."""

from datetime import date

import pytest

from pipeline.clinical.model import Patient
from pipeline.clinical.placeholders import is_placeholder, known_name, placeholder
from pipeline.clinical.rules import Rules


@pytest.mark.parametrize(
    "patient_id",
    [
        *("UNKNOWN", "unknown", " Unknown ", "UNKNOWN^PATIENT", "0", "00", "00000000", "NONE", "N/A", "n.a.", "NA"),
        *(
            "ANONYMOUS",
            "Anonymized",
            "999999999",
            "9999",
            "XXXX",
            "xxxxxxxx",
            "11111111",
            "-",
            "---",
            "???",
            ".",
            "NULL",
        ),
        *("000-00-0000", "999-99-9999", "\uff10\uff10\uff10", "123456789", "Test", "No ID", "Unbekannt"),
        *("NO_PATIENT_ID", "TEST^UNKNOWN", "Test, Patient", "XXX", "JOHN DOE", "UNKN", "不明", "НЕИЗВЕСТНО"),
    ],
)
def test_an_id_that_stands_for_nobody_is_known(patient_id):
    assert placeholder(Patient(patient_id=patient_id), Rules()) == "PatientID (0010,0020)"


@pytest.mark.parametrize(
    "patient_id",
    ["P1", "1", "12", "9", "99", "100000", "10", "NONE1", "A0000000", "MRN 4711", "\u5c71", "TEST 4711", "NA-12"],
)
def test_an_id_that_may_be_somebodys_is_not(patient_id):
    assert placeholder(Patient(patient_id=patient_id, birth_date=date(1950, 1, 1)), Rules()) == ""


@pytest.mark.parametrize("born", [date(1900, 1, 1), date(1800, 1, 1), date(1, 1, 1), date(9999, 12, 31)])
def test_a_birth_date_that_programs_write_where_none_is_known_is_none(born):
    assert placeholder(Patient(patient_id="P1", birth_date=born), Rules()) == "PatientBirthDate (0010,0030)"


def test_the_department_keeps_its_own_lists():
    ours = Rules(placeholder_ids=("walk-in",), placeholder_birth_dates=(date(1980, 1, 1),))
    assert is_placeholder("WALK IN", ours)
    assert not is_placeholder("UNKNOWN", ours)
    assert is_placeholder("0000", ours), "one character repeated is nobody in any list"
    assert placeholder(Patient(patient_id="P1", birth_date=date(1980, 1, 1)), ours)
    assert not placeholder(Patient(patient_id="P1", birth_date=date(1900, 1, 1)), ours)


def test_a_name_of_placeholders_is_none():
    assert known_name("unknown^patient", Rules()) == ""
    assert known_name("sample^anna", Rules()) == "sample^anna"
    assert known_name("", Rules()) == ""
