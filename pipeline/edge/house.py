"""What does a process need to do any of the work? The configuration, the dialects and the database, opened once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.clinical.model import Epoch, LeastSignificantChange, Scanner
from pipeline.edge import settings as configuration
from pipeline.edge.settings import Settings
from pipeline.edge.store.database import Database
from pipeline.sr.dialect import Dialect, normal_manufacturer


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The rooms that every step of the work is given."""

    settings: Settings
    dialects: tuple[Dialect, ...]
    lscs: tuple[LeastSignificantChange, ...]
    epochs: tuple[Epoch, ...]
    database: Database


@contextmanager
def opened(folder: Path) -> Iterator[House]:
    """The house of one configuration folder, its database at the present schema.

    Raises:
        SettingsError: the configuration cannot be used.
    """
    settings, dialects = configuration.load(folder)
    database = Database(settings.service.store.url)
    try:
        database.migrate()
        yield House(
            settings=settings,
            dialects=dialects,
            lscs=tuple(replace(lsc, scanner=_as_read(lsc.scanner, dialects)) for lsc in settings.lscs),
            epochs=tuple(replace(epoch, scanner=_as_read(epoch.scanner, dialects)) for epoch in settings.epochs),
            database=database,
        )
    finally:
        database.close()


def _as_read(scanner: Scanner, dialects: tuple[Dialect, ...]) -> Scanner:
    """A configured scanner under the manufacturer's name that its reports are read with."""
    return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))
