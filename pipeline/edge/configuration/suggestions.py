"""Suggestions for misspelt keys and files of the configuration: "did you mean …?"."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error that suggests the known name most like this one; empty where none is alike."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def keys_beside(model: type[BaseModel], key: Sequence[str | int]) -> list[str]:
    """Return the keys that are known in the section of ``key``, a path from ``model`` as pydantic locates errors."""
    sections = [model]
    for step in key[:-1]:
        if isinstance(step, str):
            sections = _of_kind(sections, step) or [below for one in sections for below in _sections_below(one, step)]
    return [field.alias or name for section in sections for name, field in section.model_fields.items()]


def _of_kind(sections: Iterable[type[BaseModel]], kind: str) -> list[type[BaseModel]]:
    """Return the sections for this ``kind``, which pydantic puts into the path where there are several."""
    kinds = ((section, section.model_fields.get("kind")) for section in sections)
    return [section for section, field in kinds if field and kind in get_args(field.annotation)]


def _sections_below(section: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    """Yield the sections under a key, also where it is optional or repeated."""
    for name, field in section.model_fields.items():
        if key in (name, field.alias):
            yield from sections_in(field.annotation)


def sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield every section in the type of a key, also where it is optional, repeated or of several kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)
