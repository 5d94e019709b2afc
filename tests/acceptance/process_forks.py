"""Fork one life of the service after the other: a listener and a worker, in a process group of their own.

A program for the tests: ``python process_forks.py CONFIG`` imports what the service needs once and forks each life from
there, so that a life costs no more than opening the database. It reads a line of JSON for each life: the place at which
that life kills itself, as a power cut would, or ``null``. It writes the number of the life's process group, and another
line when every process of it has ended.

A place is ``{"at": "module:Class.function", "when": "before" | "during" | "after", "call": 3}``.
"""

import functools
import importlib
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

# As `dxatrend listen` and `dxatrend work` do, and before any life needs it.
import dxatrend.cli.main
import dxatrend.service.worker

Place = dict[str, Any]


def crash_at(place: Place) -> None:
    """Wrap one function so that one of its calls in this process kills the process group."""
    module, _, function = place["at"].partition(":")
    *outer, name = function.split(".")
    holder = functools.reduce(getattr, outer, importlib.import_module(module))
    setattr(holder, name, _crashing(getattr(holder, name), place["when"], place["call"]))


def _crashing(function: Callable[..., Any], when: str, call: int) -> Callable[..., Any]:
    calls, one_at_a_time = 0, threading.Lock()

    @functools.wraps(function)
    def crashing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        with one_at_a_time:
            calls += 1
            is_last = calls == call
        if is_last and when == "before":
            _end()
        if is_last and when == "during":
            threading.Thread(target=_end_soon).start()
        result = function(*arguments, **named)
        if is_last:
            _end()
        return result

    return crashing


def _end() -> None:
    os.killpg(0, signal.SIGKILL)
    time.sleep(60)


def _end_soon() -> None:
    time.sleep(random.uniform(0, 0.0004))  # what a commit takes
    _end()


def _live(command: str, group: int, place: Place | None) -> int:
    """Fork one half of the service into a process group; its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setpgid(0, group)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        if place is not None and place.get("in", command) == command:
            crash_at(place)
        status = dxatrend.cli.main.main(["--config", sys.argv[1], command])
    except BaseException:  # noqa: BLE001 - the parent's code must never go on in a child
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    for line in sys.stdin:
        place = json.loads(line)
        listener = _live("listen", 0, place)
        os.setpgid(listener, listener)
        worker = _live("work", listener, place)
        print(listener, flush=True)
        ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (listener, worker)]
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
