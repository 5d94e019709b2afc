"""What does a process need to do any of the work? The configuration, the dialects and the database, opened once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.configuration import settings as configuration
from pipeline.edge.configuration.reference_data import Knowledge, known
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.provenance import Surveyor
from pipeline.edge.store.database import Database
from pipeline.sr.dialects.loader import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The rooms that every step of the work is given."""

    folder: Path
    settings: Settings
    dialects: tuple[Dialect, ...]
    knowledge: Knowledge
    surveyor: Surveyor
    database: Database


@contextmanager
def opened(folder: Path, *, existing: bool = False) -> Iterator[House]:
    """The house of one configuration folder, its database at the present schema; ``existing`` never makes one.

    Raises:
        SettingsError: the configuration cannot be used.
        StoreMissing: there is no store, and none should be made.
        StoreFailed: the database could not be asked, or its file not be made.
        StoreInUse: a backup is being restored into the database.
        StoreTooNew: a later version of dxatrend has migrated it.
    """
    settings, dialects = configuration.load(folder)
    knowledge = known(settings, dialects, folder / "dialects")
    database = Database(settings.service.store.url, existing=existing)
    try:
        with database.in_use():
            if existing:
                database.require_schema()
            database.migrate()
            yield House(
                folder=folder.absolute(),
                settings=settings,
                dialects=dialects,
                knowledge=knowledge,
                surveyor=Surveyor(knowledge),
                database=database,
            )
    finally:
        database.close()
