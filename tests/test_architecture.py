"""The rings and floors hold, the inner rings are pure, and every check of it can fail."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline import errors
from tests.folders import ROOT

PACKAGES = ("pipeline", "flows", "dxatrend")

DISTRIBUTIONS = packages_distributions()
"""The distributions that hold each top-level package."""

PURE = frozenset(
    [
        *("dataclasses", "datetime", "decimal", "enum", "math", "typing", "collections", "re", "itertools"),
        *("functools", "unicodedata", "pipeline.errors"),
    ]
)
IN_MEMORY = frozenset(["copy", "hashlib", "hmac", "html", "io", "json", "struct", "tomllib", "uuid", "zlib"])
MAY_IMPORT = {
    "clinical": PURE | {"pipeline.clinical"},
    "sr": PURE
    | IN_MEMORY
    | {"defusedxml", "pydicom", "highdicom", "pipeline.clinical", "pipeline.sr", "pipeline"}
    | {"uharfbuzz", "pypdfium2", "PIL", "importlib", "threading", "unicodedata"},
    "messages": PURE | IN_MEMORY | {"base64", "pydicom", "pipeline.clinical", "pipeline.sr", "pipeline.messages"},
}
"""What the inner rings may import. Whatever is not here could make them depend on a machine, a moment or a network."""

IMPURE_CALLS = frozenset(
    ["now", "today", "utcnow", "open", "read_text", "write_text", "save_as", "generate_uid", "uuid1", "uuid4"]
)
"""Calls by which something else than the arguments gets into, or out of, an inner ring."""

CONTRACTS = [
    ("packages", "pipeline/edge/configuration/settings.py", "import flows"),
    ("packages", "flows/runtime.py", "import dxatrend"),
    ("rings", "pipeline/clinical/model/exam.py", "import pipeline.sr.codes"),
    ("rings", "pipeline/sr/codes.py", "import pipeline.messages.exam_result"),
    ("rings", "pipeline/newcomer.py", ""),
    ("edge", "pipeline/edge/store/database.py", "import pipeline.edge.app"),
    ("edge", "pipeline/edge/receive/listener.py", "import pipeline.edge.extract.extraction"),
    ("edge", "pipeline/edge/history/import_files.py", "import pipeline.edge.follow_up.due_exams"),
    ("edge", "pipeline/edge/newcomer.py", ""),
    ("sr", "pipeline/sr/dicom/writer.py", "import pipeline.sr.codes"),
    ("sr", "pipeline/sr/extract/report.py", "import pipeline.sr.author.content"),
    ("prefect", "pipeline/edge/configuration/settings.py", "import prefect"),
    ("cycles", "pipeline/clinical/regions.py", "import pipeline.clinical.model"),
]
"""Lines that break each import contract, each in a file: an import upwards, one sideways, a module without a floor."""


@pytest.mark.parametrize("ring", MAY_IMPORT)
def test_an_inner_ring_imports_only_what_is_pure(ring):
    strangers = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in modules_of(ROOT / "pipeline" / ring)
        for module, line in imports_of(path.read_text())
        if not is_within(module, MAY_IMPORT[ring])
    ]
    assert strangers == []


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import pydicom",
        "from pathlib import Path",
        "from pipeline.sr import codes",
        "from pipeline import sr",
        "from .. import sr",
        "def compare():\n    import time",
        "if typing.TYPE_CHECKING:\n    import sqlalchemy",
        "__import__('random')",
    ],
)
def test_an_impure_import_is_noticed_wherever_it_hides(line):
    assert any(not is_within(module, MAY_IMPORT["clinical"]) for module, _ in imports_of(line))


@pytest.mark.parametrize("ring", MAY_IMPORT)
def test_an_inner_ring_reads_no_clock_opens_no_file_and_rolls_no_dice(ring):
    touches = [
        f"{path.relative_to(ROOT)}:{line}: {call}"
        for path in modules_of(ROOT / "pipeline" / ring)
        for call, line in calls_of(path.read_text())
        if call in IMPURE_CALLS
    ]
    assert touches == []


def test_what_is_imported_is_asked_for():
    """A package that only comes along with another leaves with it one day."""
    imported = {name for package in PACKAGES for path in modules_of(ROOT / package) for name in distributions_of(path)}
    assert imported - asked_for() == set()


def test_what_draws_pages_is_imported_by_rendering_alone():
    """A service that sends no pages does not load it."""
    users = {
        path.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in modules_of(ROOT / package)
        if {"uharfbuzz", "pypdfium2", "pillow"} & set(distributions_of(path))
    }
    assert users == {"pipeline/sr/render"}


def test_the_import_contracts_hold(tmp_path):
    copy_of_the_packages(tmp_path)
    kept = lint_imports(tmp_path)
    assert kept.returncode == 0, kept.stdout


def test_every_contract_is_broken_by_a_bad_line_here():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in contracts} == {contract for contract, _, _ in CONTRACTS}


@pytest.mark.parametrize(("contract", "file", "bad_line"), CONTRACTS)
def test_a_contract_notices_when_it_is_broken(contract, file, bad_line, tmp_path):
    """A check that cannot fail is decoration."""
    copy_of_the_packages(tmp_path)
    path = tmp_path / file
    source = path.read_text() if path.exists() else ""
    path.write_text(f"{source}\n\ndef late() -> None:\n    {bad_line or 'return'}\n")

    broken = lint_imports(tmp_path, "--contract", contract)

    assert broken.returncode == 1, broken.stdout
    assert "1 broken" in broken.stdout


def test_every_exception_derives_from_one_root_and_stands_in_its_tree():
    """Whoever catches it has all that is raised on purpose, but for what Starlette turns into an answer by itself."""
    bases = dict(pair for package in PACKAGES for path in modules_of(ROOT / package) for pair in errors_of(path))
    public = {name for name in bases if not name.startswith("_") and "HTTPException" not in bases[name]}
    known = {"DxatrendError"}
    while more := {name for name in public - known if known & bases[name]}:
        known |= more
    assert public - known == set()
    assert set(re.findall(r"\w+Error", errors.__doc__ or "")) == known


def errors_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Every exception class of a module, with the names of its bases."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            yield node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def asked_for() -> set[str]:
    """The distributions that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}


def distributions_of(path: Path) -> Iterator[str]:
    """The distributions that a module imports from."""
    for name in {module.split(".")[0] for module, _ in imports_of(path.read_text())}:
        if name not in sys.stdlib_module_names and name not in PACKAGES:
            yield canonicalize_name(DISTRIBUTIONS[name][0])


def copy_of_the_packages(folder: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter as `make lint` does, in a folder."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    return subprocess.run(
        [*command, "--no-logo", "--no-cache", *options], cwd=folder, capture_output=True, text=True, check=False
    )


def modules_of(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"nothing to check in {folder}"
    return found


def imports_of(source: str) -> Iterator[tuple[str, int]]:
    """Every module a source imports, with its line: at the top or inside a function, for types only or for real."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                # `from pipeline import sr` imports pipeline.sr; `from enum import Enum` imports enum.
                yield from ((f"{module}.{alias.name}", node.lineno) for alias in names)
            case ast.ImportFrom():
                yield "a relative import", node.lineno
            case ast.Name(id="__import__"):
                yield "__import__", node.lineno


def calls_of(source: str) -> Iterator[tuple[str, int]]:
    """The last name of every call, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name, node.lineno


def is_within(module: str, allowed: frozenset[str]) -> bool:
    """Whether a module is allowed, or lies in an allowed one; ``pipeline`` itself only tells its version."""
    return module in allowed or any(module.startswith(f"{name}.") for name in allowed - {"pipeline"})
