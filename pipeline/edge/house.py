"""What does a process need to do any of the work? The configuration, the dialects and the database, opened once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, Scanner, Unverified
from pipeline.clinical.rules import Rules
from pipeline.edge import settings as configuration
from pipeline.edge.settings import Settings
from pipeline.edge.store.database import Database
from pipeline.sr.aliases import Alias
from pipeline.sr.dialect import Dialect, normal_manufacturer


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the department has told us beyond the reports, with scanners named as their reports name them."""

    lscs: tuple[LeastSignificantChange, ...]
    epochs: tuple[Epoch, ...]
    crossings: tuple[CrossCalibration, ...]
    unverified: tuple[Unverified, ...]
    aliases: tuple[Alias, ...]
    rules: Rules
    digest: str = field(init=False, repr=False, compare=False)
    """The same for the same LSCs, epochs and rules: the audit trail names by it what a comparison rested on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(repr(self).encode()).hexdigest()[:16])


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The rooms that every step of the work is given."""

    settings: Settings
    dialects: tuple[Dialect, ...]
    knowledge: Knowledge
    database: Database


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    """The house of one configuration folder, its database at the present schema.

    Raises:
        SettingsError: the configuration cannot be used.
        StoreInUse: a backup is being restored into the database.
        StoreTooNew: a later version of dxatrend has migrated it.
    """
    settings, dialects = configuration.load(folder)
    database = Database(settings.service.store.url)
    try:
        with database.in_use():
            database.migrate()
            yield House(
                settings=settings,
                dialects=dialects,
                knowledge=_knowledge(settings, dialects),
                database=database,
            )
    finally:
        database.close()


def _knowledge(settings: Settings, dialects: tuple[Dialect, ...]) -> Knowledge:
    def named(scanner: Scanner) -> Scanner:
        return _as_read(scanner, dialects)

    return Knowledge(
        lscs=tuple(replace(lsc, scanner=named(lsc.scanner)) for lsc in settings.lscs),
        epochs=tuple(replace(epoch, scanner=named(epoch.scanner)) for epoch in settings.epochs),
        crossings=tuple(replace(pair, old=named(pair.old), new=named(pair.new)) for pair in settings.crossings),
        unverified=tuple(replace(days, scanner=named(days.scanner)) for days in settings.unverified),
        aliases=tuple(replace(alias, scanner=named(alias.scanner)) for alias in settings.aliases),
        rules=settings.clinical_rules,
    )


def _as_read(scanner: Scanner, dialects: tuple[Dialect, ...]) -> Scanner:
    """A configured scanner under the manufacturer's name that its reports are read with."""
    return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))
