"""A worker waits for work, and for its end, without looking for them, and rests only where that changes nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dxatrend.service import rest, worker
from dxatrend.service.worker import Ending
from flows.prefect_runner import PrefectRunner
from flows.shutdown import Stop
from pipeline.edge.app import App, open_app
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store import audit_chain, receipts, reprocessing_results
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.schema import addendum
from pipeline.edge.work_loop import WorkLoop, nothing_claimed
from tests import peers
from tests.factories.answered_exams import l1_l4
from tests.factories.instances import instance
from tests.factories.reports import encode


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """A store of either kind, whose exams are due a second after their reports were received."""
    sqlite = f"sqlite:///{tmp_path}/store.sqlite3"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "{url}"
        [exam]
        settle_seconds = 1
        late_days = 36500
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {peers.free_port()}
        [prefect]
        port = {peers.free_port()}
        """)
    with open_app(tmp_path) as app:
        yield app


def test_a_worker_that_hardly_ever_polls_does_at_once_what_is_due_and_stops_at_once(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 3600.0)
    stop = Stop()
    working = threading.Thread(target=worker.run_worker, args=(lambda: app, stop))
    working.start()
    try:
        for number in (1, 2):  # for the second, all loops have come to rest
            uid = f"2.25.{number}"
            report = l1_l4("0.950", study=f"2.25.1{number}", SOPInstanceUID=uid, PatientID=f"P{number}")
            received = instance(encode(report), uid=uid)
            with app.database.write() as connection:
                receipts.store(connection, received, calling_ae_title="SCANNER1", at=datetime.now(UTC))
            peers.wait_until(partial(_has_addenda, app, number), what="the addendum is written")
        run = requested_runs.request(app, Scope(), dry_run=False)
        peers.wait_until(lambda: _is_finished(app, run), what="the run is done")
        peers.wait_until(lambda: not _has_unsealed(app), what="the audit trail is sealed")
    finally:
        stop.set()
    working.join(60)
    assert not working.is_alive()


class _Loops:
    """Two loops in place of a worker's own: one is at work for as long as it is told, one counts how often it polls."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.polls = 0
        self.is_done = threading.Event()
        prefect = PrefectRunner(app.settings.service.prefect)
        prefect.used_at = time.monotonic()
        busy = worker._Queue(WorkLoop(name="busy", poll=self._work, requeue=nothing_claimed), prefect)
        other = worker._Queue(WorkLoop(name="other", poll=self._count, requeue=nothing_claimed), None)
        monkeypatch.setattr(worker, "_queues", lambda *_: [busy, other])
        monkeypatch.setattr(worker, "HANDLE_SECONDS", 0.01)
        monkeypatch.setattr(rest, "QUIET_SECONDS", 0.0)

    @contextmanager
    def run(self, app: App) -> Iterator[None]:
        """Run a worker with these loops that may rest; the test fails unless it does so after the block."""
        stop, ended = Stop(), list[Ending]()
        working = threading.Thread(target=lambda: ended.append(worker.run_worker(lambda: app, stop, may_rest=True)))
        working.start()
        try:
            yield
            working.join(60)
            assert ended == [Ending.RESTED]
        finally:
            self.is_done.set()
            stop.set()

    def wait_until_polled_again(self) -> None:
        """Wait until the worker would have rested many times."""
        enough = self.polls + 20
        peers.wait_until(lambda: self.polls > enough, what="the other loop goes on")

    def _work(self, _: App) -> None:
        self.is_done.wait()

    def _count(self, _: App) -> datetime:
        self.polls += 1
        return datetime.now(UTC) + timedelta(seconds=0.05)


def test_a_worker_rests_when_no_loop_is_at_work_as_the_others_would_stand_still_meanwhile(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = _Loops(app, monkeypatch)
    with loops.run(app):
        loops.wait_until_polled_again()
        loops.is_done.set()


def test_a_worker_with_files_that_nobody_has_had_reloaded_rests_once_they_are_as_before(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FILES_SECONDS", 0.01)
    loops = _Loops(app, monkeypatch)
    loops.is_done.set()
    files = app.folder / "service.toml"
    before = files.read_text()
    files.write_text(before.replace("settle_seconds = 1", "settle_seconds = 2"))
    with loops.run(app):
        loops.wait_until_polled_again()
        files.write_text("[exam")
        loops.wait_until_polled_again()
        files.write_text(before)


def test_a_worker_does_not_rest_just_before_an_exam_is_due(app: App) -> None:
    prefect = PrefectRunner(app.settings.service.prefect)
    with closing(prefect):
        prefect.used_at = -1e9
        prefect.prepare([__name__])  # as the module of a flow that was run
        assert time.monotonic() - prefect.used_at < rest.QUIET_SECONDS


def _has_addenda(app: App, count: int) -> bool:
    with app.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(addendum)) == count


def _is_finished(app: App, run: int) -> bool:
    with app.database.read() as connection:
        latest = reprocessing_results.latest(connection, 1, at=datetime.now(UTC))
    return [one.number for one in latest if one.finished_at] == [run]


def _has_unsealed(app: App) -> bool:
    with app.database.read() as connection:
        return audit_chain.has_unsealed(connection)
