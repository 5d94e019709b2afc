"""Read TOML files: every line that is no TOML is told, with what it should be, and the rest of the file is read.

No message quotes a value, which may be a secret; it names the key, as it is written from the top of the file.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.edge.configuration.toml_lines import Path as KeyPath
from pipeline.edge.configuration.toml_lines import lines_of
from pipeline.edge.text_files import UnreadableTextError, printable, read_text

MOST_ERRORS = 20
"""How many lines of one file that are no TOML are told of at once."""

_QUOTES = "a text stands in quotes, a day is written 2026-03-01, an answer true or false, a list in [ ]"

_MEANINGS: tuple[tuple[str, str], ...] = (
    ("Invalid value", f"what stands behind = is no value: {_QUOTES}"),
    ("Expected newline or end of document", f"something stands behind the value: {_QUOTES}"),
    ("Invalid date or datetime", "there is no such day or time; a day is written 2026-03-01, a time 06:30:00"),
    ("Cannot overwrite a value", "this key is written twice"),
    ("Duplicate inline table key", "one key is written twice between { and }"),
    ("Cannot mutate immutable namespace", "this table was written above already; write it in one place"),
    ("Cannot redefine namespace", "this table was written above already; write it in one place"),
    ("Expected '=' after a key", "a line is [a section], or a key, = and a value"),
    ("Invalid statement", "a line is [a section], or a key, = and a value; a comment begins with #"),
    ("Invalid initial character for a key part", "a name has letters, digits, _ and -, or stands in quotes"),
    ("Expected ']]'", "[[ is closed by ]], and nothing else stands on that line"),
    ("Expected ']'", "[ is closed by ], and nothing else stands on that line"),
    ("Unclosed array", "a list that begins with [ is not closed by ], or a comma is missing in it"),
    ("Unclosed inline table", "what begins with { is not closed by } on the same line, or a comma is missing in it"),
    ("Unterminated string", "a text that begins with a quote is not closed by one"),
    ("Expected '\"", "a text that begins with a quote is not closed by one"),
    ('Expected "', "a text that begins with a quote is not closed by one"),
    ("Illegal character '\\n'", "a text that begins with a quote is not closed by one on the same line"),
    ("Illegal character", "there is a character in it that cannot be seen"),
    ("Found invalid character", "there is a character in it that cannot be seen"),
    ("Unescaped", r"a backslash in double quotes is written \\; in single quotes it may stand alone"),
    ("Invalid hex value", r"a backslash in double quotes is written \\; in single quotes it may stand alone"),
    ("Escaped character is not", r"a backslash in double quotes is written \\; in single quotes it may stand alone"),
)
"""What ``tomllib`` says at the beginning of an error, and what a person is told."""

_ACROSS_LINES = ("Unclosed array", "Unterminated string", 'Expected "', "Expected '\"", "Expected \"'")
"""What stands for more than one line: nobody can tell where it was to end."""

_PLACE = re.compile(r" \(at line (?P<line>\d+), column \d+\)$")
_HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\]\n#]*?)\s*\]")
_KEY = re.compile(r"\s*(?P<name>[A-Za-z0-9_.-]+)\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """What a file holds, on which line each key stands, and what is no TOML in it."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    def place(self, path: KeyPath) -> str:
        """Return file and line of a key; of one that is missing those of the section in which it is missed."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}, line {self.lines[path]}" if path else self.name


def read_toml(
    path: Path, *, name: str = "", may_repeat: Callable[[tuple[str, ...]], bool] = lambda _: False
) -> TomlFile:
    """Return what a file holds; numbers with a point are exact decimals.

    ``may_repeat`` tells whether ``[[…]]`` may be written several times, for the words about one that is not so written.
    """
    name = name or printable(path.name)
    try:
        text = read_text(path)
    except UnreadableTextError as error:
        return TomlFile(name=name, errors=(f"{name}: {_unreadable(path, str(error))}",))
    errors: dict[int, str] = {}
    whole = text
    while len(errors) < MOST_ERRORS:
        try:
            data = tomllib.loads(text, parse_float=Decimal)
        except RecursionError:
            return TomlFile(name=name, errors=(f"{name}: one list in another goes too deep",))
        except tomllib.TOMLDecodeError as error:
            line = _line_of(str(error), text)
            if line in errors:
                break
            errors[line] = _told(name, whole, line, str(error), may_repeat)
            if str(error).startswith(_ACROSS_LINES):
                break  # what follows may be a part of it
            text = _without(text, line)
        else:
            return TomlFile(name=name, data=data, lines=lines_of(text), errors=_in_order(errors))
    return TomlFile(name=name, errors=_in_order(errors))


def _in_order(errors: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(errors[line] for line in sorted(errors))


def _unreadable(path: Path, reason: str) -> str:
    if path.is_dir():
        return "this is a folder, and should be a file"
    if reason == "Permission denied":
        return "it may not be read by the user who runs this; see its owner and mode (ls -l)"
    return reason


def _line_of(error: str, text: str) -> int:
    place = _PLACE.search(error)
    line = int(place["line"]) if place else text.count("\n") + (not text.endswith("\n"))
    is_at_its_end = "Illegal character '\\n'" in error or "Expected newline" in error
    return max(line, 1) if place or is_at_its_end else _last_written(text)


def _last_written(text: str) -> int:
    """Return the last line on which a key was given a value, for an error that is only seen at the end of the file."""
    lines = text.split("\n")
    return max((number for number, line in enumerate(lines, 1) if _KEY.match(line)), default=max(len(lines), 1))


def _told(name: str, text: str, line: int, error: str, may_repeat: Callable[[tuple[str, ...]], bool]) -> str:
    lines = text.split("\n")
    written = lines[line - 1]
    above = next((match for one in reversed(lines[: line - 1]) if (match := _HEADER.match(one))), None)
    section = above["name"] if above else ""
    place = f"{name}, line {line}"
    if error.startswith("Cannot declare"):
        header = _HEADER.match(written)
        named = header["name"] if header else section
        if may_repeat(tuple(named.split("."))):
            return f"{place}: {named}: where there are several, each begins with [[{named}]], in two pairs of brackets"
        return f"{place}: {named}: [{named}] is written twice; write it in one place"
    meaning = next((ours for theirs, ours in _MEANINGS if error.startswith(theirs)), "this is no TOML")
    key = _KEY.match(written)
    named = ".".join(part for part in (section, key["name"]) if part) if key else ""
    return f"{place}: {named}: {meaning}" if named else f"{place}: {meaning}"


def _without(text: str, line: int) -> str:
    """Return a text without a line; without a section where the line begins one, so that nothing joins another."""
    lines = text.split("\n")
    end = line
    if lines[line - 1].lstrip().startswith("["):
        while end < len(lines) and not lines[end].lstrip().startswith("["):
            end += 1
    lines[line - 1 : end] = [""] * (end - line + 1)
    return "\n".join(lines)
