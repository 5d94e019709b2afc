"""An archive of files becomes history: read once, answered never, and every file that could not be used is named."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from pipeline.edge import load as archives
from pipeline.edge.follow_up import claim_due, follow_up
from pipeline.edge.house import House, opened
from pipeline.edge.intake import extract_waiting
from pipeline.edge.load import Fate, Loaded
from pipeline.edge.store import outbox, overview, receipts
from tests.edge.make import NOW, instance
from tests.sr.make_report import encode

SAMPLES = Path(__file__).parents[2] / "sample_dicom"
DIALECTS = Path(__file__).parents[2] / "config" / "dialects"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house without a worker."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "dialects").symlink_to(DIALECTS)
    (config / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n[exam]\nsettle_seconds = 0'
    )
    with opened(config) as house:
        yield house


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


def load(house: House, archive: Path, *, deliver: bool = False) -> Loaded:
    loaded = archives.load(house, archives.files(archive), deliver=deliver)
    while numbers := claim_due(house, 50):
        follow_up(house, numbers)
    return loaded


def addenda(house: House) -> int:
    with house.database.read() as connection:
        return sum(len(outbox.addenda(connection, number)) for number in range(1, 10))


def test_reports_become_history_and_the_rest_is_counted(house: House, archive: Path) -> None:
    reports = len(list((archive / "02").glob("*.dcm")))
    loaded = load(house, archive)
    others = sum(1 for path in archive.rglob("*") if path.is_file()) - reports - 1
    assert (loaded.fates[Fate.NEW], loaded.fates[Fate.NOT_DICOM]) == (reports + 1, others)
    assert list(loaded.errors) == [str(archive / "cut.dcm")]
    assert addenda(house) == 0
    with house.database.read() as connection:
        assert overview.held(connection) == []


def test_a_load_begun_again_keeps_nothing_twice_and_names_the_same_errors(house: House, archive: Path) -> None:
    first = load(house, archive)
    again = load(house, archive)
    assert (again.fates[Fate.NEW], again.fates[Fate.KNOWN]) == (0, first.fates[Fate.NEW])
    assert again.errors == first.errors


def test_what_is_to_be_delivered_is_answered(house: House, archive: Path) -> None:
    load(house, archive, deliver=True)
    assert addenda(house) > 0


def test_history_that_is_loaded_once_more_to_be_delivered_is_answered(house: House, archive: Path) -> None:
    load(house, archive)
    assert addenda(house) == 0
    load(house, archive, deliver=True)
    assert addenda(house) > 0


def test_an_archives_altered_copy_of_what_a_scanner_sent_is_put_aside(house: House, archive: Path) -> None:
    path = next((archive / "02").glob("*.dcm"))
    sent = dcmread(path)
    sent.InstitutionalDepartmentName = "as it was before the archive altered it"
    uid = str(sent.SOPInstanceUID)
    with house.database.write() as connection:
        receipts.keep(connection, instance(encode(sent), uid=uid), calling_ae_title="SCANNER1", at=NOW)
    while extract_waiting(house):
        pass
    loaded = load(house, archive)
    assert set(loaded.errors) == {str(path), str(archive / "cut.dcm")}
    with house.database.read() as connection:
        assert overview.held(connection) == []


def test_it_stops_after_a_batch_when_told_to(house: House, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "BATCH", 1)
    loaded = archives.load(house, archives.files(archive), keep_on=lambda: False)
    assert sum(loaded.fates.values()) == 1
