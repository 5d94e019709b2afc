"""Which callers have sent reports of which machine, and which of them are new to it and not yet confirmed by a person.

A caller is a calling AE title at an address. The first one that sends a machine's reports is taken for its own; any
other one may as well be a stranger who sends another machine's serial number, until somebody confirms it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, false, select, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.database import insert_if_absent
from pipeline.edge.store.schema import exam, reading, receipt, scanner, sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sent something: by the network if there is a host; else somebody at this machine brought it in."""

    ae_title: str
    host: str

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}" if self.host else self.ae_title


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSender:
    """A caller that nobody has confirmed for a machine; ``number`` is what ``dxatrend confirm`` takes."""

    number: int
    scanner: Scanner
    sender: Sender
    first_seen_at: datetime


def record(connection: Connection, scanner_number: int, who: Sender, *, bound: bool, at: datetime) -> None:
    """A caller has sent a report of a machine, whose row this transaction has locked.

    One that the configuration has ``bound`` to the machine needs nobody to confirm it.
    """
    same = {"scanner": scanner_number, "ae_title": who.ae_title, "host": who.host}
    if (number := _KNOWN.scalar(connection, same)) is not None:
        if bound:
            connection.execute(update(sender).where(_new(number)).values(confirmed_at=at))
        return
    is_first = _ANY.scalar(connection, {"scanner": scanner_number}) is None
    insert_if_absent(
        connection,
        sender,
        scanner_id=scanner_number,
        calling_ae_title=who.ae_title,
        host=who.host,
        first_seen_at=at,
        confirmed_at=at if bound or is_first else None,
    )


def unconfirmed(connection: Connection, exams: Collection[int]) -> set[int]:
    """Of some exams those of which a report came from a caller that nobody has confirmed for their machine."""
    return set(_UNCONFIRMED.scalars(connection, {"exams": list(exams)})) if exams else set()


def unconfirmed_senders(connection: Connection) -> list[NewSender]:
    """The callers that nobody has confirmed, the one that came last first."""
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
    """From now on a caller counts as the machine's own; the exams it has sent; ``None`` where it does already."""
    if connection.execute(update(sender).where(_new(number)).values(confirmed_at=at)).rowcount == 0:
        return None
    return list(connection.scalars(_exams_sent().where(sender.c.id == number).distinct().order_by(exam.c.id)))


def of_exams(connection: Connection, exams: Iterable[int]) -> dict[int, tuple[Sender, ...]]:
    """By exam who has sent its reports, each once, the first one first."""
    query = (
        select(reading.c.exam_id, receipt.c.calling_ae_title, receipt.c.host)
        .join(receipt, receipt.c.id == reading.c.receipt_id)
        .where(reading.c.exam_id.in_(list(exams)))
        .order_by(reading.c.exam_id, receipt.c.id)
    )
    found: dict[int, dict[Sender, None]] = {}
    for number, ae_title, host in connection.execute(query):
        found.setdefault(number, {})[Sender(ae_title=ae_title, host=host)] = None
    return {number: tuple(senders) for number, senders in found.items()}


def are_known(connection: Connection, exams: Collection[int], *, excluding: Collection[int]) -> bool:
    """Whether any of some exams came from a sender known for its machine: by other exams than these ``beside`` it.

    History is brought in by people of the department, or asked of its archives, and is known.
    """
    for row in connection.execute(_whence().where(exam.c.id.in_(list(exams)))).all():
        who = Sender(ae_title=row.calling_ae_title, host=row.host)
        if row.historical or is_known(connection, row.scanner_id, who, excluding=excluding):
            return True
    return False


def is_known(connection: Connection, scanner_number: int, who: Sender, *, excluding: Collection[int] = ()) -> bool:
    """Whether a sender is confirmed for a machine, and has sent an exam of it that is none of these ``beside``."""
    same = (receipt.c.calling_ae_title == who.ae_title) & (receipt.c.host == who.host)
    others = (
        (exam.c.scanner_id == scanner_number) & exam.c.id.not_in(list(excluding)) & sender.c.confirmed_at.is_not(None)
    )
    return not who.host or connection.execute(_whence().where(same, others).limit(1)).first() is not None


def is_scanner(connection: Connection, who: Sender) -> bool:
    """Whether a caller has sent reports of any machine."""
    return connection.scalar(select(sender.c.id).where(_is(who)).limit(1)) is not None


def is_confirmed(connection: Connection, scanner_number: int, who: Sender) -> bool:
    """Whether a machine's reports are known to come from a caller: it was the first, or somebody has confirmed it."""
    own = _is(who) & (sender.c.scanner_id == scanner_number) & sender.c.confirmed_at.is_not(None)
    return connection.scalar(select(sender.c.id).where(own)) is not None


def _is(who: Sender) -> ColumnElement[bool]:
    return and_(sender.c.calling_ae_title == who.ae_title, sender.c.host == who.host)


def _new(number: int) -> ColumnElement[bool]:
    return (sender.c.id == number) & sender.c.confirmed_at.is_(None)


def _whence() -> Select[tuple[int, str, str, bool, datetime | None]]:
    """Of every report of an exam its machine and sender, and since when that is confirmed for it."""
    joined = exam.join(reading, reading.c.exam_id == exam.c.id).join(receipt, receipt.c.id == reading.c.receipt_id)
    return select(
        exam.c.scanner_id, receipt.c.calling_ae_title, receipt.c.host, receipt.c.historical, sender.c.confirmed_at
    ).select_from(joined.outerjoin(sender, _sent_by()))


def _sent_by() -> ColumnElement[bool]:
    """Whether a sender is the one from whom a receipt of an exam came, as a live report."""
    return and_(
        sender.c.scanner_id == exam.c.scanner_id,
        sender.c.calling_ae_title == receipt.c.calling_ae_title,
        sender.c.host == receipt.c.host,
        receipt.c.historical == false(),
    )


def _exams_sent() -> Select[tuple[int]]:
    joined = exam.join(reading, reading.c.exam_id == exam.c.id).join(receipt, receipt.c.id == reading.c.receipt_id)
    return select(exam.c.id).select_from(joined.join(sender, _sent_by()))


_ANY = CompiledStatement(select(sender.c.id).where(sender.c.scanner_id == bindparam("scanner")).limit(1))
_KNOWN = CompiledStatement(
    select(sender.c.id).where(
        sender.c.scanner_id == bindparam("scanner"),
        sender.c.calling_ae_title == bindparam("ae_title"),
        sender.c.host == bindparam("host"),
    )
)
_UNCONFIRMED = CompiledStatement(
    _exams_sent().where(sender.c.confirmed_at.is_(None), exam.c.id.in_(bindparam("exams", expanding=True)))
)
