"""What Prefect remembers is a window of a week: its database does not grow for ever."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests import peers

OLD, YOUNG = 30, 3


@pytest.mark.slow
def test_runs_and_events_older_than_a_week_are_dropped_by_the_server_itself(tmp_path: Path) -> None:
    """With the very settings that ``serve`` starts it with, but for how often it looks."""
    often = {"PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2"}
    with peers.prefect_server(tmp_path, variables=often) as server, server.client() as api:
        flow = api.post("/flows/", json={"name": "housekeeping"}).raise_for_status().json()["id"]
        runs = [_ended_run(api, flow, f"run {number}") for number in range(OLD + YOUNG)]
        peers.wait_until(lambda: _count(tmp_path, "events") >= OLD, seconds=60, what="the events are on file")
        _age(tmp_path, runs[:OLD])
        peers.wait_until(lambda: _count(tmp_path, "flow_run") == YOUNG, seconds=60, what="old runs are gone")
        peers.wait_until(lambda: _old_events(tmp_path) == 0, seconds=60, what="old events are gone")
        left = api.post("/flow_runs/filter", json={}).raise_for_status().json()
    assert {run["id"] for run in left} == set(runs[OLD:])


def _ended_run(api: httpx.Client, flow: str, name: str) -> str:
    """The id of a new run that has ended; while its SQLite is busy, the server asks with a 503 to be asked again."""
    for _ in range(30):
        answer = api.post("/flow_runs/", json={"flow_id": flow, "name": name, "state": {"type": "COMPLETED"}})
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)
    return str(answer.raise_for_status().json()["id"])


def _age(home: Path, runs: list[str]) -> None:
    """Let it be ten days since these runs ended, and since every event so far."""
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database:
        marks = ",".join("?" * len(runs))
        ago = "strftime('%Y-%m-%d %H:%M:%f', 'now', '-10 days')"
        database.execute(f"UPDATE flow_run SET end_time = {ago} WHERE id IN ({marks})", runs)
        for table in ("events", "event_resources"):
            database.execute(f"UPDATE {table} SET occurred = {ago}")
        database.commit()


def _count(home: Path, table: str) -> int:
    return _number(home, f"SELECT count(*) FROM {table}")


def _old_events(home: Path) -> int:
    return _number(home, "SELECT count(*) FROM events WHERE occurred < datetime('now', '-8 days')")


def _number(home: Path, query: str) -> int:
    with closing(sqlite3.connect(home / "prefect.db", timeout=60)) as database:
        (count,) = database.execute(query).fetchone()
    return int(count)
