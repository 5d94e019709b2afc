"""Runs that people request and the workers do: begin one, stop it, and take part in it."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.configuration.loading import SettingsError
from pipeline.edge.live_configuration import outdated, reload
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store import audit_trail, reprocessing_results, reprocessing_runs
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.work_loop import WorkLoop, nothing_claimed

POLL_SECONDS = 1.0
"""How often a worker looks at most whether a run was requested, as every commit wakes it and few concern it."""


def request(app: App, scope: Scope, *, dry_run: bool) -> int:
    """Make a run over a scope the workers' task, and return its number; the audit trail has who requested it.

    A dry run only finds what would change with the configuration files as they are now.
    """
    with app.database.write() as connection:
        now = datetime.now(UTC)
        entry = events.by_operator(Event.REPROCESSED, at=now)
        if dry_run:
            reprocessing_results.drop_differences(connection)
        run = reprocessing_runs.begin(
            connection,
            scope,
            shards=app.settings.service.reprocess.shards,
            at=now,
            dry_run=dry_run,
            requested_by=entry.actor,
        )
        detail = {"run": run, "requested": True, "dry_run": dry_run}
        audit_trail.record(connection, replace(entry, detail=detail))
    return run


def stop(app: App, run: int) -> bool:
    """Stop a run, and return whether it was unfinished; what it has superseded stays so."""
    with app.database.write() as connection:
        now = datetime.now(UTC)
        entry = events.by_operator(Event.REPROCESSED, at=now, detail={"run": run, "stopped": True})
        if not reprocessing_runs.end(connection, run, f"stopped by {entry.actor}", at=now):
            return False
        audit_trail.record(connection, entry)
    return True


def requested_loop(stopped: Callable[[], bool]) -> WorkLoop:
    """Return the loop in which a worker takes part in the runs that people have requested."""
    asked_at = -POLL_SECONDS

    def poll(app: App) -> datetime | None:
        nonlocal asked_at
        now = datetime.now(UTC)
        if (too_early := asked_at + POLL_SECONDS - time.monotonic()) > 0:
            return now + timedelta(seconds=too_early)
        asked_at = time.monotonic()
        with app.database.read() as connection:
            run = reprocessing_runs.requested(connection, at=now)
        if run is None or outdated(app):
            return None
        _take_part(app, run, stopped)
        return None

    return WorkLoop(name="reprocessing", poll=poll, requeue=nothing_claimed)


def _take_part(app: App, run: int, stopped: Callable[[], bool]) -> None:
    """Take part in a run; in a dry run with the configuration files as they are now."""
    with app.database.read() as connection:
        dry_run = reprocessing_runs.find(connection, run).dry_run
    try:
        reprocessing.take_part(reload(app) if dry_run else app, run, stopped)
    except SettingsError as unusable:
        with app.database.write() as connection:
            problem = f"the configuration files have errors: {'; '.join(unusable.mistakes)}"
            reprocessing_runs.end(connection, run, problem, at=datetime.now(UTC))
