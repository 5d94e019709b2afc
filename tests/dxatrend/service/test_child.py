"""A child that ends is replaced by a copy of the supervisor: after a failure with a pause, after a rest at once."""

import subprocess
import sys
from pathlib import Path

from tests.folders import ROOT

FOUR_LIVES = """
import sys, time
from contextlib import closing
from pathlib import Path
from dxatrend.service.forked import ForkedProcess, preload
preload(["dxatrend.service.supervisor"])
from dxatrend.service import rest
from dxatrend.service.child import Child
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.child_signs import ChildSigns
from pipeline.edge.store.database import Database

folder = Path(sys.argv[1])

def main():
    lives = folder / "lives"
    number = len(lives.read_text().splitlines()) if lives.exists() else 0
    status = [rest.RESTED, rest.RESTED, 7, 0][number]
    with lives.open("a") as file:
        file.write(f"{'goes on' if rest.goes_on() else 'begins'}, ends with {status}\\n")
    return status

with closing(Database(f"sqlite:///{folder}/store.sqlite3")) as database, closing(ChildSigns("worker")) as signs:
    database.migrate()
    database.close()
    reports = ChildReports(database)
    child = Child("worker", ["work"], reports, signs, main)
    while child.process is None or child.process.poll() != 0:
        child.ensure_running()
        reports.write_soon()
        assert child.process is None or isinstance(child.process, ForkedProcess)
        time.sleep(0.01)
    reports.finish()
print((folder / "lives").read_text(), end="")
"""


def test_a_child_that_rests_is_replaced_and_goes_on_and_one_that_fails_begins_again(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FOUR_LIVES, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.stdout.splitlines() == [
        "begins, ends with 100",
        "goes on, ends with 100",
        "goes on, ends with 7",
        "begins, ends with 0",
    ], ran.stderr
    assert ran.stderr.count("ended unexpectedly") == 1
