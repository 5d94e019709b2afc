"""Measure what the service costs while nothing happens, how soon it works once started, and what a command costs.

Memory is proportional (PSS): what several processes share counts once. Processor time tells the truth on a busy machine
as well; the two times from the start do not.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread

from dxatrend.service.rest import QUIET_SECONDS
from tests import peers
from tests.benchmarks import processes
from tests.benchmarks.table import Row, at_most
from tests.expected import exams_of
from tests.factories.service import Service
from tests.folders import ROOT

REST_SECONDS = 60
SETTLE_SECONDS = 0.2
LOOK_SECONDS = 0.02
CALM_SECONDS = QUIET_SECONDS + 60
"""How long the service is left alone before it counts as resting: its worker has rested by then."""

COMMANDS = {"--help": 0.3, "status": 0.8, "held": 0.8}
"""How many seconds of processor time a command may take."""

ROUNDS = 5
PREFECT = "Prefect server"
PARTS = {
    "serve": "supervisor",
    "listen": "listener",
    "work": "worker",
    "monitor": "monitor",
    "desk": "desk",
    "server": PREFECT,
}
"""By a word of the command, what each process is; ``server`` is no word of ours."""


def rows() -> Iterator[Row]:
    """A service that starts, works once and then rests; and three commands beside it."""
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name:
        folder = Path(name)
        (folder / "orthanc").mkdir()
        with peers.orthanc(folder / "orthanc") as pacs:
            service = Service(folder / "service", destination_port=pacs.dicom_port, settle_seconds=SETTLE_SECONDS)
            began = time.perf_counter()
            service.begin("serve")
            try:
                yield from _started(service, pacs, began)
                peers.wait_until(service.prefect_answers, seconds=180, what="the Prefect server answers")
                time.sleep(CALM_SECONDS)
                yield from _resting(service)
                yield from _commands(service)
            finally:
                service.kill()


def _started(service: Service, pacs: peers.Orthanc, began: float) -> Iterator[Row]:
    report = exams_of("09-first-visit")[0].reports[0]
    while peers.storescu([report], port=service.port, called="DXATREND").returncode != 0:
        time.sleep(LOOK_SECONDS)
    kept = time.perf_counter() - began
    study = dcmread(report, stop_before_pixels=True).StudyInstanceUID
    while not pacs.find("Study", StudyInstanceUID=study):
        time.sleep(LOOK_SECONDS)
    delivered = time.perf_counter() - began - SETTLE_SECONDS
    yield Row(what="start of serve to first object kept", ours=kept, unit="s", target=at_most(2))
    yield Row(
        what="start of serve to first addendum delivered, beyond settle", ours=delivered, unit="s", target=at_most(5)
    )


def _resting(service: Service) -> Iterator[Row]:
    by_part: defaultdict[str, list[int]] = defaultdict(list)
    for pid in processes.descendants(service.process_group()):
        words = processes.command(pid)
        by_part[next((part for word, part in PARTS.items() if word in words), "others")].append(pid)
    pids = [pid for part in by_part.values() for pid in part]
    before = {pid: processes.cpu_seconds(pid) for pid in pids}
    time.sleep(REST_SECONDS)
    percent = {pid: 100 * (processes.cpu_seconds(pid) - before[pid]) / REST_SECONDS for pid in pids}
    memory = {part: sum(map(processes.proportional_megabytes, of_part)) for part, of_part in by_part.items()}
    everything = sum(memory.values())
    for what, megabytes, limit in (
        ("memory at rest, PSS, ours", everything - memory[PREFECT], 220),
        ("memory at rest, PSS, with Prefect's server", everything, 450),
    ):
        yield Row(what=what, ours=megabytes, unit="MB", target=at_most(limit))
    for part, megabytes in memory.items():
        yield Row(what=f"- of it the {part}", ours=megabytes, unit="MB")
    yield Row(
        what=f"processor time at rest, over {REST_SECONDS} s",
        ours=sum(percent.values()),
        unit="% of a core",
        target=at_most(1),
    )
    for part, of_part in by_part.items():
        yield Row(what=f"- of it the {part}", ours=sum(percent[pid] for pid in of_part), unit="% of a core")


def _commands(service: Service) -> Iterator[Row]:
    for command, limit in COMMANDS.items():
        yield Row(
            what=f"dxatrend {command}, processor time",
            ours=statistics.median(_processor_seconds(service, command) for _ in range(ROUNDS)),
            unit="s",
            target=at_most(limit),
        )


def _processor_seconds(service: Service, command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "dxatrend", "--config", str(service.config), command],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
