"""Fixtures for every test, and the isolation it runs in: no network beyond this machine, no foreign configuration."""

import atexit
import ipaddress
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from tests import peers
from tests.folders import ROOT

# A property is true or false; how long an example takes is the machine's, and a busy one must make no test fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Whatever the developer has set, the tests do not see it, and Prefect writes nothing into anybody's home.
for name in list(os.environ):
    if name.startswith(("DXATREND_", "PREFECT_", "PG")) and name != "DXATREND_SAMPLES":
        del os.environ[name]
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="dxatrend-prefect-")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse any connection that leaves the machine: what runs here must run in a department without internet."""
    if event == "socket.connect":
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:1]
    else:
        return
    if isinstance(address, tuple) and not _is_local(address[0]):
        raise PermissionError("a test reached out beyond this machine")


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Gives the path of one of our synthetic samples."""

    def path_of(name: str) -> Path:
        path = ROOT / "sample_dicom" / name
        assert path.exists(), f"there is no sample {name}"
        return path

    return path_of


SAMPLES = Path(os.environ.get("DXATREND_SAMPLES", ROOT.parent / "shared" / "samples"))


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of other people's public samples, which are not ours to ship; skips where it is absent."""
    folder = SAMPLES
    if not folder.is_dir():
        pytest.skip("the public samples are not on this machine; DXATREND_SAMPLES names their folder")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """The folder of small reports after faults that people have met elsewhere; skips where it is absent."""
    folder = SAMPLES.parent / "cases" / "reports"
    if not folder.is_dir():
        pytest.skip("the reports of other people's faults are not on this machine")
    return folder


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[peers.Orthanc]:
    """A PACS of its own for one test, empty."""
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with peers.orthanc(folder) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of one module; while it runs, no test can run an event loop of its own."""
    with peers.chromium() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def postgres() -> Iterator[peers.Postgres]:
    """One database server for all tests; each takes a database of its own."""
    with peers.postgres() as server:
        yield server


@pytest.fixture
def postgresql_url(postgres: peers.Postgres) -> str:
    """The URL of a PostgreSQL database of its own for one test, empty."""
    return postgres.fresh_database()
