"""The steps to the first delivered addendum follow from what is on file, one after the other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.live_configuration import LiveConfiguration
from pipeline.edge.overview.first_steps import FirstSteps, first_steps
from pipeline.edge.store import receipts, work_queue
from pipeline.edge.store.schema import delivery, receipt
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode, region, report, spine

LONG_AGO = NOW - timedelta(days=1)
CALLER_AND_DESTINATION = """
[[listener.caller]]
ae_title = "SCANNER1"
host = "127.0.0.1"
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 104
"""


def _configure(folder: Path, more: str = "") -> Path:
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"\n{more}')
    return folder


def _steps(app: App, *, has_lsc: bool = False, at: datetime = NOW) -> FirstSteps:
    with app.database.read() as connection:
        return first_steps(connection, app.settings.service, has_lsc=has_lsc, at=at)


def _receive(app: App, uid: str, *, historical: bool = False) -> int:
    content = encode(report(spine(region("L1-L4", "0.950")), SOPInstanceUID=uid))
    with app.database.write() as connection:
        number, _ = receipts.store(
            connection,
            instance(content, uid=uid),
            calling_ae_title="SCANNER1",
            at=LONG_AGO,
            historical=historical,
        )
    return number


def test_in_an_empty_installation_no_step_is_reached(tmp_path: Path) -> None:
    with open_app(_configure(tmp_path)) as app:
        assert _steps(app) == FirstSteps(
            listener_runs=False,
            worker_runs=False,
            has_caller=False,
            has_destination=False,
            received_at=None,
            has_exam=False,
            is_held=False,
            has_lsc=False,
            authored_at=None,
            delivered_at=None,
        )


def test_each_step_is_reached_by_what_happens(tmp_path: Path) -> None:
    with open_app(_configure(tmp_path, CALLER_AND_DESTINATION)) as app:
        assert (_steps(app).has_caller, _steps(app).has_destination) == (True, True)
        assert _steps(app, has_lsc=True).has_lsc
        _receive(app, "2.25.1", historical=True)
        assert _steps(app).received_at is None, "history is no report from a scanner"
        _receive(app, "2.25.2")
        assert _steps(app).received_at == LONG_AGO
        assert not _steps(app).has_exam
        while extract_waiting(app):
            pass
        assert _steps(app).has_exam
        assert _steps(app).authored_at is None
        while numbers := claim_due(app.database, 50):
            follow_up(app, numbers)
        assert _steps(app).authored_at is not None
        assert not _steps(app).are_done
        with app.database.write() as connection:
            connection.execute(update(delivery).values(state="done", done_at=NOW))
        assert _steps(app).delivered_at == NOW
        assert _steps(app).are_done


def test_a_first_report_that_is_held_is_seen(tmp_path: Path) -> None:
    with open_app(_configure(tmp_path)) as app:
        number = _receive(app, "2.25.1")
        with app.database.write() as connection:
            work_queue.hold(connection, receipt, number, reason="unknown_dialect", detail="")
        assert _steps(app).is_held


def test_the_parts_that_run_are_those_of_the_service(tmp_path: Path) -> None:
    with open_app(_configure(tmp_path)) as app:
        with LiveConfiguration(app).registered("listener"), LiveConfiguration(app).registered("worker"):
            now = _steps(app, at=datetime.now(UTC))
            assert (now.listener_runs, now.worker_runs) == (True, True)
        assert not _steps(app, at=datetime.now(UTC)).listener_runs
