"""Scanners on file: those without a serial number, and those that reports name in two spellings."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations

from sqlalchemy import Connection, bindparam, func, select, update

from pipeline.clinical.model import Epoch, Scanner
from pipeline.clinical.priors import last_break
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.schema import exam, scanner, unidentified_scanner
from pipeline.edge.text_files import toml_string
from pipeline.sr.extract.scanner_alias import Alias, Spelling, canonical_scanner, supply_serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class UnidentifiedScanner:
    """A scanner whose reports contain no serial number, with what else may identify it."""

    scanner: Scanner
    station_name: str
    institution: str
    last_seen_at: datetime

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to add to ``scanners.toml``, once a person has read the serial number off the scanner."""
        if not (self.scanner.manufacturer and self.scanner.model and self.station_name.strip()):
            also = ", and its institution may have several" if self.institution.strip() else ""
            return (
                f"# {self.scanner}: its reports name no station that tells it from another scanner{also}; have it tell "
                "its serial number, or a station name of its own",
            )
        names = {"station_name": self.station_name, "institution": self.institution}
        return (
            "[[scanner]]",
            f"manufacturer = {toml_string(self.scanner.manufacturer)}",
            f"model = {toml_string(self.scanner.model)}",
            'serial_number = ""',
            "[[scanner.alias]]",
            *(f"{key} = {toml_string(name)}" for key, name in names.items() if name),
        )

    @property
    def presumes(self) -> str:
        """What holds if these lines are right; empty where nothing identifies the scanner."""
        if len(self.lines) == 1:
            return ""
        return (
            "This presumes that no other scanner of this model has reported, or will report, under this station name; "
            "else add from = and until = below the alias, the first and last day of this scanner."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Respelt:
    """A scanner that reports seem to name in two ways: ``scanner`` as it is on file, and ``respelt`` as in others."""

    scanner: Scanner
    respelt: Scanner
    is_configured: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines to add to ``scanners.toml``, once a person has confirmed that it is one scanner."""
        parts = ("manufacturer", "model", "serial_number")
        named = [f"{part} = {toml_string(getattr(self.scanner, part))}" for part in parts]
        pairs = zip(parts, self.scanner.key, self.respelt.key, strict=True)
        otherwise = [part for part, known, spelt in pairs if known != spelt]
        return (
            *([f"# below [[scanner]] {self.scanner}"] if self.is_configured else ["[[scanner]]", *named]),
            "[[scanner.spelling]]",
            *(f"{part} = {toml_string(getattr(self.respelt, part))}" for part in otherwise),
        )


def number_of(connection: Connection, machine: Scanner, *, station_name: str, institution: str, at: datetime) -> int:
    """Return the number of a scanner, inserted if new, and record that it was seen now."""
    number = _number_of(connection, machine, at)
    if not machine.identified:
        names = {"station_name": station_name, "institution": institution}
        if insert_if_absent(connection, unidentified_scanner, scanner_id=number, last_seen_at=at, **names) is None:
            same = [
                unidentified_scanner.c.scanner_id == number,
                *(unidentified_scanner.c[key] == name for key, name in names.items()),
            ]
            connection.execute(update(unidentified_scanner).where(*same).values(last_seen_at=at))
    return number


def find(connection: Connection, machine: Scanner) -> int | None:
    """Return the number of a scanner on file; ``None`` for any other."""
    number: int | None = connection.scalar(select(scanner.c.id).where(scanner.c.key == "\t".join(machine.key)))
    return number


def all_of_them(connection: Connection) -> list[tuple[int, Scanner]]:
    """Return every scanner on file with its number, by name."""
    query = select(scanner).order_by(scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number, scanner.c.id)
    return [(row.id, Scanner(row.manufacturer, row.model, row.serial_number)) for row in connection.execute(query)]


def numbers(connection: Connection) -> list[int]:
    """Return the numbers of the scanners with a serial number, in the order they first came."""
    return list(connection.scalars(select(scanner.c.id).where(scanner.c.serial_number != "").order_by(scanner.c.id)))


def last_seen_at(connection: Connection, number: int) -> datetime:
    """Return when something of a scanner last came."""
    seen: datetime = connection.execute(select(scanner.c.last_seen_at).where(scanner.c.id == number)).scalar_one()
    return seen


def of_number(connection: Connection, number: int) -> Scanner:
    """Return the scanner of a number."""
    row = connection.execute(select(scanner).where(scanner.c.id == number)).one()
    return Scanner(row.manufacturer, row.model, row.serial_number)


def with_serial_number(connection: Connection, serial_number: str) -> list[int]:
    """Return the numbers of the scanners with this serial number."""
    return list(connection.scalars(select(scanner.c.id).where(scanner.c.serial_number == serial_number)))


def identified(connection: Connection) -> dict[Scanner, datetime]:
    """Return the scanners on file whose manufacturer, model and serial number are known, with when each was last seen.

    The one seen last comes first.
    """
    rows = connection.execute(select(scanner).order_by(scanner.c.last_seen_at.desc(), scanner.c.id))
    found = {Scanner(row.manufacturer, row.model, row.serial_number): row.last_seen_at for row in rows}
    return {machine: seen for machine, seen in found.items() if machine.identified}


def not_identified(connection: Connection, aliases: Sequence[Alias] = ()) -> list[UnidentifiedScanner]:
    """Return the scanners without a serial number that no alias identifies, the one seen last first."""
    query = select(
        scanner.c.manufacturer,
        scanner.c.model,
        scanner.c.serial_number,
        unidentified_scanner.c.station_name,
        unidentified_scanner.c.institution,
        unidentified_scanner.c.last_seen_at,
    ).join(scanner, scanner.c.id == unidentified_scanner.c.scanner_id)
    found = [
        UnidentifiedScanner(
            scanner=Scanner(row.manufacturer, row.model, row.serial_number),
            station_name=row.station_name,
            institution=row.institution,
            last_seen_at=row.last_seen_at,
        )
        for row in connection.execute(
            query.order_by(unidentified_scanner.c.last_seen_at.desc(), unidentified_scanner.c.id)
        )
    ]
    return [machine for machine in found if not _is_known(machine, aliases)]


def respelt(
    connection: Connection, configured: Collection[Scanner], spellings: Sequence[Spelling], epochs: Sequence[Epoch]
) -> list[Respelt]:
    """Return the scanners that seem to be one: their serial numbers agree, and so does the calibration epoch.

    Only a person can confirm that. Two scanners that are both configured count as two.
    """
    last = select(func.max(exam.c.performed_at)).where(exam.c.scanner_id == scanner.c.id).scalar_subquery()
    columns = (scanner.c.manufacturer, scanner.c.model, scanner.c.serial_number, last.label("last"))
    last_on: dict[Scanner, date] = {}
    for row in connection.execute(select(*columns).order_by(scanner.c.id)):
        machine = Scanner(row.manufacturer, row.model, row.serial_number)
        if row.last and machine.identified and canonical_scanner(machine, spellings) == machine:
            last_on[machine] = row.last.date()
    known = sorted(last_on, key=lambda machine: machine not in configured)  # else the one that came first
    found: list[Respelt] = []
    for one, other in combinations(known, 2):
        epoch, epoch_then = (last_break(one, epochs, last_on[machine]) for machine in (one, other))
        settled = (one in configured and other in configured) or any(one == before.respelt for before in found)
        if not settled and _seem_one(one, other) and epoch == epoch_then:
            found.append(Respelt(scanner=one, respelt=other, is_configured=one in configured))
    return found


def _seem_one(one: Scanner, other: Scanner) -> bool:
    """Return whether two scanners share a word of manufacturer and model, and the serial number without its prefix."""
    named = zip(one.key[:2], other.key[:2], strict=True)
    alike = all(set(_WORD.findall(mine)) & set(_WORD.findall(theirs)) for mine, theirs in named)
    mine, theirs = ("".join(_WORD.findall(machine.key[2])) for machine in (one, other))
    return alike and (mine == theirs or mine == _bare(theirs) or _bare(mine) == theirs)


_WORD = re.compile(r"[^\W_]+")
_BARE = re.compile(r"[^\d]*(\d{4}.*)")


def _bare(serial_number: str) -> str:
    """Return a serial number without its prefix: ``500475`` of ``DF500475``; empty if it has fewer than 4 digits."""
    match = _BARE.fullmatch(serial_number)
    return match[1] if match else ""


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
    known: int = _SEEN.scalar(connection, {"named": key, "at": at})
    return known


_SEEN = CompiledStatement(
    update(scanner)
    .where(scanner.c.key == bindparam("named"))
    .values(last_seen_at=bindparam("at"))
    .returning(scanner.c.id)
)


def _is_known(machine: UnidentifiedScanner, aliases: Sequence[Alias]) -> bool:
    """Return whether an alias supplies the serial number of this scanner's next report."""
    names = {"station_name": machine.station_name, "institution": machine.institution}
    return supply_serial_number(machine.scanner, aliases, on=machine.last_seen_at.date(), **names).identified
