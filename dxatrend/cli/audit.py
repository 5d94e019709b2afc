"""How does somebody read the audit trail, and see that nobody has changed it?"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any

from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event, Outcome, SealedEntry


def export(app: App, options: argparse.Namespace) -> int:
    """Print the trail from a day on, about one patient, or all of it; that it was read is on file too."""
    since = datetime.combine(options.since, time.min).astimezone() if options.since else None
    whose = Patient(patient_id=options.patient.strip(), issuer=options.issuer.strip()) if options.patient else None
    with app.database.write() as connection:
        what = {"since": options.since, "one_patient": whose is not None}
        audit_trail.record(connection, events.by_operator(Event.EXPORTED, at=datetime.now(UTC), detail=what))
    with app.database.snapshot() as connection:
        found = audit_trail.find(connection, since=since, about=whose)
        for line in _as_json(found) if options.json else map(_told, found):
            print(line)
    return 0


def verify(app: App) -> int:
    """Follow the chain of the whole trail; the exit status is 0 when it holds."""
    with app.database.snapshot() as connection:
        chain = audit_trail.verify(connection)
    print(f"{chain.sealed} entries are chained, {chain.unsealed} not yet; the chain ends with {chain.last_digest}")
    if chain.broken_at is None:
        return 0
    print(
        f"the chain is broken at entry {chain.broken_at}: it was changed, or one before it is missing", file=sys.stderr
    )
    return 1


def _as_json(found: Iterator[SealedEntry]) -> Iterator[str]:
    """One array, an entry at a time: the trail of years need not fit into memory."""
    before = "["
    for one in found:
        yield before + json.dumps(_plain(one), default=str)
        before = ","
    yield "[]" if before == "[" else "]"


def _plain(one: SealedEntry) -> dict[str, Any]:
    entry = one.entry
    return {
        "number": one.number,
        "at": entry.at.isoformat(),
        "event": entry.event.value,
        "outcome": entry.outcome.name.lower(),
        "actor": entry.actor,
        "host": entry.host,
        "patient": entry.patient,
        "receipt": entry.receipt,
        "exam": entry.exam,
        "addendum": entry.addendum,
        "detail": entry.detail,
        "position": one.position,
        "digest": one.digest,
    }


def _told(one: SealedEntry) -> str:
    entry = one.entry
    what = [
        f"{name} {number}"
        for name in ("patient", "receipt", "exam", "addendum")
        if (number := getattr(entry, name)) is not None
    ]
    how = [] if entry.outcome is Outcome.SUCCESS else [entry.outcome.name.lower().replace("_", " ")]
    who = f"{entry.actor} at {entry.host}" if entry.host else entry.actor
    detail = json.dumps(entry.detail, ensure_ascii=False, default=str) if entry.detail else ""
    return "  ".join(
        part for part in (f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.event.value, *how, who, *what, detail) if part
    )
