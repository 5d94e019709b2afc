"""A patient with a marked name goes through everything, errors included, and is named only in the store."""

import json
from pathlib import Path

import pytest
from pydicom import DataElement, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.uid import generate_uid

from pipeline.edge.store import held_work
from tests import peers
from tests.expected import exams_of
from tests.factories.service import Service

MARK = "ZZMARKED"


@pytest.fixture
def marked(tmp_path: Path) -> list[Path]:
    """One patient's reports in every condition: resent with other bytes, contradictory, unreadable, and good."""
    now, (before, later, _) = exams_of("09-first-visit")[-1], exams_of("02-spine-loss")
    paths: list[Path] = []

    def write(source: Path, **changes: str) -> None:
        report = dcmread(source)
        report.PatientName, report.PatientID = f"{MARK}^NAME", f"{MARK}-ID"
        report.PatientBirthDate, report.PatientSex = "19491231", "F"
        del report.PatientAge  # it is another patient's
        report.SOPInstanceUID = generate_uid(entropy_srcs=[str(len(paths))])
        for keyword, value in changes.items():
            report[keyword] = DataElement(keyword, dictionary_VR(keyword), value)
        report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
        paths.append(tmp_path / f"{len(paths)}.dcm")
        report.save_as(paths[-1])

    write(now.reports[0])
    write(now.reports[0], SOPInstanceUID=dcmread(paths[0]).SOPInstanceUID, PatientComments=f"{MARK} again")
    write(before.reports[0], StudyInstanceUID=now.study)  # another visit's values in the same study
    write(before.reports[0], StudyDate="", AcquisitionDate="", AcquisitionDateTime="", PatientComments=MARK)
    write(before.reports[0], PatientBirthDate="18550203", StudyInstanceUID=generate_uid(entropy_srcs=["older"]))
    write(before.reports[0], PatientBirthDate="19491130", StudyInstanceUID=generate_uid(entropy_srcs=["other"]))
    write(now.reports[0], PatientID="", OtherPatientIDs=f"{MARK}-ID")
    write(later.reports[0])
    broken = dcmread(paths[0])
    for item in broken.ContentSequence:
        item.ValueType = MARK
    del broken.ConceptNameCodeSequence
    broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["broken"])
    paths.append(tmp_path / "broken.dcm")
    broken.save_as(paths[-1])
    return paths


def test_a_patient_is_named_in_no_log_and_nowhere_in_prefect(
    service: Service, orthanc: peers.Orthanc, marked: list[Path]
) -> None:
    orthanc.stop()  # so that deliveries fail as well
    service.destination(orthanc.dicom_port)
    service.start()
    peers.wait_until(service.prefect_answers, seconds=120, what="the Prefect server answers")
    service.send(marked)
    with service.app() as app:

        def settled() -> bool:
            now = service.status(app)
            return not (now.to_be_read or now.exams_waiting) and bool(now.destinations[0].last_problem)

        peers.wait_until(settled, seconds=60, what="everything has been tried")
        with app.database.read() as connection:
            reasons = {work.reason for work in held_work.held(connection)}
        expected = {"other_bytes", "contradictory", "no_study_date", "id_conflict", "unknown_dialect"}
        assert reasons >= {*expected, "implausible_date"}
    service.stop()
    text = service.log.stat().st_size
    service.start(environment={"DXATREND_LOG_FORMAT": "json"})
    orthanc.start()
    peers.wait_until(lambda: orthanc.find("Study", PatientID=f"{MARK}-ID"), seconds=60, what="it is delivered")
    shown = [service.run(*command) for command in (("held",), ("status",), ("held", "--json"))]
    service.stop()
    told = [json.loads(line) for line in service.log.read_bytes()[text:].splitlines()]
    assert {"listening", "delivered", "stopped"} <= {str(one["message"]).split()[0] for one in told}, "all processes"
    assert MARK.encode() in b"".join(path.read_bytes() for path in service.log.parent.glob("dxatrend.sqlite3*"))
    searched = [service.log, *(path for path in service.prefect_home.rglob("*") if path.is_file())]
    assert any(path.suffix == ".db" for path in searched), "Prefect's database is among them"
    for path in searched:
        content = path.read_bytes().upper()
        assert MARK.encode() not in content, path
        assert b"19491231" not in content, path
    for command in shown:
        assert MARK not in (command.stdout + command.stderr).upper()
