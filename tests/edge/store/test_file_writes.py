"""Writes to a file wake whoever waits for them, whether the file was there before or not."""

import contextlib
import threading
import time
from pathlib import Path

from pipeline.edge.store.file_writes import FileWrites


def test_a_write_to_the_file_wakes_the_waiter_and_one_to_another_does_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with contextlib.closing(FileWrites(path)) as writes:
        (tmp_path / "another").write_text("x")
        assert not writes.wait(0.2)
        threading.Timer(0.1, path.write_text, ["x"]).start()
        began = time.monotonic()
        while not writes.wait(30):
            assert time.monotonic() - began < 30
        path.unlink()
        path.write_text("it was made again")
        assert writes.wait(30)
        assert not writes.wait(0)
