"""A process that gets SIGTERM stops, whatever it is doing at that moment."""

import signal
import subprocess
import sys
import threading

from flows.shutdown import Stop

WAITS = """
import os, signal
from flows.shutdown import Stop
stop = Stop()
stop.on_signals()
print("ready", flush=True)
while not stop.wait(0.0001):
    pass
"""


def test_signals_that_rain_on_a_waiting_process_do_not_lock_it() -> None:
    """The first version waited for a threading.Event, and stood still for ever about once in fifty times."""
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            for _ in range(20):
                process.send_signal(signal.SIGTERM)
            # the last ones may meet an interpreter that is already closing
            assert process.wait(timeout=20) in (0, -signal.SIGTERM)


def test_every_waiting_thread_is_woken() -> None:
    stop = Stop()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert not stop.wait(0.05)
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert stop.is_set()
