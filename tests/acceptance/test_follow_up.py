"""The main job from end to end, with real parts: DCMTK as the scanner, Orthanc as the PACS, and Prefect."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dxatrend.demo import current, withdrawn_exams
from pipeline.sr.author.readback import read_back
from pipeline.sr.dicom.content_tree import read_tree
from tests import peers
from tests.expected import Exam, exams_of, study_addenda
from tests.factories.elements import elements_of
from tests.factories.service import Service
from tests.folders import SAMPLES

EXAMS = [exam for folder in sorted(SAMPLES.glob("*/expected.json")) for exam in exams_of(folder.parent.name)]


@pytest.fixture(scope="module")
def department(pacs: peers.Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A department that has received every sample report in the order of the exams, and has come to rest."""
    service = Service(tmp_path_factory.mktemp("department"), destination_port=pacs.dicom_port, settle_seconds=5)
    service.start()
    try:
        peers.wait_until(service.prefect_answers, seconds=120, what="the Prefect server answers")
        for exam in sorted(EXAMS, key=lambda exam: (exam.date, exam.study)):
            service.send(exam.reports)
        peers.wait_until(lambda: all(study_addenda(pacs, exam) for exam in EXAMS), seconds=120, what="all is answered")
        yield service
    finally:
        service.kill()


@pytest.mark.parametrize("exam", EXAMS, ids=lambda exam: f"{exam.folder.name}-{exam.date}")
def test_each_exam_has_one_addendum_in_the_pacs_that_says_what_it_should(
    department: Service, pacs: peers.Orthanc, exam: Exam
) -> None:
    (addendum,) = study_addenda(pacs, exam)
    assert exam.differences(read_back(read_tree(elements_of(addendum)))) == []


def test_the_pacs_files_an_addendum_under_its_patient_and_study(department: Service, pacs: peers.Orthanc) -> None:
    exam = exams_of("02-spine-loss")[-1]
    (study,) = pacs.find("Study", StudyInstanceUID=exam.study)
    tags = pacs.rest(f"/studies/{study}")
    assert tags["PatientMainDicomTags"]["PatientID"] == "SAMPLE-02"
    (series,) = tags["Series"]
    assert pacs.rest(f"/series/{series}")["MainDicomTags"]["Modality"] == "SR"


def test_nothing_is_held_and_nothing_waits(department: Service) -> None:
    with department.app() as app:
        now = department.status(app)
    assert (now.held, now.to_be_read, now.exams_waiting, now.destinations[0].backlog) == (0, 0, 0, 0)
    assert now.destinations[0].delivered == len(EXAMS)


def test_prefect_serves_its_pages_from_where_the_service_may_write(department: Service) -> None:
    """Under systemd the program's own folder is read-only."""
    page = httpx.get(department.prefect_api.removesuffix("/api"), trust_env=False, follow_redirects=True, timeout=30)
    assert "<title>Prefect" in page.text
    assert list((department.prefect_home / "pages").rglob("index.html"))


def test_prefects_api_takes_nothing_from_whoever_does_not_know_the_password_that_serve_made(
    department: Service,
) -> None:
    read = httpx.get(f"{department.prefect_api}/admin/settings", trust_env=False, timeout=30)
    changed = httpx.post(f"{department.prefect_api}/flows/", json={"name": "stranger"}, trust_env=False, timeout=30)
    assert (read.status_code, changed.status_code) == (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    assert (department.prefect_home / "password").stat().st_mode & 0o777 == 0o600


def test_prefect_shows_the_runs_and_counts_what_they_did(department: Service) -> None:
    runs = department.ask_prefect("flow_runs/filter", {})
    names = {run["name"] for run in runs}
    assert {"exams that are due", "outbox of pacs"} <= names
    assert {run["state_type"] for run in runs if run["name"] in names} <= {"COMPLETED", "SCHEDULED", "RUNNING"}


def test_housekeeping_is_scheduled_nightly_and_runs_when_its_time_comes(department: Service) -> None:
    def deployments() -> Any:
        return department.ask_prefect("deployments/filter", {})

    peers.wait_until(lambda: len(deployments()) == 2, seconds=60, what="the schedules are registered")
    (nightly,) = (found for found in deployments() if "flows/housekeeping" in found["entrypoint"])
    assert nightly["schedules"][0]["schedule"]["cron"] == "30 3 * * *"
    run = department.ask_prefect(f"deployments/{nightly['id']}/create_flow_run", {})

    def state() -> str:
        return str(department.ask_prefect(f"flow_runs/{run['id']}")["state_type"])

    peers.wait_until(lambda: state() in ("COMPLETED", "FAILED", "CRASHED"), seconds=120, what="the run has ended")
    assert state() == "COMPLETED"


def test_a_person_sees_how_things_stand(department: Service) -> None:
    status = department.run("status")
    assert status.returncode == 0, status.stderr
    assert "302081M" in status.stdout
    assert json.loads(department.run("status", "--json").stdout)["held"] == 0


def test_show_prints_the_outline_the_exam_and_what_we_would_say(department: Service) -> None:
    shown = department.run("show", str(exams_of("02-spine-loss")[-1].reports[0]))
    assert shown.returncode == 0, shown.stderr
    assert "BMD Rate of Change Report" in shown.stdout
    assert "L1-L4                     0.871 g/cm2" in shown.stdout
    assert "L1-L4                     LOSS  -0.045 g/cm2 since 2021-12-08" in shown.stdout
    assert department.run("show", "1").returncode == 0
    assert department.run("show", "999999").returncode == 1


def test_check_asks_the_destination_whether_it_is_there(department: Service) -> None:
    checked = department.run("check")
    assert checked.returncode == 0, checked.stderr
    assert "destination pacs: answers" in checked.stdout


def test_an_addendum_that_comes_back_is_recognised_and_ignored(
    department: Service, pacs: peers.Orthanc, tmp_path: Any
) -> None:
    (found,) = pacs.find("Instance", StudyInstanceUID=exams_of("01-stable")[0].study)
    (tmp_path / "ours.dcm").write_bytes(pacs.file(found))
    department.send([tmp_path / "ours.dcm"])
    with department.app() as app:
        peers.wait_until(lambda: not department.status(app).to_be_read, what="it has been read")
        now = department.status(app)
    assert (now.held, now.exams_waiting) == (0, 0)
    assert "ignored" in department.log.read_text()


def test_what_nobody_can_read_is_held_listed_and_can_be_released(department: Service, samples: Any) -> None:
    department.send([samples / "dcmtk-3.6.7-mkreport-output" / "report01.dcm"])
    with department.app() as app:
        peers.wait_until(lambda: department.status(app).held == 1, what="it is held")
    (held,) = json.loads(department.run("held", "--json").stdout)
    assert held["reason"] == "unknown_dialect"
    assert department.run("release", held["number"]).returncode == 0
    with department.app() as app:
        peers.wait_until(lambda: department.status(app).held == 1, what="it is held again")


def test_serve_stops_everything_on_sigterm(service: Service) -> None:
    service.start()
    group = service.process_group()
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_an_exam_that_an_archive_takes_back_is_said_to_be_withdrawn(department: Service, pacs: peers.Orthanc) -> None:
    (exam,) = withdrawn_exams()
    department.send(exam.reports)
    peers.wait_until(lambda: study_addenda(pacs, exam), seconds=60, what="it is answered")
    assert exam.rejection_note is not None
    department.send([exam.rejection_note])
    peers.wait_until(lambda: len(study_addenda(pacs, exam)) == 2, seconds=60, what="its addendum is superseded")
    (addendum,) = current(study_addenda(pacs, exam))
    assert exam.differences(read_back(read_tree(elements_of(addendum)))) == []
