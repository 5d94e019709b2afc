"""``dxatrend audit``: print the audit trail, or verify that nobody has changed it."""

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any

from dxatrend.cli.output import FAILURE, SUCCESS, local, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.store import audit_chain, audit_trail
from pipeline.edge.store.audit_trail import Event, Outcome, SealedEntry


def run(options: argparse.Namespace) -> int:
    """Print entries from a day on, about one patient or all; with ``--verify`` only check their chain of digests."""
    with open_store(options) as app:
        return _verify(app) if options.verify else _export(app, options)


def _export(app: App, options: argparse.Namespace) -> int:
    """Print the entries; the export is an entry of its own."""
    since = datetime.combine(options.since, time.min).astimezone() if options.since else None
    patient = Patient(patient_id=options.patient.strip(), issuer=options.issuer.strip()) if options.patient else None
    with app.database.write() as connection:
        detail = {"since": options.since, "one_patient": patient is not None}
        audit_trail.record(connection, events.by_operator(Event.EXPORTED, at=datetime.now(UTC), detail=detail))
    with app.database.snapshot() as connection:
        found = audit_trail.find(connection, since=since, about=patient)
        for line in _json_array(found) if options.json else map(_line, found):
            print(line)
    return SUCCESS


def _verify(app: App) -> int:
    with app.database.snapshot() as connection:
        chain = audit_chain.verify(connection)
    print(f"{chain.sealed} entries are chained, {chain.unsealed} not yet; the chain ends with {chain.last_digest}")
    if chain.broken_at is None:
        return SUCCESS
    print_errors(f"the chain is broken at entry {chain.broken_at}: it was changed, or one before it is missing")
    return FAILURE


def _json_array(found: Iterator[SealedEntry]) -> Iterator[str]:
    """Yield one JSON array, an entry per line: the entries of years need not fit into memory."""
    before = "["
    for one in found:
        yield before + json.dumps(_as_json(one), default=str)
        before = ","
    yield "[]" if before == "[" else "]"


def _as_json(one: SealedEntry) -> dict[str, Any]:
    entry = one.entry
    return {
        "number": one.number,
        "at": local(entry.at).isoformat(),
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


def _line(one: SealedEntry) -> str:
    entry = one.entry
    about = [
        f"{name} {number}"
        for name in ("patient", "receipt", "exam", "addendum")
        if (number := getattr(entry, name)) is not None
    ]
    outcome = [] if entry.outcome is Outcome.SUCCESS else [entry.outcome.name.lower().replace("_", " ")]
    actor = f"{entry.actor} at {entry.host}" if entry.host else entry.actor
    detail = json.dumps(entry.detail, ensure_ascii=False, default=str) if entry.detail else ""
    parts = (f"{local(entry.at):%Y-%m-%d %H:%M:%S %Z}", entry.event.value, *outcome, actor, *about, detail)
    return "  ".join(part for part in parts if part)
