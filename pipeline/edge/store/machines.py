"""Which machines have we heard of, and which of them cannot be told from one another?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from pipeline.clinical.model import Scanner
from pipeline.edge.store.database import insert_if_absent
from pipeline.edge.store.prepared import Prepared
from pipeline.edge.store.schema import scanner, unidentified
from pipeline.sr.aliases import Alias, supply_serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Unidentified:
    """A machine whose reports do not tell its serial number, and by what else they may be known."""

    scanner: Scanner
    station_name: str
    institution: str
    last_seen_at: datetime

    @property
    def lines(self) -> tuple[str, ...]:
        """What to add to scanners.toml, once somebody has read the serial number off the machine."""
        names = {"station_name": self.station_name, "institution": self.institution}
        if not (self.scanner.manufacturer and self.scanner.model and any(names.values())):
            return (f"# {self.scanner}: nothing in its reports tells it from another; have it tell its serial number",)
        return (
            "[[scanner]]",
            f"manufacturer = {_quoted(self.scanner.manufacturer)}",
            f"model = {_quoted(self.scanner.model)}",
            'serial_number = ""',
            "[[scanner.alias]]",
            *(f"{key} = {_quoted(name)}" for key, name in names.items() if name),
        )


def number_of(connection: Connection, machine: Scanner, *, station_name: str, institution: str, at: datetime) -> int:
    """The number of a machine, which becomes known if need be and was seen now."""
    number = _number_of(connection, machine, at)
    if not machine.identified:
        names = {"station_name": station_name, "institution": institution}
        if insert_if_absent(connection, unidentified, scanner_id=number, last_seen_at=at, **names) is None:
            same = [unidentified.c.scanner_id == number, *(unidentified.c[key] == name for key, name in names.items())]
            connection.execute(update(unidentified).where(*same).values(last_seen_at=at))
    return number


def with_serial_number(connection: Connection, serial_number: str) -> list[int]:
    """The numbers of the machines that have this serial number."""
    return list(connection.scalars(select(scanner.c.id).where(scanner.c.serial_number == serial_number)))


def not_identified(connection: Connection, aliases: Sequence[Alias] = ()) -> list[Unidentified]:
    """The machines of which no exam can be compared, and no alias identifies, the one seen last first."""
    query = select(
        scanner.c.manufacturer,
        scanner.c.model,
        scanner.c.serial_number,
        unidentified.c.station_name,
        unidentified.c.institution,
        unidentified.c.last_seen_at,
    ).join(scanner, scanner.c.id == unidentified.c.scanner_id)
    found = [
        Unidentified(
            scanner=Scanner(row.manufacturer, row.model, row.serial_number),
            station_name=row.station_name,
            institution=row.institution,
            last_seen_at=row.last_seen_at,
        )
        for row in connection.execute(query.order_by(unidentified.c.last_seen_at.desc(), unidentified.c.id))
    ]
    return [machine for machine in found if not _is_known(machine, aliases)]


def _number_of(connection: Connection, machine: Scanner, at: datetime) -> int:
    key = "\t".join(machine.key)
    number = insert_if_absent(
        connection,
        scanner,
        key=key,
        manufacturer=machine.manufacturer,
        model=machine.model,
        serial_number=machine.serial_number,
        last_seen_at=at,
    )
    if number is not None:
        return number
    known: int = _SEEN.scalar(connection, {"machine": key, "at": at})
    return known


_SEEN = Prepared(
    update(scanner)
    .where(scanner.c.key == bindparam("machine"))
    .values(last_seen_at=bindparam("at"))
    .returning(scanner.c.id)
)


def _is_known(machine: Unidentified, aliases: Sequence[Alias]) -> bool:
    """Whether the machine's next report will be taken for that of one we know."""
    names = {"station_name": machine.station_name, "institution": machine.institution}
    return supply_serial_number(machine.scanner, aliases, on=machine.last_seen_at.date(), **names).identified


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
