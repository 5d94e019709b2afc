"""Writes to a file wake whoever waits for them, whether the file was there before or not."""

import contextlib
import socket
import threading
import time
from pathlib import Path

from pipeline.edge.store.file_writes import FileWrites


def test_a_write_to_the_file_wakes_the_waiter_and_one_to_another_does_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    set_stop, stop = socket.socketpair()
    with set_stop, stop, contextlib.closing(FileWrites(path, stop)) as writes:
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
        set_stop.send(b".")
        began = time.monotonic()
        assert not writes.wait(30)
        assert time.monotonic() - began < 30, "a stop ends the wait"
