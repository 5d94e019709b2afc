"""A worker that has no work for some minutes gives the memory of Prefect's library back, and nothing else changes."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dxatrend.service.rest import QUIET_SECONDS
from pipeline.edge.app import App
from pipeline.edge.overview.parts import Part, PartState, parts
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.audit_trail import Event
from tests import peers
from tests.benchmarks import processes
from tests.expected import exams_of
from tests.factories.service import Service


def _worker(app: App) -> Part:
    with app.database.read() as connection:
        return next(one for one in parts(connection, at=datetime.now(UTC)) if one.name == "worker")


def _follow_up(service: Service, pacs: peers.Orthanc, report: Path) -> None:
    """Send a report, and wait for its addendum."""
    before = len(pacs.rest("instances"))
    assert peers.storescu([report], port=service.port, called="DXATREND").returncode == 0
    peers.wait_until(lambda: len(pacs.rest("instances")) > before, seconds=120, what="the addendum is in the PACS")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_idle_worker_is_replaced_by_a_small_one_that_goes_on(tmp_path: Path, orthanc: peers.Orthanc) -> None:
    first, second = (exam.reports[0] for exam in exams_of("02-spine-loss")[:2])
    service = Service(tmp_path / "service", destination_port=orthanc.dicom_port)
    service.start()
    try:
        peers.wait_until(service.prefect_answers, seconds=180, what="the Prefect server answers")
        with service.app() as app:
            _follow_up(service, orthanc, first)
            busy = _worker(app)
            assert busy.pid is not None
            megabytes = processes.proportional_megabytes(busy.pid)
            seen = [busy]

            def is_replaced() -> bool:
                seen.append(_worker(app))
                return seen[-1].pid != busy.pid

            peers.wait_until(is_replaced, seconds=QUIET_SECONDS + 120, what="the worker has rested")
            fresh = seen[-1]
            assert fresh.pid is not None
            assert {one.state for one in seen} == {PartState.RUNNING}, "nobody is alarmed meanwhile"
            assert processes.proportional_megabytes(fresh.pid) < megabytes / 2
            _follow_up(service, orthanc, second)
            with app.database.read() as connection:
                begun = select(func.count(audit.c.id)).where(
                    audit.c.event == Event.STARTED, audit.c.detail.contains("worker")
                )
                ended = select(func.count(audit.c.id)).where(
                    audit.c.event == Event.STOPPED, audit.c.detail.contains("worker")
                )
                assert (connection.scalar(begun), connection.scalar(ended)) == (1, 0)
        assert service.stop() == 0
        assert "ended unexpectedly" not in service.log.read_text()
    finally:
        service.kill()
