"""Find the line of each key of a TOML document (TOML 1.0), which ``tomllib`` reads and does not tell."""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""Where a value is: names of tables and keys, and the number of an entry, from 0, below the name of an array."""

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_TEXT = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'", re.DOTALL)
_KEY_PART = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:[^,\]}\s#]*|[^,\]}\s#]+")


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line, from 1, on which each table, key and entry of an array begins, of a text ``tomllib`` takes."""
    return _Finder(text).lines


class _Finder:
    """Walks through a document once; what is written where has been checked by ``tomllib``."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._newlines = [at for at, letter in enumerate(self._text) if letter == "\n"]
        self._entries: dict[Path, int] = {}
        """How many entries an array of tables has so far."""
        self._document()

    def _document(self) -> None:
        table: Path = ()
        while self._skip(_BETWEEN) and self._at < len(self._text):
            line = self._line()
            if self._text[self._at] == "[":
                is_array = self._text.startswith("[[", self._at)
                self._at += 2 if is_array else 1
                table = self._table(list(self._key()), is_array=is_array, line=line)
                self._at += 2 if is_array else 1
            else:
                self._pair(table)

    def _table(self, names: list[str], *, is_array: bool, line: int) -> Path:
        path: Path = ()
        for number, name in enumerate(names, 1):
            path += (name,)
            self.lines.setdefault(path, line)
            is_new = is_array and number == len(names)
            if is_new:
                self._entries[path] = self._entries.get(path, 0) + 1
            if path in self._entries:
                path += (self._entries[path] - 1,)
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        for name in self._key():
            table += (name,)
            self.lines.setdefault(table, line)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(table)

    def _value(self, path: Path) -> None:
        self.lines.setdefault(path, self._line())
        match self._text[self._at]:
            case "[":
                number = 0
                while self._more("]"):
                    self._value((*path, number))
                    number += 1
            case "{":
                while self._more("}"):
                    self._pair(path)
            case '"' | "'":
                self._skip(_TEXT)
            case _:
                self._skip(_PLAIN)

    def _more(self, end: str) -> bool:
        """Move to the next entry; at the end of the array or table move behind it."""
        if self._text[self._at] in "[{,":
            self._at += 1
        self._skip(_BETWEEN)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BETWEEN)
        if self._text[self._at] != end:
            return True
        self._at += 1
        return False

    def _key(self) -> Iterator[str]:
        while True:
            self._skip(_BLANK)
            part = _KEY_PART.match(self._text, self._at)
            assert part is not None, "tomllib has read this key"
            self._at = part.end()
            yield tomllib.loads(f"x = {part[0]}")["x"] if part[0][0] in "\"'" else part[0]
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return
            self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        assert match is not None, "tomllib has read this value"
        self._at = match.end()
        return True

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at - 1) + 1
