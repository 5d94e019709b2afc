"""However many large images wait, a worker has only a few of them in memory at once."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import func, select

from pipeline.edge.app import App
from pipeline.edge.store import receipts
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import addendum, receipt
from pipeline.edge.store.schema_base import State
from tests import peers
from tests.factories.reports import encode
from tests.factories.service import Service
from tests.folders import ROOT, SAMPLES

PICTURE = SAMPLES / "13-hologic-pictures" / "2021-10-13-1.dcm"
PICTURES = 24
PIXELS = 60_000_000
MOST_MEGABYTES = 400


@contextmanager
def worker(service: Service) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own."""
    with service.log.open("ab") as log:
        command = [sys.executable, "-m", "dxatrend", "--config", str(service.config), "work"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def keep_large_pictures(app: App, *, named: Callable[[int], str]) -> None:
    """Have images of one exam wait, each in a request that names it so."""
    picture = dcmread(PICTURE)
    picture.PixelData = bytes(PIXELS)
    at = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(PICTURES):
        picture.SOPInstanceUID = f"2.25.90{number}"
        sent = Instance(
            sop_class_uid=str(picture.SOPClassUID),
            sop_instance_uid=named(number),
            transfer_syntax_uid=str(picture.file_meta.TransferSyntaxUID),
            data_set=encode(picture),
        )
        with app.database.write() as connection:
            receipts.store(connection, sent, calling_ae_title="SCANNER1", at=at)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_usable", [True, False], ids=["of one exam", "of which none can be used"])
def test_a_worker_stays_small_when_many_large_images_wait(tmp_path: Path, is_usable: bool) -> None:
    service = Service(tmp_path / "service", destination_port=1, settle_seconds=0)
    with service.app() as app:
        keep_large_pictures(app, named=lambda number: f"2.25.{90 if is_usable else 91}{number}")

        def is_done() -> bool:
            waiting = select(func.count(receipt.c.id)).where(receipt.c.state == State.WAITING)
            answers = select(func.count(addendum.c.id))
            with app.database.read() as connection:
                is_read = connection.scalar(waiting) == 0
                return is_read and bool(connection.scalar(answers)) == is_usable

        with worker(service) as process:
            peers.wait_until(is_done, seconds=200, what="all are read")
            time.sleep(2)
            status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
    assert peak < MOST_MEGABYTES
