"""Which caller sends which scanner's reports is bound by the configuration, or noted until somebody confirms it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.clinical.model import Flag
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.audit_trail import Event
from tests.factories.department import Department, department, scan

FREE = """
[[listener.caller]]
ae_title = "SCANNER1"
[[listener.caller]]
ae_title = "SCANNER2"
"""
BOUND = """
[[listener.caller]]
ae_title = "SCANNER1"
serial_numbers = ["df+1", "DF+3"]
[[listener.caller]]
ae_title = "SCANNER2"
serial_numbers = ["DF+2"]
"""
ONE_TITLE = """
[[listener.caller]]
ae_title = "DXA"
host = "127.0.0.2"
serial_numbers = ["DF+1"]
[[listener.caller]]
ae_title = "DXA"
host = "127.0.0.3"
serial_numbers = ["DF+2"]
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite3"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def free(url: str, tmp_path: Path) -> Iterator[Department]:
    """A department of which no caller is bound."""
    with department(tmp_path, url, FREE) as made:
        yield made


@pytest.fixture
def bound(url: str, tmp_path: Path) -> Iterator[Department]:
    """A department of which each caller is bound to its scanners."""
    with department(tmp_path, url, BOUND) as made:
        yield made


def flags(of: Department, exam: int) -> tuple[str, ...]:
    said = of.addendum_of(exam)
    assert said is not None
    return said.flags


def test_a_report_of_a_scanner_that_its_caller_is_not_bound_to_is_held_and_says_who_sent_it(bound: Department) -> None:
    bound.send(scan("0.912", "20240301", uid="2.25.11"), calling="SCANNER1")
    bound.send(scan("1.073", "20250301", uid="2.25.12"), calling="SCANNER2")
    bound.send(scan("0.913", "20250301", uid="2.25.13", DeviceSerialNumber="DF+2"), calling="SCANNER2")
    bound.work()
    (held,) = bound.held().values()
    assert (held.number, held.reason) == ("2", "other_caller")
    assert held.sender == "SCANNER2 at 127.0.0.1"
    assert "listener.caller.serial_numbers of SCANNER2" in held.detail
    assert bound.addendum_of(1) is not None
    assert bound.addendum_of(2) is not None
    assert bound.addendum_of(3) is None


def test_a_phantom_of_another_callers_scanner_is_held_too(bound: Department) -> None:
    bound.send(scan("0.912", "20240301", uid="2.25.11", PatientID="SPINE PHANTOM"), calling="SCANNER2")
    bound.work()
    assert [held.reason for held in bound.held().values()] == ["other_caller"]


def test_a_scanner_without_serial_number_is_not_refused_as_nothing_of_it_is_compared(bound: Department) -> None:
    bound.send(scan("0.912", "20240301", uid="2.25.11", DeviceSerialNumber=None), calling="SCANNER2")
    bound.work()
    assert not bound.held()


def test_a_held_report_goes_on_once_its_caller_is_bound_to_its_scanner(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with department(tmp_path, url, BOUND) as before:
        before.send(scan("0.912", "20240301", uid="2.25.11"), calling="SCANNER2")
        before.work()
        assert before.run("held") == 0
        assert "SCANNER2 at 127.0.0.1" in capsys.readouterr().out
        assert before.run("release", "1") == 0
        before.work()
        assert list(before.held()) == ["1"], "nothing has changed"
    with department(tmp_path, url, BOUND.replace('["DF+2"]', '["DF+2", "DF+1"]')) as after:
        assert after.run("release", "1") == 0
        after.work()
        assert not after.held()
        assert after.addendum_of(1) is not None


def test_callers_of_one_title_are_distinguished_by_their_addresses(url: str, tmp_path: Path) -> None:
    with department(tmp_path, url, ONE_TITLE) as made:
        made.send(scan("0.912", "20240301", uid="2.25.11"), calling="DXA", host="127.0.0.2")
        made.send(scan("0.912", "20250301", uid="2.25.12"), calling="DXA", host="127.0.0.3")
        made.work()
        (held,) = made.held().values()
        assert (held.number, held.sender) == ("2", "DXA at 127.0.0.3")


@pytest.mark.parametrize(
    "callers", [ONE_TITLE.replace("127.0.0.2", "dxa1.example"), ONE_TITLE.replace('host = "127.0.0.2"', "")]
)
def test_callers_of_one_title_that_could_not_be_distinguished_are_an_error(callers: str, tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(callers)
    with pytest.raises(SettingsError, match="several are called DXA"):
        load_configuration(tmp_path)


def test_the_first_caller_of_a_scanner_needs_no_confirming_and_a_second_one_does_until_somebody_does(
    free: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    free.send(scan("0.912", "20240301", uid="2.25.11"), calling="SCANNER1")
    free.send(scan("0.913", "20250301", uid="2.25.12"), calling="SCANNER1")
    free.work()
    assert flags(free, 1) == ()
    assert Flag.NEW_CALLER not in flags(free, 2)
    free.send(scan("1.073", "20260301", uid="2.25.13"), calling="SCANNER2")
    free.work()
    assert Flag.NEW_CALLER in flags(free, 3)
    assert free.run("status") == 0
    told = capsys.readouterr().out
    assert "SCANNER2 at 127.0.0.1" in told
    assert "dxatrend confirm 2" in told
    assert free.run("status", "--json") == 0
    (new,) = json.loads(capsys.readouterr().out)["new_senders"]
    assert (new["number"], new["sender"]["ae_title"], new["scanner"]["serial_number"]) == (2, "SCANNER2", "DF+1")

    assert free.run("confirm", "1") == 1, "it needs none"
    assert free.run("confirm", "2") == 0
    free.work()
    assert Flag.NEW_CALLER not in flags(free, 3)
    assert free.run("confirm", "2") == 1, "it is confirmed already"
    assert free.run("status") == 0
    assert "confirm" not in capsys.readouterr().out.split("exams are due again")[1]
    with free.app.database.read() as connection:
        details = connection.scalars(select(audit.c.detail).where(audit.c.event == Event.CONFIRMED)).all()
    assert [json.loads(detail) for detail in details] == [{"sender": 2}]


def test_the_same_title_at_another_address_is_another_caller(free: Department) -> None:
    free.send(scan("0.912", "20240301", uid="2.25.11"), host="127.0.0.1")
    free.send(scan("0.913", "20250301", uid="2.25.12"), host="127.0.0.4")
    free.work()
    assert Flag.NEW_CALLER in flags(free, 2)


def test_an_exam_that_is_compared_with_one_of_a_new_caller_says_so_too(free: Department) -> None:
    """Else a stranger's old exam would make a change of what is none, in an addendum that looks like any other."""
    free.send(scan("0.912", "20230301", uid="2.25.11"), calling="SCANNER1")
    free.send(scan("0.700", "20240301", uid="2.25.12"), calling="SCANNER2")
    free.send(scan("0.912", "20250301", uid="2.25.13"), calling="SCANNER1")
    free.work()
    assert Flag.NEW_CALLER in flags(free, 3)
    assert free.run("confirm", "2") == 0
    free.work()
    assert Flag.NEW_CALLER not in flags(free, 3)


def test_another_patients_exams_are_not_flagged_for_it(free: Department) -> None:
    free.send(scan("0.912", "20230301", uid="2.25.11"), calling="SCANNER1")
    free.send(scan("0.700", "20240301", uid="2.25.12"), calling="SCANNER2")
    free.send(scan("0.912", "20250301", uid="2.25.13", PatientID="P2"), calling="SCANNER1")
    free.work()
    assert flags(free, 3) == ()


def test_a_caller_that_is_bound_to_its_scanners_needs_no_confirming_wherever_it_calls_from(
    bound: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    bound.send(scan("0.912", "20240301", uid="2.25.11"), calling="SCANNER1")
    bound.send(scan("0.913", "20250301", uid="2.25.12"), calling="SCANNER1", host="127.0.0.4")
    bound.work()
    assert Flag.NEW_CALLER not in flags(bound, 2)
    assert bound.run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["new_senders"] == []
