"""Reload the configuration of a running process, and compare it with that of the service's other processes.

Two processes with different configurations would supersede each other's addenda. So the fingerprint of each is in the
store, and a configuration is reloaded as a whole or not at all.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from pipeline.edge.app import App
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.heartbeat import Heartbeat
from pipeline.edge.store import processes
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.processes import Fingerprint, LiveProcess
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

POLL_SECONDS = 3
"""How often a process looks whether it is to reload its configuration: in the store, and whether a signal came."""

_NOT_OF_THE_SERVICE = {"listener": {"host", "port", "tls"}, "addendum": {"font"}}
"""Settings that may differ between hosts and have no effect on an addendum."""


class OtherConfigurationError(DxatrendError):
    """The service works with another configuration, and might supersede what would be written now."""


def fingerprint(app: App) -> Fingerprint:
    """Return the digests of an app's clinical configuration and of its service settings."""
    parts = {"listener", "exam", "addendum", "destination", "keeping"}
    values = app.settings.service.model_dump(mode="json", include=parts, exclude=_NOT_OF_THE_SERVICE)
    for entry in (*values["destination"], *values["listener"]["caller"]):
        for files in ("tls", "login", "folder"):  # whose paths may differ between hosts
            entry.pop(files, None)
    return Fingerprint(clinical=app.reference_data.digest, service=fingerprint_of(values))


def outdated(app: App) -> list[str]:
    """Return a message for each process of the service that works with another configuration than this app."""
    ours = fingerprint(app)
    with app.database.read() as connection:
        found = processes.outdated(connection, ours, at=datetime.now(UTC))
    return [_message(one, ours, app.reference_data.zone) for one in found]


def require_current(app: App) -> None:
    """Require that the service works with the same configuration as this app.

    Raises:
        OtherConfigurationError: it works with another one.
    """
    if different := outdated(app):
        raise OtherConfigurationError("\n".join(different))


def reload(app: App) -> App:
    """Return the app with the clinical configuration as the files are now; ``service.toml`` needs a restart.

    Raises:
        SettingsError: any of the configuration cannot be used.
    """
    settings, dialects = load_configuration(app.folder)
    settings = settings.model_copy(update={"service": app.settings.service})
    return replace(app, settings=settings, dialects=dialects, reference_data=reference_data_of(settings, dialects))


def is_as_in_files(app: App) -> bool:
    """Return whether a process that starts now would work with the same configuration."""
    try:
        settings, dialects = load_configuration(app.folder)
    except SettingsError:
        return False
    return (settings, dialects) == (app.settings, app.dialects)


@dataclass(slots=True)
class Registration:
    """The registration of a process that runs; it may set why it ends by itself, or that another one goes on."""

    failure: str = ""
    has_rested: bool = False


_SEEN_SECONDS = 0.5
"""How long a process that has rested is there still: whoever has read that it runs, and looks for it then, finds it."""


class LiveConfiguration:
    """The app of a process whose clinical configuration can be reloaded while threads work with it."""

    def __init__(self, app: App) -> None:
        self.app = app
        """The present app; work begun with an earlier one is finished with that one."""
        self._signalled = False

    def on_signal(self, *_: object) -> None:
        """Request a reload; a signal handler must not block."""
        self._signalled = True

    @contextmanager
    def registered(self, part: str) -> Iterator[Registration]:
        """Register this process in the store while the block lasts, and reload when that is requested."""
        registration = Registration()
        heartbeat = Heartbeat(self.app.database, part, lambda: fingerprint(self.app))
        heartbeat.begin()
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(part, heartbeat, ended), name=f"configuration of {part}")
        thread.start()
        try:
            yield registration
        except Exception as error:
            registration.failure = type(error).__name__
            raise
        finally:
            ended.set()
            thread.join()
            if registration.has_rested and not registration.failure:
                heartbeat.rest()
                time.sleep(_SEEN_SECONDS)
            else:
                heartbeat.end(registration.failure)

    def _watch(self, part: str, heartbeat: Heartbeat, ended: threading.Event) -> None:
        while not ended.wait(POLL_SECONDS):
            heartbeat.beat_if_due()
            try:
                with self.app.database.read() as connection:
                    requested = processes.is_reload_requested(connection, part)
                if requested or self._signalled:
                    self._signalled = False
                    self._reload(part)
            except StoreError:  # logged by those who do the work
                continue

    def _reload(self, part: str) -> None:
        problem, found = None, None
        try:
            self.app = reload(self.app)
            found = fingerprint(self.app)
            log.info("the clinical configuration was reloaded")
        except SettingsError as error:
            problem = "; ".join(error.mistakes)
            log.error("the configuration cannot be used, and the one before stays: %s", problem)
        with self.app.database.write() as connection:
            processes.record_reload(connection, part, fingerprint=found, problem=problem, at=datetime.now(UTC))


def _message(one: LiveProcess, ours: Fingerprint, zone: tzinfo | None) -> str:
    way = "" if one.fingerprint.service != ours.service else "; dxatrend reload is enough"
    since = f"{one.read_at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
    return f"restart needed: the service still works with the configuration of {since} ({one}){way}"
