"""The vendor dialects in force: those shipped in the package, and those of the site, which add to them or replace them.

A dialect of the site in ``config/dialects/*.toml`` replaces the shipped dialect of the same name and takes its place in
the order; one of another name is tried before all shipped ones. An upgrade of dxatrend brings newer shipped dialects.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path

from pipeline.edge.text_files import UnreadableTextError, printable, read_text
from pipeline.sr.dialects.loader import DialectError, load_dialects
from pipeline.sr.dialects.model import Dialect


class Origin(Enum):
    """Where a dialect in force comes from, and how it compares with the shipped one of its name."""

    SHIPPED = "shipped with dxatrend"
    ADDED = "added by the site"
    SAME = "a copy of the shipped one, without a difference"
    OLDER = "replaces the shipped one, which is newer"
    UNDATED = "replaces the shipped one, and has no date to compare"
    CHANGED = "replaces the shipped one"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectInForce:
    """A dialect by which reports are read, the file of the site it is in, and the shipped dialect of its name."""

    dialect: Dialect
    path: Path | None = None
    shipped: Dialect | None = None

    @property
    def origin(self) -> Origin:
        """Compare the dialect with the shipped one of its name: by content, then by date."""
        if self.path is None:
            return Origin.SHIPPED
        if self.shipped is None:
            return Origin.ADDED
        if self.dialect.fingerprint == self.shipped.fingerprint:
            return Origin.SAME
        if self.dialect.date is None or self.shipped.date is None:
            return Origin.UNDATED
        return Origin.OLDER if self.dialect.date < self.shipped.date else Origin.CHANGED


@cache
def shipped_dialects() -> tuple[Dialect, ...]:
    """Return the dialects of the installed package, in the order of their files' names.

    They are read once in a process: an upgrade under a running service takes effect with its code, at the next start.
    """
    folder = resources.files("pipeline.sr.dialects") / "vendors"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return load_dialects({file.name: file.read_text(encoding="utf-8") for file in files})


def dialects_in_force(folder: Path) -> tuple[DialectInForce, ...]:
    """Return the dialects in the order in which they are tried; ``folder`` holds those of the site and may be missing.

    Raises:
        DialectError: with every error in every file of the site, each under the name of its file.
    """
    texts: dict[str, str] = {}
    errors: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            texts[path.name] = read_text(path)
        except UnreadableTextError as error:
            errors.append(f"{printable(path.name)}: {error}")
    own: dict[str, DialectInForce] = {}
    shipped = {dialect.name: dialect for dialect in shipped_dialects()}
    try:
        for file, dialect in zip(texts, load_dialects(texts), strict=True):
            own[dialect.name] = DialectInForce(dialect=dialect, path=folder / file, shipped=shipped.get(dialect.name))
    except DialectError as error:
        errors += error.errors
    if errors:
        raise DialectError(errors)
    added = (one for one in own.values() if one.shipped is None)
    return (*added, *(own.get(name, DialectInForce(dialect=dialect)) for name, dialect in shipped.items()))
