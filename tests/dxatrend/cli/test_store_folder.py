"""Which store a command uses depends on the configuration alone, and a query creates none."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dxatrend.cli import arguments, main
from pipeline.edge.app import open_app
from pipeline.edge.configuration import folders, loading
from pipeline.edge.configuration.loading import load_configuration
from tests import peers
from tests.factories.certificates import Authority
from tests.folders import ROOT

SAMPLE = next((ROOT / "sample_dicom" / "01-stable").glob("*.dcm"))

ASKING = [
    ["status"],
    ["status", "--json"],
    ["held"],
    ["show", str(SAMPLE)],
    ["show", "1"],
    ["backup", "copy.sqlite3"],
    ["upgrade"],
    ["check"],
    ["audit"],
    ["audit", "--verify"],
    ["release", "1"],
    ["release", "pacs"],
    ["set-aside", "1", "--reason", "a lateral spine"],
    ["reprocess"],
    ["reprocess", "--dry-run"],
    ["fetch", "P1"],
    ["merge", "P1", "P2"],
    ["context", "show", "P1"],
    ["patient", "export", "P1"],
    ["patient", "erase", "P1", "--reason", "request 7", "--yes"],
    ["qc"],
    ["qc", "remedy", "1", "--what", "tube replaced"],
    ["confirm", "1"],
    ["withdraw", "E1", "--reason", "wrong"],
    ["split", "E1"],
    ["reload"],
    ["precision", "list"],
    ["precision", "accept", "R1"],
    ["precision", "propose", "study.csv", "--source", "study"],
    ["precision", "import"],
    ["cross-calibration", "study", "pairs.csv", "--old", "A", "--new", "B"],
    ["alarms"],
]
MAKE_ONE = {"demo", "serve", "desk", "listen", "work", "monitor", "schedules", "load", "restore"}
NEED_NONE = {"prefect", "deploy", "init"}
NEVER_FORCED = {
    "alarms",
    "precision",
    "qc",
    "cross-calibration",
    "status",
    "held",
    "show",
    "backup",
    "check",
    "audit",
    "context",
    "patient",
    "reload",
    "upgrade",
}
"""What only reads, and what may never be done beside a store that is in use."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration folder as it is shipped, without a store."""
    folder = tmp_path / "department" / "config"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the shell is in."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """One command as a shell in a folder runs it."""
    return subprocess.run(
        [sys.executable, "-m", "dxatrend", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_a_query_about_a_missing_store_creates_none_and_is_answered_in_one_sentence(
    command: list[str], config: Path, current_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_below(tmp_path)
    assert main.main([*command, "--config", str(config)]) == 1
    captured = capsys.readouterr()
    sentences = [line for line in (captured.out + captured.err).splitlines() if "there is no store at" in line.lower()]
    assert len(sentences) == 1
    assert f"{config.parent}/var/dxatrend.sqlite3" in sentences[0]
    assert "Traceback" not in captured.err
    assert files_below(tmp_path) == before
    assert not list(current_folder.iterdir())


def test_every_command_either_makes_a_store_or_says_that_there_is_none_and_what_writes_can_be_forced() -> None:
    (commands,) = (a for a in arguments.build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    asking = {command for command, *_ in ASKING}
    assert set(commands.choices) == MAKE_ONE | NEED_NONE | asking
    forced = {name for name, parser in commands.choices.items() if "--force" in parser.format_help()}
    assert forced == (asking - NEVER_FORCED) | {"load"}


def test_a_database_without_a_store_is_reported_as_a_missing_store(
    config: Path, postgresql_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / "service.toml").write_text(f'[store]\nurl = "{postgresql_url}"')
    for command in (["status"], ["held"], ["backup", str(config / "copy")], ["check"]):
        assert main.main([*command, "--config", str(config)]) == 1
        captured = capsys.readouterr()
        assert "here is no store at postgresql" in captured.out + captured.err
    with open_app(config):
        assert main.main(["status", "--config", str(config)]) == 0


def test_one_configuration_means_one_store_wherever_the_shell_is(config: Path, current_folder: Path) -> None:
    with open_app(config) as app:
        assert app.database.path == config.parent / "var" / "dxatrend.sqlite3"
    for folder in (current_folder, config, config.parent):
        assert run("status", "--config", os.path.relpath(config, folder), folder=folder).returncode == 0
        assert run("status", folder=folder, DXATREND_CONFIG=str(config)).returncode == 0
    assert run("status", folder=config.parent).returncode == 0, "the configuration of the folder itself"
    assert run("status", folder=current_folder).returncode == 2, "there is none here"
    assert not list(current_folder.iterdir())


def test_the_data_folder_is_declared_in_the_configuration(config: Path, tmp_path: Path) -> None:
    (config / "service.toml").write_text('[store]\nfolder = "../../data"\nurl = "sqlite:///store.sqlite3"')
    found = load_configuration(config)[0].service
    assert found.store.url == f"sqlite:///{tmp_path}/data/store.sqlite3".replace(
        str(tmp_path), f"{config.resolve()}/../.."
    )
    with open_app(config):
        assert (tmp_path / "data" / "store.sqlite3").is_file()
    assert Path(found.prefect.home).resolve() == tmp_path / "data" / "private" / "prefect"


def test_a_store_of_etc_lies_in_var_lib(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SYSTEM_FOLDER", config.resolve())
    found = load_configuration(config)[0].service
    assert found.store.url == "sqlite:////var/lib/dxatrend/var/dxatrend.sqlite3"
    assert str(found.prefect.home) == "/var/lib/dxatrend/private/prefect"


def test_where_nobody_names_a_configuration_that_of_the_machine_counts_before_the_one_of_the_folder(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(config.parent)
    machine = config.parent / "etc"
    monkeypatch.setattr(folders, "SYSTEM_FOLDER", machine)
    assert main.main(["check"]) == 1
    assert capsys.readouterr().out.startswith("config: ")
    machine.mkdir()
    assert main.main(["check"]) == 1
    assert capsys.readouterr().out.startswith(f"{machine}: ")
    monkeypatch.setenv("DXATREND_CONFIG", str(config))
    assert main.main(["check"]) == 1
    assert capsys.readouterr().out.startswith(f"{config}: ")


def test_certificates_and_fonts_are_beside_the_configuration(config: Path, current_folder: Path) -> None:
    (config / "service.toml").write_text("""
        [listener.tls]
        certificate = "tls/ours.pem"
        key = "/absolute/key.pem"
        ca = "ca.pem"
        [addendum]
        font = "font.ttf"
        """)
    (config / "font.ttf").write_bytes(b"\0\1\0\0")
    service = load_configuration(config)[0].service
    assert service.listener.tls is not None
    assert service.listener.tls.certificate == config / "tls" / "ours.pem"
    assert str(service.listener.tls.key) == "/absolute/key.pem"
    assert service.addendum.font == config / "font.ttf"


@pytest.mark.parametrize("command", ["serve", "listen", "work", "load", "restore"])
def test_a_data_folder_that_cannot_be_written_is_one_sentence(command: str, config: Path, current_folder: Path) -> None:
    (current_folder / "file").write_bytes(b"")
    (config / "service.toml").write_text(f'[store]\nfolder = "{current_folder}/file"')
    arguments = {"load": [str(current_folder)], "restore": [str(current_folder / "file")]}.get(command, [])
    ran = run("--config", str(config), command, *arguments, folder=current_folder)
    captured = ran.stderr.decode()
    assert ran.returncode == 1
    assert f"{current_folder}/file/var: Not a directory" in captured
    assert len(captured.splitlines()) == 1


@pytest.mark.parametrize("path", ["/dev/null", "/tmp"])
@pytest.mark.parametrize("command", ["check", "status", "listen"])
def test_a_store_whose_path_is_a_folders_or_a_devices_is_no_store_to_be_made(
    path: str, command: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / "service.toml").write_text(f'[store]\nurl = "sqlite:///{path}"')
    assert main.main([command, "--config", str(config)]) == 1
    captured = capsys.readouterr()
    assert f"{path} is no file" in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_a_backup_into_a_folder_that_cannot_be_written_is_one_sentence(config: Path, current_folder: Path) -> None:
    with open_app(config):
        pass
    ran = run("--config", str(config), "backup", "/proc/backup.sqlite3", folder=current_folder)
    assert ran.returncode == 1
    assert len(ran.stderr.decode().splitlines()) == 1


def test_files_whose_names_are_no_text_are_printed_and_forge_no_line(config: Path, current_folder: Path) -> None:
    for size, name in enumerate((b"caf\xe9.dcm", b"two\nlines.dcm", b"\x1b[2J.dcm"), start=2000):
        (current_folder / os.fsdecode(name)).write_bytes(SAMPLE.read_bytes()[:size])
    for surroundings in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}):
        ran = run("--config", str(config), "load", str(current_folder), folder=current_folder, **surroundings)
        assert b"Traceback" not in ran.stderr
        assert rb"caf\xe9.dcm: " in ran.stdout
        assert rb"two\nlines.dcm: " in ran.stdout
        assert rb"\x1b[2J.dcm: " in ran.stdout
        shown = run("--config", str(config), "show", os.fsdecode(b"caf\xe9.dcm"), folder=current_folder, **surroundings)
        assert b"Traceback" not in shown.stderr
        missing = run(
            "--config", str(config), "show", os.fsdecode(b"\xff\n.dcm"), folder=current_folder, **surroundings
        )
        assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 2)


def test_a_configuration_folder_whose_name_is_no_text_is_used(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"d\xe9partement") / "config"
    folder.mkdir(parents=True)
    checked = run("--config", str(folder), "check", folder=tmp_path, LC_ALL="C.UTF-8")
    assert b"Traceback" not in checked.stderr
    assert rb"d\xe9partement/config: 3 dialects" in checked.stdout
    with open_app(folder) as app:
        assert app.database.path == folder.parent / "var" / "dxatrend.sqlite3"


def test_check_says_of_each_caller_without_a_host_that_its_title_is_the_only_secret(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / "service.toml").write_text(f"""
        [prefect]
        port = {peers.free_port()}
        [[listener.caller]]
        ae_title = "OPEN1"
        [[listener.caller]]
        ae_title = "KNOWN"
        host = "192.0.2.10"
        [[listener.caller]]
        ae_title = "OPEN2"
        [[listener.caller]]
        ae_title = "BOUND"
        certificate = "scanner1.example.org"
        [listener.tls]
        {Authority(config.parent / "authority").sign("dxatrend").toml}
        """)
    with open_app(config):
        pass
    assert main.main(["check", "--config", str(config)]) == 0
    captured = [line for line in capsys.readouterr().out.splitlines() if "is the only secret" in line]
    assert [line.split(":")[0] for line in captured] == ["listener.caller OPEN1", "listener.caller OPEN2"]


def test_every_example_of_a_caller_names_its_host() -> None:
    for page in (ROOT / "config" / "service.toml", ROOT / "docs" / "operations.md", ROOT / "README.md"):
        text = page.read_text()
        for beginning in ("[[listener.caller]]\n", "CALLER='"):
            for example in text.split(beginning)[1:]:
                assert "host" in "\n".join(example.splitlines()[:3]), page.name
