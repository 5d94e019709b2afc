"""What an administrator types for a patient who asks what is on file, or wants it erased; and what is found after."""

from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import held_work
from tests.factories.damaged_contents import damages, receive_damaged
from tests.factories.marked_patient import ID, MARKS, fill, marks_in_file


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose store holds the marked patient."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{tmp_path}/store/store.sqlite3"
        [exam]
        late_days = 36500
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        """)
    with open_app(folder) as app:
        fill(app)
    return folder


def _run(config: Path, *command: str) -> int:
    return main([*command, "--config", str(config)])


def test_an_erased_patient_is_found_in_no_byte_of_the_store_nor_of_a_backup_made_later(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier, later = tmp_path / "earlier.sqlite3", tmp_path / "later.sqlite3"
    assert _run(config, "backup", str(earlier)) == 0
    assert marks_in_file(earlier, MARKS) == set(MARKS), "the search finds what is there"
    assert _run(config, "patient", "erase", ID, "--reason", "request 7", "--yes") == 0
    told = capsys.readouterr().out
    assert "Erased: 2 exams, 7 received objects" in told
    assert "pacs has got" in told
    assert _run(config, "backup", str(later)) == 0
    for path in [later, *(tmp_path / "store").iterdir()]:
        assert marks_in_file(path, MARKS) == set(), path
    assert _run(config, "audit", "--verify") == 0
    assert _run(config, "audit", "--json") == 0
    assert not [mark for mark in MARKS if mark in capsys.readouterr().out]


def test_an_erasure_needs_a_reason_and_a_confirmation(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(config, "patient", "erase", ID, "--yes") == 1
    assert "--reason is required" in capsys.readouterr().err
    assert _run(config, "patient", "erase", ID, "--reason", "request 7") == 1
    assert "--yes is needed" in capsys.readouterr().err
    assert _run(config, "patient", "erase", "NOBODY", "--reason", "request 7", "--yes") == 1
    assert "Nothing was erased: nothing is on file" in capsys.readouterr().err
    assert _run(config, "show", "2") == 0


def test_an_export_says_what_it_has_written(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "export"
    assert _run(config, "patient", "export", ID, "--to", str(to)) == 0
    assert f"{to}: 7 received objects" in capsys.readouterr().out
    assert (to / "index.txt").is_file()
    assert _run(config, "patient", "export", ID, "--to", str(to)) == 1
    assert "is there already" in capsys.readouterr().err


@damages
def test_commands_name_the_receipt_whose_bytes_are_damaged_or_gone(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes | None
) -> None:
    with open_app(config) as app:
        number = receive_damaged(app, damage, uid="2.25.99")
    assert _run(config, "show", str(number)) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        f"The bytes of receipt {number} are damaged or gone: have the object sent again, or restore a backup.\n",
    )
    unknown = f"Not everything could be looked into: the bytes of receipt {number} are damaged or gone"
    assert _run(config, "patient", "export", ID, "--to", str(tmp_path / "export")) == 0
    assert unknown in capsys.readouterr().err
    assert _run(config, "patient", "erase", ID, "--reason", "request 7", "--yes") == 0
    assert unknown in capsys.readouterr().out
    with open_app(config) as app:
        extract_waiting(app)
        with app.database.read() as connection:
            (held,) = held_work.held(connection, numbers=[str(number)])
    assert held.reason == "unexpected"
    assert held.detail == (
        f"the bytes of receipt {number} are damaged or gone: have the object sent again, or restore a backup"
    )
