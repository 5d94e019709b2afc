"""The application context of a flow run: passed on by the worker, or opened and closed by the run itself.

Prefect records the parameters of a flow, so what a run works with is passed in a context variable instead.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.folders import CONFIG_VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What a flow run works with inside a worker."""

    app: App
    stopped: Callable[[], bool]
    """Whether the worker has been told to stop."""


_CURRENT: ContextVar[RunContext] = ContextVar("flow run context")


@contextmanager
def run_context(app: App, stopped: Callable[[], bool]) -> Iterator[None]:
    """Let the flows that this thread starts in the block work with ``app`` until ``stopped`` is true."""
    token = _CURRENT.set(RunContext(app=app, stopped=stopped))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> RunContext:
    """Return what the flow run of this thread works with.

    Raises:
        LookupError: no worker has started it.
    """
    return _CURRENT.get()


@contextmanager
def open_for_run() -> Iterator[App]:
    """Open the application context of a run that Prefect has started in a process of its own; close it at the end.

    Raises:
        KeyError: the environment variable ``DXATREND_CONFIG`` is not set.
    """
    with open_app(Path(os.environ[CONFIG_VARIABLE])) as app:
        yield app
