"""What a department is told while the service runs: a PACS that stops, a worker that is killed, and their ends.

And what systemd and monitoring systems hear: ready once the listener listens, metrics that Prometheus' parser reads.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.edge.overview.parts import parts
from tests import peers
from tests.factories.receivers import MailServer, WebServer, mail_server, web_server
from tests.factories.service import Service
from tests.factories.watched import zone_where_it_is_eight
from tests.folders import ROOT, SAMPLES

pytestmark = pytest.mark.usefixtures("without_prefect")

NOTHING_ELSE_SECONDS = 3
"""Six looks of the service, in which it would say something twice."""


class Told(Service):
    """A service that tells at once, by mail and webhook, with an outward heartbeat, and answers monitors."""

    def __init__(self, folder: Path, mail: MailServer, web: WebServer) -> None:
        super().__init__(folder, destination_port=peers.free_port())
        self.monitor_port = peers.free_port()
        path = self.config / "service.toml"
        zone = f'[exam]\n            time_zone = "{zone_where_it_is_eight()}"'
        path.write_text(
            path.read_text().replace("[exam]", zone)
            + f"""
            [monitor]
            port = {self.monitor_port}
            [alarms]
            every_seconds = 0.5
            calm_minutes = 0
            apart_minutes = 0
            work_days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            off = ["disk_filling", "lsc_ends", "backup_old", "no_room", "scanner_silent"]
            hold_off_minutes = {{ destination_away = 0, no_worker = 5, no_listener = 5, delivery_stuck = 600 }}
            [alarms.mail]
            to = ["admin@example.org"]
            sender = "dxatrend@example.org"
            host = "127.0.0.1"
            port = {mail.port}
            security = "none"
            [alarms.webhook]
            url = "{web.url}/hook"
            [alarms.heartbeat]
            url = "{web.url}/ping"
            minutes = 0.01
            """
        )

    @contextmanager
    def part(self, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one part of the service, and end it at the end of the block."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dxatrend", "--config", str(self.config), command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)

    def running(self) -> set[str]:
        """The parts that are alive."""
        with self.app() as app, app.database.read() as connection:
            return {part.name for part in parts(connection, at=datetime.now(UTC)) if part.is_alive}

    def ask(self, path: str) -> httpx.Response | None:
        """Ask the monitor; ``None`` while it does not answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.monitor_port}{path}", trust_env=False, timeout=10)
        except httpx.TransportError:
            return None


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def told(tmp_path: Path, mail: MailServer, web: WebServer) -> Iterator[Told]:
    made = Told(tmp_path / "told", mail, web)
    yield made
    made.kill()


def hooks(web: WebServer) -> list[tuple[str, str]]:
    """Kind and news of each alarm that the webhook was told of."""
    bodies = [json.loads(body) for asked, _, body in web.requests if asked == "POST /hook"]
    return [(one["kind"], one["news"]) for body in bodies for one in body["alarms"]]


def beats(web: WebServer) -> int:
    return sum(asked == "GET /ping" for asked, _, _ in web.requests)


def test_a_pacs_that_stops_is_told_once_and_its_end_once_and_monitors_read_it(
    told: Told, mail: MailServer, web: WebServer, orthanc: peers.Orthanc
) -> None:
    told.destination(orthanc.dicom_port)
    told.start()
    peers.wait_until(lambda: beats(web), seconds=60, what="the outward heartbeat is heard")
    peers.wait_until(lambda: told.run("status", "--check").returncode == 0, seconds=60, what="all is well")
    orthanc.stop()
    told.send(sorted((SAMPLES / "01-stable").glob("*.dcm")))
    peers.wait_until(lambda: mail.mails and hooks(web), seconds=60, what="the mail about the PACS is there")
    time.sleep(NOTHING_ELSE_SECONDS)
    assert mail.subjects == ["pacs takes no addenda"]
    assert hooks(web) == [("destination_away", "raised")]
    checked = told.run("status", "--check")
    assert (checked.returncode, checked.stdout.count("\n")) == (1, 1)
    assert checked.stdout.startswith("DXATREND WARNING - pacs takes no addenda | waiting_extract=")
    metrics = metrics_of(told)
    assert metrics["dxatrend_destination_up", "pacs"] == 0
    assert metrics["dxatrend_alarms", "medium"] == 1
    assert metrics["dxatrend_received_total", "SCANNER1"] > 0
    orthanc.start()
    assert told.run("release", "pacs").returncode == 0
    peers.wait_until(lambda: len(mail.mails) == 2 and len(hooks(web)) == 2, seconds=60, what="its end is told")
    time.sleep(NOTHING_ELSE_SECONDS)
    assert mail.subjects[1].startswith("Over after ")
    assert hooks(web)[1:] == [("destination_away", "over")]
    assert "pacs takes no addenda" in told.run("alarms").stdout
    told.come_to_rest()
    peers.wait_until(lambda: metrics_of(told)["dxatrend_delivered_total", "pacs"] > 0, seconds=60)
    assert told.stop() == 0


def metrics_of(told: Told) -> dict[tuple[str, str], float]:
    """The metrics as Prometheus' own parser reads them, by name and first label."""
    answer = told.ask("/metrics")
    assert answer is not None
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_killed_worker_is_told_by_the_monitor_which_withholds_the_heartbeat_until_it_is_back(
    told: Told, mail: MailServer, web: WebServer
) -> None:
    path = told.config / "service.toml"
    path.write_text(path.read_text().replace("no_worker = 5", "no_worker = 0.02"))
    with told.part("listen"), told.part("work") as worker:
        peers.wait_until(lambda: "worker" in told.running(), seconds=60, what="the worker is known")
        with told.part("monitor"):
            peers.wait_until(lambda: "monitor" in told.running(), seconds=60, what="the monitor is known")
            peers.wait_until(lambda: beats(web), seconds=60, what="the outward heartbeat is heard")
            worker.kill()
            peers.wait_until(lambda: mail.mails and hooks(web), seconds=60, what="the mail about the worker is there")
            health = told.ask("/healthz")
            assert health is not None
            assert (health.status_code, health.json()["status"]) == (503, "critical")
            assert told.run("status", "--check").returncode == 2
            heard = beats(web)
            time.sleep(NOTHING_ELSE_SECONDS)
            assert hooks(web) == [("no_worker", "raised")]
            assert beats(web) == heard
            with told.part("work"):
                peers.wait_until(lambda: len(mail.mails) == 2, seconds=60, what="its end is told")
                peers.wait_until(lambda: beats(web) > heard, seconds=60, what="the heartbeat is heard again")
    assert mail.subjects[0] == "No worker runs: nothing received is followed up or delivered"
    assert mail.subjects[1].startswith("Over after ")


def test_systemd_hears_that_the_service_is_ready_once_the_listener_listens_and_that_it_lives(
    told: Told, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, socket.socket() as in_the_way:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        in_the_way.bind(("127.0.0.1", told.port))
        in_the_way.listen()
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        told.begin("serve", environment={**os.environ, **variables})
        assert systemd.recv(4096) == b"WATCHDOG=1", "the listener cannot listen, and nothing is ready"
        in_the_way.close()
        said = [systemd.recv(4096)]
        while not said[-1].startswith(b"READY=1"):
            said.append(systemd.recv(4096))
        assert set(said[:-1]) <= {b"WATCHDOG=1"}
        assert told.answers()
        assert systemd.recv(4096) == b"WATCHDOG=1"
        assert told.stop() == 0
