"""Arguments that several commands take, and the types of their values.

Nothing is imported here but the standard library and constants, so that ``--help`` and shell completion are quick.
"""

import argparse
import os
from datetime import date
from pathlib import Path

from pipeline.edge.configuration.folders import CONFIG_VARIABLE, SYSTEM_FOLDER
from pipeline.edge.configuration.log_format import LOG_FORMAT_VARIABLE, LOG_FORMATS

Parser = argparse.ArgumentParser


def add_config(parser: Parser, *, default: object) -> None:
    """Let a command take the folder of the configuration."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        default=default,
        help=f"configuration folder (default: ${CONFIG_VARIABLE}, else {SYSTEM_FOLDER}, else config)",
    )


def add_log_format(parser: Parser, *, default: object) -> None:
    """Let a command take the form of its log."""
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default=default,
        help=f"form of the log (default: ${LOG_FORMAT_VARIABLE}, else journal under systemd, else text)",
    )


def add_force(parser: Parser) -> None:
    """Let a command that writes run all the same."""
    parser.add_argument("--force", action="store_true", help="run even if the service uses another configuration")


def add_json(parser: Parser) -> None:
    """Let a command print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_issuer(parser: Parser, option: str = "--issuer", of: str = "") -> None:
    """Let a command take who issued a patient ID."""
    parser.add_argument(option, type=as_text, default="", help=f"Issuer of Patient ID (0010,0021){of}")


def add_since(parser: Parser, what: str) -> None:
    """Let a command take the first day of what it is about."""
    parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help=f"only {what} from this day on")


def as_text(argument: str) -> str:
    """Return an argument as text, also from UTF-8 bytes where the locale is plain ASCII."""
    try:
        return argument if argument.isprintable() else os.fsencode(argument).decode()
    except UnicodeError:
        raise argparse.ArgumentTypeError("is not text in the character set of this terminal") from None
