"""Withdraw an exam, undo the withdrawal, or split an exam of several visits; the audit trail has each."""

import contextlib
from datetime import UTC, date, datetime

from pipeline.edge.audit import events
from pipeline.edge.operations.release import NotAPrintedNumberError, parse_printed_number
from pipeline.edge.store import audit_trail, exams, splits, withdrawals
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import exam
from pipeline.errors import DxatrendError


class ExamNotFoundError(DxatrendError):
    """A text that names no exam on file."""


def find_exam(database: Database, text: str) -> int:
    """Return the number of an exam on file that is written as ``E12``.

    Raises:
        ExamNotFoundError: it is written otherwise, or no exam has the number.
    """
    with contextlib.suppress(NotAPrintedNumberError), database.read() as connection:
        printed = parse_printed_number(text)
        if printed.queue is exam and exams.is_on_file(connection, printed.number):
            return printed.number
    raise ExamNotFoundError(f"{text} is no exam on file; exams are written as E12")


def withdraw(database: Database, number: int, reason: str) -> bool:
    """Take an exam out of every comparison for a reason that its addendum quotes; whether it took part until now.

    The exam and its patient's later exams become due.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        done = withdrawals.withdraw(connection, number, reason, at=now)
        if done:
            detail = {"reason": reason, "undo": False}
            audit_trail.record(connection, events.by_operator(Event.WITHDRAWN, at=now, exam=number, detail=detail))
    return done


def undo_withdrawal(database: Database, number: int, reason: str = "") -> bool:
    """Let an exam and its rejected reports count again; whether any of them did not.

    The exam and its patient's later exams become due.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        done = withdrawals.undo(connection, number, at=now)
        if done:
            detail = {"reason": reason, "undo": True}
            audit_trail.record(connection, events.by_operator(Event.WITHDRAWN, at=now, exam=number, detail=detail))
    return done


def split(database: Database, number: int) -> list[tuple[int, date]]:
    """Make an exam of each visit that was sent under one Study Instance UID; their numbers and days.

    The first of them keeps its number. Nothing is done, and nothing returned, where all reports are of one visit.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        visits = splits.split(connection, number, at=now)
        for one, day in visits:
            detail = {"of": number, "day": str(day)}
            audit_trail.record(connection, events.by_operator(Event.SPLIT, at=now, exam=one, detail=detail))
    return visits
