"""How does a table look on a terminal, and how where no terminal limits it?"""

import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table

WIDE = 240
"""Columns of a table that no terminal limits."""


def print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under heads, as wide as the terminal."""
    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


def cell(value: object) -> str:
    """One value as text."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return "-" if value is None or value == "" else str(value)
