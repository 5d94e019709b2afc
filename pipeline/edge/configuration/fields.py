"""The keys of the configuration as types describe them: which there are, and what each has to be, in words.

A section is a pydantic model or a dataclass; a key is an annotation with what limits it, as ``Ge`` and ``MaxLen``.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from pipeline.clinical.regions import Region
from pipeline.messages.hl7.mapping import Hl7Mapping


@dataclass(frozen=True, slots=True)
class Key:
    """What one key takes: its type, and what limits it."""

    annotation: Any
    limits: tuple[Any, ...] = ()

    @property
    def plain(self) -> "Key":
        """The key without the option to leave it out, and with the limits that its annotation has."""
        annotation, limits = self.annotation, self.limits
        while True:
            options = [one for one in get_args(annotation) if one is not NoneType]
            if get_origin(annotation) is Annotated:
                annotation, *more = get_args(annotation)
                limits = (*limits, *(one for given in more for one in _limits(given)))
            elif get_origin(annotation) in (Union, UnionType) and len(options) == 1:
                annotation = options[0]
            else:
                return Key(annotation, limits)

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it takes, where it takes no others."""
        plain = self.plain.annotation
        if get_origin(plain) is Literal:
            return tuple(map(str, get_args(plain)))
        if isinstance(plain, type) and issubclass(plain, Enum) and issubclass(plain, str):
            return tuple(str(one.value) for one in plain)
        return ()

    @property
    def entry(self) -> "Key | None":
        """What each entry of a list is; ``None`` where it takes no list."""
        plain = self.plain.annotation
        return Key(get_args(plain)[0]) if get_origin(plain) is tuple else None

    @property
    def sections(self) -> tuple[type, ...]:
        """The sections that stand below it, one of each kind."""
        plain = self.plain.annotation
        if get_origin(plain) in (Union, UnionType):
            return tuple(section for one in get_args(plain) for section in Key(one).sections)
        is_section = isinstance(plain, type) and (issubclass(plain, BaseModel) or dataclasses.is_dataclass(plain))
        return (plain,) if is_section and plain not in _WRITTEN_AS_TEXT else ()

    @property
    def kinds(self) -> Mapping[str, "Key"]:
        """The sections by their ``kind``, where there are several."""
        plain = self.plain.annotation
        options = get_args(plain) if get_origin(plain) in (Union, UnionType) else ()
        return {given.tag: Key(one) for one in options for given in get_args(one) if isinstance(given, Tag)}

    @property
    def expected(self) -> str:
        """What it has to be, as the end of a sentence."""
        plain = self.plain
        entry = self.entry
        if self.choices:
            return f"one of {', '.join(_quoted(self.choices, plain.annotation))}"
        if entry is not None:
            kinds = get_args(plain.annotation)
            if len(kinds) > 1 and kinds[1] is not Ellipsis:
                return f"a list of {len(kinds)} entries in [ ], each {entry.expected}"
            return f"a list in [ ]; each entry is {entry.expected}"
        if get_origin(plain.annotation) in (dict, Mapping):
            value = Key(get_args(plain.annotation)[1])
            return f"names and values, as in {{ name = value }}; each value is {value.expected}"
        if plain.annotation in (int, float, Decimal):
            number = "a whole number" if plain.annotation is int else "a number"
            return number + _range(plain.limits)
        return _IN_WORDS.get(plain.annotation, "a section of its own")


_WRITTEN_AS_TEXT = (Region, Hl7Mapping)
"""Values that are written as a text, though they are dataclasses."""

_IN_WORDS: Mapping[Any, str] = {
    bool: "true or false, without quotes",
    str: 'a text in quotes, as "text"',
    date: "a day without quotes, as 2026-03-01",
    time: "a time, as 06:30:00",
    Path: "a path in quotes",
    Region: 'a region in quotes, as "L1-L4" or "total hip"',
    Hl7Mapping: 'the path of a mapping file, as "hl7/free-text.toml"',
}


def members(section: Any) -> Mapping[str, Key]:
    """Return the keys of a section, as they are written."""
    if issubclass(section, BaseModel):
        return {field.alias or name: _of_field(field) for name, field in section.model_fields.items()}
    hints = get_type_hints(section, include_extras=True)
    return {field.name: Key(hints[field.name]) for field in dataclasses.fields(section)}


def key_at(root: type, path: Sequence[str | int]) -> Key | None:
    """Return what is at a path of names and numbers of entries; ``None`` where there is no such key.

    The path may have the kind of a section behind its number, as pydantic puts it there.
    """
    if not path:
        return Key(root)
    found = [key] if (key := members(root).get(str(path[0]))) else []
    for step in path[1:]:
        if isinstance(step, str) and (of_kind := _of_kind(found, step)):
            found = of_kind
        else:
            found = [below for one in found for below in _below(one, step)]
    return found[0] if found else None


def keys_beside(root: type, path: Sequence[str | int]) -> list[str]:
    """Return the keys that are known in the section of a key."""
    above = key_at(root, path[:-1]) if path[:-1] else None
    sections = (root,) if not path[:-1] else above.sections if above else ()
    return [name for section in sections for name in members(section)]


def sections_with(root: type, name: str, above: str = "") -> Iterator[str]:
    """Yield each section in which a key of this name is known, as its path is written."""
    for key, one in members(root).items():
        if key == name and above:
            yield above
        for section in (one.entry or one).sections:
            yield from sections_with(section, name, f"{above}.{key}" if above else key)


def sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield every section in the type of a key, also where it is optional, repeated or of several kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


def _below(key: Key, step: str | int) -> Iterator[Key]:
    if isinstance(step, int):
        kinds = get_args(key.plain.annotation)
        if key.entry is not None:
            yield Key(kinds[step]) if len(kinds) > step and Ellipsis not in kinds else key.entry
        return
    for section in key.sections:
        if (found := members(section).get(step)) is not None:
            yield found
    if get_origin(key.plain.annotation) in (dict, Mapping):
        yield Key(get_args(key.plain.annotation)[1])


def _of_kind(keys: Iterable[Key], kind: str) -> list[Key]:
    """Return the section for this ``kind`` where there are several."""
    return [of_it for key in keys if (of_it := key.kinds.get(kind)) is not None]


def _of_field(field: FieldInfo) -> Key:
    return Key(field.annotation, tuple(field.metadata))


def _limits(given: object) -> tuple[Any, ...]:
    return tuple(given.metadata) if isinstance(given, FieldInfo) else (given,)


def _quoted(choices: Sequence[str], annotation: object) -> list[str]:
    are_texts = get_origin(annotation) is not Literal or all(isinstance(one, str) for one in get_args(annotation))
    return [f'"{one}"' for one in choices] if are_texts else list(choices)


def _range(limits: Iterable[Any]) -> str:
    least, most = "", ""
    for limit in limits:  # each is annotated_types' Ge, Gt, Le or Lt, which has one attribute of its own name
        for name in ("ge", "gt"):
            if (bound := getattr(limit, name, None)) is not None:
                least = f"{bound} or more" if name == "ge" else f"more than {bound}"
        for name in ("le", "lt"):
            if (bound := getattr(limit, name, None)) is not None:
                most = f"{bound} at most" if name == "le" else f"less than {bound}"
    both = " and ".join(part for part in (least, most) if part)
    if least.endswith(" or more") and most.endswith(" at most"):
        both = f"from {least.removesuffix(' or more')} to {most.removesuffix(' at most')}"
        return f" {both}"
    return f", {both}" if both else ""
