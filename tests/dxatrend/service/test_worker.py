"""A worker waits for work, and for its end, without looking for them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dxatrend.service import worker
from flows.shutdown import Stop
from pipeline.edge.app import App, open_app
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store import audit_chain, receipts, reprocessing_results
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.schema import addendum
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
