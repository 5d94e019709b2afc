"""The desk of one process: its settings, its templates, and the store, which may be away when the process starts."""

import logging
import threading
from contextlib import ExitStack
from datetime import timedelta, tzinfo
from pathlib import Path

from dxatrend.desk.page_drawing import PageDrawer
from dxatrend.desk.rendering import Renderer
from pipeline.edge.app import App, open_app
from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.live_configuration import LiveConfiguration, Registration
from pipeline.edge.store.database import StoreError, StoreInUseError

log = logging.getLogger(__name__)

PART = "desk"
"""The name of this part of the service in the database and in the audit trail."""


class Desk:
    """What every page needs; ``close`` it when no page is served any more."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings: DeskSettings = settings.service.desk
        self.zone: tzinfo | None = settings.service.exam.zone
        """The department's time zone; ``None`` for this machine's own."""
        self.renderer = Renderer(self.zone)
        self.drawer = PageDrawer()
        self._opening = threading.Lock()
        self._stack = ExitStack()
        self._live: LiveConfiguration | None = None
        self._registration: Registration | None = None

    @property
    def idle(self) -> timedelta:
        """How long a session lasts that nobody uses."""
        return timedelta(minutes=self.settings.idle_minutes)

    def app(self) -> App:
        """Return the application context as it is now, and open it where that was not possible before.

        Raises:
            StoreError: the database cannot be reached.
        """
        if self._live is None:
            self._open()
        assert self._live is not None
        return self._live.app

    def open_if_possible(self) -> None:
        """Open the store if the database answers; if it does not, the pages say so until it does."""
        try:
            self.app()
        except StoreError as failure:
            log.error("the desk cannot open the store yet: %s", failure)

    def on_reload_signal(self, *_: object) -> None:
        """Request that the clinical configuration is read again; a signal handler must not block."""
        if self._live is not None:
            self._live.on_signal()

    def fails(self, reason: str) -> None:
        """Let the store know why the desk ends by itself."""
        if self._registration is not None:
            self._registration.failure = reason

    def close(self) -> None:
        """Close the store."""
        self._stack.close()

    def _open(self) -> None:
        with self._opening:
            if self._live is not None:
                return
            with ExitStack() as stack:
                try:
                    app = stack.enter_context(open_app(self.folder))
                except StoreInUseError:
                    raise StoreError("a backup is being restored") from None
                live = LiveConfiguration(app)
                stack.enter_context(events.service_lifetime(app, PART))
                self._registration = stack.enter_context(live.registered(PART))
                self._stack = stack.pop_all()
                self._live = live
            log.info("the desk has opened the store")
