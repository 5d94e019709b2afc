"""The demonstration as somebody plays it who tries dxatrend: ``dxatrend demo``, then ``dxatrend desk --demo``."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import peers

_LOG_IN = re.compile(r"^  (look|read|act|configure) +(\S+)", re.MULTILINE)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of dxatrend in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "dxatrend", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def running_desk(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Run the desk on what was played in a folder; yield its address and the password of each account."""
    printed = folder / "desk.log"
    with printed.open("wb") as log:
        desk = subprocess.Popen([sys.executable, "-m", "dxatrend", "desk", "--demo"], cwd=folder, stdout=log)
    try:
        peers.wait_until(lambda: "Ctrl-C" in printed.read_text(), seconds=320, what="the desk answers")
        text = printed.read_text()
        yield text.splitlines()[0], dict(_LOG_IN.findall(text))
    finally:
        desk.send_signal(signal.SIGTERM)
        assert desk.wait(60) == 0
