"""What keeps the database healthy from one night to the next, and when was it last done?"""

import logging
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select

from pipeline.clinical.precision import running_out
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.audit.forwarder import RECEIVER
from pipeline.edge.store import (
    audit_trail,
    commitment_requests,
    destination_outages,
    pixel_retention,
    work_queue,
)
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.schema import housekeeping
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

HOUSEKEEPING = "housekeeping"

OVERDUE = timedelta(hours=26)
"""After so long without, the nightly schedule must have failed and the worker does it itself."""

CLOCK_STEP = timedelta(seconds=10)
"""How often the time is noted, and what it may go back unnoticed."""

GIVE_UP_AFTER = timedelta(days=7)
"""A scanner that has not heard our commitment for so long is a case for a person."""


class DamagedStoreError(DxatrendError):
    """The database fails its own check."""


def is_overdue(app: App, at: datetime) -> bool:
    """Whether housekeeping has not been done for longer than a night; on the first day it is not."""
    with app.database.read() as connection:
        last: datetime | None = connection.scalar(
            select(housekeeping.c.done_at).where(housekeeping.c.name == HOUSEKEEPING)
        )
    if last is None:
        _remember(app, at, seconds=0)
        return False
    return at - last > OVERDUE


def heed_clock(app: App, at: datetime) -> None:
    """Notice that this machine's clock went back, even while we did not run: nothing waits for the old time to come."""
    clock = f"clock of {socket.gethostname()}"[:64]
    with app.database.read() as connection:
        seen: datetime | None = connection.scalar(select(housekeeping.c.done_at).where(housekeeping.c.name == clock))
    if seen is not None and abs(at - seen) < CLOCK_STEP:
        return
    with app.database.write() as connection:
        if seen is not None and at < seen:
            back = seen - at + CLOCK_STEP
            moved = work_queue.bring_forward(connection, back, at=at) + destination_outages.bring_forward(
                connection, back, at=at
            )
            extra = {"seconds": round(back.total_seconds()), "count": moved}
            log.warning("the clock went back; what waits was brought forward", extra=extra)
        connection.execute(delete(housekeeping).where(housekeeping.c.name == clock))
        connection.execute(insert(housekeeping).values(name=clock, done_at=at, seconds=0))


def run_housekeeping(app: App) -> float:
    """Drop old pixels, check the database, refresh its statistics, shorten its log; how many seconds it took.

    Raises:
        StoreError: the database could not be asked.
        DamagedStoreError: it is damaged; a person must restore a backup.
    """
    began = time.monotonic()
    sound = app.database.is_sound()
    if sound:
        _drop_pixels(app, datetime.now(UTC))
        _give_up_commitment_requests(app, datetime.now(UTC))
        _keep_audit_trail(app, datetime.now(UTC))
        _remind_of_precision(app, datetime.now(UTC))
        app.database.tidy()
    seconds = time.monotonic() - began
    _remember(app, datetime.now(UTC), seconds)
    if not sound:
        log.critical("the database is damaged; stop the service and restore a backup")
        raise DamagedStoreError
    log.info("housekeeping is done", extra={"seconds": round(seconds, 1)})
    return seconds


def _drop_pixels(app: App, at: datetime) -> None:
    """Drop the pixels of pictures that came before the days we keep them for, a batch at a time."""
    old = at - timedelta(days=app.settings.service.keeping.pixels_days)
    dropped = 0
    while batch := _drop_a_batch(app, old):
        dropped += batch
    if dropped:
        log.info("the pixels of old pictures were dropped", extra={"count": dropped})


def _remind_of_precision(app: App, at: datetime) -> None:
    """Say in good time that an LSC runs out: after its last day no change is judged, and nothing else would tell."""
    if due := running_out(app.reference_data.clinical.lscs, at.date()):
        log.warning("precision studies have to be repeated; see dxatrend status", extra={"count": len(due)})


def _keep_audit_trail(app: App, at: datetime) -> None:
    """Chain what the worker may have missed, then drop what is older than we keep it, and say so in the trail."""
    with app.database.write() as connection:
        audit_trail.seal(connection, all_of_it=True)
    service = app.settings.service
    if service.keeping.audit_days is None:
        return
    old, receivers = at - timedelta(days=service.keeping.audit_days), (RECEIVER,) if service.audit.syslog else ()
    dropped = 0
    while batch := _drop_entries(app, old, at, receivers):
        dropped += batch
    if dropped:
        log.info("old entries of the audit trail were dropped", extra={"count": dropped})


def _drop_entries(app: App, before: datetime, at: datetime, receivers: Sequence[str]) -> int:
    with app.database.write() as connection:
        dropped = audit_trail.drop_entries(connection, before=before, at=at, receivers=receivers)
        if dropped:
            detail = {"audit_entries": dropped, "before": before.isoformat()}
            audit_trail.record(connection, events.by_operator(Event.DROPPED, at=at, detail=detail))
        return dropped


def _give_up_commitment_requests(app: App, at: datetime) -> None:
    with app.database.write() as connection:
        if held := commitment_requests.hold_unreported(connection, asked_before=at - GIVE_UP_AFTER):
            log.warning("scanners did not hear our commitments; see dxatrend held", extra={"count": held})


def _drop_a_batch(app: App, received_before: datetime) -> int:
    with app.database.write() as connection:
        return pixel_retention.drop_pixel_data(connection, received_before=received_before)


def _remember(app: App, at: datetime, seconds: float) -> None:
    with app.database.write() as connection:
        connection.execute(delete(housekeeping).where(housekeeping.c.name == HOUSEKEEPING))
        connection.execute(insert(housekeeping).values(name=HOUSEKEEPING, done_at=at, seconds=seconds))
