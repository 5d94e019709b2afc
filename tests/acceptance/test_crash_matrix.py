"""Kill the service anywhere under load: what was answered is kept, and every exam gets its addendum once."""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from sqlalchemy import select

from dxatrend.cli import main
from dxatrend.demo import current
from pipeline.edge.app import App
from pipeline.edge.errors import WORKER_LOST
from pipeline.edge.store import held_work, receipts, service_status
from pipeline.edge.store.schema import exam, receipt
from tests import peers
from tests.factories.reports import encode, region, report, spine
from tests.factories.service import Service
from tests.folders import ROOT

SEED = 20260
LOAD_SECONDS = 0.15
"""Between two exams of the load."""

COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"


def _places() -> list[dict[str, Any] | None]:
    """Where lives end, in a seeded order; ``None`` is at a random moment."""
    commits = [
        {"in": half, "at": COMMIT, "when": when, "call": call}
        for half, calls in (("listen", (4, 8, 13)), ("work", (8, 11, 15, 20, 26)))
        for call in calls
        for when in ("before", "during", "after")
    ]
    stages = [
        {"in": half, "at": at, "when": when, "call": call}
        for half, at, when, call in (
            ("listen", "pipeline.edge.store.receipts:store_all", "before", 3),
            ("listen", "pipeline.edge.store.receipts:store_all", "after", 4),  # received, not committed
            ("work", "pipeline.edge.store.receipts:load", "after", 2),  # claimed, not read
            ("work", "pipeline.edge.extract.extraction:extract", "after", 2),  # extracted, not recorded
            ("work", "pipeline.edge.extract.extraction:_record", "after", 3),  # recorded, not committed
            ("work", "dxatrend.service.worker:extract_waiting", "after", 2),  # in an exam that is not due yet
            ("work", "pipeline.edge.follow_up.due_exams:claim_due", "after", 2),  # the exam is claimed
            ("work", "pipeline.edge.follow_up.examination:interpret", "after", 2),  # matched, compared, interpreted
            ("work", "pipeline.edge.follow_up.due_exams:author", "after", 2),  # authored, not kept
            ("work", "pipeline.edge.store.outbox:issue", "after", 3),  # kept, not committed
            ("work", "pipeline.edge.follow_up.due_exams:_follow_up", "after", 2),  # in the outbox
            ("work", "pipeline.edge.store.outbox:claim", "after", 2),  # being claimed for the archive
            ("work", "pipeline.edge.deliver.storage_scu:_store", "before", 3),  # not sent
            ("work", "pipeline.edge.deliver.storage_scu:_store", "after", 2),  # sent, not proven
            ("work", "pipeline.edge.deliver.storage_scu:_confirm_by_query", "after", 3),  # proven, not recorded
            ("work", "pipeline.edge.store.outbox:record_delivery", "after", 2),  # recorded, not committed
        )
    ]
    places = [*commits, *stages, *[None] * 12]
    random.Random(SEED).shuffle(places)
    return places


def test_the_places_are_real() -> None:
    """A name that no longer exists would make its life go on for ever."""
    for place in filter(None, _places()):
        module, _, function = place["at"].partition(":")
        holder = __import__(module, fromlist=["_"])
        for name in function.split("."):
            holder = getattr(holder, name)
        assert callable(holder)


@dataclass
class Scanner:
    """Sends exams of two reports each, one after the other; what was not answered with success it sends again."""

    port: int
    sent: dict[str, bytes] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    waiting: "queue.SimpleQueue[Dataset]" = field(default_factory=queue.SimpleQueue)

    def send_on(self, stop: threading.Event) -> None:
        """Send until told to stop and nothing is left, with an association for each exam."""
        exams = self._exams()
        while not (stop.is_set() and self.waiting.empty()):
            if not stop.is_set():
                for one in next(exams):
                    self.waiting.put(one)
            association = self._associate()
            while association.is_established and not self.waiting.empty():
                self._send(association, self.waiting.get())
            if association.is_established:
                association.release()
            stop.wait(LOAD_SECONDS) if not stop.is_set() else time.sleep(LOAD_SECONDS)

    def _send(self, association: Association, one: Dataset) -> None:
        try:
            status = association.send_c_store(one).get("Status")
        except RuntimeError:
            status = None
        if status == 0x0000:
            self.answered.add(one.SOPInstanceUID)
        else:
            self.waiting.put(one)

    def _associate(self) -> Association:
        ae = AE(ae_title="SCANNER1")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3
        ae.add_requested_context(report(spine()).SOPClassUID, ExplicitVRLittleEndian)
        return ae.associate("127.0.0.1", self.port, ae_title="DXATREND")

    def _exams(self) -> Iterator[Sequence[Dataset]]:
        number = 0
        while True:
            number += 1
            whose = {"StudyInstanceUID": f"2.25.1.{number}", "PatientID": f"P{number}"}
            yield [self._report(f"2.25.{part}.{number}", part, whose) for part in (2, 3)]

    def _report(self, uid: str, part: int, whose: dict[str, str]) -> Dataset:
        region_of = {2: region("L1-L4", "0.912"), 3: region("L2-L4", "0.931")}
        made = report(spine(region_of[part]), SOPInstanceUID=uid, **whose)
        made.ensure_file_meta()
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        self.sent[uid] = encode(made)
        return made


class Lives:
    """The service, which lives and dies."""

    def __init__(self, service: Service) -> None:
        self._service = service
        with service.log.open("ab") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("process_forks.py")), str(service.config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                text=True,
            )

    def begin(self, place: dict[str, Any] | None) -> int:
        """Begin a life that ends itself at a place, if one is given; its process group."""
        self._say(json.dumps(place))
        return int(self._hear())

    def wait_for_death(self) -> list[int]:
        """How each half of it ended."""
        ended: list[int] = json.loads(self._hear())
        return ended

    def close(self) -> None:
        self._launcher.kill()
        self._launcher.communicate()

    def _say(self, line: str) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.write(line + "\n")
        self._launcher.stdin.flush()

    def _hear(self) -> str:
        assert self._launcher.stdout is not None
        return self._launcher.stdout.readline()


@pytest.mark.slow
@pytest.mark.usefixtures("without_prefect")
@pytest.mark.timeout(600)
def test_killed_at_every_point_under_load_nothing_is_lost_and_nothing_is_said_twice(
    tmp_path: Path, orthanc: peers.Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(tmp_path / "service", destination_port=orthanc.dicom_port, settle_seconds=0.3)
    scanner, stop = Scanner(service.port), threading.Event()
    load = threading.Thread(target=scanner.send_on, args=(stop,))
    chance, places, began = random.Random(SEED), _places(), time.monotonic()
    with closing(Lives(service)) as lives:
        load.start()
        try:
            for number, place in enumerate(places):
                _one_life(lives, scanner, place, chance, f"life {number}, to end at {place}")
        finally:
            stop.set()
        group = lives.begin(None)
        try:
            load.join()
            with service.app() as app:
                peers.wait_until(lambda: _is_idle(app), seconds=120, what="nothing waits")
                released = _release(service, app)
                peers.wait_until(lambda: _is_idle(app), seconds=30, what="nothing waits")
                seconds = time.monotonic() - began
                lost = [uid for uid in scanner.answered if not _is_kept(app, uid, scanner.sent[uid])]
                counts = _addenda_per_exam(app, orthanc)
                held = _held(app)
        finally:
            os.killpg(group, signal.SIGKILL)
    with capsys.disabled():
        print(
            f"\ncrash matrix: {len(places)} points ({sum(place is None for place in places)} of them random) in"
            f" {seconds:.0f} s\nobjects answered {len(scanner.answered)}  lost {len(lost)}  exams {len(counts)} "
            f" without addendum {sum(count < 1 for count in counts.values())} "
            f" duplicated {sum(count > 1 for count in counts.values())}  held {len(held)}"
            f"  released, having been in hand at three deaths, {released}"
        )
    assert lost == []
    assert held == []
    assert released <= len(places) // 5
    assert set(counts.values()) == {1}
    assert len(places) >= 40
    assert len(counts) > len(places)
    assert scanner.answered == set(scanner.sent)


def _one_life(lives: Lives, scanner: Scanner, place: dict[str, Any] | None, chance: random.Random, which: str) -> None:
    before = len(scanner.answered)
    group = lives.begin(place)
    if place is None:
        peers.wait_until(lambda: len(scanner.answered) > before, what=f"{which}: the listener answers")
        time.sleep(chance.uniform(0, 1))
        os.killpg(group, signal.SIGKILL)
    watch = threading.Timer(30, os.killpg, (group, signal.SIGKILL)) if place else None
    if watch:
        watch.start()
    ended = lives.wait_for_death()
    if watch:
        assert watch.is_alive(), f"{which}: it never came there"
        watch.cancel()
    assert ended == [-signal.SIGKILL, -signal.SIGKILL], which


def _is_idle(app: App) -> bool:
    with app.database.read() as connection:
        return service_status.status(connection, ["pacs"], datetime.now(UTC)).is_idle


def _is_kept(app: App, uid: str, sent: bytes) -> bool:
    with app.database.read() as connection:
        numbers = list(connection.scalars(select(receipt.c.id).where(receipt.c.sop_instance_uid == uid)))
        return [one.instance.data_set for one in receipts.load(connection, numbers)] == [sent]


def _held(app: App) -> list[held_work.HeldWork]:
    with app.database.read() as connection:
        return held_work.held(connection)


def _release(service: Service, app: App) -> int:
    """Release what was in hand at three deaths, as an operator would; how much: so many deaths can find one."""
    unlucky = [one.number for one in _held(app) if one.reason == WORKER_LOST]
    for number in unlucky:
        assert main.main(["--config", str(service.config), "release", number]) == 0
    return len(unlucky)


def _addenda_per_exam(app: App, pacs: peers.Orthanc) -> dict[str, int]:
    """For each exam that was sent, by its study, how many addenda in the archive are not superseded by another."""
    with app.database.read() as connection:
        studies = list(connection.scalars(select(exam.c.study_instance_uid)))
    return {study: len(current(_addenda(pacs, study))) for study in studies}


def _addenda(pacs: peers.Orthanc, study: str) -> list[Dataset]:
    return [pacs.instance(found) for found in pacs.find("Instance", StudyInstanceUID=study)]
