"""A run of the worker is seen in Prefect with what it has done, and ends soon when the worker is to stop."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from flows import delivery, follow_up
from flows.prefect_password import read_password
from flows.prefect_runner import PrefectRunner
from flows.runtime import run_context
from flows.shutdown import Stop
from pipeline.edge.app import App
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import drain
from pipeline.edge.store import service_status
from pipeline.edge.store.service_status import Status
from tests import peers
from tests.benchmarks import archive
from tests.factories.service import Service
from tests.peers import PrefectServer

EXAMS = 5


@pytest.fixture
def stop() -> Stop:
    """What tells the worker to stop."""
    return Stop()


@pytest.fixture
def app(prefect: PrefectServer, tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An application context with some exams that are due, in which this thread's flows work, two exams a chunk."""
    service = Service(tmp_path, destination_port=peers.free_port(), settle_seconds=0)
    monkeypatch.setattr("pipeline.edge.follow_up.due_exams.CHUNK", 2)
    as_in_the_worker = {
        PREFECT_API_URL: prefect.url,
        PREFECT_API_AUTH_STRING: read_password(prefect.settings),
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with service.app() as app, temporary_settings(as_in_the_worker), run_context(app, lambda: stop.is_set()):
        for patient in range(EXAMS):
            archive.receive(app, archive.report(patient))
        while extract_waiting(app):
            pass
        yield app


def run(prefect: PrefectServer, flow: object) -> None:
    def fail() -> None:
        pytest.fail("Prefect had trouble")

    assert callable(flow)
    runner = PrefectRunner(prefect.settings)
    runner.run(flow, fail, fail)
    runner.close()


def latest_run(prefect: PrefectServer, flow: str) -> tuple[str, list[str], str]:
    """The name of the latest run of a flow, its tags, and the message of its state."""
    question = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 1}
    with prefect.client() as api:
        (found,) = api.post("flow_runs/filter", json=question).raise_for_status().json()
    return found["name"], found["tags"], found["state"]["message"]


def status(app: App) -> Status:
    with app.database.read() as connection:
        return service_status.status(connection, ["pacs"], datetime.now(UTC))


def test_a_run_is_named_and_tagged_and_tells_in_counts_what_it_has_done(prefect: PrefectServer, app: App) -> None:
    run(prefect, follow_up.follow_up)
    assert latest_run(prefect, "follow-up") == ("exams that are due", ["dxatrend"], "issued 5, unchanged 0, held 0")
    assert status(app).destinations[0].backlog == EXAMS
    run(prefect, lambda: delivery.delivery("pacs"))
    assert latest_run(prefect, "delivery") == ("outbox of pacs", ["dxatrend"], "delivered 0, postponed 0")


def test_a_worker_that_is_told_to_stop_leaves_all_but_the_exam_in_hand_to_the_next_one(
    prefect: PrefectServer, app: App, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops_after_one_exam = chain((False, False), repeat(True))
    monkeypatch.setattr(stop, "is_set", lambda: next(stops_after_one_exam))
    run(prefect, follow_up.follow_up)
    assert latest_run(prefect, "follow-up")[2] == "issued 1, unchanged 0, held 0"
    assert status(app).exams_waiting == EXAMS - 1
    assert drain(app, lambda: False).issued == EXAMS - 1, "they are free at once"
