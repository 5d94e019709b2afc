"""Exit statuses, tables and JSON of the command line."""

import io
import json
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import date, datetime, time, tzinfo

SUCCESS = 0
FAILURE = 1
UNUSABLE_CONFIGURATION = 2

WIDE = 240
"""Columns of a table that is printed to anything but a terminal."""


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under heads, as wide as the terminal."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and --help prints no table
    from rich.table import Table  # noqa: PLC0415

    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def cell(value: object) -> str:
    """Return one value of a table as text."""
    if isinstance(value, datetime):
        return moment(value)
    return "-" if value is None or value == "" else str(value)


def print_json(value: object) -> None:
    """Print a value as indented JSON; a time is printed as ISO 8601 with its offset, what else is no JSON as text."""
    print(json.dumps(value, default=_as_text, indent=2))


def show_times_in(zone: tzinfo | None) -> None:
    """Print all times in the department's time zone from now on; ``None`` stands for this machine's."""
    _ZONE.set(zone)


def local(at: datetime) -> datetime:
    """Return a moment by the department's clocks; one without a zone is a scanner's, which tells that time already."""
    zone = _ZONE.get()
    return at.replace(tzinfo=zone) if zone is not None and at.tzinfo is None else at.astimezone(zone)


def moment(at: datetime) -> str:
    """Return a moment by the department's clocks, with its zone."""
    return f"{local(at):%Y-%m-%d %H:%M %Z}"


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return local(value).isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


_ZONE: ContextVar[tzinfo | None] = ContextVar("the time zone of the department", default=None)


def print_errors(*lines: object) -> None:
    """Print lines to standard error."""
    print(*lines, sep="\n", file=sys.stderr)


def escape_unprintable() -> None:
    """Escape letters that the terminal cannot print, and bytes of file names that are not text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def today() -> date:
    """Return the date in the local time zone, which is the department's own."""
    return date.today()  # noqa: DTZ011 - the department's own day
