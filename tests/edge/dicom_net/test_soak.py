"""Twenty thousand objects over associations of every kind leave nothing behind but themselves."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from pipeline.edge.store.schema import receipt
from tests import peers
from tests.factories.fast_scanner import Scanner, copies, send_in_parallel
from tests.factories.service import Service
from tests.folders import SAMPLES

REPORT = SAMPLES / "01-stable" / "2020-02-11-1.dcm"
OBJECTS = 20_000
WARM = 2_000
OF_THE_POOL = 12
"""Files that a pool of database connections may have opened since: three each."""

ROUND = 500
"""Objects of one round: most over sixteen associations, some over four and one, some each with its own."""


@pytest.mark.slow
def test_twenty_thousand_objects_leave_nothing_behind_but_themselves(tmp_path: Path) -> None:
    service = Service(tmp_path / "service", destination_port=1)
    service.begin("listen")
    try:
        peers.wait_until(service.answers, seconds=60, what="the listener answers")
        for first in range(0, WARM, ROUND):
            _send(service.port, first)
        memory, files = _memory(service), _open_files(service)
        for first in range(WARM, OBJECTS, ROUND):
            _send(service.port, first)
        assert _memory(service) < 1.1 * memory
        peers.wait_until(lambda: service.open_connections() == 0, what="no connection is left")
        peers.wait_until(lambda: _open_files(service) <= files + OF_THE_POOL, what="no file is left open")
        assert service.stop() == 0
        with service.app() as app, app.database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(receipt)) == OBJECTS
    finally:
        service.kill()


def _send(port: int, first: int) -> None:
    objects = list(copies(REPORT, ROUND, first=first))
    for share, associations in ((objects[:350], 16), (objects[350:450], 4), (objects[450:470], 1)):
        assert set(send_in_parallel(port, share, called="DXATREND", associations=associations)) == {0x0000}
    for sent in objects[470:]:
        with Scanner(port, called="DXATREND") as scanner:
            assert scanner.store(sent) == 0x0000
            scanner.release()


def _memory(service: Service) -> int:
    status = Path(f"/proc/{service.process_group()}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def _open_files(service: Service) -> int:
    return len(list(Path(f"/proc/{service.process_group()}/fd").iterdir()))
