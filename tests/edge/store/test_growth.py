"""Whoever looks into a store that has been filling for years finds the rows by an index."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select, text

from pipeline.edge.app import App
from pipeline.edge.overview.exam import exam_overview
from pipeline.edge.overview.examined import examine_now
from pipeline.edge.overview.patient import patient_overview
from pipeline.edge.overview.phantom_candidates import phantom_candidates
from pipeline.edge.overview.precision_register import register
from pipeline.edge.overview.scanner_fitness import fitness_of_all
from pipeline.edge.overview.today import today
from pipeline.edge.store import audit_search, held_work, outbox, patient_file, receipts, service_status, work_queue
from pipeline.edge.store.audit_search import Search
from pipeline.edge.store.schema import delivery, exam
from pipeline.edge.store.schema_base import metadata
from tests.benchmarks import archive

PATIENTS = 400
SMALL = {
    "scanner",
    "sender",
    "process",
    "housekeeping",
    "unidentified_scanner",
    "rejected_caller",
    "qc_stop",
    "qc_mark",
    "register_study",
    "register_record",
    "register_decision",
    "erasure",
}
"""Tables that do not grow with the number of exams."""


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    """A store with the exams of some hundred patients."""
    with archive.archive(PATIENTS, rewrite_every=PATIENTS // 2) as app:
        yield app


def test_no_step_from_receipt_to_delivery_reads_a_whole_table(app: App) -> None:
    with plans_of(app) as plans:
        archive.receive(app, archive.report(PATIENTS // 2))
        assert archive.work_off(app).issued == 1
        with app.database.write() as connection:
            (waiting,) = outbox.deliveries(connection, outbox.claim(connection, "pacs", limit=50, at=datetime.now(UTC)))
            outbox.record_delivery(connection, waiting.number, proof="none", at=datetime.now(UTC))
            work_queue.reclaim_from_dead_processes(connection)
            work_queue.next_due(connection, exam)
            work_queue.next_due(connection, delivery, destination="pacs")
            assert not receipts.is_any_to_be_read(connection, at=datetime.now(UTC))
    assert len(plans) > 20
    assert whole_tables(plans) == []


def test_no_look_at_the_day_or_at_what_is_held_reads_a_whole_table(app: App) -> None:
    now = datetime.now(UTC)
    with plans_of(app) as plans:
        today(app, at=now)
        with app.database.read() as connection:
            service_status.status(connection, ["pacs"], now, reference_data=app.reference_data, archives=["pacs"])
            held_work.held(connection, reason="no_bmd", before=now, limit=10)
            held_work.set_aside_work(connection, limit=10)
            held_work.by_reason(connection)
    assert len(plans) > 20
    assert whole_tables(plans) == []


def test_no_look_at_a_patient_or_an_exam_reads_a_whole_table(app: App) -> None:
    with app.database.read() as connection:
        first = select(func.min(exam.c.id)).scalar_subquery()  # only of that patient the bytes are that patient's
        somebody = connection.execute(select(exam.c.patient_id).where(exam.c.id == first)).scalar_one()
    with plans_of(app) as plans, app.database.read() as connection:
        patient = patient_overview(connection, somebody, app.reference_data.clinical.rules)
        assert patient is not None
        rows = [line.row for line in patient.exams]
        assert exam_overview(connection, rows[0].number, app.reference_data.clinical.rules) is not None
        assert examine_now(app, connection, rows[0].number, rows) is not None
        issued = patient.exams[0].addendum
        assert issued is not None
        outbox.renderings(connection, issued)
        for text_of_a_form in (patient.own.patient_id, rows[0].study_instance_uid, "ACC"):
            patient_file.find(connection, text_of_a_form, "")
    assert len(plans) > 25
    assert whole_tables(plans) == []


def test_no_look_at_the_register_the_scanners_or_the_trail_reads_a_whole_table(app: App) -> None:
    now = datetime.now(UTC)
    with plans_of(app) as plans:
        register(app, on=now.date())
        fitness_of_all(app, at=now)
        with app.database.read() as connection:
            phantom_candidates(connection)
            for search in (Search(since=now), Search(since=now, actor="reader"), Search(since=now, patient=1)):
                audit_search.page(connection, search, before=None, most=50)
    assert len(plans) > 10
    assert whole_tables(plans) == []


def test_a_look_at_the_register_reads_the_exams_of_each_scanner_once_and_no_report_or_addendum(app: App) -> None:
    """A scanner has an LSC for each region, hundreds of exams are looked at, and a report has thousands of bytes."""
    with statements() as asked:
        found = register(app, on=datetime.now(UTC).date())
    scanners = {line.lsc.scanner for line in found.counting} | set(app.reference_data.scanners)
    assert len(found.counting) > len(scanners)
    assert reads_of_exams(asked) <= len(scanners) + 1
    assert not any("reading.report" in statement or "addendum.content" in statement for statement in asked)


def test_a_look_at_the_day_reads_no_exams_for_an_lsc_without_a_study_on_record_and_no_addendum(app: App) -> None:
    """It tells which study is in doubt; what the register has beyond that is for its own page."""
    now = datetime.now(UTC)
    with statements() as asked:
        lscs = today(app, at=now).reference_data.clinical.lscs
    assert any(lsc.valid_from <= now.date() <= lsc.valid_until for lsc in lscs)
    assert reads_of_exams(asked) == 0
    assert not any("addendum.without_lsc" in statement for statement in asked)


def test_a_whole_table_that_is_read_would_be_noticed(app: App) -> None:
    with plans_of(app) as plans, app.database.read() as connection:
        connection.execute(text("SELECT count(*) FROM exam WHERE sex = 'F'"))
    assert len(whole_tables(plans)) == 1


@contextmanager
def plans_of(app: App) -> Iterator[dict[str, list[str]]]:
    """What SQLite does for every statement of the block, by statement."""
    found: dict[str, list[str]] = {}

    def ask(
        connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and not executemany:
            plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found[statement] = [str(line[-1]) for line in plan.fetchall()]

    event.listen(Engine, "before_cursor_execute", ask)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", ask)


def whole_tables(plans: dict[str, list[str]]) -> list[str]:
    """The statements that look at every row of a table that grows.

    An index read whole is every row as well, unless it is one of the few rows that wait or are held.
    """
    growing = {table.name for table in metadata.sorted_tables} - SMALL
    few = {
        index.name
        for table in metadata.sorted_tables
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    return [
        f"{line}: {statement}"
        for statement, plan in plans.items()
        for line in plan
        if line.startswith("SCAN ") and line.split()[1] in growing and line.split()[-1] not in few
    ]


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Count every statement that is executed in the block."""
    asked = Counter[str]()

    def count(_: Connection, __: Any, statement: str, *___: Any) -> None:
        asked[statement] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def reads_of_exams(asked: Counter[str]) -> int:
    return sum(times for statement, times in asked.items() if "reading.scanned" in statement)
