"""An honest report is not put out of service by another sender's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.store import outbox
from pipeline.sr.dicom.content_tree import read_instance
from tests.factories.department import Department, department, scan

CALLERS = """
[[listener.caller]]
ae_title = "SCANNER1"
[[listener.caller]]
ae_title = "INTRUDER"
"""
OTHERS = {"DeviceSerialNumber": "DF+2"}
"""An intruder's own scanner."""


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Department]:
    """A department with two callers, of which one has sent an exam of its scanner before."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    with department(tmp_path, url, CALLERS) as of:
        of.send(scan("0.912", "20240301", uid="2.25.1", PatientID="BEFORE"))
        of.work()
        yield of


def held(of: Department) -> dict[str, str]:
    return {number: one.reason for number, one in of.held().items()}


@pytest.mark.parametrize("intruder_first", [False, True])
def test_another_patient_in_a_study_is_held_on_the_side_of_who_is_not_known(
    made: Department, intruder_first: bool
) -> None:
    honest = scan("0.912", "20250301", uid="2.25.11", StudyInstanceUID="2.25.9")
    other = scan("0.700", "20250301", uid="2.25.12", StudyInstanceUID="2.25.9", PatientID="P2", **OTHERS)
    sent = [(honest, "SCANNER1"), (other, "INTRUDER")]
    for what, calling in reversed(sent) if intruder_first else sent:
        made.send(what, calling=calling)
        made.work()
    intruders = "E2" if intruder_first else "E3"
    assert held(made) == {intruders: "id_conflict"}
    (one,) = made.held().values()
    assert one.sender == "INTRUDER at 127.0.0.1"
    assert "(SCANNER1 at 127.0.0.1)" in one.detail, "both senders are named"
    assert made.addendum_of(3 if intruder_first else 2) is not None


@pytest.mark.parametrize(("field", "wrong"), [("PatientBirthDate", "19620102"), ("PatientSex", "M")])
def test_a_wrong_first_birth_date_or_sex_of_who_is_not_known_holds_nobody_else(
    made: Department, field: str, wrong: str
) -> None:
    made.send(scan("0.700", "20230301", uid="2.25.11", **{field: wrong}, **OTHERS), calling="INTRUDER")
    made.work()
    made.send(scan("0.912", "20250301", uid="2.25.12"))
    made.work()
    assert held(made) == {"E2": "id_conflict"}
    assert "E3 (SCANNER1 at 127.0.0.1)" in made.held()["E2"].detail
    assert made.addendum_of(3) is not None


def test_where_the_senders_are_equally_known_the_majority_tells_and_until_then_both_wait(made: Department) -> None:
    made.send(scan("0.700", "20230301", uid="2.25.10", PatientID="OTHER", **OTHERS), calling="INTRUDER")
    made.work()
    made.send(scan("0.700", "20230301", uid="2.25.11", PatientBirthDate="19620102", **OTHERS), calling="INTRUDER")
    made.send(scan("0.912", "20240301", uid="2.25.12"))
    made.work()
    assert held(made) == {"E3": "id_conflict", "E4": "id_conflict"}
    details = {number: one.detail for number, one in made.held().items()}
    assert "E4 (SCANNER1 at 127.0.0.1)" in details["E3"]
    assert "E3 (INTRUDER at 127.0.0.1)" in details["E4"]
    made.send(scan("0.912", "20250301", uid="2.25.13"))
    made.work()
    assert held(made) == {"E3": "id_conflict"}
    assert made.addendum_of(4) is not None
    assert made.addendum_of(5) is not None


def test_where_only_the_order_tells_what_is_answered_already_stays(made: Department) -> None:
    made.send(scan("0.700", "20230301", uid="2.25.10", PatientID="OTHER", **OTHERS), calling="INTRUDER")
    made.send(scan("0.912", "20250301", uid="2.25.11", StudyInstanceUID="2.25.9"))
    made.work()
    other = scan("0.700", "20250301", uid="2.25.12", StudyInstanceUID="2.25.9", PatientID="P2", **OTHERS)
    made.send(other, calling="INTRUDER")
    made.work()
    assert held(made) == {"E4": "id_conflict"}


def test_where_nothing_tells_both_wait_and_each_names_the_other_sender(made: Department) -> None:
    made.send(scan("0.700", "20230301", uid="2.25.10", PatientID="OTHER", **OTHERS), calling="INTRUDER")
    made.work()
    made.send(scan("0.912", "20250301", uid="2.25.11", StudyInstanceUID="2.25.9"))
    other = scan("0.700", "20250301", uid="2.25.12", StudyInstanceUID="2.25.9", PatientID="P2", **OTHERS)
    made.send(other, calling="INTRUDER")
    made.work()
    assert held(made) == {"E3": "id_conflict", "E4": "id_conflict"}
    assert "INTRUDER" in made.held()["E3"].detail
    assert "SCANNER1" in made.held()["E4"].detail


def test_two_birth_dates_of_one_sender_hold_the_later_one_and_then_the_one_that_fewer_exams_tell(
    made: Department,
) -> None:
    made.send(scan("0.912", "20230301", uid="2.25.11", PatientBirthDate="19620102"))
    made.work()
    made.send(scan("0.912", "20240301", uid="2.25.12"))
    made.work()
    assert held(made) == {"E3": "id_conflict"}
    made.send(scan("0.912", "20250301", uid="2.25.13"))
    made.work()
    assert held(made) == {"E2": "id_conflict"}
    assert made.addendum_of(3) is not None


def test_one_conflict_that_is_judged_releases_nothing_that_another_one_holds(made: Department) -> None:
    shared = {"StudyInstanceUID": "2.25.9"}
    made.send(scan("0.912", "20230301", uid="2.25.11", **shared))
    made.send(scan("0.700", "20230301", uid="2.25.12", PatientID="P2", **shared))
    made.work()
    assert held(made) == {"E2": "id_conflict", "E3": "id_conflict"}
    made.send(scan("0.912", "20240301", uid="2.25.13"))
    made.send(scan("0.912", "20250301", uid="2.25.14", PatientBirthDate="19620102"))
    made.work()
    assert {"E2", "E3"} <= set(held(made))


UID = "2.25.77"
"""One SOP Instance UID for two objects."""


@pytest.mark.parametrize(
    "squatted",
    [{"PatientID": "P9", **OTHERS}, {"PatientID": "P9"}, {}, {"StudyDate": None, **OTHERS}],
    ids=["of its own scanner", "of the other's scanner", "a falsified copy", "unreadable"],
)
def test_who_has_guessed_a_uid_does_not_keep_the_honest_report_out(
    made: Department, squatted: dict[str, str | None]
) -> None:
    made.send(scan("0.700", "20250301", uid=UID, **squatted), calling="INTRUDER")
    made.work()
    made.send(scan("0.912", "20250301", uid=UID))
    made.work()
    assert [one.sender for one in made.held().values()] == ["INTRUDER at 127.0.0.1"]
    (one,) = made.held().values()
    assert one.reason == ("no_study_date" if "StudyDate" in squatted else "other_bytes")
    assert one.reason != "other_bytes" or "SCANNER1 at 127.0.0.1" in one.detail
    said = [made.addendum_of(number) for number in (2, 3)]
    assert any(one is not None and one.regions["L1-L4"]["BMD"] == ("0.912",) for one in said)


def test_other_bytes_under_an_honest_reports_uid_are_held_and_name_both_senders(made: Department) -> None:
    made.send(scan("0.912", "20250301", uid=UID))
    made.send(scan("0.700", "20250301", uid=UID, PatientID="P9", **OTHERS), calling="INTRUDER")
    made.work()
    (one,) = made.held().values()
    assert (one.reason, one.sender) == ("other_bytes", "INTRUDER at 127.0.0.1")
    assert "receipt 2 (SCANNER1 at 127.0.0.1)" in one.detail
    assert made.addendum_of(2) is not None


def test_where_nothing_tells_whose_a_uid_is_both_wait(made: Department) -> None:
    made.send(scan("0.700", "20230301", uid="2.25.10", PatientID="OTHER", **OTHERS), calling="INTRUDER")
    made.work()
    made.send(scan("0.700", "20250301", uid=UID, PatientID="P9", **OTHERS), calling="INTRUDER")
    made.send(scan("0.912", "20250301", uid=UID))
    made.work()
    found = made.held()
    assert sorted(one.sender for one in found.values()) == ["INTRUDER at 127.0.0.1", "SCANNER1 at 127.0.0.1"]
    assert {one.reason for one in found.values()} == {"other_bytes"}


def test_nobody_corrects_what_another_has_sent(made: Department) -> None:
    made.send(scan("0.912", "20250301", uid=UID, AccessionNumber="A1"))
    made.work()
    for uid in (UID, "2.25.78"):
        wrong = scan("0.912", "20250301", uid=uid, AccessionNumber="A9", StudyInstanceUID=f"{UID}.1")
        made.send(wrong, calling="INTRUDER")
        made.work()
    said = made.addendum_of(2)
    assert said is not None
    with made.app.database.read() as connection:
        latest = outbox.latest(connection, 2)
    assert latest is not None
    assert read_instance(latest.data_set, ExplicitVRLittleEndian).AccessionNumber == "A1"
