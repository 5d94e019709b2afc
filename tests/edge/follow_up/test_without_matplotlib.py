"""Without the extra ``dxatrend[render]`` structured reports are authored as ever, and pages are refused in words."""

import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.edge.app import open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import receipts
from pipeline.edge.store.exam_counts import ExamCounts
from tests.factories.answered_exams import LONG_AGO
from tests.factories.instances import instance
from tests.factories.reports import encode, region, report, spine
from tests.folders import ROOT

DRAWING = ("matplotlib", "mpl_toolkits", "pylab", "contourpy", "cycler", "fontTools", "fonttools", "kiwisolver")


def follow_up_an_exam(config: str) -> None:
    """Receive a report and follow its exam up, in a process without matplotlib."""
    assert find_spec("matplotlib") is None
    with open_app(Path(config)) as app:
        with app.database.write() as connection:
            received = instance(encode(report(spine(region("L1-L4", "0.912")))))
            receipts.store(connection, received, calling_ae_title="SCANNER1", at=LONG_AGO)
        while extract_waiting(app):
            pass
        assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(issued=1)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of all installed packages but the ones that draw."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(DRAWING):
            (folder / entry.name).symlink_to(entry)
    return folder


def configure(folder: Path, content: str) -> Path:
    """A configuration with one destination that wants these forms of an addendum."""
    config = folder / "config"
    config.mkdir()
    (config / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"\n[exam]\nlate_days = 36500\n[[destination]]\n'
        f'name = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104\ncontent = {content}\n'
    )
    return config


def run(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these packages alone: ``-S`` leaves out the ones beside it."""
    environment = os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_an_exam_is_followed_up_with_a_structured_report(packages: Path, tmp_path: Path) -> None:
    script = f"import sys; from {__name__} import follow_up_an_exam; follow_up_an_exam(sys.argv[1])"
    ran = run(packages, "-c", script, str(configure(tmp_path, '["sr"]')))
    assert ran.returncode == 0, ran.stderr


def test_a_destination_that_wants_pages_is_refused_in_one_sentence(packages: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, '["sr", "image", "pdf"]')
    ran = run(packages, "-m", "dxatrend", "--config", str(config), "check")
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.splitlines()[1:] == [
        "  service.toml, line 10: destination.content: image and pdf cannot be drawn without matplotlib: install "
        "dxatrend[render]"
    ]
