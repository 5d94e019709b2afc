"""Suggestions for misspelt keys and files of the configuration: "did you mean …?"."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error that suggests the known name most like this one; empty where none is alike."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def keys_beside(model: type[BaseModel], key: Sequence[str | int]) -> list[str]:
    """Return the keys that are known in the section of ``key``, a path from ``model`` as pydantic locates errors."""
    section: type[BaseModel] | None = model
    for step in key[:-1]:
        if isinstance(step, str) and section is not None:
            section = _section_below(section, step)
    return [] if section is None else [field.alias or name for name, field in section.model_fields.items()]


def _section_below(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    """Return the section under a key, also where it is optional or repeated."""
    for name, field in section.model_fields.items():
        if key in (name, field.alias):
            kinds = (field.annotation, *get_args(field.annotation))
            return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return None
