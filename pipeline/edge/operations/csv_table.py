"""What stands in a table that a person has typed? Every mistake at once, each by its line."""

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

_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?", re.ASCII)


class CsvTableError(DxatrendError):
    """A table that cannot be used; ``mistakes`` holds every one. They name lines and columns, never a cell's text."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class _CellError(ValueError):
    """One cell is not what its column asks for."""


@dataclass(slots=True)
class Row:
    """One line of a table; what is wrong with it gathers in ``mistakes``."""

    line: int
    cells: Mapping[str, str]
    mistakes: list[str] = field(default_factory=list)

    def text(self, column: str) -> str:
        """The text of a cell, trimmed; empty when there is none."""
        return self.cells.get(column, "").strip()

    def required(self, column: str) -> str:
        """A text that must be there."""
        if not self.text(column):
            self.mistakes.append(f"line {self.line}: {column} is empty")
        return self.text(column)

    def read(self, column: str, reader: Callable[[str], _Value]) -> _Value | None:
        """A cell in the form its reader gives it; ``None`` when it is empty or mistaken."""
        try:
            return reader(self.text(column)) if self.text(column) else None
        except ValueError as mistaken:
            self.mistakes.append(f"line {self.line}: {column}: {mistaken}")
            return None


def read_csv_table(
    path: Path, *, required: Collection[str], optional: Collection[str], otherwise: str | None = None
) -> Iterator[Row]:
    """The lines of a CSV file, separated by commas, semicolons or tabs, whose first line names the columns.

    ``otherwise`` is the encoding of a text that is not Unicode; without one it is refused.

    Raises:
        SheetError: it is no such file, or a column is missing, unknown or named twice.
    """
    try:
        text = read_text(path, otherwise=otherwise)
    except UnreadableTextError as error:
        raise CsvTableError([f"{printable(path.name)}: {error}"]) from None
    lines = _lines(text)
    _, heads = next(lines, (0, []))
    columns = [name.strip().lower() for name in heads]
    mistakes = [f"the column {name} is missing" for name in required if name not in columns]
    mistakes += [f"nobody knows the column {name!r}" for name in columns if name not in {*required, *optional}]
    mistakes += [f"the column {name} stands twice" for name in sorted(set(columns)) if columns.count(name) > 1]
    if mistakes:
        raise CsvTableError(mistakes)
    for line, cells in lines:
        if any(cell.strip() for cell in cells):
            row = Row(line, dict(zip(columns, cells, strict=False)))
            if len(cells) > len(columns):
                row.mistakes.append(f"line {row.line}: more cells than columns")
            yield row


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line, and the number of the line in which they end."""
    heads = text.split("\n", 1)[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=heads.count))
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise CsvTableError([f"line {reader.line_num}: {error}"]) from None


def as_date(text: str) -> date:
    """A day as 2026-03-02, the one form that nobody misreads."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _CellError("a date is written 2026-03-02") from None


def as_number(text: str) -> Decimal:
    """A number with a decimal point or a decimal comma, and without a mark at its thousands."""
    if not _NUMBER.fullmatch(text):
        raise _CellError("a number is written 0.927 or 0,927")
    return Decimal(text.replace(",", "."))


def as_yes_or_no(text: str) -> bool:
    """Yes or no."""
    if text.lower() not in YES + NO:
        raise _CellError("yes or no, or empty where nothing is told")
    return text.lower() in YES


def as_one_of(choices: Collection[StrEnum]) -> Callable[[str], StrEnum]:
    """One of a few words."""
    by_word = {choice.value: choice for choice in choices}

    def read(text: str) -> StrEnum:
        try:
            return by_word[text.lower()]
        except KeyError:
            raise _CellError(f"one of {', '.join(by_word)}") from None

    return read
