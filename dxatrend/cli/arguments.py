"""Commands with their help, and which function of which module runs each; read the arguments of the process.

Nothing is imported here but the standard library and constants, so that ``--help`` and shell completion are quick: the
module of a command is imported when the command runs.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from dxatrend.cli.command_arguments import ARGUMENTS
from dxatrend.cli.precision_arguments import PRECISION_ACTIONS
from dxatrend.cli.shared_arguments import Parser, add_config, add_force, add_log_format
from pipeline import __version__
from pipeline.edge.configuration.folders import default_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the command line."""

    run: str
    """The function that runs it, as ``module:function`` below ``dxatrend.cli``."""
    summary: str
    examples: tuple[str, ...]
    writes: bool = False
    """Whether it is refused while the service works with another configuration, unless ``--force`` is given."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments of the process, or these; ``run`` of the result names the function of the command.

    Ends the process with status 2 where they are wrong, and with 0 after ``--help``, ``--version`` or a completion.
    """
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks which words may come next
        import argcomplete  # noqa: PLC0415 - of use to a shell only

        argcomplete.autocomplete(parser)
    return parser.parse_args(_with_action(sys.argv[1:] if arguments is None else arguments))


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="dxatrend",
        description="Compare bone densitometry reports with earlier ones and send addenda to the PACS.",
        epilog="dxatrend COMMAND --help explains a command and shows an example.",
    )
    add_config(parser, default=default_folder())
    add_log_format(parser, default=None)
    parser.add_argument("--version", action="version", version=f"dxatrend {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.summary,
            description=command.summary,
            epilog="\n  ".join(("examples:" if len(command.examples) > 1 else "example:", *command.examples)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_config(added, default=argparse.SUPPRESS)  # may stand before or after the command
        add_log_format(added, default=argparse.SUPPRESS)
        if command.writes:
            add_force(added)
        added.set_defaults(run=command.run)
        if name in ARGUMENTS:
            ARGUMENTS[name](added)
    return parser


class _Parser(Parser):
    """Suggests a command for a misspelt one, as ``suggest_on_error`` does from Python 3.14 on."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.option_strings:
            super()._check_value(action, value)
        elif action.choices is not None and value not in action.choices:
            close = get_close_matches(str(value), map(str, action.choices), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(map(str, action.choices))}"
            raise argparse.ArgumentError(action, f"unknown command {value!r}; {hint}")


def _with_action(arguments: Sequence[str]) -> list[str]:
    """Insert ``study`` between ``precision`` and a file: the command had this one action at first."""
    words = list(arguments)
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("--config", "--log-format") else 1
    if words[at : at + 1] == ["precision"] and not {*words[at + 1 : at + 2]} <= {*PRECISION_ACTIONS, "-h", "--help"}:
        words.insert(at + 1, "study")
    return words


COMMANDS: dict[str, Command] = {
    "demo": Command(
        run="demo:run",
        summary="Send the sample patients through the whole service on this machine and print each result.",
        examples=("dxatrend demo", "dxatrend demo --outline"),
    ),
    "init": Command(
        run="init:run",
        summary="Write a commented configuration from your answers, or from these options; replaces no file.",
        examples=(
            "dxatrend init /etc/dxatrend",
            "dxatrend init config --port 104 --scanner DXA1@192.0.2.10 --pacs PACS@192.0.2.20:104",
        ),
    ),
    "serve": Command(
        run="service:serve",
        summary="Run everything one machine needs: listener, worker, monitor, desk, Prefect server, schedules.",
        examples=("dxatrend --config /etc/dxatrend serve",),
    ),
    "listen": Command(
        run="processes:listen",
        summary="Run the listener alone: receive and store what scanners send.",
        examples=("dxatrend listen",),
    ),
    "work": Command(
        run="processes:work",
        summary="Run a worker alone: extract, follow up and deliver what has been received.",
        examples=("dxatrend work", "dxatrend work --schedules"),
    ),
    "desk": Command(
        run="desk:serve",
        summary="Run the desk alone: the pages that show what happened, why, and what to do; or administer its users.",
        examples=("dxatrend desk", "dxatrend desk user add mary --role act"),
    ),
    "monitor": Command(
        run="monitor:run",
        summary="Run the monitor alone: watch for alarms, answer monitoring systems.",
        examples=("dxatrend monitor",),
    ),
    "prefect": Command(
        run="prefect_server:prefect",
        summary="Run the Prefect server alone, where it serves several machines.",
        examples=("dxatrend prefect",),
    ),
    "schedules": Command(
        run="prefect_server:schedules",
        summary="Start the scheduled Prefect runs, such as housekeeping and the nightly reprocessing.",
        examples=("dxatrend schedules",),
    ),
    "deploy": Command(
        run="prefect_server:deploy",
        summary="Register the scheduled runs with the work pool dxatrend of an existing Prefect server.",
        examples=("dxatrend deploy",),
    ),
    "reload": Command(
        run="service:reload",
        summary="Make the running service read its clinical configuration again, all of it or none.",
        examples=("dxatrend reload",),
    ),
    "check": Command(
        run="check:run",
        summary="List every error in the configuration and check that each destination answers.",
        examples=("dxatrend check", "dxatrend check --strict --config /etc/dxatrend"),
    ),
    "status": Command(
        run="status:run",
        summary="Show what was received, waits, was delivered or is held, per scanner and destination.",
        examples=("dxatrend status", "dxatrend status --json", "dxatrend status --check"),
    ),
    "alarms": Command(
        run="alarms:run",
        summary="List the alarms that are raised; shelve one, or test whether messages get out.",
        examples=(
            "dxatrend alarms",
            'dxatrend alarms shelve destination_away:pacs --until 2026-12-01 --reason "upgrade of the PACS"',
            "dxatrend alarms test",
        ),
    ),
    "held": Command(
        run="held:run",
        summary="List what is held for a person to decide, and why.",
        examples=("dxatrend held", "dxatrend held --json", "dxatrend held --set-aside"),
    ),
    "release": Command(
        run="release:release",
        summary="Try held work again, or try now what waits for a destination.",
        examples=("dxatrend release E12", "dxatrend release pacs"),
        writes=True,
    ),
    "set-aside": Command(
        run="release:set_aside",
        summary="Stop asking for a decision on held work, which stays held; release still tries it again.",
        examples=(
            'dxatrend set-aside 12 --reason "a lateral spine, nothing to compare"',
            "dxatrend set-aside 12 --undo",
        ),
        writes=True,
    ),
    "precision": Command(
        run="",
        summary="Evaluate precision studies, and keep the register of LSCs: propose, compare, accept, withdraw.",
        examples=(
            "dxatrend precision study study.csv --serial-number DF+500475 --valid-from 2026-03-01",
            'dxatrend precision propose study.csv --serial-number DF+500475 --source "in vivo study, March 2026"',
            "dxatrend precision accept R3 --dry-run",
            "dxatrend precision list",
        ),
    ),
    "cross-calibration": Command(
        run="",
        summary="Evaluate scans on an old and a new scanner, and propose the line between them.",
        examples=(
            "dxatrend cross-calibration study pairs.csv --old DF+500475 --new ME+200111",
            'dxatrend cross-calibration propose pairs.csv --old DF+500475 --new ME+200111 --source "in vivo, May 2026"',
            "dxatrend cross-calibration phantom phantom.csv",
        ),
    ),
    "qc": Command(
        run="qc:show",
        summary="Show whether each scanner is fit by its phantom; record remedies, service and phantom scans.",
        examples=(
            "dxatrend qc",
            "dxatrend qc import phantom.csv --serial-number DF+500475",
            'dxatrend qc remedy 3 --what "tube replaced"',
        ),
    ),
    "context": Command(
        run="",
        summary="Load or show clinical context that reports do not contain: therapy, fractures, menopause.",
        examples=("dxatrend context load context.csv", "dxatrend context show 12345"),
    ),
    "backup": Command(
        run="backup:run",
        summary="Copy the store into one file; the service may be running.",
        examples=("dxatrend backup /backup/dxatrend.sqlite3",),
    ),
    "restore": Command(
        run="backup:restore",
        summary="Replace the store with a backup; the service must be stopped.",
        examples=("dxatrend restore /backup/dxatrend.sqlite3 --replace",),
    ),
    "upgrade": Command(
        run="upgrade:run",
        summary="Bring a store of an earlier version to this one, after a backup; the service must be stopped.",
        examples=("dxatrend upgrade", "dxatrend upgrade --backed-up /backup/dxatrend.sqlite3"),
    ),
    "audit": Command(
        run="audit:run",
        summary="Print the audit trail: who sent, compared, delivered and released what.",
        examples=("dxatrend audit --patient 12345 --since 2026-03-01", "dxatrend audit --verify"),
    ),
    "reprocess": Command(
        run="reprocess:run",
        summary="Examine again what depends on anything that has changed, and supersede addenda that differ.",
        examples=("dxatrend reprocess --dry-run", "dxatrend reprocess --patient 12345"),
        writes=True,
    ),
    "load": Command(
        run="history:load",
        summary="Import DICOM files as history; no addenda to them are delivered.",
        examples=("dxatrend load /archive/dxa",),
        writes=True,
    ),
    "fetch": Command(
        run="history:fetch",
        summary="Query the archives for a patient's earlier reports and import them as history.",
        examples=("dxatrend fetch 12345",),
        writes=True,
    ),
    "confirm": Command(
        run="patients:confirm",
        summary="Confirm that a caller new to a scanner may send its reports.",
        examples=("dxatrend confirm 3",),
        writes=True,
    ),
    "merge": Command(
        run="patients:merge",
        summary="Treat the exams of one patient ID as those of another from now on.",
        examples=("dxatrend merge OLD123 NEW456", "dxatrend merge OLD123 NEW456 --undo"),
        writes=True,
    ),
    "patient": Command(
        run="",
        summary="Write everything on file about a patient into a folder, or erase it.",
        examples=(
            "dxatrend patient export 12345 --to /safe/request-7",
            'dxatrend patient erase 12345 --reason "request 7 of 2026"',
        ),
    ),
    "withdraw": Command(
        run="patients:withdraw",
        summary="Exclude an exam from every comparison and supersede its addendum.",
        examples=('dxatrend withdraw E12 --reason "wrong patient scanned"', "dxatrend withdraw E12 --undo"),
        writes=True,
    ),
    "split": Command(
        run="patients:split",
        summary="Split an exam by day, where one study was used for several visits.",
        examples=("dxatrend split E12",),
        writes=True,
    ),
    "show": Command(
        run="show:run",
        summary="Print a report as an outline, the exam read from it, and the addendum it would get.",
        examples=("dxatrend show report.dcm", "dxatrend show 12", "dxatrend show --anonymous 12"),
    ),
}
