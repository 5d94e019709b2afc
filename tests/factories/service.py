"""A whole service for a test: its configuration in a folder, its processes, and a scanner that sends to it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from flows.prefect_password import read_password
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.store import service_status
from pipeline.edge.store.service_status import Status
from tests import peers
from tests.folders import ROOT

SAMPLES = ROOT / "sample_dicom"


class Service:
    """dxatrend as a department runs it, on free ports; it can be killed and started again on the same store."""

    def __init__(self, folder: Path, *, destination_port: int, settle_seconds: float = 1, url: str = "") -> None:
        self.port = peers.free_port()
        self.prefect_port = peers.free_port()
        self.desk_port = peers.free_port()
        self.config = folder / "config"
        self.log = folder / "service.log"
        self.prefect_home = folder / "prefect"
        self.config.mkdir(parents=True)
        for name in ("scanners.toml", "precision.toml"):
            (self.config / name).symlink_to(SAMPLES / name)
        (self.config / "service.toml").write_text(f"""
            [store]
            url = "{url or f"sqlite:///{folder}/dxatrend.sqlite3"}"
            [listener]
            port = {self.port}
            [[listener.caller]]
            ae_title = "SCANNER1"
            host = "127.0.0.1"
            [exam]
            settle_seconds = {settle_seconds}
            late_days = 36500
            [[destination]]
            name = "pacs"
            ae_title = "ORTHANC"
            host = "127.0.0.1"
            port = {destination_port}
            proof = "find"
            [prefect]
            port = {self.prefect_port}
            home = "{self.prefect_home}"
            [desk]
            port = {self.desk_port}
            """)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Start the service, and return when its listener answers."""
        self.begin("serve", environment=environment)
        peers.wait_until(self.answers, seconds=60, what="the listener answers")

    def begin(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Start one command of the service in a process group of its own."""
        assert self._process is None, "it runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dxatrend", "--config", str(self.config), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def wait_until_logged(self, words: str) -> None:
        """Wait until the log has these words."""
        peers.wait_until(lambda: words in self.log.read_text(), seconds=180, what=f"the log says: {words}")

    def open_connections(self) -> int:
        """Count the connections that the listener still holds, by the kernel's own table."""
        listening, nobody = "0A", "0"
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return sum(
            int(row[1].split(":")[1], 16) == self.port and row[3] != listening and row[9] != nobody for row in rows
        )

    def process_group(self) -> int:
        """Return the process group of all processes of the service."""
        assert self._process is not None
        return self._process.pid

    def answers(self) -> bool:
        """Return whether the listener answers C-ECHO."""
        command = [peers.program("echoscu"), "-aet", "SCANNER1", "-aec", "DXATREND", "127.0.0.1", str(self.port)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def prefect_answers(self) -> bool:
        """Return whether the Prefect server answers."""
        try:
            return httpx.get(f"{self.prefect_api}/health", trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def ask_prefect(self, path: str, question: dict[str, Any] | None = None) -> Any:
        """Ask its Prefect server with our password and return the response; ``question`` is posted."""
        password = read_password(PrefectSettings(home=self.prefect_home))
        with peers.prefect_client(self.prefect_api, password) as api:
            answer = api.get(path) if question is None else api.post(path, json=question)
        return answer.raise_for_status().json()

    @property
    def prefect_api(self) -> str:
        """The URL of the Prefect server's API."""
        return f"http://127.0.0.1:{self.prefect_port}/api"

    def send(self, reports: Sequence[Path]) -> None:
        """Send reports with DCMTK's storescu; the test fails unless every one was taken."""
        sent = peers.storescu(reports, port=self.port, called="DXATREND")
        assert sent.returncode == 0, sent.stderr

    def stop(self) -> int:
        """Stop the service as an administrator does and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(timeout=60)
        self._process = None
        return status

    def kill(self) -> None:
        """End every process of the service at once, as a power cut does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait_for_death(self) -> int:
        """Wait until the service has ended by itself, and return its exit status."""
        assert self._process is not None
        status = self._process.wait(timeout=300)
        self._process = None
        return status

    def destination(self, port: int) -> None:
        """Deliver to the archive on another port from the next start on."""
        path = self.config / "service.toml"
        path.write_text(re.sub(r"(\[\[destination\]\][^\[]*port = )\d+", rf"\g<1>{port}", path.read_text()))

    def status(self, app: App) -> Status:
        """Return its status."""
        with app.database.read() as connection:
            return service_status.status(connection, ["pacs"], datetime.now(UTC))

    def come_to_rest(self) -> None:
        """Wait until nothing is left to do; the test fails where something is held for a person."""
        with self.app() as app:
            peers.wait_until(lambda: self.status(app).is_idle, seconds=60, what="nothing waits")
            assert self.status(app).held == 0

    @contextmanager
    def app(self) -> Iterator[App]:
        """Open its store and configuration from outside."""
        with open_app(self.config) as app:
            yield app

    def run(self, *command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command and return when it ends."""
        return subprocess.run(
            [sys.executable, "-m", "dxatrend", "--config", str(self.config), *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            timeout=120,
            check=False,
        )
