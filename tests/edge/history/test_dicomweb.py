"""An archive without C-MOVE is asked for history over DICOMweb, and what it has becomes history once."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dxatrend.cli.main import main
from pipeline.edge.app import App, open_app
from pipeline.edge.history.query_retrieve import run_due_query
from tests import peers
from tests.edge.history.test_query_retrieve import archive_has, arrives, on_file
from tests.expected import exams_of
from tests.factories.http_servers import Asked, HttpServer, serving

CONFIGURATION = """
[store]
url = "sqlite:///{folder}/store.sqlite3"
[exam]
late_days = 36500
[[destination]]
name = "archive"
kind = "stow"
url = "http://127.0.0.1:{port}/dicom-web"
history = true
"""


@pytest.fixture
def orthanc_dicomweb(tmp_path: Path) -> Iterator[peers.Orthanc]:
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with peers.orthanc(folder, dicomweb=True) as archive:
        yield archive


def app_for(folder: Path, port: int) -> Iterator[App]:
    (folder / "service.toml").write_text(CONFIGURATION.format(folder=folder, port=port))
    with open_app(folder) as app:
        yield app


def test_what_an_archive_has_of_a_patient_becomes_history_once(
    tmp_path: Path, orthanc_dicomweb: peers.Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    archive_has(orthanc_dicomweb, "01-stable", "02-spine-loss")
    exams = exams_of("01-stable")
    for app in app_for(tmp_path, orthanc_dicomweb.http_port):
        arrives(app, exams[-1].reports[0])
        before = on_file(app)
        (archive,) = app.settings.service.archives
        assert run_due_query(app, archive)
        earlier = sum(len(exam.reports) for exam in exams) - 1
        assert on_file(app) == before + earlier
        assert not run_due_query(app, archive)
        (asked,) = _queries(app, capsys)
        assert (asked["actor"], asked["detail"]["studies"]) == ("archive", len(exams))
        assert main(["fetch", _patient_id(exams[0].reports[0]), "--config", str(app.folder)]) == 0
        assert f"archive: {len(exams)} studies, 0 new instances" in capsys.readouterr().out


def _patient_id(report: Path) -> str:
    return str(dcmread(report, stop_before_pixels=True).PatientID)


def _queries(app: App, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the audit trail has of questions to archives."""
    capsys.readouterr()
    main(["audit", "--json", "--config", str(app.folder)])
    return [entry for entry in json.loads(capsys.readouterr().out) if entry["event"] == "queried"]


def _match(**tags: str) -> dict[str, object]:
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in tags.items()}


BROKEN: dict[str, Callable[[Asked], tuple[int, str, bytes] | None]] = {
    "no answer": lambda asked: None,
    "a page": lambda asked: (200, "text/html", b"<html></html>"),
    "an error": lambda asked: (500, "text/plain", b""),
    "no list": lambda asked: (200, "application/dicom+json", b"{}"),
    "a login": lambda asked: (401, "text/plain", b""),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_an_archive_in_trouble_is_asked_again_later(
    tmp_path: Path, answer: Callable[[Asked], tuple[int, str, bytes] | None], caplog: pytest.LogCaptureFixture
) -> None:
    server = HttpServer(answer)
    for app in app_for(tmp_path, server.port):
        arrives(app, exams_of("01-stable")[-1].reports[0])
        before = on_file(app)
        (archive,) = app.settings.service.archives
        with serving(server):
            assert run_due_query(app, archive)
            assert not run_due_query(app, archive), "it waits"
        assert on_file(app) == before
    assert "no history yet" in caplog.text


def test_a_uid_that_is_none_never_becomes_part_of_a_url(tmp_path: Path) -> None:
    exam = exams_of("01-stable")[-1]
    patient = _patient_id(exam.reports[0])
    match = _match(**{"0020000D": "../../instances", "00100020": patient})
    server = HttpServer(lambda asked: (200, "application/dicom+json", json.dumps([match]).encode()))
    for app in app_for(tmp_path, server.port):
        arrives(app, exam.reports[0])
        (archive,) = app.settings.service.archives
        with serving(server):
            assert run_due_query(app, archive)
    assert {asked.path.split("?")[0] for asked in server.asked} == {"/dicom-web/studies"}


def test_an_archive_that_knows_no_pages_is_not_asked_for_ever(tmp_path: Path) -> None:
    others = [_match(**{"0020000D": f"2.25.{number}", "00100020": "ANOTHER"}) for number in range(200)]
    server = HttpServer(lambda asked: (200, "application/dicom+json", json.dumps(others).encode()))
    for app in app_for(tmp_path, server.port):
        arrives(app, exams_of("01-stable")[-1].reports[0])
        (archive,) = app.settings.service.archives
        with serving(server):
            assert run_due_query(app, archive)
    assert len(server.asked) == 2
