"""A copy of the supervisor runs its command, logs where it should, and never goes on in the supervisor's place."""

import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from pipeline.edge.store import work_queue
from tests.folders import ROOT

LOGS_IN_A_COPY = """
import logging, sys
from pathlib import Path
from dxatrend.cli.journal import JournalHandler
from dxatrend.service.forked import fork

def log(text):
    handler = JournalHandler(lambda record: {}, path=Path(sys.argv[1]))
    logging.basicConfig(handlers=[handler], force=True)
    logging.error(text)

def main():
    log("copy")
    return 3

log("supervisor")
sys.exit(fork(main, ["dxatrend", "listen"], {}).wait())
"""

ENDS_AT_ONCE = """
import logging, sys
from pathlib import Path
from dxatrend.cli import journal
from dxatrend.service.forked import fork

journal.SEND_SECONDS = 60

def main():
    logging.basicConfig(handlers=[journal.JournalHandler(lambda record: {}, path=Path(sys.argv[1]))], force=True)
    logging.error("last words")
    return 3

copy = fork(main, ["dxatrend", "listen"], {})
print(copy.pid, flush=True)
sys.exit(copy.wait())
"""

FAILS_TO_WRITE = """
import os, sys
from dxatrend.service.forked import fork

def main():
    sys.stdout = open("/dev/full", "w")
    sys.stdout.write("what no disk has room for")
    return 3

copy = fork(main, ["dxatrend", "listen"], {})
print("the supervisor goes on", copy.wait(), flush=True)
"""


def _run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_a_copy_logs_to_the_journal_by_a_socket_of_its_own(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        journal.settimeout(1)
        ran = _run(LOGS_IN_A_COPY, str(tmp_path / "journal"))
        entries = [journal.recv(65536).partition(b"\n")[0] for _ in range(2)]
    assert (ran.returncode, ran.stderr) == (3, "")
    assert [entry.removeprefix(b"MESSAGE=").rpartition(b":")[2] for entry in entries] == [b"supervisor", b"copy"]


def test_a_copy_lives_until_the_journal_has_read_its_last_words(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        command = [sys.executable, "-c", ENDS_AT_ONCE, str(tmp_path / "journal")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
            assert supervisor.stdout is not None
            copy = int(supervisor.stdout.readline())
            owner = work_queue.owner(copy)
            assert select.select([journal], [], [], 60)[0] == [journal]
            time.sleep(0.5)  # time enough for it to end, if it did not wait
            assert not work_queue.is_gone(owner)
            journal.recv(65536)
            assert supervisor.wait(60) == 3


def test_a_copy_that_cannot_write_its_last_line_ends_all_the_same() -> None:
    assert _run(FAILS_TO_WRITE).stdout == "the supervisor goes on 3\n"
