"""Read CSV tables that people type in spreadsheets; all errors are reported together, each by its line."""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pipeline.edge.text_files import UnreadableTextError, printable, read_text
from pipeline.errors import DxatrendError

_Value = TypeVar("_Value")

YES = ("yes", "y", "true", "1")
NO = ("no", "n", "false", "0")

MOST_COLUMNS = 100

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?", re.ASCII)


class CsvTableError(DxatrendError):
    """A table that cannot be used; ``mistakes`` holds every error, by line and column, never with a cell's text."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class _CellError(ValueError):
    """A cell that does not have the form of its column."""


@dataclass(slots=True)
class Row:
    """One line of a table, with the errors found in it so far."""

    line: int
    cells: Mapping[str, str]
    mistakes: list[str] = field(default_factory=list)

    def text(self, column: str) -> str:
        """Return the text of a cell, trimmed; empty where there is none."""
        return self.cells.get(column, "").strip()

    def required(self, column: str) -> str:
        """Return the text of a cell, and note an error where it is empty."""
        if not self.text(column):
            self.mistakes.append(f"line {self.line}: {column} is empty")
        return self.text(column)

    def read(self, column: str, reader: Callable[[str], _Value]) -> _Value | None:
        """Return what a reader makes of a cell; ``None`` where it is empty, or refused, which is noted as an error."""
        try:
            return reader(self.text(column)) if self.text(column) else None
        except ValueError as refused:
            self.mistakes.append(f"line {self.line}: {column}: {refused}")
            return None


def read_csv_table(
    path: Path, *, required: Collection[str], optional: Collection[str], fallback_encoding: str | None = None
) -> Iterator[Row]:
    """Yield the lines of a CSV file with commas, semicolons or tabs, whose first line names the columns.

    ``fallback_encoding`` is that of a text that is not Unicode; without one it is refused.

    Raises:
        CsvTableError: it is no such file, or a column is missing, unknown or named twice.
    """
    try:
        text = read_text(path, otherwise=fallback_encoding)
    except UnreadableTextError as error:
        raise CsvTableError([f"{printable(path.name)}: {error}"]) from None
    yield from rows_of_text(text, required=required, optional=optional)


def rows_of_text(text: str, *, required: Collection[str], optional: Collection[str]) -> Iterator[Row]:
    """Yield the lines of a CSV text, as ``read_csv_table`` does.

    Raises:
        CsvTableError: a column is missing, unknown or named twice, there are too many, or a cell never ends.
    """
    lines = _lines(text)
    _, heads = next(lines, (0, []))
    if len(heads) > MOST_COLUMNS:
        raise CsvTableError([f"the first line has more than {MOST_COLUMNS} columns: it is no table of ours"])
    columns = [name.strip().lower() for name in heads]
    mistakes = [f"the column {name} is missing" for name in required if name not in columns]
    mistakes += [f"the column {name!r} is unknown" for name in columns if name not in {*required, *optional}]
    mistakes += [f"the column {name} is there twice" for name in sorted(set(columns)) if columns.count(name) > 1]
    if mistakes:
        raise CsvTableError(mistakes)
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            row = Row(line, dict(zip(columns, cells, strict=False)))
            if len(cells) > len(columns):
                row.mistakes.append(f"line {row.line}: more cells than columns")
            yield row


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line, and the number of the line in which they end."""
    heads = text.split("\n", 1)[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=heads.count))
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CsvTableError([f"line {reader.line_num}: {error}"]) from None


def as_date(text: str) -> date:
    """Read a day written 2026-03-02, the one form that nobody misreads."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _CellError("a date is written 2026-03-02") from None


def as_number(text: str) -> Decimal:
    """Read a number with a decimal point or a decimal comma, without a separator of thousands."""
    if not _NUMBER.fullmatch(text):
        raise _CellError("a number is written 0.927 or 0,927")
    return Decimal(text.replace(",", "."))


def as_yes_or_no(text: str) -> bool:
    """Read yes or no."""
    if text.lower() not in YES + NO:
        raise _CellError("yes or no, or empty where nothing is known")
    return text.lower() in YES


def as_one_of(choices: Collection[StrEnum]) -> Callable[[str], StrEnum]:
    """Return a reader of one of a few words."""
    by_word = {choice.value: choice for choice in choices}

    def read(text: str) -> StrEnum:
        try:
            return by_word[text.lower()]
        except KeyError:
            raise _CellError(f"one of {', '.join(by_word)}") from None

    return read
