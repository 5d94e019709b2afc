"""What is older than the department keeps exams is erased at night, patient by patient, and never while it counts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clinical.model import Patient
from pipeline.edge.app import App, open_app
from pipeline.edge.operations.housekeeping import run_housekeeping
from pipeline.edge.operations.patient_merge import merge
from pipeline.edge.operations.patient_retention import NEWEST_EXAM_WITHIN, clock_is_credible, erase_expired
from pipeline.edge.store import audit_chain, history_queries
from pipeline.edge.store.schema_base import State
from tests.factories.answered_exams import LONG_AGO, follow_all, in_both_databases, l1_l4, receive
from tests.factories.marked_patient import everything, finish

BORN = {"OLD": "19500101", "SERIES": "19500101", "CHILD": "19990601", "MERGED": "19500101"}


@pytest.fixture
def app(folder: Path) -> Iterator[App]:
    """Ten years are kept: one patient was here in 2010, one in 2024 too, a child of ten in 2010, one under two ids."""
    (folder / "service.toml").write_text("[keeping]\nexams_years = 10\n" + (folder / "service.toml").read_text())
    with open_app(folder) as app:
        visits = (("OLD", 2010), ("SERIES", 2010), ("SERIES", 2024), ("CHILD", 2010), ("MERGED", 2009), ("NEWER", 2024))
        for number, (who, year) in enumerate(visits, start=1):
            birth = BORN.get(who, "19500101")
            sent = l1_l4("0.9", study=f"2.25.{number}1", date=f"{year}0301", PatientID=who, PatientBirthDate=birth)
            receive(app, sent, f"2.25.{number}2")
        follow_all(app)
        merge(app.database, Patient(patient_id="MERGED"), Patient(patient_id="NEWER"), make_due=True)
        follow_all(app)
        finish(app.database)
        yield app


def _examine_today(app: App) -> None:
    day = f"{datetime.now(UTC):%Y%m%d}"
    receive(app, l1_l4("0.9", study="2.25.91", date=day, PatientID="TODAY", PatientBirthDate="19500101"), "2.25.92")
    follow_all(app)
    finish(app.database)


def _ids(app: App) -> set[str]:
    return {row["patient_id"] for row in everything(app.database)["patient"]}


@in_both_databases
def test_only_who_was_not_here_for_so_long_is_erased_and_the_baseline_of_a_series_is_kept(app: App) -> None:
    everybody = _ids(app)
    assert erase_expired(app, today=date(2020, 3, 1)) == 0, "not on the very day"
    assert erase_expired(app, today=date(2020, 3, 2)) == 1
    assert everybody - _ids(app) == {"OLD"}
    assert erase_expired(app, today=date(2027, 6, 1)) == 0, "a child's years count from the 18th birthday on"
    assert erase_expired(app, today=date(2027, 6, 2)) == 1
    assert everybody - _ids(app) == {"OLD", "CHILD"}
    assert len(everything(app.database)["exam"]) == 4


def test_housekeeping_erases_and_rewrites_the_store_and_the_trail_says_why(app: App) -> None:
    _examine_today(app)
    run_housekeeping(app)
    assert "OLD" not in _ids(app)
    path = app.database.path
    assert path is not None
    assert b"2.25.11" not in path.read_bytes()
    with app.database.read() as connection:
        assert audit_chain.verify(connection).broken_at is None
    reasons = [row["detail"] for row in everything(app.database)["audit"] if row["event"] == "erased"]
    assert len(reasons) == 1
    assert "keeping.exams_years" in reasons[0]


def test_nobody_is_erased_at_night_while_the_clock_is_far_ahead_of_the_newest_exam(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    everybody = _ids(app)
    run_housekeeping(app)
    assert _ids(app) == everybody
    assert "is the clock right?" in caplog.text
    newest = date(2024, 3, 1)
    assert clock_is_credible(app, today=newest + NEWEST_EXAM_WITHIN)
    assert not clock_is_credible(app, today=newest + NEWEST_EXAM_WITHIN + timedelta(days=1))


def test_what_waits_is_not_erased(app: App) -> None:
    with app.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE exam SET state = '{State.WAITING}' WHERE id = 1")
    assert erase_expired(app, today=date(2020, 3, 2)) == 0
    assert "OLD" in _ids(app)


def test_who_waits_for_an_archive_that_is_gone_keeps_nobody_else_on_file(app: App) -> None:
    with app.database.write() as connection:
        (number,) = (row["id"] for row in everything(app.database)["patient"] if row["patient_id"] == "OLD")
        history_queries.ask_again(connection, number, ["gone"], at=LONG_AGO)
    assert erase_expired(app, today=date(2030, 1, 1)) == 1
    assert "OLD" in _ids(app)
    assert "CHILD" not in _ids(app)
