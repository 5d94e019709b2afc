"""Application context of a process: the configuration, the dialects and the database, opened once and passed along."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.reference_data import ReferenceData, reference_data_of
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.reference_in_force import ReferenceInForce, ReferenceReader
from pipeline.edge.store.database import Database
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.sr.dialects.model import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Application context of a process: configuration, dialects, the configured reference data, and the database."""

    folder: Path
    settings: Settings
    dialects: tuple[Dialect, ...]
    reference_data: ReferenceData
    database: Database
    supposed: RegisteredRecords | None = None
    """A precision register to work with instead of the one on file, for a dry run."""
    _reference_reader: ReferenceReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reference_reader", ReferenceReader(self.reference_data, self.supposed))

    def reference_in_force(self, connection: Connection) -> ReferenceInForce:
        """Return what exams are judged by now: the configuration, and what is recorded in the database (R7.6)."""
        return self._reference_reader.in_force(connection)


@contextmanager
def open_app(folder: Path, *, existing: bool = False) -> Iterator[App]:
    """Open the app of a configuration folder, and migrate its database; with ``existing`` it must be there already.

    Raises:
        SettingsError: the configuration cannot be used.
        StoreMissingError: there is no store, and none should be made.
        StoreError: the database could not be queried, or its file not be made.
        StoreInUseError: a backup is being restored into the database.
        StoreTooNewError: a later version of dxatrend has migrated it.
    """
    settings, dialects = load_configuration(folder)
    reference_data = reference_data_of(settings, dialects)
    database = Database(settings.service.store.url, existing=existing)
    try:
        with database.in_use():
            if existing:
                database.require_schema()
            database.migrate()
            yield App(
                folder=folder.absolute(),
                settings=settings,
                dialects=dialects,
                reference_data=reference_data,
                database=database,
            )
    finally:
        database.close()
