"""Which house do this process's flows work in, when do they stop, and which settings keep Prefect local and bounded?"""

import functools
import ipaddress
import os
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from flows.port_owner import Port
from flows.shutdown import Stop
from pipeline.edge import app as houses
from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.live_configuration import LiveConfiguration

CONFIG_VARIABLE = "DXATREND_CONFIG"
"""The configuration folder, for processes that Prefect starts."""

HOME_VARIABLE = "PREFECT_HOME"
"""Where a Prefect server keeps its database: by this in its environment we know our own."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""This machine, by the names that variables as NO_PROXY know."""

_rooms = ExitStack()


def environment(settings: PrefectSettings) -> dict[str, str]:
    """The variables that keep Prefect's clients local and quiet; to be set before Prefect is imported."""
    return {
        **_without_proxies(urlsplit(api_url(settings)).hostname or ""),
        HOME_VARIABLE: _home(settings),
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
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": f"{_home(settings)}/pages",
        # Runs and events are a window, not a record: the record is in our database.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(7 * 86_400),
    }


def api_url(settings: PrefectSettings) -> str:
    """Where the Prefect server answers."""
    return settings.api_url or f"http://{settings.host}:{settings.port}/api"


@functools.cache
def port(settings: PrefectSettings) -> Port:
    """The port of the server that ``serve`` starts, which another program may have taken."""
    return Port(settings.host, settings.port, variable=HOME_VARIABLE, value=_home(settings))


def _home(settings: PrefectSettings) -> str:
    return str(settings.home.absolute())


def _without_proxies(host: str) -> dict[str, str]:
    """Whatever proxy the environment names, no call within this machine goes through it."""
    already = ",".join(os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    excepted = [*already.split(","), *LOOPBACK, host if _is_loopback(host) else ""]
    told = ",".join(dict.fromkeys(filter(None, map(str.strip, excepted))))
    return {"no_proxy": told, "NO_PROXY": told}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def app() -> App:
    """The house of this process, as its configuration is at present."""
    return live_configuration().app


@functools.cache
def live_configuration() -> LiveConfiguration:
    """The configuration of this process, whose house is opened on first use and kept."""
    return LiveConfiguration(_rooms.enter_context(houses.open_app(Path(os.environ[CONFIG_VARIABLE]))))


@functools.cache
def stop() -> Stop:
    """What tells this process, and every run in it, that it is time to stop."""
    return Stop()
