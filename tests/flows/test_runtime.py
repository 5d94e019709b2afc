"""A flow run works with the application context that its worker passed, or with one of its own that it closes."""

import os
import threading
from pathlib import Path

import pytest

from flows.runtime import current, open_for_run, run_context
from tests import peers
from tests.factories.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service that does not run."""
    return Service(tmp_path, destination_port=peers.free_port())


def test_what_a_worker_passes_is_there_for_its_own_thread_and_for_as_long_as_the_run_lasts(service: Service) -> None:
    seen: list[str] = []

    def look() -> None:
        try:
            current()
        except LookupError:
            seen.append("nothing")

    with service.app() as app, run_context(app, lambda: True):
        assert current().app is app
        assert current().stopped()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert seen == ["nothing", "nothing"]


def test_a_run_that_prefect_starts_opens_the_store_of_its_configuration_and_closes_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DXATREND_CONFIG", str(service.config))
    with open_for_run() as app:
        assert app.folder == service.config
        assert _open_files(app.database.path)
    assert not _open_files(app.database.path)


def _open_files(path: Path | None) -> list[str]:
    files = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            files.append(os.readlink(descriptor))
        except OSError:  # it was closed meanwhile
            continue
    return [file for file in files if file.startswith(str(path))]
