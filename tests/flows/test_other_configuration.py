"""The nightly run does nothing while the service works with another configuration."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows import reprocess
from pipeline.edge.live_configuration import OtherConfigurationError
from pipeline.edge.store import processes
from pipeline.edge.store.processes import Fingerprint
from tests import peers
from tests.factories.service import Service


def test_the_nightly_run_refuses_while_the_service_works_with_another_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service(tmp_path, destination_port=peers.free_port()).app() as app:
        monkeypatch.setenv("DXATREND_CONFIG", str(app.folder))
        with app.database.write() as connection:
            other = Fingerprint(clinical="another", service="another")
            processes.register(connection, "worker", other, at=datetime.now(UTC))
        with pytest.raises(OtherConfigurationError, match="restart needed"):
            reprocess.reprocess.fn()
