"""Monitoring systems read us: Prometheus' own parser, a real Prometheus, plugins of Nagios; and no patient is there."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dxatrend.cli.main import main
from dxatrend.service import monitor_server
from dxatrend.service.monitor_server import MonitorServer
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import destination_outages, receipts
from pipeline.edge.store.audit_trail import Entry, Event, Outcome, record
from tests import peers
from tests.factories.answered_exams import lsc
from tests.factories.instances import instance
from tests.factories.phantoms import phantom_department
from tests.factories.reports import encode, report, spine
from tests.factories.watched import Watched, watched

PLUGIN = re.compile(r"DXATREND (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \|( \w+=\d+(s|MB)?(;[^; ]*){0,2})+)?\n")
"""One line of a plugin: state, text, and figures (Monitoring Plugins Development Guidelines)."""

REST = f"""
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {peers.free_port()}
"""


@dataclass
class Monitored:
    """A department and the URL at which monitoring systems ask about it."""

    department: Watched
    url: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False, timeout=10)

    def samples(self) -> dict[str, dict[str, float]]:
        """The metrics by name, each by its labels."""
        found: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").raise_for_status().text):
            assert family.documentation
            assert family.type != "unknown"
            for sample in family.samples:
                found.setdefault(sample.name, {})[",".join(sample.labels.values())] = sample.value
        return found


@pytest.fixture
def monitored(tmp_path: Path) -> Iterator[Monitored]:
    (tmp_path / "precision.toml").write_text(lsc("total hip", ends="2050-01-01"))
    port = peers.free_port()
    with watched(tmp_path, 'off = ["backup_old", "disk_filling"]', rest=REST) as department:
        department.look()
        settings = department.app.settings.service.monitor
        with closing(MonitorServer(settings, port, lambda: department.app)):
            yield Monitored(department, f"http://127.0.0.1:{port}")


def receive(department: Watched) -> None:
    marked = report(spine(), SOPInstanceUID="2.25.1", PatientName="ZZ^MARKED", PatientID="ZZ4711")
    with department.app.database.write() as connection:
        for number, data_set in enumerate((encode(marked), b"not DICOM"), start=1):
            one = instance(data_set, uid=f"2.25.{number}")
            receipts.store(connection, one, calling_ae_title="SCANNER1", at=department.now)
    extract_waiting(department.app)


def test_what_is_received_waits_is_held_and_rejected_is_counted_without_a_patient(monitored: Monitored) -> None:
    department = monitored.department
    receive(department)
    rejected = Entry(
        event=Event.REFUSED_CALLER,
        at=department.now,
        actor="X",
        outcome=Outcome.SERIOUS_FAILURE,
        detail={"reason": "other_called", "times": 3},
    )
    with department.app.database.write() as connection:
        record(connection, rejected)
        destination_outages.record_failure(
            connection, "pacs", wait=timedelta(hours=1), detail="away", at=department.now
        )
    found = monitored.samples()
    assert found["dxatrend_received_total"] == {"SCANNER1": 2}
    assert found["dxatrend_rejected_associations_total"] == {"other_called": 3}
    assert found["dxatrend_waiting"] == {"extract": 0, "compare": 1, "deliver": 0}
    assert found["dxatrend_held"] == {"not_dicom": 1}
    assert found["dxatrend_destination_up"] == {"pacs": 0}
    assert found["dxatrend_lsc_expiry_timestamp_seconds"].keys() == {"total hip,DF+1"}
    assert found["dxatrend_scanner_last_seen_timestamp_seconds"].keys() == {"DF+1"}
    assert {"listener", "worker"} <= found["dxatrend_part_heartbeat_timestamp_seconds"].keys()
    assert found["dxatrend_store_free_bytes"][""] > 0
    assert monitored.samples()["dxatrend_received_total"] == {"SCANNER1": 2}, "a scrape counts nothing twice"
    text = monitored.get("/metrics").text
    assert "ZZ" not in text
    assert "2.25." not in text


def test_serial_numbers_can_be_left_out(tmp_path: Path) -> None:
    port = peers.free_port()
    with watched(tmp_path, rest="[monitor]\nserial_numbers = false\n") as department:
        receive(department)
        settings = department.app.settings.service.monitor
        with closing(MonitorServer(settings, port, lambda: department.app)):
            found = Monitored(department, f"http://127.0.0.1:{port}")
            assert not [
                name for name, by_label in found.samples().items() if any("DF+1" in label for label in by_label)
            ]


def test_who_opens_many_connections_or_never_ends_a_request_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_server, "REQUEST_SECONDS", 600)
    monkeypatch.setattr(monitor_server, "LONGEST_SECONDS", 2)
    port = peers.free_port()
    with watched(tmp_path) as department, ExitStack() as stack:
        stack.enter_context(
            closing(MonitorServer(department.app.settings.service.monitor, port, lambda: department.app))
        )
        calls = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(2 * monitor_server.MOST_CONNECTIONS)
        ]
        assert calls[-1].recv(10) == b"", "one too many"
        assert calls[0].recv(10) == b"", "it asks for nothing"
        monkeypatch.setattr(monitor_server, "LONGEST_SECONDS", 60)
        monitored = Monitored(department, f"http://127.0.0.1:{port}")

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return "status" in monitored.get("/healthz").json()
            return False

        peers.wait_until(answers, what="the others are answered again")


def test_the_deviation_of_the_last_phantom_scan_is_told_by_scanner_and_region(tmp_path: Path) -> None:
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.baseline()
        port = peers.free_port()
        app = department.app
        with closing(MonitorServer(app.settings.service.monitor, port, lambda: app)):
            get = f"http://127.0.0.1:{port}/metrics"
            first = ratio(get)
            assert abs(first) < 0.005
            department.phantom(-1, "1.1946")
            assert 0.01 < ratio(get) < 0.02


def ratio(url: str) -> float:
    """The deviation that is told of the one phantom there is."""
    text = httpx.get(url, trust_env=False, timeout=30).text
    (family,) = (one for one in text_string_to_metric_families(text) if one.name == "dxatrend_phantom_deviation_ratio")
    (sample,) = family.samples
    assert sample.labels == {"serial": "DF+1", "region": "L1-L4"}
    return sample.value


def test_health_follows_the_alarms_and_whether_anybody_watches(monitored: Monitored) -> None:
    department = monitored.department
    assert (monitored.get("/healthz").status_code, monitored.get("/healthz").json()["status"]) == (200, "ok")
    department.running.remove("worker")
    department.pass_time(timedelta(minutes=8), every=timedelta(minutes=2))
    assert monitored.get("/healthz").json()["status"] == "critical"
    assert monitored.get("/healthz").status_code == 503
    assert monitored.get("/").status_code == 404


@pytest.mark.parametrize(("kind", "status"), [("", 0), ("destination_away", 1), ("no_worker", 2)])
def test_a_plugin_prints_one_line_with_figures_and_exits_with_what_nagios_expects(
    kind: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes = 'off = ["backup_old"]\nhold_off_minutes = { destination_away = 0, no_worker = 0 }'
    with watched(tmp_path, minutes, rest=REST) as department:
        if kind == "destination_away":
            with department.app.database.write() as connection:
                destination_outages.record_failure(
                    connection, "pacs", wait=timedelta(hours=1), detail="a | b", at=department.now
                )
        if kind == "no_worker":
            department.running.remove("worker")
            department.now += timedelta(minutes=2)
        department.look()
    assert main(["--config", str(tmp_path), "status", "--check"]) == status
    assert PLUGIN.fullmatch(capsys.readouterr().out)


def test_a_plugin_says_unknown_without_a_store_and_critical_where_nobody_watches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    assert main(["--config", str(tmp_path), "status", "--check"]) == 3
    assert main(["--config", str(tmp_path / "nowhere"), "status", "--check"]) == 3
    with watched(tmp_path) as department:
        department.now -= timedelta(hours=1)
        department.look()
    assert main(["--config", str(tmp_path), "status", "--check"]) == 2
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert all(PLUGIN.fullmatch(line) for line in lines)
    assert "neither worker nor monitor" in lines[-1]


def test_a_plugin_of_nagios_takes_the_health_page(monitored: Monitored) -> None:
    plugin = shutil.which("check_http", path="/usr/lib/nagios/plugins")
    if plugin is None:
        pytest.skip("Debian's monitoring-plugins-basic is not installed")
    port = monitored.url.rpartition(":")[2]
    command = [plugin, "-I", "127.0.0.1", "-p", port, "-u", "/healthz", "-s", '"status": "ok"']
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_real_prometheus_scrapes_us(monitored: Monitored, tmp_path: Path) -> None:
    program, checker = shutil.which("prometheus"), shutil.which("promtool")
    if program is None or checker is None:
        pytest.skip("Debian's prometheus is not installed")
    judged = subprocess.run(
        [checker, "check", "metrics"], input=monitored.get("/metrics").text, capture_output=True, text=True, check=False
    )
    assert (judged.returncode, judged.stderr) == (0, ""), "Prometheus' own naming rules"
    target = monitored.url.removeprefix("http://")
    jobs = {"scrape_configs": [{"job_name": "dxatrend", "static_configs": [{"targets": [target]}]}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "1s"}, **jobs}))
    port = peers.free_port()
    command = [
        program,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as prometheus:
        try:
            peers.wait_until(lambda: query(port, "up") == [1.0], seconds=60, what="Prometheus has scraped us")
            assert query(port, "dxatrend_build_info") == [1.0]
            assert query(port, 'dxatrend_destination_up{destination="pacs"}') == [1.0]
            (age,) = query(port, "time() - dxatrend_alarms_looked_timestamp_seconds")
            assert 0 <= age < time.monotonic()
        finally:
            prometheus.terminate()


def query(port: int, expression: str) -> list[float]:
    """What Prometheus answers to a query; nothing while it does not."""
    try:
        answer = httpx.get(
            f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, trust_env=False, timeout=10
        )
    except httpx.TransportError:
        return []
    return [float(one["value"][1]) for one in answer.json()["data"]["result"]] if answer.is_success else []
