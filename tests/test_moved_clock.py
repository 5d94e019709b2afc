"""The clock of a running process can be moved, and nothing else of its time."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.factories.moved_clock import MovedClock

TELL = """
import os, sqlite3, sys, threading, time
for line in sys.stdin:
    began = time.monotonic()
    time.sleep(0.01)
    threading.Event().wait(0.01)
    database = sqlite3.connect(":memory:").execute("SELECT unixepoch()").fetchone()[0]
    print(time.time(), database, time.monotonic() - began, os.stat(sys.argv[1]).st_mtime, flush=True)
"""


def test_a_running_process_and_its_database_see_the_clock_move_and_wait_no_longer_for_it(tmp_path: Path) -> None:
    clock = MovedClock(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with subprocess.Popen(
        [sys.executable, "-c", TELL, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(clock.environment),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for moment in (datetime.now(UTC), datetime(1999, 12, 31, tzinfo=UTC), datetime(2041, 2, 28, tzinfo=UTC)):
            clock.move_to(moment)
            process.stdin.write("\n")
            process.stdin.flush()
            told, of_database, waited, of_file = map(float, process.stdout.readline().split())
            assert timedelta() <= datetime.fromtimestamp(told, UTC) - moment <= clock.now() - moment
            assert abs(told - of_database) < 60
            assert 0.02 <= waited < 60
            assert of_file == file.stat().st_mtime
        process.stdin.close()
