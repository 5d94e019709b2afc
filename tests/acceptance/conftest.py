"""Fixtures for a whole department: a PACS, the service, and a scanner."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import peers
from tests.factories.bundles import make_bundle
from tests.factories.service import Service


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Orthanc]:
    """The PACS of one module's tests."""
    with peers.orthanc(tmp_path_factory.mktemp("orthanc")) as opened:
        yield opened


@pytest.fixture
def service(tmp_path: Path, pacs: peers.Orthanc) -> Iterator[Service]:
    """A service that is not started yet, and does not outlive the test."""
    made = Service(tmp_path / "service", destination_port=pacs.dicom_port)
    yield made
    made.kill()


@pytest.fixture
def without_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Prefect server is somewhere else, and down: the work goes on without it."""
    monkeypatch.setenv("DXATREND_SERVICE__PREFECT__API_URL", f"http://127.0.0.1:{peers.free_port()}/api")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make bundle`` makes, unpacked."""
    return make_bundle(tmp_path_factory.mktemp("dist"))
