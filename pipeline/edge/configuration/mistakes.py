"""What is wrong with values of the configuration, in words of ours: pydantic's speak of Python, and quote values.

No message quotes a value that a person has entered, as it may be a secret.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.clinical.precision_study import FILL_IN
from pipeline.edge.configuration.fields import Key, key_at, keys_beside, sections_with
from pipeline.edge.configuration.suggestions import did_you_mean
from pipeline.edge.configuration.toml_lines import Path

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
_EMPTY = ("string_too_short", "too_short")
_FOLLOWS_FROM_OTHERS = (*_MISSING, "value_error")
"""What may only be wrong because a line that could not be read is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake: where it is, and what a person has to change."""

    path: Path
    text: str
    may_follow: bool = False
    """Whether it may be there only because another line cannot be read."""

    @property
    def key(self) -> str:
        """The key as it is written, without the numbers of entries."""
        return ".".join(step for step in self.path if isinstance(step, str))


def mistakes_in(error: ValidationError, root: type, data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield every mistake in values that were to become ``root``; ``data`` is what was read."""
    seen = set()
    for one in error.errors(include_url=False, include_input=False):
        path = _as_written(root, one["loc"])
        found = Mistake(path=path, text=_text(one, root, path, data), may_follow=one["type"] in _FOLLOWS_FROM_OTHERS)
        if one["type"].startswith("union_tag"):
            found = _no_such_kind(root, path, data)
        if (found.path, found.text) not in seen:
            seen.add((found.path, found.text))
            yield found


def left_to_fill_in(data: object, path: Path = ()) -> Iterator[Mistake]:
    """Yield each text that a person was to replace, and has not."""
    if isinstance(data, Mapping):
        for name, below in data.items():
            yield from left_to_fill_in(below, (*path, name))
    elif isinstance(data, list):
        for number, below in enumerate(data):
            yield from left_to_fill_in(below, (*path, number))
    elif is_left_to_fill_in(data):
        yield Mistake(path=path, text=f'"{FILL_IN}" still stands there; replace it')


def is_left_to_fill_in(value: object) -> bool:
    """Return whether a value is the text that a person was to replace."""
    return isinstance(value, str) and value.strip().upper() == FILL_IN


def value_at(data: object, path: Path) -> object:
    """Return what was read at a path; ``None`` where there is nothing."""
    for step in path:
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _as_written(root: type, location: Path) -> Path:
    """Return where an error is without the kind that pydantic puts behind the number of an entry."""
    return tuple(
        step
        for number, step in enumerate(location)
        if not (number and isinstance(location[number - 1], int) and step in _kinds(root, location[:number]))
    )


def _kinds(root: type, location: Path) -> list[str | int]:
    key = key_at(root, location)
    return list(key.kinds) if key else []


def _text(error: Mapping[str, Any], root: type, path: Path, data: Mapping[str, Any]) -> str:
    value, kind = value_at(data, path), error["type"]
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if kind in _UNKNOWN:
        return _unknown(root, error["loc"], path)
    key = key_at(root, error["loc"])
    header = ".".join(step for step in path if isinstance(step, str))
    header = header.partition(".")[2] if root.__name__ == "Settings" else header
    if key is None:
        return "cannot be used"
    if key.entry is not None and key.entry.sections:
        return _section(f"[[{header}]]", "two pairs of brackets, as there may be several", key, kind, value)
    if key.sections:
        return _section(f"[{header}]", "one pair of brackets, as there is only one", key, kind, value)
    if kind in _MISSING:
        is_entry = isinstance(path[-1], int)
        whole = key_at(root, error["loc"][:-1]) if is_entry else key
        return f"has to be {whole.expected}" if is_entry and whole else f"is missing; it has to be {key.expected}"
    if kind in _EMPTY:
        return f"is empty; it has to be {key.expected}"
    hint = did_you_mean(value, key.choices) if isinstance(value, str) else ""
    return f"has to be {key.expected}{hint}"


def _section(header: str, brackets: str, key: Key, kind: str, value: object) -> str:
    if kind in _MISSING:
        return f"is missing; it is a section of its own, which begins with {header}"
    if isinstance(value, list if key.entry is None else dict):
        return f"write {header}, in {brackets}"
    return f"is a section of its own: it begins with {header}, and its keys stand below it"


def _unknown(root: type, location: Path, path: Path) -> str:
    name = str(path[-1])
    part = path[0] if root.__name__ == "Settings" else ""
    elsewhere = [one for one in sections_with(root, name) if one.partition(".")[0] == part]
    sections = [f"[{one.partition('.')[2]}]" for one in dict.fromkeys(elsewhere) if one != part]
    hint = did_you_mean(name, keys_beside(root, location))
    if len(sections) == 1 or (sections and not hint and len(sections) <= _MOST_SECTIONS):
        return f"there is no such key here; it belongs below {' or '.join(sections)}"
    if part in elsewhere:
        return "there is no such key here; it belongs to the top of the file, above the first [section]"
    return f"there is no such key{hint}"


_MOST_SECTIONS = 3
"""Of how many sections a key may be for the right one to be guessed."""


def _no_such_kind(root: type, path: Path, data: Mapping[str, Any]) -> Mistake:
    path, kinds = (*path, "kind"), [str(kind) for kind in _kinds(root, path)]
    value = value_at(data, path)
    hint = did_you_mean(value, kinds) if isinstance(value, str) else ""
    return Mistake(path=path, text=f"there is no such kind; the kinds are {', '.join(kinds)}{hint}")
