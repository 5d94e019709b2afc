"""Which house do this process's flows work in, when do they stop, and which settings keep Prefect local and bounded?"""

import functools
import os
from contextlib import ExitStack
from pathlib import Path

from flows.stop import Stop
from pipeline.edge import house as houses
from pipeline.edge.house import House
from pipeline.edge.settings import PrefectSettings

CONFIG_VARIABLE = "DXATREND_CONFIG"
"""The configuration folder, for processes that Prefect starts."""

_rooms = ExitStack()


def environment(settings: PrefectSettings) -> dict[str, str]:
    """The variables that keep Prefect's clients local and quiet; to be set before Prefect is imported."""
    return {
        "PREFECT_HOME": str(settings.home.absolute()),
        "PREFECT_API_URL": api_url(settings),
        # Never a server of its own beside ours, and never a word to anybody outside.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Where Prefect fails it fails at once, instead of holding up the work.
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "1",
        "PREFECT_API_REQUEST_TIMEOUT": "10",
        "PREFECT_CLI_PROMPT": "false",
    }


def server_environment(settings: PrefectSettings, password: str) -> dict[str, str]:
    """The variables for the Prefect server that we start: closed to strangers, local, quiet and bounded."""
    return {
        **environment(settings),
        "PREFECT_SERVER_API_HOST": settings.host,
        "PREFECT_SERVER_API_PORT": str(settings.port),
        # Without the password nothing is read or started, and no page but its own reaches it from a browser.
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": api_url(settings).removesuffix("/api"),
        # It rewrites its pages for its address, which may not be done where the program is.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(settings.home.absolute() / "pages"),
        # Runs and events are a window, not a record: the record is in our database.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86_400),
    }


def api_url(settings: PrefectSettings) -> str:
    """Where the Prefect server answers."""
    return settings.api_url or f"http://{settings.host}:{settings.port}/api"


@functools.cache
def house() -> House:
    """The house of this process, opened on first use and kept."""
    return _rooms.enter_context(houses.opened(Path(os.environ[CONFIG_VARIABLE])))


@functools.cache
def stop() -> Stop:
    """What tells this process, and every run in it, that it is time to stop."""
    return Stop()
