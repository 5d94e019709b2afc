"""Two scanners, an unreliable archive, and processes killed at random: nothing is lost or issued twice."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from sqlalchemy import select

from dxatrend.cli import main
from dxatrend.demo import current
from pipeline.edge.app import App
from pipeline.edge.store import held_work, receipts, service_status
from pipeline.edge.store.schema import exam, receipt
from pipeline.sr.dicom.content_tree import read_instance
from tests import peers
from tests.factories.fast_scanner import Object, Scanner
from tests.factories.reports import encode, region, report, spine
from tests.factories.service import Service

SEED = 20_261
CHAOS_SECONDS = float(os.environ.get("CHAOS_SECONDS", "120"))
PATIENTS = 60

MOODS = {"keeps": 6, "refuses": 1, "is full": 1, "is slow": 1, "warns": 1, "leaves before": 1, "leaves after": 1}
PARTS = {"listen": 3, "work": 5, "prefect": 1, "everything": 1}
"""How often an archive is in which mood, and which part dies."""


@dataclass
class MoodyArchive:
    """A PACS that keeps what it is sent, mostly; once it is calm, always."""

    port: int = field(default_factory=peers.free_port)
    is_calm: bool = False
    kept: dict[str, bytes] = field(default_factory=dict)
    digests: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _chance: random.Random = field(default_factory=lambda: random.Random(SEED))

    @contextlib.contextmanager
    def open(self) -> Iterator["MoodyArchive"]:
        """It answers for as long as the block lasts."""
        ae = AE(ae_title="ORTHANC")
        for sop_class in (Verification, ComprehensiveSRStorage, EnhancedSRStorage, SecondaryCaptureImageStorage):
            ae.add_supported_context(sop_class)
        ae.add_supported_context(EncapsulatedPDFStorage)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        server = ae.start_server((peers.LOOPBACK, self.port), block=False, evt_handlers=handlers)
        try:
            yield self
        finally:
            server.shutdown()

    def addenda(self) -> list[Dataset]:
        """Everything it keeps."""
        return [read_instance(data_set, ExplicitVRLittleEndian) for data_set in list(self.kept.values())]

    def _store(self, event: evt.Event) -> int:
        uid, data_set = str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()
        mood = "keeps" if self.is_calm else self._chance.choices([*MOODS], [*MOODS.values()])[0]
        if mood in ("keeps", "warns", "leaves after", "is slow"):
            self.kept[uid] = data_set
            self.digests[uid].add(sha256(data_set).hexdigest())
        if mood == "is slow":
            time.sleep(3)
        if mood in ("leaves before", "leaves after"):
            event.assoc.abort()
        return {"refuses": 0xC001, "is full": 0xA700, "warns": 0xB006}.get(mood, 0x0000)

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        if not self.is_calm and self._chance.random() < 0.15:
            event.assoc.abort()
            return
        uid = str(event.identifier.get("SOPInstanceUID", ""))
        if uid in self.kept:
            found = Dataset()
            found.QueryRetrieveLevel, found.SOPInstanceUID = "IMAGE", uid
            yield 0xFF00, found
        yield 0x0000, None


class Load:
    """Both scanners: each sends the next report that nobody has sent, or by and by one again."""

    def __init__(self, port: int) -> None:
        self.answered: dict[str, bytes] = {}
        self._port, self._lock = port, threading.Lock()
        self._all = [
            Object(str(made.SOPClassUID), str(made.SOPInstanceUID), encode(made))
            for patient in range(PATIENTS)
            for made in _reports(patient)
        ]
        random.Random(SEED).shuffle(self._all)
        self._next = 0

    def send_on(self, calling: str, stop: threading.Event) -> None:
        """Send until told to stop; what was not answered with success is sent again."""
        chance = random.Random(calling)
        while not (stop.is_set() and self._next >= len(self._all)):
            with self._lock:
                fresh = self._next < len(self._all)
                one = self._all[self._next] if fresh else chance.choice(self._all)
                self._next += fresh
            while not self._is_taken(one, calling):
                time.sleep(0.5)
            time.sleep(0 if stop.is_set() else chance.uniform(0, CHAOS_SECONDS / PATIENTS))

    @property
    def sent(self) -> int:
        """How many different reports there are."""
        return len(self._all)

    def _is_taken(self, one: Object, calling: str) -> bool:
        try:
            with Scanner(
                self._port, called="DXATREND", calling=calling, seconds=20, sop_classes=(one.sop_class_uid,)
            ) as scanner:
                is_taken = scanner.store(one) == 0x0000
        except (OSError, AssertionError):
            return False
        if is_taken:
            self.answered[one.sop_instance_uid] = one.data_set
        return is_taken


def _reports(patient: int) -> Iterator[Dataset]:
    """Two exams of a patient, each in two parts."""
    for visit, date in enumerate(("20240304", "20260302")):
        whose = {"StudyInstanceUID": f"2.25.1.{patient}.{visit}", "PatientID": f"P{patient}", "StudyDate": date}
        for part, measured in enumerate((region("L1-L4", "0.912"), region("L2-L4", "0.931"))):
            yield report(spine(measured), SOPInstanceUID=f"2.25.{patient + 10}.{visit}.{part}", **whose)


@pytest.mark.slow
@pytest.mark.timeout(CHAOS_SECONDS + 400)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_two_minutes_of_chaos_lose_and_double_nothing(
    tmp_path: Path, store: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = request.getfixturevalue("postgresql_url") if store == "postgresql" else ""
    with MoodyArchive().open() as archive:
        service = Service(tmp_path / "service", destination_port=archive.port, settle_seconds=0.5, url=url)
        environment = {
            "DXATREND_SERVICE__LISTENER__CALLER": json.dumps([{"ae_title": "SCANNER1"}, {"ae_title": "SCANNER2"}]),
            "DXATREND_SERVICE__DESTINATION": json.dumps(
                [
                    {"name": "pacs", "ae_title": "ORTHANC", "host": peers.LOOPBACK, "port": archive.port}
                    | {"proof": "find", "longest_wait_seconds": 3}
                ]
            ),
        }
        load, stop = Load(service.port), threading.Event()
        scanners = [
            threading.Thread(target=load.send_on, args=(name, stop), daemon=True) for name in ("SCANNER1", "SCANNER2")
        ]
        service.start(environment=environment)
        try:
            for scanner in scanners:
                scanner.start()
            died = _let_parts_die(service, environment)
            archive.is_calm = True
            stop.set()
            for scanner in scanners:
                scanner.join(timeout=120)
            with service.app() as app:
                released = _come_to_rest(service, app)
                lost = [uid for uid, sent in load.answered.items() if not _is_kept_once(app, uid, sent)]
                counts = _addenda_per_exam(app, archive)
                addenda = len(archive.kept)
        finally:
            stop.set()
            service.kill()
    with capsys.disabled():
        print(
            f"\nchaos on {store}: {CHAOS_SECONDS:.0f} s, died {dict(died)}\nobjects answered {len(load.answered)} of"
            f" {load.sent}  lost {len(lost)}  exams {len(counts)}  without addendum"
            f" {sum(count < 1 for count in counts.values())}  doubled {sum(count > 1 for count in counts.values())}"
            f"  addenda {addenda}  released by hand {released}"
        )
    assert lost == []
    assert len(load.answered) == load.sent
    assert set(counts.values()) == {1}
    assert len(counts) == 2 * PATIENTS
    assert all(len(digests) == 1 for digests in archive.digests.values()), "one UID, one addendum"


def _let_parts_die(service: Service, environment: dict[str, str]) -> Counter[str]:
    """End parts of the service at random moments, as a power cut would; how often which."""
    chance, died = random.Random(SEED), Counter[str]()
    until = time.monotonic() + CHAOS_SECONDS
    while time.monotonic() < until:
        time.sleep(chance.uniform(3, 7))
        part = chance.choices([*PARTS], [*PARTS.values()])[0]
        died[part] += 1
        if part == "everything":
            service.kill()
            service.begin("serve", environment=environment)
            continue
        for pid in _processes(service.process_group(), part):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return died


def _processes(group: int, part: str) -> list[int]:
    """The processes of a group whose command line names a part of the service."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(folder.name)
            if pid != group and os.getpgid(pid) == group:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if part in command:
                    found.append(pid)
    return found


def _come_to_rest(service: Service, app: App) -> int:
    """Wait until nothing is left to do, and release what is held, as an operator would; how much that was."""
    released = 0
    until = time.monotonic() + 240
    while time.monotonic() < until:
        with app.database.read() as connection:
            held = held_work.held(connection)
            is_idle = service_status.status(connection, ["pacs"], datetime.now(UTC)).is_idle
        if is_idle and not held:
            return released
        for one in held:
            released += 1
            assert main.main(["--config", str(service.config), "release", str(one.number)]) == 0
        time.sleep(0.5)
    pytest.fail("it did not come to rest")


def _is_kept_once(app: App, uid: str, sent: bytes) -> bool:
    with app.database.read() as connection:
        numbers = list(connection.scalars(select(receipt.c.id).where(receipt.c.sop_instance_uid == uid)))
        return [one.instance.data_set for one in receipts.load(connection, numbers)] == [sent]


def _addenda_per_exam(app: App, archive: MoodyArchive) -> dict[str, int]:
    """For each exam, by its study, how many addenda in the archive are not superseded by another."""
    with app.database.read() as connection:
        studies = list(connection.scalars(select(exam.c.study_instance_uid)))
    by_study = defaultdict(list)
    for addendum in archive.addenda():
        by_study[str(addendum.StudyInstanceUID)].append(addendum)
    return {study: len(current(by_study[study])) for study in studies}
