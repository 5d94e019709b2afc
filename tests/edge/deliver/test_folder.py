"""A folder gets each addendum as one whole DICOM file that names no patient, or is away and loses nothing."""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from dxatrend.cli.main import main
from pipeline.edge.app import App
from tests.factories import outboxes
from tests.factories.outboxes import visit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


@pytest.fixture
def app(tmp_path: Path, folder: Path) -> Iterator[App]:
    """An app with a folder as destination, and the addendum of one exam in its outbox."""
    config = tmp_path / "config"
    config.mkdir()
    destination = f'[[destination]]\nname = "results"\nkind = "folder"\nfolder = "{folder}"\n'
    with outboxes.outbox_of(config, destination) as app:
        outboxes.receive(app, visit(2024))
        yield app


def test_a_folder_gets_the_addendum_as_it_was_kept_under_a_name_without_a_patient(app: App, folder: Path) -> None:
    assert outboxes.deliver(app) == (1, 0)
    (addendum,) = outboxes.addenda(app)
    (file,) = folder.iterdir()
    assert file.name == f"{addendum.sop_instance_uid}.dcm"
    assert file.read_bytes().endswith(addendum.data_set)
    assert dcmread(BytesIO(file.read_bytes())).PatientID == "P1"


def test_a_folder_that_is_away_is_an_outage_and_gets_everything_when_it_is_back(app: App, folder: Path) -> None:
    folder.rmdir()
    assert outboxes.deliver(app) == (0, 0)
    seen = outboxes.status(app, "results")
    assert (seen.backlog, seen.held) == (1, 0)
    folder.mkdir()
    outboxes.wait_is_over(app)
    assert outboxes.deliver(app) == (1, 0)
    assert len(list(folder.iterdir())) == 1


def test_what_is_written_to_a_folder_twice_is_there_once(app: App, folder: Path) -> None:
    assert outboxes.deliver(app) == (1, 0)
    outboxes.receive(app, visit(2022, "0.960", PatientID="P2"))
    assert outboxes.deliver(app) == (1, 0)
    assert len(list(folder.iterdir())) == 2


def test_check_asks_whether_a_folder_can_be_written_to(
    app: App, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "--config", str(app.folder)])
    assert "destination results: answers" in capsys.readouterr().out
    assert list(folder.iterdir()) == []
    folder.rmdir()
    main(["check", "--config", str(app.folder)])
    assert "destination results: the folder cannot be written to: No such file or directory" in capsys.readouterr().out


def test_a_link_in_the_place_of_an_unfinished_file_is_not_followed(app: App, folder: Path, tmp_path: Path) -> None:
    """Whoever empties the folder may put anything there, under a name that is known beforehand."""
    (addendum,) = outboxes.addenda(app)
    another = tmp_path / "another"
    another.write_text("of the service's own")
    (folder / f".{addendum.sop_instance_uid}.dcm.{os.getpid()}").symlink_to(another)
    assert outboxes.deliver(app) == (1, 0)
    assert another.read_text() == "of the service's own"
    assert [file.is_symlink() for file in folder.iterdir()] == [False]
