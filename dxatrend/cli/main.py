"""Run one command of the command line; errors become a message and an exit status."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from dxatrend.cli import logging_setup
from dxatrend.cli.arguments import parse
from dxatrend.cli.output import FAILURE, escape_unprintable
from pipeline.edge.configuration.environment_file import set_from_file
from pipeline.errors import DxatrendError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 only on success, 2 where the configuration cannot be used."""
    escape_unprintable()  # first: a refused argument is printed as well
    return prepare(arguments)()


def prepare(arguments: Sequence[str] | None = None) -> Callable[[], int]:
    """Read the arguments of one command, and return what runs it."""
    return partial(_run, parse(arguments))


def _run(options: argparse.Namespace) -> int:
    if problem := set_from_file(options.config):
        print(problem, file=sys.stderr)
    logging_setup.set_up(options.log_format)
    try:
        return _command(options.run)(options)
    except DxatrendError as error:
        from dxatrend.cli.failures import report  # noqa: PLC0415 - it imports whatever can fail

        return report(error)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it as it ends
        return FAILURE
    except OSError as error:  # a file or folder that cannot be read or written
        from pipeline.edge.text_files import printable  # noqa: PLC0415 - as above

        print(f"{printable(error.filename or 'a file')}: {error.strerror or 'cannot be used'}", file=sys.stderr)
        return FAILURE


def _command(named: str) -> Callable[[argparse.Namespace], int]:
    """Import the function that ``Command.run`` names."""
    module, _, function = named.partition(":")
    command: Callable[[argparse.Namespace], int] = getattr(import_module(f"dxatrend.cli.{module}"), function)
    return command
