"""One request for a page, as a page sees it: who asks, for what, and how to answer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal
from urllib.parse import quote

from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dxatrend.desk.desk import Desk
from dxatrend.desk.identity import Visitor
from dxatrend.desk.navigation import Entry
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import audit_trail, desk_sessions
from pipeline.edge.store.audit_trail import Event

_MOST_DIGITS = 18
"""A longer number fits into no database, and nothing on file has it."""


_YEARS = range(1900, 9001)
"""Years of a day that any database and any time zone can have."""


class NotADayError(HTTPException):
    """What somebody has entered is no day; a page that does not handle it answers with 400 and these words."""

    def __init__(self) -> None:
        super().__init__(400, "The day is written as year, month and day, such as 2026-03-01.")


def day_of(text: str) -> date | None:
    """Return the day that a text names; ``None`` for an empty one.

    Raises:
        NotADayError: it is something else.
    """
    try:
        found = date.fromisoformat(text) if text else None
    except ValueError:
        raise NotADayError from None
    if found is not None and found.year not in _YEARS:
        raise NotADayError
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. A page parses it, calls what knows the answer, and renders that."""

    desk: Desk
    app: App
    visitor: Visitor | None
    target: str
    """The path, such as ``/held``."""
    path: Mapping[str, Any]
    """The parts of the path that a route names, such as ``number``."""
    query: QueryParams
    form: FormData
    host: str
    """The address of the browser."""
    unattended: bool = False
    """Whether the page asks by itself."""
    navigation: tuple[Entry, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def may(self, role: Role) -> bool:
        """Return whether the visitor may do what a role may."""
        return self.visitor is not None and self.visitor.role.includes(role)

    @property
    def today(self) -> date:
        """The department's day."""
        return self.desk.renderer.local(self.now).date()

    @property
    def sees_patients(self) -> bool:
        """Whether names and ids of patients may be shown; with the role *look* they may not."""
        return self.may(Role.READ)

    def render(self, template: str, *, title: str, status: int = 200, refresh: int = 0, **values: Any) -> HTMLResponse:
        """Return a page; with ``refresh`` it asks for itself again after so many seconds."""
        message = self._take_message()
        page = {
            "title": title,
            "visit": self,
            "visitor": self.visitor,
            "navigation": [entry for entry in self.navigation if self.may(entry.role)],
            "message": message,
            "form_token": self.visitor.token.form_token if self.visitor else "",
            "refresh": refresh,
            "now": self.now,
            "status": status,
            **values,
        }
        return HTMLResponse(self.desk.renderer.render(template, page), status)

    def redirect(self, path: str, *, done: str = "", problem: str = "") -> Response:
        """Send the browser to a page of ours, which tells what was done or why it could not be."""
        if self.visitor is not None and (done or problem):
            kind: Literal["done", "problem"] = "problem" if problem else "done"
            with self.app.database.write() as connection:
                message = json.dumps({"kind": kind, "text": problem or done})
                desk_sessions.set_message(connection, self.visitor.token.digest, message)
        return RedirectResponse(path, 303)

    def download(self, content: bytes, name: str, media_type: str) -> Response:
        """Return a file that the browser saves."""
        disposition = f"attachment; filename*=utf-8''{quote(name)}"
        return Response(content, media_type=media_type, headers={"content-disposition": disposition})

    def viewed(
        self, patient: int | None = None, *, receipt: int | None = None, exam: int | None = None, **detail: Any
    ) -> None:
        """Record in the audit trail that the visitor was shown a patient, by our own number of patient, report or exam.

        Raises:
            StoreError: it could not be recorded, so nothing may be shown.
        """
        subject: dict[str, Any] = {"patient": patient, "receipt": receipt, "exam": exam}
        entry = events.by_operator(Event.VIEWED, at=self.now, detail={"page": self.target, **detail}, **subject)
        with self.app.database.write() as connection:
            audit_trail.record(connection, entry)

    def viewed_exams(self, numbers: Iterable[int], **detail: Any) -> None:
        """Record in the audit trail that the visitor was shown what addenda say, of each of these exams.

        Raises:
            StoreError: it could not be recorded, so nothing may be shown.
        """
        fields = {"page": self.target, **detail}
        entries = [
            events.by_operator(Event.VIEWED, at=self.now, exam=number, detail=fields)
            for number in dict.fromkeys(numbers)
        ]
        if entries:
            with self.app.database.write() as connection:
                audit_trail.record(connection, *entries)

    def number(self, name: str, default: int | None = None) -> int | None:
        """Return a number of the query or the form, or the default where there is none.

        Raises:
            HTTPException: it is something else.
        """
        text = self.form.get(name) or self.query.get(name) or ""
        if not isinstance(text, str) or not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
            raise HTTPException(400)
        return int(text)

    def day(self, name: str) -> date | None:
        """Return a day of the query or the form; ``None`` where there is none.

        Raises:
            NotADayError: it is something else.
        """
        return day_of(self.text(name))

    def text(self, name: str, *, longest: int = 200) -> str:
        """Return a text of the query or the form without spaces about it; empty where there is none.

        Raises:
            HTTPException: it is longer than that, or a file.
        """
        value = self.form.get(name) or self.query.get(name) or ""
        if not isinstance(value, str) or len(value) > longest:
            raise HTTPException(400)
        return value.replace("\0", "").strip()

    def texts(self, name: str, *, longest: int = 200) -> list[str]:
        """Return every value of one name in the form, as of boxes that are ticked.

        Raises:
            HTTPException: one of them is longer than that, or a file.
        """
        values = self.form.getlist(name)
        if any(not isinstance(value, str) or len(value) > longest for value in values):
            raise HTTPException(400)
        return [str(value) for value in values]

    def _take_message(self) -> dict[str, str] | None:
        if self.visitor is None or self.visitor.message is None or self.unattended:
            return None
        with self.app.database.write() as connection:
            desk_sessions.set_message(connection, self.visitor.token.digest, None)
        message: dict[str, str] = json.loads(self.visitor.message)
        return message


def not_found() -> HTTPException:
    """Return what a page raises when nothing on file has the number, or none that this visitor may see."""
    return HTTPException(404)
