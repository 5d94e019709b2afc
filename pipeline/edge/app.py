"""What does a process need to do any of the work? The configuration, the dialects and the database, opened once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.reference_data import ReferenceData, reference_data_of
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.provenance import ProvenanceTracker
from pipeline.edge.store.database import Database
from pipeline.sr.dialects.loader import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Application context of a process: configuration, dialects, reference data, provenance tracker and database."""

    folder: Path
    settings: Settings
    dialects: tuple[Dialect, ...]
    reference_data: ReferenceData
    provenance_tracker: ProvenanceTracker
    database: Database


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
                provenance_tracker=ProvenanceTracker(reference_data.clinical),
                database=database,
            )
    finally:
        database.close()
