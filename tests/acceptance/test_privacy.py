"""A patient with a marked name goes through everything, errors included, and is named only in the store."""

import json
from pathlib import Path

import pytest
from pydicom import DataElement, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.uid import generate_uid

from pipeline.edge.operations.scheduled_backup import back_up_by_schedule
from pipeline.edge.store import held_work
from tests import peers
from tests.expected import exams_of
from tests.factories.marked_patient import marks_in_file
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


def test_an_erased_patient_is_found_nowhere_afterwards(
    service: Service, orthanc: peers.Orthanc, marked: list[Path], tmp_path: Path
) -> None:
    """The service runs on meanwhile. What was erased: exams, held reports, context, addenda delivered in two ways."""
    settings = service.config / "service.toml"
    (tmp_path / "files").mkdir()
    folder = f'[[destination]]\nname = "files"\nkind = "folder"\nfolder = "{tmp_path}/files"\n'
    settings.write_text(f'{settings.read_text()}\n{folder}\n[backup]\nfolder = "{tmp_path}/backups"\n')
    service.destination(orthanc.dicom_port)
    service.start()
    service.send(marked)
    context = tmp_path / "context.csv"
    context.write_text(f"patient_id,recorded_on,source\n{MARK}-ID,2024-01-01,{MARK} told us\n")
    with service.app() as app:

        def delivered() -> bool:
            now = service.status(app)
            return not now.to_be_read and not now.exams_waiting and bool(list((tmp_path / "files").rglob("*.*")))

        peers.wait_until(delivered, seconds=90, what="it is compared and delivered")
        assert service.run("context", "load", str(context)).returncode == 0
        assert service.run("reprocess").returncode == 0
        back_up_by_schedule(app)
        command = ("patient", "erase", f"{MARK}-ID", "--reason", "request 7", "--yes")
        peers.wait_until(lambda: service.run(*command).returncode == 0, seconds=120, what="nothing is under way")
        (earlier,) = (tmp_path / "backups").iterdir()
        back_up_by_schedule(app)
        (later,) = set((tmp_path / "backups").iterdir()) - {earlier}
    service.stop()
    assert MARK in marks_in_file(earlier, [MARK]), "the search finds what is there"
    store = list(service.log.parent.glob("dxatrend.sqlite3*"))
    prefect = [path for path in service.prefect_home.rglob("*") if path.is_file()]
    for path in [later, service.log, *store, *prefect]:
        assert marks_in_file(path, [MARK, "19491231", "1949-12-31"]) == set(), path
    assert service.run("audit", "--verify").returncode == 0
    assert orthanc.find("Study", PatientID=f"{MARK}-ID"), "what the PACS has is not ours to erase"
