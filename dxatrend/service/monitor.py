"""Monitor: watch the conditions of the alarms when no worker does, and answer monitoring systems.

It goes on while the database is away, and tells of that itself.
"""

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from dxatrend.service import port_refusals, systemd_notify
from dxatrend.service.monitor_server import MonitorServer
from flows.shutdown import Stop
from pipeline.edge.alarms.store_outage import StoreOutage
from pipeline.edge.alarms.watch import Watcher
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.alarm_settings import MonitorSettings
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.live_configuration import LiveConfiguration
from pipeline.edge.store.database import StoreError, StoreInUseError
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

PART = "monitor"


class CannotAnswerError(DxatrendError):
    """The port for monitoring systems cannot be listened on; the text says why and what to do."""


def run_monitor(config: Path, stop: Stop) -> None:
    """Watch and answer until ``stop`` is set.

    Raises:
        SettingsError: the configuration cannot be used.
        CannotAnswerError: the port cannot be bound.
    """
    settings, _ = load_configuration(config)
    _require_port(settings.service.monitor)
    outage = StoreOutage(settings.service)
    every = settings.service.alarms.every_seconds
    with systemd_notify.ready("watching"):
        while not stop.is_set():
            try:
                with open_app(config) as app:
                    _watch(app, stop, outage)
            except StoreError as failure:
                outage.failed(str(failure))
                stop.wait(every)
            except StoreInUseError:  # a backup is being restored
                stop.wait(every)


def _watch(app: App, stop: Stop, outage: StoreOutage) -> None:
    """Watch a database that could be opened, also while it is away for a time."""
    live = LiveConfiguration(app)
    signal.signal(signal.SIGHUP, live.on_signal)
    watcher = Watcher(app)
    with live.registered(PART), _answering(app, live):
        while not stop.is_set():
            try:
                watcher.poll(live.app)
                outage.works()
            except StoreError as failure:
                log.error("alarms: the database could not be queried (%s); trying again", failure)
                outage.failed(str(failure))
            stop.wait(watcher.every.total_seconds())


def _require_port(settings: MonitorSettings) -> None:
    """Require that the port can be bound, before the database is there and anything answers.

    Raises:
        CannotAnswerError: it cannot.
    """
    if settings.port is None:
        return
    try:
        with socket.create_server((settings.host, settings.port)):
            pass
    except OSError as error:
        raise CannotAnswerError(port_refusals.why(error, settings.port, key="monitor")) from None


@contextlib.contextmanager
def _answering(app: App, live: LiveConfiguration) -> Iterator[None]:
    """Answer monitoring systems while the block lasts, if there is a port for them."""
    settings = app.settings.service.monitor
    if settings.port is None:
        yield
        return
    try:
        server = MonitorServer(settings, settings.port, lambda: live.app)
    except OSError as error:
        raise CannotAnswerError(port_refusals.why(error, settings.port, key="monitor")) from None
    with contextlib.closing(server):
        yield
