"""An archive of files becomes history: read once, answered never, and every file that could not be used is named."""

import os
import resource
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.history import import_files as archives
from pipeline.edge.history.import_files import FileOutcome, Loaded, import_paths
from pipeline.edge.store import held_work, outbox, receipts
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode
from tests.folders import SAMPLES

NOBODY = 65_534


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app without a worker."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n[exam]\nsettle_seconds = 0'
    )
    with open_app(config) as app:
        yield app


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One patient's two exams in folders, and what else lies in such places."""
    folder = tmp_path / "archive"
    shutil.copytree(SAMPLES / "02-spine-loss", folder / "02")
    (folder / "notes.txt").write_text("what the technician wrote")
    (folder / "empty").write_bytes(b"")
    report = next((folder / "02").glob("*.dcm")).read_bytes()
    (folder / "cut.dcm").write_bytes(report[: len(report) // 2])
    return folder


def load(app: App, archive: Path, *, deliver: bool = False) -> Loaded:
    loaded = import_paths(app, archives.files(archive), deliver=deliver)
    while numbers := claim_due(app.database, 50):
        follow_up(app, numbers)
    return loaded


@contextmanager
def limited_memory(*, megabytes: int) -> Iterator[None]:
    """This process may grow by so much and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def addenda(app: App) -> int:
    with app.database.read() as connection:
        return sum(len(outbox.addenda(connection, number)) for number in range(1, 10))


def test_reports_become_history_and_the_rest_is_counted(app: App, archive: Path) -> None:
    reports = len(list((archive / "02").glob("*.dcm")))
    loaded = load(app, archive)
    others = sum(1 for path in archive.rglob("*") if path.is_file()) - reports - 1
    assert (loaded.outcomes[FileOutcome.NEW], loaded.outcomes[FileOutcome.NOT_DICOM]) == (reports + 1, others)
    assert list(loaded.errors) == [str(archive / "cut.dcm")]
    assert addenda(app) == 0
    with app.database.read() as connection:
        assert held_work.held(connection) == []


def test_a_load_begun_again_keeps_nothing_twice_and_names_the_same_errors(app: App, archive: Path) -> None:
    first = load(app, archive)
    again = load(app, archive)
    assert (again.outcomes[FileOutcome.NEW], again.outcomes[FileOutcome.KNOWN]) == (0, first.outcomes[FileOutcome.NEW])
    assert again.errors == first.errors


def test_what_is_to_be_delivered_is_answered(app: App, archive: Path) -> None:
    load(app, archive, deliver=True)
    assert addenda(app) > 0


def test_history_that_is_loaded_once_more_to_be_delivered_is_answered(app: App, archive: Path) -> None:
    load(app, archive)
    assert addenda(app) == 0
    load(app, archive, deliver=True)
    assert addenda(app) > 0


def test_an_archives_altered_copy_of_what_a_scanner_sent_is_ignored(app: App, archive: Path) -> None:
    path = next((archive / "02").glob("*.dcm"))
    sent = dcmread(path)
    sent.InstitutionalDepartmentName = "as it was before the archive altered it"
    uid = str(sent.SOPInstanceUID)
    with app.database.write() as connection:
        receipts.store(connection, instance(encode(sent), uid=uid), calling_ae_title="SCANNER1", at=NOW)
    while extract_waiting(app):
        pass
    loaded = load(app, archive)
    assert set(loaded.errors) == {str(path), str(archive / "cut.dcm")}
    with app.database.read() as connection:
        assert held_work.held(connection) == []


def test_what_is_no_plain_file_or_too_large_is_passed_over_with_its_reason(app: App, archive: Path) -> None:
    os.mkfifo(archive / "pipe")
    (archive / "device").symlink_to("/dev/zero")
    (archive / "gone").symlink_to("/nowhere")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(archive / "socket"))
    report = next((archive / "02").glob("*.dcm")).read_bytes()
    (archive / "large.dcm").write_bytes(report)
    os.truncate(archive / "large.dcm", 6_000_000_000)
    os.truncate(archive / "notes.txt", 6_000_000_000)
    with limited_memory(megabytes=1000):
        loaded = load(app, archive)
    assert {Path(path).name: reason for path, reason in loaded.errors.items()} == {
        "pipe": "is a named pipe",
        "device": "is a device",
        "gone": "No such file or directory",
        "socket": "is a socket",
        "large.dcm": "is larger than 64 MB (listener.largest_object_mb)",
        "cut.dcm": loaded.errors[str(archive / "cut.dcm")],
    }
    assert loaded.outcomes[FileOutcome.LEFT_OUT] == 4
    assert loaded.outcomes[FileOutcome.NOT_DICOM] == 3  # notes.txt, empty, expected.json


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may list less")
def test_a_folder_that_may_not_be_listed_is_named_and_not_passed_over_in_silence() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        closed = Path(folder, "closed")
        closed.mkdir(mode=0o700)
        unlisted: list[OSError] = []
        os.seteuid(NOBODY)
        try:
            assert list(archives.files(Path(folder), unlisted.append)) == []
        finally:
            os.seteuid(0)
    assert [(error.filename, error.strerror) for error in unlisted] == [(str(closed), "Permission denied")]


def test_a_batch_ends_with_the_file_that_makes_it_too_large_to_hold(
    app: App, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "BATCH_BYTES", -1)
    sizes: list[int] = []
    import_paths(app, archives.files(archive), advance=sizes.append)
    assert set(sizes) == {1}


def test_it_stops_after_the_batch_in_hand(app: App, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "BATCH", 1)
    loaded = import_paths(app, archives.files(archive), stopped=lambda: True)
    assert sum(loaded.outcomes.values()) == 1
