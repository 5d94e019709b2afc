"""Environment variables that keep Prefect local, quiet, closed to strangers and bounded in size."""

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from flows.port_owner import Port
from pipeline.edge.configuration.folders import CONFIG_VARIABLE
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import PrefectSettings, ServiceSettings
from pipeline.edge.ip_address import LOOPBACK

HOME_VARIABLE = "PREFECT_HOME"
"""The folder of a Prefect server's database; a process with our value of it in its environment is our server."""

_WEEK_SECONDS = 7 * 86_400

_SERVICES_AT_REST = (
    "LATE_RUNS",
    "SCHEDULER_RECENT_DEPLOYMENTS",
    "PAUSE_EXPIRATIONS",
    "CANCELLATION_CLEANUP",
    "FOREMAN",
    "REPOSSESSOR",
    "CLEANUP_RECONCILER",
)
"""Services of the server that look every few seconds for what hardly ever happens here: a run that is late or paused, a
worker that went away, a changed schedule. Its pages show such a thing up to a minute later."""

_LOOP_SECONDS = "60"

_AT_REST = {
    **{f"PREFECT_SERVER_SERVICES_{name}_LOOP_SECONDS": _LOOP_SECONDS for name in _SERVICES_AT_REST},
    # How often automations are asked whether something has not happened.
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": f"PT{_LOOP_SECONDS}S",
}


def enter_client_environment(config: Path) -> ServiceSettings:
    """Set the variables of a Prefect client in this process, and return the settings of this configuration folder.

    To be called before Prefect is imported. Runs that Prefect starts from here find the configuration as well.
    """
    settings, _ = load_configuration(config)
    os.environ[CONFIG_VARIABLE] = str(config.absolute())
    os.environ.update(client_environment(settings.service.prefect))
    return settings.service


def client_environment(settings: PrefectSettings) -> dict[str, str]:
    """Return the variables of a Prefect client, to be set before Prefect is imported."""
    return {
        **_without_proxies(urlsplit(api_url(settings)).hostname or ""),
        HOME_VARIABLE: _home(settings),
        "PREFECT_API_URL": api_url(settings),
        # It starts no server of its own beside ours, and sends nothing to anybody outside.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # Where Prefect fails it fails at once, instead of delaying the work.
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "1",
        "PREFECT_API_REQUEST_TIMEOUT": "10",
        "PREFECT_CLI_PROMPT": "false",
    }


def server_environment(settings: PrefectSettings, password: str) -> dict[str, str]:
    """Return the variables of the Prefect server that we start."""
    return {
        **client_environment(settings),
        "PREFECT_SERVER_API_HOST": settings.host,
        "PREFECT_SERVER_API_PORT": str(settings.port),
        # Without the password nothing is read or started, and a browser reaches it from its own pages only.
        "PREFECT_SERVER_API_AUTH_STRING": password,
        "PREFECT_API_AUTH_STRING": password,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": api_url(settings).removesuffix("/api"),
        # It rewrites its pages for its address, and the folder of the program may be read-only.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": f"{_home(settings)}/pages",
        # Runs and events are kept for a week; the lasting record is in our database.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(_WEEK_SECONDS),
        **_AT_REST,
        # The C library keeps memory for each of its threads, of which only one computes at a time.
        "MALLOC_ARENA_MAX": "1",
    }


def api_url(settings: PrefectSettings) -> str:
    """Return the URL of the Prefect server's API."""
    return settings.api_url or f"http://{settings.host}:{settings.port}/api"


def server_port(settings: PrefectSettings) -> Port:
    """Return the port of the server that ``serve`` starts, which another program may have taken."""
    return Port(settings.host, settings.port, variable=HOME_VARIABLE, value=_home(settings))


def _home(settings: PrefectSettings) -> str:
    return str(settings.home.absolute())


def _without_proxies(host: str) -> dict[str, str]:
    """Return the variables that exclude this machine from any proxy that the environment names."""
    already = ",".join(os.environ.get(name, "") for name in ("no_proxy", "NO_PROXY"))
    excluded = [*already.split(","), *LOOPBACK, host if _is_loopback(host) else ""]
    value = ",".join(dict.fromkeys(filter(None, map(str.strip, excluded))))
    return {"no_proxy": value, "NO_PROXY": value}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
