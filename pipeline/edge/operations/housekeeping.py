"""Nightly housekeeping: drop old pixel data, exams and audit entries, check the database, refresh its statistics."""

import contextlib
import logging
import socket
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from pipeline.clinical.model import LeastSignificantChange
from pipeline.clinical.precision import running_out
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.audit.forwarder import RECEIVER
from pipeline.edge.operations import nightly_work
from pipeline.edge.operations.patient_erasure import rewrite
from pipeline.edge.operations.patient_retention import clock_is_credible, erase_expired
from pipeline.edge.quality_control import stops
from pipeline.edge.store import (
    audit_chain,
    audit_trail,
    commitment_requests,
    destination_outages,
    housekeeping_log,
    pixel_retention,
    scanners,
    work_queue,
)
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

HOUSEKEEPING = "housekeeping"
"""The name of its row in the table of the same name."""

CLOCK_STEP = timedelta(seconds=10)
"""How often the time is recorded, and how far the clock may go back unnoticed."""

GIVE_UP_AFTER = timedelta(days=7)
"""A request for storage commitment whose result a scanner has not taken for so long is held."""


class DamagedStoreError(DxatrendError):
    """A database that fails its own integrity check."""


def is_overdue(database: Database, at: datetime) -> bool:
    """Return whether housekeeping has not been done for longer than a night; on the first day it is not overdue."""
    return nightly_work.is_overdue(database, HOUSEKEEPING, at)


def adjust_to_clock(database: Database, at: datetime) -> None:
    """Bring waiting work forward when this computer's clock went back, so that nothing waits for the old time.

    A step is noticed even if it happened while the service did not run.
    """
    clock = f"clock of {socket.gethostname()}"[:64]
    with database.read() as connection:
        seen = housekeeping_log.last_done(connection, clock)
    if seen is not None and abs(at - seen) < CLOCK_STEP:
        return
    with database.write() as connection:
        if seen is not None and at < seen:
            back = seen - at + CLOCK_STEP
            moved = work_queue.bring_forward(connection, back, at=at) + destination_outages.bring_forward(
                connection, back, at=at
            )
            extra = {"seconds": round(back.total_seconds()), "count": moved}
            log.warning("the clock went back; what waits was brought forward", extra=extra)
        housekeeping_log.record_done(connection, clock, at=at)


def run_housekeeping(app: App) -> float:
    """Check the database, drop what is old, refresh statistics and shorten its log; return the seconds that took.

    Raises:
        StoreError: the database could not be reached.
        DamagedStoreError: the database is damaged; an operator must restore a backup.
    """
    began = time.monotonic()
    database, service = app.database, app.settings.service
    sound = database.is_sound()
    with contextlib.suppress(StoreError):  # a damaged one may not take it
        _record_finding(database, housekeeping_log.DAMAGED_STORE, is_wrong=not sound)
    if sound:
        now = datetime.now(UTC)
        _drop_pixel_data(database, received_before=now - timedelta(days=service.keeping.pixels_days))
        _give_up_commitment_requests(database, now)
        _check_audit_trail(database)
        if service.keeping.audit_days is not None:
            receivers = (RECEIVER,) if service.audit.syslog else ()
            _drop_audit_entries(database, now - timedelta(days=service.keeping.audit_days), now, receivers)
        with database.read() as connection:
            lscs = app.reference_in_force(connection).reference_data.clinical.lscs
        _remind_of_precision(lscs, now.date())
        _judge_phantoms(app, now)
        today = now.astimezone(app.reference_data.zone).date()
        if service.keeping.exams_years is not None and clock_is_credible(app, today=today):
            erase_expired(app, today=today)
        rewrite(database)
        database.optimize()
    seconds = time.monotonic() - began
    _record_done(database, datetime.now(UTC), seconds)
    if not sound:
        log.critical("the database is damaged; stop the service and restore a backup")
        raise DamagedStoreError
    log.info("housekeeping is done", extra={"seconds": round(seconds, 1)})
    return seconds


def _drop_pixel_data(database: Database, *, received_before: datetime) -> None:
    """Drop the pixel data of images that came before a moment, a batch at a time."""
    dropped, damaged = 0, set[int]()
    while batch := _drop_a_batch(database, received_before, damaged):
        dropped += batch
    dropped -= len(damaged)
    for number in sorted(damaged):
        log.warning("its pixel data was not dropped: %s", DamagedContentError(number), extra={"receipt": number})
    if dropped:
        log.info("pixel data of old images was dropped", extra={"count": dropped})


def _remind_of_precision(lscs: Sequence[LeastSignificantChange], today: date) -> None:
    """Warn in good time of LSCs that run out: after its last day no change is judged, and nothing else shows it."""
    if due := running_out(lscs, today):
        log.warning("precision studies have to be repeated; see dxatrend status", extra={"count": len(due)})


def _judge_phantoms(app: App, at: datetime) -> None:
    """Judge the phantom of each scanner again: a day has passed, on which it may not have been repeated."""
    with app.database.read() as connection:
        numbers = scanners.numbers(connection)
    for number in numbers:
        with app.database.write() as connection:
            stops.update(connection, app.reference_data, number, at=at, days_are_over=True)


def _check_audit_trail(database: Database) -> None:
    """Seal the entries that the worker may have missed, and verify the chain."""
    with database.write() as connection:
        audit_chain.seal(connection, all_of_it=True)
    with database.read() as connection:
        broken_at = audit_chain.verify(connection).broken_at
    if broken_at is not None:
        log.critical("the audit trail was changed; see dxatrend audit --verify")
    _record_finding(database, housekeeping_log.BROKEN_AUDIT_TRAIL, is_wrong=broken_at is not None)


def _record_finding(database: Database, name: str, *, is_wrong: bool) -> None:
    """Record since when something is wrong, or that it no longer is."""
    with database.write() as connection:
        if not is_wrong:
            housekeeping_log.forget(connection, name)
        elif housekeeping_log.last_done(connection, name) is None:
            housekeeping_log.record_done(connection, name, at=datetime.now(UTC))


def _drop_audit_entries(database: Database, before: datetime, at: datetime, receivers: Sequence[str]) -> None:
    """Drop entries from before a moment that the receivers have; the audit trail records how many."""
    dropped = 0
    while batch := _drop_entries(database, before, at, receivers):
        dropped += batch
    if dropped:
        log.info("old entries of the audit trail were dropped", extra={"count": dropped})


def _drop_entries(database: Database, before: datetime, at: datetime, receivers: Sequence[str]) -> int:
    with database.write() as connection:
        dropped = audit_chain.drop_entries(connection, before=before, at=at, receivers=receivers)
        if dropped:
            detail = {"audit_entries": dropped, "before": before.isoformat()}
            audit_trail.record(connection, events.by_operator(Event.DROPPED, at=at, detail=detail))
        return dropped


def _give_up_commitment_requests(database: Database, at: datetime) -> None:
    with database.write() as connection:
        if held := commitment_requests.hold_unreported(connection, asked_before=at - GIVE_UP_AFTER):
            log.warning("scanners did not hear our commitments; see dxatrend held", extra={"count": held})


def _drop_a_batch(database: Database, received_before: datetime, damaged: set[int]) -> int:
    with database.write() as connection:
        return pixel_retention.drop_pixel_data(connection, received_before=received_before, damaged=damaged)


def _record_done(database: Database, at: datetime, seconds: float) -> None:
    with database.write() as connection:
        housekeeping_log.record_done(connection, HOUSEKEEPING, at=at, seconds=seconds)
