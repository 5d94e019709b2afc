"""Measure the time from C-STORE to the addendum in Orthanc, on an idle service, beyond the settle time.

The peer of the same run is Orthanc itself: how long from C-STORE to the same object found by its REST API.
"""

import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests import peers
from tests.benchmarks import processes
from tests.benchmarks.table import Row, at_most, percentile
from tests.expected import exams_of
from tests.factories.service import Service

EXAMS = 25
SETTLE_SECONDS = 0.2
LOOK_SECONDS = 0.005


def rows() -> Iterator[Row]:
    """Medians and tails beyond the settle time."""
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name:
        folder = Path(name)
        (folder / "orthanc").mkdir()
        with peers.orthanc(folder / "orthanc") as pacs:
            service = Service(folder / "service", destination_port=pacs.dicom_port, settle_seconds=SETTLE_SECONDS)
            service.start()
            try:
                peers.wait_until(service.prefect_answers, seconds=120, what="the Prefect server answers")
                _through_the_service(service, pacs, folder, EXAMS)  # the first one waits for what is loaded only once
                began = _memory(service)
                ours = [_through_the_service(service, pacs, folder, number) for number in range(EXAMS)]
                ended = _memory(service)
            finally:
                service.kill()
            alone = [_through_orthanc(pacs, folder, number) for number in range(EXAMS)]
    for name, share, limit in (("p50", 0.5, 0.5), ("p99", 0.99, 1.5)):
        yield Row(
            what=f"C-STORE to addendum in Orthanc, beyond settle, {name}",
            ours=percentile(ours, share),
            unit="s",
            peer="Orthanc, C-STORE to found",
            theirs=percentile(alone, share),
            target=at_most(limit),
        )
    for part, megabytes in ended.items():
        yield Row(
            what=f"memory of the {part}, after {EXAMS} more exams",
            ours=megabytes,
            unit="MB",
            peer="itself, before",
            theirs=began[part],
        )


PARTS = {
    "serve": "supervisor",
    "listen": "listener",
    "work": "worker",
    "server": "Prefect server",
}
"""By a word of the command, what each process is; ``server`` is no word of ours."""


def _memory(service: Service) -> dict[str, float]:
    """The resident memory of each process of the service."""
    found: dict[str, float] = {}
    for pid in processes.descendants(service.process_group()):
        words = set(processes.command(pid))
        found |= {name: processes.resident_megabytes(pid) for word, name in PARTS.items() if word in words}
    return found


def _through_the_service(service: Service, pacs: peers.Orthanc, folder: Path, number: int) -> float:
    report, study = _another(folder, f"service {number}")
    service.send([report])
    answered = time.perf_counter()
    _wait_for(pacs, study)
    taken = time.perf_counter() - answered - SETTLE_SECONDS
    time.sleep(1)  # so that the next one meets an idle service
    return taken


def _through_orthanc(pacs: peers.Orthanc, folder: Path, number: int) -> float:
    report, study = _another(folder, f"orthanc {number}")
    began = time.perf_counter()
    peers.storescu([report], port=pacs.dicom_port, called=pacs.ae_title)
    _wait_for(pacs, study)
    return time.perf_counter() - began


def _another(folder: Path, name: str) -> tuple[Path, str]:
    """The same report of a patient and study of its own."""
    report = dcmread(exams_of("09-first-visit")[0].reports[0])
    report.PatientID = name
    second = zlib.crc32(name.encode()) % 86_400  # else it would be one scan under two patients
    report.StudyTime = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
    report.StudyInstanceUID, report.SeriesInstanceUID = generate_uid(), generate_uid()
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = folder / f"{name}.dcm"
    report.save_as(path)
    return path, report.StudyInstanceUID


def _wait_for(pacs: peers.Orthanc, study: str) -> None:
    while not pacs.find("Study", StudyInstanceUID=study):
        time.sleep(LOOK_SECONDS)
