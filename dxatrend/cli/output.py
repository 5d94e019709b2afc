"""Exit statuses, tables and JSON of the command line."""

import io
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime

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
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return "-" if value is None or value == "" else str(value)


def print_json(value: object) -> None:
    """Print a value as indented JSON; what JSON has no type for is printed as text."""
    print(json.dumps(value, default=str, indent=2))


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
