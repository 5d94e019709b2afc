"""A phantom that is out stops its scanner: cautions in addenda, until a remedy is recorded and a good scan follows."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.edge.operations.housekeeping import run_housekeeping
from pipeline.edge.operations.scanner_quality import QualityRecordError, record_remedy, record_service
from pipeline.edge.overview import scanner_fitness
from pipeline.edge.overview.scanner_fitness import Fitness
from pipeline.edge.quality_control.charts import quality_of
from pipeline.edge.store.audit_schema import audit
from tests.factories.phantoms import PhantomDepartment, SimulatedScanner, now, phantom_department, step

OUT = ("1.2030", "1.2010", "1.2020")
"""A scan that is 2.2 % above the baseline, and two repeats that are as well."""


def fail(department: PhantomDepartment, day: int = 0) -> None:
    """Scan a phantom that is out, and both of its repeats."""
    for at, bmd in zip(("070000", "071000", "072000"), OUT, strict=True):
        department.phantom(day, bmd, at)


def test_a_confirmed_failure_puts_a_caution_into_addenda_until_a_remedy_and_a_good_scan(
    department: PhantomDepartment,
) -> None:
    """R7.6: also into those issued since the last good scan; those before it stay as they are."""
    department.baseline()
    department.phantom(-1, "1.1770")
    before = department.patient(-1, at="063000")
    since = department.patient(-1, at="100000", patient="P2")
    assert department.flags(before) == department.flags(since) == []

    fail(department)
    (stop,) = department.stops()
    assert stop.is_open
    assert stop.confirmed
    assert (stop.last_good_at, stop.shown_at) == (
        _at(department, -1, "07:00"),
        _at(department, 0, "07:20"),
    )
    assert department.flags(since) == ["QC_UNVERIFIED"]
    assert department.flags(before) == []
    during = department.patient(0, at="090000", patient="P3")
    assert department.flags(during) == ["QC_UNVERIFIED"]

    department.phantom(0, "1.1770", "110000")
    after_scan_without_remedy = department.patient(0, at="113000", patient="P4")
    assert department.flags(after_scan_without_remedy) == ["QC_UNVERIFIED"]

    record_remedy(department.app, stop.number, "detector replaced", on=department.date_of(0))
    department.made.work()
    (stop,) = department.stops()
    assert stop.fit_again_at == _at(department, 0, "11:00")
    assert not stop.is_open
    assert department.flags(after_scan_without_remedy) == []
    assert department.flags(during) == department.flags(since) == ["QC_UNVERIFIED"]
    later = department.patient(0, at="150000", patient="P5")
    assert department.flags(later) == []
    assert department.flags(department.patient(1, "0.915", at="001000", patient="P3")) == ["QC_UNVERIFIED"], "its prior"
    assert _trail(department) == ["stopped", "detector replaced", "fit again"]


def test_two_good_repeats_let_the_scanner_go_on(department: PhantomDepartment) -> None:
    """R7.3, E24."""
    department.baseline()
    department.phantom(0, OUT[0])
    assert department.stops() == []
    for at in ("071000", "072000"):
        department.phantom(0, "1.1775", at)
    assert department.stops() == []
    assert department.flags(department.patient(0)) == []


def test_a_failure_that_nobody_repeated_counts_as_a_stop_once_its_day_is_over(department: PhantomDepartment) -> None:
    """R7.6: quality control was not shown to hold; two good scans later it was."""
    department.baseline()
    department.phantom(0, OUT[0])
    department.phantom(0, "1.1775", "071000")
    number = department.patient(0)
    assert department.flags(number) == []
    _night(department)
    (stop,) = department.stops()
    assert (stop.is_open, stop.confirmed) == (True, False)
    assert "was not repeated" in stop.reason
    assert department.flags(number) == ["QC_UNVERIFIED"]
    department.phantom(1, "1.1775")
    (stop,) = department.stops()
    assert stop.annulled
    department.made.work()
    assert department.flags(number) == []


def test_a_late_repeat_confirms_a_stop(department: PhantomDepartment) -> None:
    department.baseline()
    department.phantom(0, OUT[0])
    _night(department)
    department.phantom(1, OUT[1], "003000")
    department.phantom(1, OUT[2], "003500")
    (stop,) = department.stops()
    assert (stop.is_open, stop.confirmed) == (True, True)


def test_a_stop_that_was_not_the_scanners_fault_counts_nowhere(department: PhantomDepartment) -> None:
    department.baseline()
    department.phantom(-1, "1.1770")
    number = department.patient(-1)
    fail(department)
    assert department.flags(number) == ["QC_UNVERIFIED"]
    record_remedy(department.app, 1, "the phantom lay askew", on=department.date_of(0), annul=True)
    department.made.work()
    assert department.flags(number) == []
    department.phantom(1, "1.1770", "003000")
    assert [stop.is_open for stop in department.stops()] == [False]


def test_a_stop_is_opened_once_however_often_the_phantom_is_out(department: PhantomDepartment) -> None:
    department.baseline(until=-3)
    fail(department, -2)
    fail(department, -1)
    fail(department, 0)
    assert len(department.stops()) == 1


def test_history_is_drawn_and_stops_nothing(department: PhantomDepartment) -> None:
    """What happened long ago was settled then."""
    department.baseline(until=-60)
    fail(department, -50)
    assert department.stops() == []


@pytest.mark.parametrize(
    ("number", "what", "day", "problem"),
    [
        (9, "tube replaced", 0, "no stop of number 9"),
        (1, "  ", 0, "say what was done"),
        (1, "tube replaced", 5, "in the future"),
        (1, "tube replaced", -3, "before the stop"),
    ],
)
def test_a_remedy_that_cannot_be_is_refused(
    department: PhantomDepartment, number: int, what: str, day: int, problem: str
) -> None:
    department.baseline()
    fail(department)
    with pytest.raises(QualityRecordError, match=problem):
        record_remedy(department.app, number, what, on=department.date_of(day))
    assert [stop.remedy for stop in department.stops()] == [""]


def _at(department: PhantomDepartment, day: int, at: str) -> datetime:
    return datetime.fromisoformat(f"{department.date_of(day)} {at}:00")


def _night(department: PhantomDepartment) -> None:
    """Do what housekeeping does at night."""
    run_housekeeping(department.app)
    department.made.work()


def _trail(department: PhantomDepartment) -> list[str]:
    with department.app.database.read() as connection:
        rows = connection.execute(select(audit.c.detail).where(audit.c.event.startswith("qc_")).order_by(audit.c.id))
        return [json.loads(row.detail)["what"] for row in rows]


def test_work_on_the_day_of_a_stop_came_after_the_scan_that_showed_it(tmp_path: Path) -> None:
    """R2.6: so the ten scans after it are of the repaired scanner."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.baseline()
        fail(department)
        record_service(department.app, 1, "detector replaced", on=department.date_of(0))
        record_service(department.app, 1, "lamp cleaned", on=department.date_of(-3))
        with department.app.database.read() as connection:
            marks = quality_of(connection, department.app.reference_data, 1).marks
        assert [(mark.what, mark.after) for mark in marks] == [
            ("lamp cleaned", None),
            ("detector replaced", _at(department, 0, "07:20")),
        ]


@pytest.mark.parametrize("sd_percent", [0.3, 0.5])
def test_a_simulated_scanner_is_stopped_over_dicom_within_days_of_a_step_and_not_before(
    tmp_path: Path, sd_percent: float
) -> None:
    """E24: the phantom is repeated whenever the service asks for it."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        _simulate(department, sd_percent)


def _simulate(department: PhantomDepartment, sd_percent: float) -> None:
    scanner = SimulatedScanner(4, sd_percent=sd_percent, shift=step(1.5, on=40))
    for day in range(50):
        on = day - 49
        department.phantom(on, str(scanner.measure(day)))
        for at in ("071000", "072000"):
            (one,) = scanner_fitness.fitness_of_all(department.app, at=now())
            if one.fitness is Fitness.REPEAT:
                department.phantom(on, str(scanner.measure(day)), at)
        if day == 39:
            assert department.stops() == []
    (stop,) = department.stops()
    assert stop.shown_at.date() <= department.date_of(-49 + 40 + 4)
    assert department.flags(department.patient(0)) == ["QC_UNVERIFIED"]
