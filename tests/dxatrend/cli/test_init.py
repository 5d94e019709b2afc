"""``dxatrend init`` writes a configuration that the service takes, and never in the place of another."""

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dxatrend.cli import main
from dxatrend.first_configuration import Answers, service_toml
from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import ServiceSettings
from tests.folders import ROOT

OPTIONS = (
    *("--ae-title", "DXA_TREND", "--port", "104", "--host", "192.0.2.5"),
    *("--scanner", "DXA1@192.0.2.10", "--scanner", "DXA2@[2001:db8::10]:105"),
    *("--pacs", "PACS@pacs.example.org:11112", "--proof", "commitment", "--images"),
    *("--time-zone", "Europe/Berlin"),
)


def read(folder: Path) -> ServiceSettings:
    return load_configuration(folder)[0].service


def answer(folder: Path, *lines: str) -> tuple[int, str]:
    """Let a person at a terminal give these answers; return the exit status and all that stood on the screen."""
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "dxatrend", "init", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal) as asking:
        os.close(terminal)
        os.write(screen, "".join(f"{line}\n" for line in lines).encode())
        shown = b""
        while True:
            try:
                shown += os.read(screen, 4096)
            except OSError:  # the other end is closed
                break
    os.close(screen)
    return asking.returncode, shown.decode()


def test_options_become_a_configuration_that_the_service_takes(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    assert main.main(["init", str(folder), *OPTIONS]) == 0
    service = read(folder)
    assert (service.listener.ae_title, service.listener.port, service.listener.host) == ("DXA_TREND", 104, "192.0.2.5")
    first, second = service.listener.caller
    assert (first.ae_title, first.host, first.port) == ("DXA1", "192.0.2.10", None)
    assert (second.ae_title, second.host, second.port) == ("DXA2", "2001:db8::10", 105)
    (pacs,) = service.destination
    assert isinstance(pacs, DicomDestination)
    assert (pacs.name, pacs.ae_title, pacs.host, pacs.port) == ("pacs", "PACS", "pacs.example.org", 11112)
    assert (pacs.proof, pacs.content) == ("commitment", ("sr", "image"))
    assert service.exam.time_zone == "Europe/Berlin"


def test_without_options_the_defaults_and_every_comment_are_written(tmp_path: Path) -> None:
    assert main.main(["init", str(tmp_path / "etc")]) == 0
    assert read(tmp_path / "etc").listener.host == "0.0.0.0"
    comments = {line.strip() for line in (ROOT / "config" / "service.toml").read_text().splitlines() if "#" in line[:1]}
    assert comments <= set((tmp_path / "etc" / "service.toml").read_text().splitlines())
    for shipped in (path for path in (ROOT / "config").rglob("*") if path.is_file() and path.name != "service.toml"):
        assert (tmp_path / "etc" / shipped.relative_to(ROOT / "config")).read_bytes() == shipped.read_bytes()


def test_no_file_is_replaced_and_none_is_added_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scanners.toml").write_text("# mine\n")
    assert main.main(["init", str(tmp_path)]) == 1
    assert "scanners.toml: there already, and nothing is overwritten" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scanners.toml"]
    assert (tmp_path / "scanners.toml").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--ae-title", "A_TITLE_THAT_IS_TOO_LONG", "1 to 16 printable ASCII characters"),
        ("--port", "DICOM", "a port is a number from 1 to 65535"),
        ("--scanner", "192.0.2.10", "a scanner is AE_TITLE@ADDRESS, such as DXA1@192.0.2.10"),
        ("--pacs", "PACS@192.0.2.20", "the port is missing"),
        ("--pacs", "PACS@192.0.2.20:0", "a port is a number from 1 to 65535"),
        ("--time-zone", "Berlin", "no IANA time zone has this name; one is Europe/Berlin"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named_and_nothing_is_written(
    option: str, value: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["init", str(tmp_path / "etc"), option, value]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Nothing was written: ")
    assert words in error
    assert not (tmp_path / "etc").exists()


def test_a_store_that_cannot_be_one_is_refused_as_the_service_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["init", str(tmp_path / "etc"), "--store", "mysql://db/dxatrend"]) == 2
    assert "store.url" in capsys.readouterr().err
    assert not (tmp_path / "etc").exists()


def test_a_person_at_a_terminal_is_asked_and_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    status, shown = answer(
        folder,
        *("", "0", "104", "", "DXA1", "DXA1@192.0.2.10", "", "PACS@192.0.2.20:104", ""),
        *("perhaps", "find", "no", "Europe/Berlin", ""),
    )
    assert status == 0, shown
    service = read(folder)
    assert (service.listener.ae_title, service.listener.port) == ("DXATREND", 104)
    assert [(one.ae_title, one.host) for one in service.listener.caller] == [("DXA1", "192.0.2.10")]
    (pacs,) = service.destination
    assert isinstance(pacs, DicomDestination)
    assert (pacs.port, pacs.proof, pacs.content) == (104, "find", ("sr", "image"))
    assert service.exam.time_zone == "Europe/Berlin"
    for words in ("0: a port is a number", "DXA1: a scanner is AE_TITLE@ADDRESS", "perhaps: please answer"):
        assert words in shown
    assert f"Next: dxatrend --config {folder} check" in shown
    assert "The desk at http://127.0.0.1:8470 shows the next steps" in shown
    assert f"dxatrend --config {folder} desk user add NAME --role configure" in shown


def test_a_person_who_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    status, shown = answer(tmp_path / "etc", "", "\x04")
    assert status == 1
    assert "Nothing was written." in shown
    assert not (tmp_path / "etc").exists()


def test_letters_that_toml_would_take_for_its_own_stay_what_they_are() -> None:
    title = "A\"B#[]='"
    assert tomllib.loads(service_toml(Answers(ae_title=title)))["listener"]["ae_title"] == title
