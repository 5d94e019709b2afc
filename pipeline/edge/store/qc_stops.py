"""Stops of scanners by quality control: since which scan, why, what was done, and which scan showed them fit again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Row, insert, select, update

from pipeline.edge.store.qc_schema import qc_mark, qc_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStop:
    """A stop to record: the scanner's number, the phantom and the region, and the scans between which it holds.

    ``confirmed`` is false where the phantom was not repeated. Times are the scanner's own.
    """

    scanner: int
    phantom: str
    region: str
    reason: str
    confirmed: bool
    last_good_at: datetime | None
    shown_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(NewStop):
    """A stop on file, with its remedy and its end; an annulled one never was."""

    number: int
    recorded_at: datetime
    remedy: str
    remedied_on: date | None
    remedied_by: str
    remedy_recorded_at: datetime | None
    annulled: bool
    fit_again_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether exams of today carry its caution."""
        return not self.annulled and self.fit_again_at is None

    @property
    def begins(self) -> datetime:
        """The moment from which exams are in doubt."""
        return self.last_good_at or self.shown_at

    def covers(self, moment: datetime) -> bool:
        """Whether a phantom scan of that moment tells no more than this stop does."""
        return self.begins <= moment and (self.is_open or moment <= (self.fit_again_at or self.shown_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Work on a scanner that a person has recorded."""

    number: int
    scanner: int
    day: date
    what: str
    recorded_by: str
    recorded_at: datetime


def add(connection: Connection, new: NewStop, *, at: datetime) -> int:
    """Record a stop and return its number."""
    values = {
        "scanner_id": new.scanner,
        "phantom": new.phantom,
        "region": new.region,
        "reason": new.reason,
        "confirmed": new.confirmed,
        "last_good_at": new.last_good_at,
        "shown_at": new.shown_at,
    }
    added = insert(qc_stop).values(recorded_at=at, **values).returning(qc_stop.c.id)
    number: int = connection.execute(added).scalar_one()
    return number


def confirm(connection: Connection, number: int, *, reason: str, shown_at: datetime) -> None:
    """Record that repeats have confirmed a stop."""
    values = {"confirmed": True, "reason": reason, "shown_at": shown_at}
    connection.execute(update(qc_stop).where(qc_stop.c.id == number).values(**values))


def annul(connection: Connection, number: int) -> None:
    """Record that it was not the scanner: exams carry no caution of this stop any more."""
    connection.execute(update(qc_stop).where(qc_stop.c.id == number).values(annulled=True))


def remedy(connection: Connection, number: int, *, what: str, on: date, by: str, at: datetime) -> None:
    """Record what was done about a stop, on which day, by whom."""
    values = {"remedy": what, "remedied_on": on, "remedied_by": by, "remedy_recorded_at": at}
    connection.execute(update(qc_stop).where(qc_stop.c.id == number).values(**values))


def end(connection: Connection, number: int, *, fit_again_at: datetime) -> None:
    """Record the scan that showed the scanner fit again."""
    connection.execute(update(qc_stop).where(qc_stop.c.id == number).values(fit_again_at=fit_again_at))


def of_scanner(connection: Connection, scanner_number: int) -> list[Stop]:
    """Return the stops of a scanner, oldest first."""
    mine = select(qc_stop).where(qc_stop.c.scanner_id == scanner_number)
    return [_stop(row) for row in connection.execute(mine.order_by(qc_stop.c.id))]


def find(connection: Connection, number: int) -> Stop | None:
    """Return a stop by its number; ``None`` where there is none."""
    row = connection.execute(select(qc_stop).where(qc_stop.c.id == number)).one_or_none()
    return None if row is None else _stop(row)


def add_mark(connection: Connection, scanner_number: int, *, day: date, what: str, by: str, at: datetime) -> None:
    """Record work on a scanner."""
    values = {"scanner_id": scanner_number, "day": day, "what": what, "recorded_by": by, "recorded_at": at}
    connection.execute(insert(qc_mark).values(**values))


def marks(connection: Connection, scanner_number: int) -> Sequence[Mark]:
    """Return the work on a scanner that was recorded, oldest first."""
    mine = select(qc_mark).where(qc_mark.c.scanner_id == scanner_number).order_by(qc_mark.c.day, qc_mark.c.id)
    return [
        Mark(
            number=row.id,
            scanner=row.scanner_id,
            day=row.day,
            what=row.what,
            recorded_by=row.recorded_by,
            recorded_at=row.recorded_at,
        )
        for row in connection.execute(mine)
    ]


def _stop(row: Row) -> Stop:  # type: ignore[type-arg]
    return Stop(
        number=row.id,
        scanner=row.scanner_id,
        phantom=row.phantom,
        region=row.region,
        reason=row.reason,
        confirmed=row.confirmed,
        last_good_at=row.last_good_at,
        shown_at=row.shown_at,
        recorded_at=row.recorded_at,
        remedy=row.remedy or "",
        remedied_on=row.remedied_on,
        remedied_by=row.remedied_by or "",
        remedy_recorded_at=row.remedy_recorded_at,
        annulled=row.annulled,
        fit_again_at=row.fit_again_at,
    )
