"""Trail: who did what to which exam or patient, and when; searched by day, kind, person or patient, and as CSV."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from dxatrend.desk.routes import DeskRoute, page
from dxatrend.desk.visit import Visit
from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import audit_search, audit_trail
from pipeline.edge.store.audit_search import Search
from pipeline.edge.store.audit_trail import Event, Outcome, SealedEntry
from pipeline.edge.text_files import spreadsheet_text

ENTRIES = 50
"""How many entries a page shows."""

USUAL_DAYS = 30
"""How many days are shown where nobody asks for others."""

WORDS = {
    Event.RECEIVED: "received a report",
    Event.REFUSED_CALLER: "was rejected as a caller",
    Event.COMPARED: "compared an exam",
    Event.AUTHORED: "wrote an addendum",
    Event.DELIVERED: "has got an addendum",
    Event.QUERIED: "was asked for a patient's history",
    Event.ASKED: "had archives asked for a patient's history",
    Event.REGISTERED: "changed the precision register",
    Event.QC_JUDGED: "judged a scanner by its phantom",
    Event.QC_SERVICED: "entered a service of a scanner",
    Event.QC_IMPORTED: "imported earlier phantom scans",
    Event.QC_REMEDIED: "wrote down how a stop was dealt with",
    Event.RELEASED: "released what was held",
    Event.SET_ASIDE: "set aside what was held",
    Event.CONTEXT_LOADED: "entered clinical context",
    Event.LOADED: "imported files",
    Event.REPROCESSED: "had exams examined again",
    Event.PATIENT_EXPORTED: "wrote out everything about a patient",
    Event.ANONYMISED: "wrote an anonymous report for support",
    Event.ERASED: "erased patients",
    Event.MERGED: "merged two patients, or undid it",
    Event.SPLIT: "split an exam by visit",
    Event.WITHDRAWN: "withdrew an exam, or undid it",
    Event.SHELVED: "wanted to hear nothing of an alarm, or to hear of it again",
    Event.CONFIRMED: "confirmed a caller",
    Event.BACKED_UP: "made a backup",
    Event.RESTORED: "restored a backup",
    Event.UPGRADED: "upgraded the store",
    Event.EXPORTED: "looked at this trail",
    Event.DROPPED: "deleted what was kept long enough",
    Event.STARTED: "started a part of the service",
    Event.STOPPED: "stopped a part of the service",
    Event.LOGGED_IN: "logged in",
    Event.LOGGED_OUT: "logged out",
    Event.LOG_IN_REFUSED: "was refused at the log-in",
    Event.VIEWED: "looked at a patient",
    Event.ACCOUNT_CHANGED: "changed an account",
}
"""What somebody did, in the words of the page; an event without an entry is shown by its own name."""

_PEOPLE, _ALL = "people", "all"
_LONGEST_SHOWN = 48
_DIGESTS = frozenset({"configuration", "digest"})
_IN_MEMORY = 4_000_000
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry as the page shows it."""

    number: int
    at: datetime
    actor: str
    host: str
    words: str
    failed: bool
    about: tuple[tuple[str, int], ...]
    detail: str


def show(visit: Visit) -> Response:
    """Show one page of entries, the newest first, and record that they were looked at."""
    search, fields = _search(visit)
    before = visit.number("before")
    _record_look(visit, fields, **({} if before is None else {"before": before}))
    with visit.app.database.read() as connection:
        found = audit_search.page(connection, search, before=before, most=ENTRIES + 1)
    shown = found[:ENTRIES]
    address = urlencode({name: value for name, value in fields.items() if value})
    older = f"/trail?{address}&before={shown[-1].number}" if len(found) > ENTRIES else ""
    return visit.render(
        "trail.html",
        title="Trail",
        rows=[_row(one) for one in shown],
        fields=fields,
        kinds=_kinds(),
        newest=f"/trail?{address}" if before is not None else "",
        older=older,
        csv=f"/trail.csv?{address}",
    )


def export(visit: Visit) -> Response:
    """Return every entry that is searched for as CSV, the oldest first."""
    search, fields = _search(visit)
    _record_look(visit, fields, form="csv")
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it has been sent
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(
        ["number", "at", "who", "from", "what", "outcome", "patient", "receipt", "exam", "addendum", "detail"]
    )
    with visit.app.database.snapshot() as connection:
        for entry in audit_search.every(connection, search):
            writer.writerow([spreadsheet_text(one) if isinstance(one, str) else one for one in _values(entry)])
    text.detach()
    file.seek(0)
    headers = {"content-disposition": 'attachment; filename="trail.csv"'}
    return StreamingResponse(_chunks(file), media_type="text/csv; charset=utf-8", headers=headers)


def short_detail(detail: Any) -> str:
    """Return the short values of an entry's detail, such as ``part listener, version 1.2``; the CSV has all.

    What is true is named, what is not is left out, and so are digests, which say nothing to a reader.
    """
    shown = []
    for name, value in detail.items():
        words = name.replace("_", " ")
        if value is True:
            shown.append(words)
        elif name not in _DIGESTS and isinstance(value, str | int) and value is not False and value != "":
            shown += [f"{words} {value}"] if len(str(value)) <= _LONGEST_SHOWN else []
    return ", ".join(shown)


def _search(visit: Visit) -> tuple[Search, dict[str, str]]:
    """Return what is searched for, and the fields of the form as they were understood."""
    begins = visit.day("from") or visit.today - timedelta(days=USUAL_DAYS)
    ends = visit.day("until")
    kind, who, patient = visit.text("what") or _PEOPLE, visit.text("who"), visit.number("patient")
    fields = {
        "what": kind,
        "who": who,
        "patient": "" if patient is None else str(patient),
        "from": str(begins),
        "until": "" if ends is None else str(ends),
    }
    if kind not in (_PEOPLE, _ALL, *Event):
        raise HTTPException(400)
    search = Search(
        since=_midnight(visit, begins),
        until=None if ends is None else _midnight(visit, ends + timedelta(days=1)),
        event=None if kind in (_PEOPLE, _ALL) else Event(kind),
        with_usual=kind != _PEOPLE,
        actor=who,
        patient=patient,
    )
    return search, fields


def _midnight(visit: Visit, day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=visit.desk.zone).astimezone(visit.desk.zone)


def _record_look(visit: Visit, fields: dict[str, str], **detail: Any) -> None:
    searched = {name: value for name, value in fields.items() if value}
    entry = events.by_operator(Event.EXPORTED, at=visit.now, detail={"page": visit.target, **searched, **detail})
    with visit.app.database.write() as connection:
        audit_trail.record(connection, entry)


def _kinds() -> list[tuple[str, str]]:
    single = [(event.value, WORDS.get(event, event.value.replace("_", " "))) for event in Event]
    return [(_PEOPLE, "what people did"), (_ALL, "everything"), *single]


def _row(one: SealedEntry) -> Row:
    entry = one.entry
    return Row(
        number=one.number,
        at=entry.at,
        actor=entry.actor,
        host=entry.host,
        words=WORDS.get(entry.event, entry.event.value.replace("_", " ")),
        failed=entry.outcome is not Outcome.SUCCESS,
        about=tuple(
            (name, number)
            for name in ("patient", "exam", "receipt", "addendum")
            if (number := getattr(entry, name)) is not None
        ),
        detail=short_detail(entry.detail),
    )


def _values(one: SealedEntry) -> list[object]:
    entry = one.entry
    detail = json.dumps(entry.detail, ensure_ascii=False, default=str) if entry.detail else ""
    about = [entry.patient, entry.receipt, entry.exam, entry.addendum]
    return [
        one.number,
        entry.at.isoformat(),
        entry.actor,
        entry.host,
        entry.event.value,
        entry.outcome.name,
        *about,
        detail,
    ]


def _chunks(file: "tempfile.SpooledTemporaryFile[bytes]") -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


ROUTES: tuple[DeskRoute, ...] = (
    page("/trail", show, role=Role.CONFIGURE),
    page("/trail.csv", export, role=Role.CONFIGURE),
)
