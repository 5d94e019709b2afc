"""The installation of the demonstration in ``var/demo``: configuration, service and archive, all on loopback."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.sop_class import Verification

from pipeline.edge.dicom_net.sop_classes import SR_STORAGE_CLASSES
from pipeline.edge.dicom_net.statuses import SUCCESS

SAMPLES = Path(__file__).parent.parent / "sample_dicom"
FOLDER = Path("var/demo")
CONFIG = FOLDER / "config"

LOOPBACK = "127.0.0.1"
SCANNER = "DEMO_SCANNER"
ARCHIVE = "DEMO_ARCHIVE"
SERVICE = "DXATREND"

SETTLE_SECONDS = 1


def make_anew() -> None:
    """Delete what an earlier demonstration has left, and copy what the sample scanners need."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    CONFIG.mkdir(parents=True)
    for name in ("scanners.toml", "precision.toml"):
        shutil.copy(SAMPLES / name, CONFIG)


def write_service_settings(*, listener: int, archive: int, prefect: int, desk: int) -> None:
    """Write ``service.toml`` with these ports."""
    (CONFIG / "service.toml").write_text(
        f"""
[store]
url = "sqlite:///dxatrend.sqlite3"
[listener]
ae_title = "{SERVICE}"
port = {listener}
[[listener.caller]]
ae_title = "{SCANNER}"
host = "{LOOPBACK}"
[exam]
settle_seconds = {SETTLE_SECONDS}
late_days = 36500
[[destination]]
name = "archive"
ae_title = "{ARCHIVE}"
host = "{LOOPBACK}"
port = {archive}
proof = "none"
[prefect]
port = {prefect}
home = "prefect"
[desk]
port = {desk}
""",
        encoding="utf-8",
    )


@contextmanager
def running_service() -> Iterator[None]:
    """Run the service as a department does."""
    command = [sys.executable, "-m", "dxatrend", "--config", str(CONFIG), "serve"]
    with (FOLDER / "serve.log").open("wb") as log:
        service = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait()


@contextmanager
def running_archive(port: int) -> Iterator[list[Dataset]]:
    """Run a PACS that stores structured reports as files; yield what it receives, in the order it comes."""
    received: list[Dataset] = []
    folder = FOLDER / "archive"
    folder.mkdir(parents=True, exist_ok=True)
    before = len(list(folder.glob("*.dcm")))

    def store(event: evt.Event) -> int:
        (folder / f"{before + len(received) + 1:03}.dcm").write_bytes(event.encoded_dataset())
        received.append(event.dataset)
        return SUCCESS

    ae = AE(ae_title=ARCHIVE)
    ae.add_supported_context(Verification)
    for sop_class in SR_STORAGE_CLASSES:
        ae.add_supported_context(sop_class, DEFAULT_TRANSFER_SYNTAXES)
    server = ae.start_server((LOOPBACK, port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield received
    finally:
        server.shutdown()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
