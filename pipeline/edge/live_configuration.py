"""The configuration a process works with while it runs: told to all others, and read anew when somebody asks.

Two processes with different configurations would take back each other's addenda. So the fingerprint of each is in the
store, and what is read anew is taken whole or not at all.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.edge.app import App
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.provenance import ProvenanceTracker
from pipeline.edge.store import processes
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.processes import Fingerprint, LiveProcess
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

RENEW_SECONDS = 15
LOOK_SECONDS = 1

_NOT_OF_THE_SERVICE = {"listener": {"host", "port", "tls"}, "addendum": {"font"}}
"""What may differ from machine to machine, and changes nothing of what is said of a patient."""


class OtherConfigurationError(DxatrendError):
    """The service works with another configuration; what would be written now it may take back."""


def fingerprint(app: App) -> Fingerprint:
    """Digests of what a house's configuration says of patients and scanners, and of who sends and receives."""
    parts = {"listener", "exam", "addendum", "destination", "keeping"}
    told = app.settings.service.model_dump(mode="json", include=parts, exclude=_NOT_OF_THE_SERVICE)
    for entry in (*told["destination"], *told["listener"]["caller"]):
        entry.pop("tls", None)  # files, which lie elsewhere on another machine
    return Fingerprint(clinical=app.reference_data.digest, service=fingerprint_of(told))


def outdated(app: App) -> list[str]:
    """What to say of each process of the service that works with another configuration than this house's."""
    ours = fingerprint(app)
    with app.database.read() as connection:
        found = processes.outdated(connection, ours, at=datetime.now(UTC))
    return [_told(one, ours) for one in found]


def require_current(app: App) -> None:
    """See that whatever is written now is what the service would write.

    Raises:
        OtherConfigurationError: it works with another configuration.
    """
    if different := outdated(app):
        raise OtherConfigurationError("\n".join(different))


def read_anew(app: App) -> App:
    """A house with its clinical configuration as the files have it now; ``service.toml`` counts from the next start.

    Raises:
        SettingsError: any of the configuration cannot be used.
    """
    settings, dialects = load_configuration(app.folder)
    settings = settings.model_copy(update={"service": app.settings.service})
    reference_data = reference_data_of(settings, dialects)
    return replace(
        app,
        settings=settings,
        dialects=dialects,
        reference_data=reference_data,
        provenance_tracker=ProvenanceTracker(reference_data.clinical),
    )


class LiveConfiguration:
    """The house of a process whose configuration can be read anew while others work in it."""

    def __init__(self, app: App) -> None:
        self.app = app
        """As it is at present; whoever has begun something in an earlier one ends it there."""
        self._signalled = False

    def on_signal(self, *_: object) -> None:
        """Read the configuration anew soon; a signal's handler must wait for nothing."""
        self._signalled = True

    @contextmanager
    def told(self, part: str) -> Iterator[None]:
        """The store knows for as long as the block lasts with what this part of the service works."""
        database = self.app.database
        try:
            with database.write() as connection:
                processes.register(connection, part, fingerprint(self.app), at=datetime.now(UTC))
        except StoreError as failure:  # the work begins all the same, and this is tried again
            log.error("the store could not be told of this process: %s", failure)
        ended = threading.Event()
        thread = threading.Thread(target=self._look_after, args=(part, ended), name=f"configuration of {part}")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            try:
                with database.write() as connection:
                    processes.unregister(connection, part)
            except StoreError as failure:  # the others find out by themselves
                log.error("the store could not be told that this process ends: %s", failure)

    def _look_after(self, part: str, ended: threading.Event) -> None:
        renewed = datetime.now(UTC)
        while not ended.wait(LOOK_SECONDS):
            try:
                with self.app.database.read() as connection:
                    asked = processes.is_reload_requested(connection, part)
                if asked or self._signalled:
                    self._signalled = False
                    self._read_anew(part)
                if abs((datetime.now(UTC) - renewed).total_seconds()) >= RENEW_SECONDS:
                    self._renew(part)
                    renewed = datetime.now(UTC)
            except StoreError:  # those who do the work tell the log
                continue

    def _renew(self, part: str) -> None:
        now = datetime.now(UTC)
        with self.app.database.write() as connection:
            if not processes.renew(connection, part, at=now):  # we were taken for dead
                processes.register(connection, part, fingerprint(self.app), at=now)

    def _read_anew(self, part: str) -> None:
        problem, found = None, None
        try:
            self.app = read_anew(self.app)
            found = fingerprint(self.app)
            log.info("the clinical configuration was read anew")
        except SettingsError as error:
            problem = "; ".join(error.mistakes)
            log.error("the configuration cannot be used, and the one before stays: %s", problem)
        with self.app.database.write() as connection:
            processes.record_reload(connection, part, fingerprint=found, problem=problem, at=datetime.now(UTC))


def _told(one: LiveProcess, ours: Fingerprint) -> str:
    way = "" if one.fingerprint.service != ours.service else "; dxatrend reload is enough"
    since = f"{one.read_at:%Y-%m-%d %H:%M} UTC"
    return f"restart needed: the service still works with the configuration of {since} ({one}){way}"
