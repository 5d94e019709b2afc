"""A shell completes the commands and options of dxatrend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.folders import ROOT

PROGRAMS = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dxatrend sta", {"status"}),
        ("dxatrend re", {"release", "reload", "reprocess", "restore"}),
        ("dxatrend status --j", {"--json"}),
        ("dxatrend context l", {"load"}),
        ("dxatrend merge A B --u", {"--undo"}),
    ],
)
def test_what_is_typed_so_far_is_completed(typed: str, offered: set[str], tmp_path: Path) -> None:
    """The variables are those that argcomplete's shell function sets."""
    answer = tmp_path / "answer"
    shell = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
        "COMP_TYPE": "9",
    }
    subprocess.run([PROGRAMS / "dxatrend"], cwd=ROOT, env={**os.environ, **shell}, check=True, timeout=60)
    assert {word.strip() for word in answer.read_text().split("\n")} == offered


def test_bash_completes_after_the_line_of_the_operations_page() -> None:
    bash = shutil.which("bash")
    assert bash, "bash is there"
    line = 'eval "$(register-python-argcomplete dxatrend)"'
    assert line in (ROOT / "docs" / "operations.md").read_text()
    script = f"{line}; complete -p dxatrend"
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    ran = subprocess.run(
        [bash, "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert "_python_argcomplete" in ran.stdout
