"""Make a process of the service kill its whole group at one place in the work, or have a wrong clock.

Python imports a module of this name at its start when it finds one; the tests put this folder on the path of the
service. ``CRASH_AT`` names the place: ``module:function:before`` or ``module:Class.method:after``.
``CLOCK`` names a file that holds by how many seconds the clock is off; it may change while the process runs.
"""

import datetime
import functools
import importlib.abc
import importlib.machinery
import os
import signal
import sys


class _Crash(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Wrap one function, as its module is imported, so that calling it kills the process group."""

    def __init__(self, place):
        self.module, self.function, self.when = place.split(":")
        self.loader: importlib.abc.Loader

    def find_spec(self, name, path, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name == self.module else None
        if spec is None or spec.loader is None:
            return None
        self.loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.loader.exec_module(module)
        *outer, name = self.function.split(".")
        holder = functools.reduce(getattr, outer, module)
        setattr(holder, name, self.around(getattr(holder, name)))

    def around(self, function):
        @functools.wraps(function)
        def crashing(*arguments, **named):
            if self.when == "after":
                function(*arguments, **named)
            os.killpg(0, signal.SIGKILL)

        return crashing


if "CRASH_AT" in os.environ:
    sys.meta_path.insert(0, _Crash(os.environ["CRASH_AT"]))


class _Off(datetime.datetime):
    """A moment by a clock that is off."""

    @classmethod
    def now(cls, tz=None):
        with open(os.environ["CLOCK"]) as setting:
            return super().now(tz) + datetime.timedelta(seconds=int(setting.read() or 0))


if "CLOCK" in os.environ:
    datetime.datetime = _Off  # type: ignore[misc]  # everybody who imports it from now on has it
