"""Every file that the settings name, under its key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

_NO_FILES = ("folder", "home", "socket")
"""Keys of folders, and of a socket that the service makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file of a section; ``section`` is empty unless there are several of its kind, such as callers."""

    section: str
    key: str
    path: Path

    @property
    def label(self) -> str:
        """Section and key as words: ``listener.caller SCANNER1 tls.ca``."""
        return f"{self.section} {self.key}".strip()

    def __str__(self) -> str:
        return f"{self.section}: {self.key}" if self.section else self.key


def named_files(settings: BaseModel, section: str = "", above: str = "") -> Iterator[NamedFile]:
    """Yield the files that a part of the settings names."""
    for key in type(settings).model_fields:
        value = getattr(settings, key)
        if isinstance(value, Path) and key not in _NO_FILES:
            yield NamedFile(section=section, key=f"{above}{key}", path=value)
        elif isinstance(value, BaseModel):
            yield from named_files(value, section, f"{above}{key}.")
        for one in value if isinstance(value, tuple) else ():
            if isinstance(one, BaseModel):
                called = getattr(one, "name", None) or getattr(one, "ae_title", None) or getattr(one, "host", "")
                yield from named_files(one, f"{above}{key} {called}".strip())
