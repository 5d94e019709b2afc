"""Two listeners and four workers that keep dying, on one PostgreSQL, do what one process on SQLite does."""

import hashlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from sqlalchemy import select

from dxatrend.demo import expected_exams
from pipeline.edge.app import App
from pipeline.edge.store import outbox, service_status
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import exam as exam_table
from pipeline.sr.dicom.header import read_header, reference
from pipeline.sr.dicom.reader import split_file
from tests import peers
from tests.benchmarks import archive
from tests.factories.service import Service

PATIENTS = 16
"""Beside the sample patients; each has a visit in every wave."""

LISTENERS, WORKERS = 2, 4
BATCH = 4
"""Reports in one association."""

DEATHS = 6
SECONDS_BETWEEN_DEATHS = 3.0
"""A worker that died needs about as long to be at work again."""

Wave = list[Path]
"""What is sent before the next visit of anybody: a prior that came later would, rightly, change what is said."""


@pytest.mark.slow
def test_four_dying_workers_on_one_postgresql_do_what_one_process_on_sqlite_does(
    tmp_path: Path, orthanc: peers.Orthanc, postgres: peers.Postgres
) -> None:
    waves = _waves(tmp_path / "reports")
    alone = Service(tmp_path / "alone", destination_port=orthanc.dicom_port, settle_seconds=0)
    with alone.app() as app:
        for wave in waves:
            for path in wave:
                archive.receive(app, _instance(path))
            archive.work_off(app)
        expected, wanted = _outcomes(app), _addenda(app)

    with ExitStack() as stack:
        prefect = stack.enter_context(
            peers.prefect_server(_made(tmp_path / "prefect"), database=postgres.fresh_database())
        )
        department = _Department(tmp_path, orthanc.dicom_port, postgres.fresh_database(), prefect)
        stack.callback(department.end)
        department.begin()
        with department.dying_workers():
            for wave in waves:
                department.send(wave)
        assert department.deaths >= DEATHS // 2
        assert department.busy_workers() > 1
        assert {"follow-up", "delivery"} <= department.prefect_runs()
        with department.services[0].app() as app:
            assert _outcomes(app) == expected
    assert _in_the_archive(orthanc, {study for study, _ in wanted}) == wanted


class _Department:
    """Listeners and workers, each a process with a configuration of its own, as on several machines."""

    def __init__(self, folder: Path, pacs: int, url: str, prefect: peers.PrefectServer) -> None:
        self.services = [
            Service(folder / f"machine{number}", destination_port=pacs, url=url)
            for number in range(LISTENERS + WORKERS)
        ]
        self.listeners, self.workers = self.services[:LISTENERS], self.services[LISTENERS:]
        self.deaths = 0
        self._prefect = prefect
        self._sent = 0

    def begin(self) -> None:
        for listener in self.listeners:
            listener.begin("listen", environment=self._environment)
        for worker in self.workers:
            worker.begin("work", environment=self._environment)
        for listener in self.listeners:
            peers.wait_until(listener.answers, seconds=60, what="a listener answers")

    def end(self) -> None:
        for service in self.services:
            service.kill()

    def send(self, wave: Wave) -> None:
        """Send a wave, some reports to this listener and some to that, and wait until all of it is in the archive."""
        batches = [wave[first : first + BATCH] for first in range(0, len(wave), BATCH)]
        for number, batch in enumerate(batches):
            self.listeners[number % LISTENERS].send(batch)
            time.sleep(0.2)
        self._sent += len(wave)
        with self.services[0].app() as app:
            peers.wait_until(lambda: self._is_idle(app), seconds=120, what="a wave is in the archive")

    @contextmanager
    def dying_workers(self) -> Iterator[None]:
        """Kill one worker after the other, and start it again, for as long as the block lasts."""
        over = threading.Event()
        fate = random.Random(4)

        def kill_and_restart() -> None:
            while self.deaths < DEATHS and not over.wait(SECONDS_BETWEEN_DEATHS):
                victim = fate.choice(self.workers)
                victim.kill()
                victim.begin("work", environment=self._environment)
                self.deaths += 1

        thread = threading.Thread(target=kill_and_restart)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def busy_workers(self) -> int:
        """How many of the workers have authored anything."""
        return sum("authored" in worker.log.read_text() for worker in self.workers)

    def prefect_runs(self) -> set[str]:
        """What the Prefect server has seen run to its end, by the names of the flows."""
        with self._prefect.client() as api:
            flows = api.post("/flows/filter", json={"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
        return {flow["name"] for flow in flows.raise_for_status().json()}

    @property
    def _environment(self) -> dict[str, str]:
        return self._prefect.for_ours

    def _is_idle(self, app: App) -> bool:
        with app.database.read() as connection:
            now = service_status.status(connection, ["pacs"], datetime.now(UTC))
        left = now.to_be_read + now.exams_waiting + now.destinations[0].backlog
        return now.received == self._sent and left == 0


def _waves(folder: Path) -> list[Wave]:
    """The first visit of every patient, then the second one of every patient, and so on."""
    folder.mkdir()
    years = (*archive.VISITS[-1:], archive.NEXT_VISIT)
    generated = [[[_written(folder, archive.report(number, year))] for year in years] for number in range(PATIENTS)]
    samples: dict[Path, list[Sequence[Path]]] = {}
    for exam in sorted(expected_exams(), key=lambda exam: exam.date):
        samples.setdefault(exam.folder, []).append(exam.reports)
    visits = zip_longest(*generated, *samples.values(), fillvalue=())
    return [[path for reports in visit for path in reports] for visit in visits]


def _written(folder: Path, instance: Instance) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(instance.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(instance.sop_instance_uid)
    meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    path = folder / f"{instance.sop_instance_uid}.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + buffer.getvalue() + instance.data_set)
    return path


def _instance(path: Path) -> Instance:
    data_set, transfer_syntax_uid = split_file(path.read_bytes())
    named = reference(read_header(data_set, transfer_syntax_uid))
    return Instance(
        sop_class_uid=named.sop_class_uid,
        sop_instance_uid=named.sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        data_set=data_set,
    )


def _outcomes(app: App) -> dict[str, tuple[str, str | None, str | None]]:
    """By study: what became of its exam, and what its latest addendum says, as a digest."""
    columns = (exam_table.c.id, exam_table.c.study_instance_uid, exam_table.c.state, exam_table.c.reason)
    with app.database.read() as connection:
        found = {}
        for row in connection.execute(select(*columns)).all():
            latest = outbox.latest(connection, row.id)
            found[row.study_instance_uid] = (row.state, row.reason, latest.digest if latest else None)
    return found


def _addenda(app: App) -> set[tuple[str, str]]:
    """Study and SHA-256 of every addendum to an exam of one report.

    Where an exam has several, one may have come too late for the first addendum, which is then superseded.
    """
    single = {exam.study for exam in expected_exams() if len(exam.reports) == 1}
    with app.database.read() as connection:
        rows = connection.execute(select(exam_table.c.id, exam_table.c.study_instance_uid)).all()
        return {
            (row.study_instance_uid, hashlib.sha256(addendum.data_set).hexdigest())
            for row in rows
            if row.study_instance_uid in single or row.study_instance_uid.startswith(archive.UID_ROOT)
            for addendum in outbox.addenda(connection, row.id)
        }


def _in_the_archive(pacs: peers.Orthanc, studies: set[str]) -> set[tuple[str, str]]:
    found = set()
    for study in studies:
        for instance in pacs.find("Instance", StudyInstanceUID=study):
            data_set, _ = split_file(pacs.file(instance))
            found.add((study, hashlib.sha256(data_set).hexdigest()))
    return found


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
