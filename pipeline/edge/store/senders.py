"""Callers that have sent reports of a scanner, and whether each is confirmed for it.

A caller is a calling AE title at an address. The first one that sends reports of a scanner counts as confirmed. Any
other one may send another scanner's serial number, until a person confirms it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, false, func, select, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.schema import exam, reading, receipt, scanner, sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The sender of an instance: a caller on the network if ``host`` is set, else a person who imported it here."""

    ae_title: str
    host: str

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}" if self.host else self.ae_title


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSender:
    """A caller that nobody has confirmed for a scanner; ``number`` is the argument of ``dxatrend confirm``."""

    number: int
    scanner: Scanner
    sender: Sender
    first_seen_at: datetime


def record(connection: Connection, scanner_number: int, who: Sender, *, bound: bool, at: datetime) -> None:
    """Record that a caller has sent a report of a scanner, whose row this transaction has locked.

    A caller that the configuration has ``bound`` to the scanner needs no confirmation.
    """
    caller = {"scanner": scanner_number, "ae_title": who.ae_title, "host": who.host}
    if (number := _OF_SCANNER.scalar(connection, caller)) is not None:
        if bound:
            connection.execute(update(sender).where(_new(number)).values(confirmed_at=at))
        return
    is_first = connection.scalar(select(sender.c.id).where(sender.c.scanner_id == scanner_number).limit(1)) is None
    insert_if_absent(
        connection,
        sender,
        scanner_id=scanner_number,
        calling_ae_title=who.ae_title,
        host=who.host,
        first_seen_at=at,
        confirmed_at=at if bound or is_first else None,
    )


def first_seen_at(connection: Connection) -> dict[int, datetime]:
    """Return when each scanner first sent an exam over the network, by its number."""
    query = select(sender.c.scanner_id, func.min(sender.c.first_seen_at).label("first")).group_by(sender.c.scanner_id)
    return {row.scanner_id: row.first for row in connection.execute(query)}


def unconfirmed(connection: Connection, exams: Collection[int]) -> set[int]:
    """Return those of some exams with a report from a caller that nobody has confirmed for their scanner."""
    if not exams:
        return set()
    return set(_UNCONFIRMED.scalars(connection, {"exams": list(exams)}))


def unconfirmed_senders(connection: Connection) -> list[NewSender]:
    """Return the callers that nobody has confirmed, the newest first."""
    query = (
        select(sender, scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number)
        .join(scanner, scanner.c.id == sender.c.scanner_id)
        .where(sender.c.confirmed_at.is_(None))
        .order_by(sender.c.first_seen_at.desc(), sender.c.id)
    )
    return [
        NewSender(
            number=row.id,
            scanner=Scanner(row.manufacturer, row.model, row.serial_number),
            sender=Sender(ae_title=row.calling_ae_title, host=row.host),
            first_seen_at=row.first_seen_at,
        )
        for row in connection.execute(query)
    ]


def confirm(connection: Connection, number: int, *, at: datetime) -> list[int] | None:
    """Confirm a caller for its scanner, and return the exams it has sent; ``None`` where it was confirmed already."""
    if connection.execute(update(sender).where(_new(number)).values(confirmed_at=at)).rowcount == 0:
        return None
    return list(connection.scalars(_exams_sent().where(sender.c.id == number).distinct().order_by(exam.c.id)))


def of_exams(connection: Connection, exams: Iterable[int]) -> dict[int, tuple[Sender, ...]]:
    """Return the senders of the reports of each exam, each once, in the order of their first report."""
    query = (
        select(reading.c.exam_id, receipt.c.calling_ae_title, receipt.c.host)
        .join(receipt, receipt.c.id == reading.c.receipt_id)
        .where(reading.c.exam_id.in_(list(exams)))
        .order_by(reading.c.exam_id, receipt.c.id)
    )
    found: dict[int, dict[Sender, None]] = {}
    for row in connection.execute(query):
        found.setdefault(row.exam_id, {})[Sender(ae_title=row.calling_ae_title, host=row.host)] = None
    return {number: tuple(senders) for number, senders in found.items()}


def are_known(connection: Connection, exams: Collection[int], *, excluding: Collection[int]) -> bool:
    """Return whether any of some exams came from a sender known for its scanner by exams other than ``excluding``.

    History is imported by people of the department or queried from its archives, and counts as known.
    """
    for row in connection.execute(_sources().where(exam.c.id.in_(list(exams)))).all():
        who = Sender(ae_title=row.calling_ae_title, host=row.host)
        if row.historical or is_known(connection, row.scanner_id, who, excluding=excluding):
            return True
    return False


def is_known(connection: Connection, scanner_number: int, who: Sender, *, excluding: Collection[int] = ()) -> bool:
    """Return whether a sender is confirmed for a scanner and has sent an exam of it other than ``excluding``."""
    same = (receipt.c.calling_ae_title == who.ae_title) & (receipt.c.host == who.host)
    others = (
        (exam.c.scanner_id == scanner_number) & exam.c.id.not_in(list(excluding)) & sender.c.confirmed_at.is_not(None)
    )
    return not who.host or connection.execute(_sources().where(same, others).limit(1)).first() is not None


def is_scanner(connection: Connection, who: Sender) -> bool:
    """Return whether a caller has sent reports of any scanner."""
    return connection.scalar(select(sender.c.id).where(_is(who)).limit(1)) is not None


def is_confirmed(connection: Connection, scanner_number: int, who: Sender) -> bool:
    """Return whether a caller is confirmed for a scanner: it was the first to send its reports, or a person said so."""
    own = _is(who) & (sender.c.scanner_id == scanner_number) & sender.c.confirmed_at.is_not(None)
    return connection.scalar(select(sender.c.id).where(own)) is not None


def _is(who: Sender) -> ColumnElement[bool]:
    return and_(sender.c.calling_ae_title == who.ae_title, sender.c.host == who.host)


def _new(number: int) -> ColumnElement[bool]:
    return (sender.c.id == number) & sender.c.confirmed_at.is_(None)


def _sources() -> Select[tuple[int, str, str, bool, datetime | None]]:
    """Select the scanner and sender of every report of an exam, and since when the sender is confirmed for it."""
    joined = exam.join(reading, reading.c.exam_id == exam.c.id).join(receipt, receipt.c.id == reading.c.receipt_id)
    return select(
        exam.c.scanner_id, receipt.c.calling_ae_title, receipt.c.host, receipt.c.historical, sender.c.confirmed_at
    ).select_from(joined.outerjoin(sender, _sent_by()))


def _sent_by() -> ColumnElement[bool]:
    """Return the condition that a receipt of an exam came from a sender, and not as history."""
    return and_(
        sender.c.scanner_id == exam.c.scanner_id,
        sender.c.calling_ae_title == receipt.c.calling_ae_title,
        sender.c.host == receipt.c.host,
        receipt.c.historical == false(),
    )


def _exams_sent() -> Select[tuple[int]]:
    joined = exam.join(reading, reading.c.exam_id == exam.c.id).join(receipt, receipt.c.id == reading.c.receipt_id)
    return select(exam.c.id).select_from(joined.join(sender, _sent_by()))


_OF_SCANNER = CompiledStatement(
    select(sender.c.id).where(
        sender.c.scanner_id == bindparam("scanner"),
        sender.c.calling_ae_title == bindparam("ae_title"),
        sender.c.host == bindparam("host"),
    )
)
_UNCONFIRMED = CompiledStatement(
    _exams_sent().where(sender.c.confirmed_at.is_(None), exam.c.id.in_(bindparam("exams", expanding=True)))
)
