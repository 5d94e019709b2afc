"""A command imports only the large libraries that it uses."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dxatrend.cli.arguments import COMMANDS
from pipeline.edge.app import open_app
from pipeline.edge.store.database import Database
from tests.folders import ROOT

LARGE = ("alembic", "highdicom", "pypdfium2", "uharfbuzz", "prefect")
NEEDED_TO_RUN = ("httpx", "numpy", "pydantic", "pydicom", "pynetdicom", "rich", "sqlalchemy")

SERVES = """
import sys
from dxatrend.cli import service
from dxatrend.cli.arguments import parse
from dxatrend.service import supervisor
from dxatrend.service.child import Child

Child.start = lambda child: None
supervisor._keep_running = lambda *_: print(*sys.modules, sep="\\n")
service.serve(parse(["--config", sys.argv[1], "serve"]))
"""


def imported_by(*arguments: str) -> set[str]:
    """The top-level packages that a process imports, as Python itself reports them."""
    command = [sys.executable, "-X", "importtime", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_none_of_the_libraries_that_commands_need(command: str) -> None:
    imported = imported_by("-m", "dxatrend", *command.split(), "--help")
    assert "argparse" in imported
    assert imported.isdisjoint((*LARGE, *NEEDED_TO_RUN))


def test_the_libraries_that_help_does_not_import_are_those_that_commands_do() -> None:
    imported = imported_by("-c", "import dxatrend.cli.processes, dxatrend.cli.history, pipeline.edge.http_client")
    assert imported.issuperset(NEEDED_TO_RUN)


@pytest.mark.parametrize("command", [["status"], ["held"]], ids=" ".join)
def test_a_command_that_authors_nothing_imports_no_highdicom_no_prefect_and_nothing_that_draws(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(tmp_path):
        pass
    imported = imported_by("-m", "dxatrend", "--config", str(tmp_path), *command)
    assert "sqlalchemy" in imported
    assert imported.isdisjoint(LARGE)


def test_serve_imports_what_its_processes_share_and_neither_what_few_of_them_need_nor_what_migrates_a_new_store(
    tmp_path: Path,
) -> None:
    home = f'[prefect]\nhome = "{tmp_path}/prefect"'
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n{home}')
    ran = subprocess.run([sys.executable, "-c", SERVES, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    imported = set(ran.stdout.decode().split())
    assert {"pydantic", "sqlalchemy", "pydicom", "pynetdicom", "starlette"} <= imported
    assert imported.isdisjoint((*LARGE, "httpx", "psycopg", "pygments", "rich"))
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/store.sqlite3")) as database:
        assert database.is_migrated()


@pytest.mark.parametrize("command", ["status", "held"])
def test_status_and_held_read_no_dicom_and_import_no_library_for_it(command: str, tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(tmp_path):
        pass
    imported = imported_by("-m", "dxatrend", "--config", str(tmp_path), command)
    assert "pydantic" in imported
    assert imported.isdisjoint(("pydicom", "pynetdicom", "numpy", "psycopg"))


def test_the_import_of_a_large_library_would_be_noticed() -> None:
    author_one = "from tests.factories.addenda import of; of()"
    assert "highdicom" in imported_by("-c", author_one)


def test_the_desk_starts_without_highdicom_or_prefect_or_what_draws_pages() -> None:
    imported = imported_by("-c", "from dxatrend.desk import server, application; application.routes()")
    assert {"starlette", "uvicorn", "jinja2"} <= imported
    assert imported.isdisjoint((*LARGE, "fastapi"))
