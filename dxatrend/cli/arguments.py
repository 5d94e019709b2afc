"""Arguments and help of every command, and which function of which module runs it.

Nothing is imported here but the standard library and constants, so that ``--help`` and shell completion are quick: the
module of a command is imported when the command runs.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.edge.configuration.folders import CONFIG_VARIABLE, SYSTEM_FOLDER, default_folder

Parser = argparse.ArgumentParser


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of the command line."""

    run: str
    """The function that runs it, as ``module:function`` below ``dxatrend.cli``."""
    summary: str
    examples: tuple[str, ...]
    arguments: Callable[[Parser], None] = lambda _: None
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
    _add_config(parser, default=default_folder())
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
        _add_config(added, default=argparse.SUPPRESS)  # may stand before or after the command
        if command.writes:
            _add_force(added)
        added.set_defaults(run=command.run)
        command.arguments(added)
    return parser


class _Parser(Parser):
    """Suggests a command for a misspelt one, as ``suggest_on_error`` does from Python 3.14 on."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            close = get_close_matches(str(value), map(str, action.choices), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(map(str, action.choices))}"
            raise argparse.ArgumentError(action, f"unknown command {value!r}; {hint}")


def _add_config(parser: Parser, *, default: object) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        default=default,
        help=f"configuration folder (default: ${CONFIG_VARIABLE}, else {SYSTEM_FOLDER}, else config)",
    )


def _add_force(parser: Parser) -> None:
    parser.add_argument("--force", action="store_true", help="run even if the service uses another configuration")


def _add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_issuer(parser: Parser, option: str = "--issuer", of: str = "") -> None:
    parser.add_argument(option, type=_text, default="", help=f"Issuer of Patient ID (0010,0021){of}")


def _add_since(parser: Parser, what: str) -> None:
    parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help=f"only {what} from this day on")


def _text(argument: str) -> str:
    """Return an argument as text, also from UTF-8 bytes where the locale is plain ASCII."""
    try:
        return argument if argument.isprintable() else os.fsencode(argument).decode()
    except UnicodeError:
        raise argparse.ArgumentTypeError("is not text in the character set of this terminal") from None


def _demo(parser: Parser) -> None:
    parser.add_argument("--outline", action="store_true", help="print the content of each addendum as well")


def _release(parser: Parser) -> None:
    parser.add_argument(
        "number",
        metavar="N|NAME",
        help="a number that held prints (12 a receipt, E12 an exam, D12 a delivery, C12 a storage commitment, "
        "Q12 a query to an archive), or the name of a destination",
    )


_OF_REGISTER = ("study", "propose", "list", "worksheet", "accept", "decline", "withdraw", "import")
"""The actions of ``dxatrend precision``."""


def _with_action(arguments: Sequence[str]) -> list[str]:
    """Insert ``study`` between ``precision`` and a file: the command had this one action at first."""
    words = list(arguments)
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] == "--config" else 1
    if words[at : at + 1] == ["precision"] and not {*words[at + 1 : at + 2]} <= {*_OF_REGISTER, "-h", "--help"}:
        words.insert(at + 1, "study")
    return words


def _held(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument("--set-aside", action="store_true", help="list what a person has set aside, who, and why")


def _set_aside(parser: Parser) -> None:
    parser.add_argument("number", metavar="N", help="a number that held prints")
    parser.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why; the audit trail keeps it")
    parser.add_argument("--undo", action="store_true", help="let it wait for a decision again")


def _precision(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="|".join(_OF_REGISTER), required=True)
    study = actions.add_parser("study", help="print a study's worksheet and its entries for precision.toml")
    _add_study(study)
    study.add_argument("--serial-number", type=_text, help="of the scanner, as in scanners.toml")
    study.add_argument("--source", type=_text, help="how addenda name the study")
    study.set_defaults(run="precision:run")
    propose = actions.add_parser("propose", help="put a study and its LSCs into the register, to be accepted")
    _add_study(propose)
    _add_proposal(propose)
    propose.add_argument("--serial-number", type=_text, help="of the scanner; needed where there are several")
    propose.add_argument("--same-day", choices=("yes", "no"), help="whether scans were repeated on one day, if undated")
    propose.add_argument("--software", type=_text, default="", help="of the scanner; default: that of its latest exam")
    propose.set_defaults(run="precision_register:propose")
    listed = actions.add_parser("list", help="print what counts, what is missing and what waits for a decision")
    listed.add_argument("--all", action="store_true", help="also what no longer counts")
    _add_json(listed)
    listed.set_defaults(run="precision_register:show")
    worksheet = actions.add_parser("worksheet", help="print the worksheet of the study behind a record")
    worksheet.add_argument("number", metavar="R3", help="as list prints it")
    worksheet.set_defaults(run="precision_register:print_worksheet")
    accept = actions.add_parser("accept", help="let proposed records count")
    decline = actions.add_parser("decline", help="decide that proposed records are not to count")
    withdraw = actions.add_parser("withdraw", help="let accepted records count no longer, for any day")
    for action, decision in ((accept, "accept"), (decline, "decline"), (withdraw, "withdraw")):
        action.add_argument("numbers", nargs="+", metavar="R3", help="as list prints it")
        action.add_argument(
            "--reason", type=_text, default="", required=action is not accept, metavar="TEXT", help="why; it is kept"
        )
        if action is not decline:
            action.add_argument("--dry-run", action="store_true", help="print which addenda would change, and how")
        action.set_defaults(run=f"precision_register:{decision}")
    imported = actions.add_parser("import", help="take precision.toml and scanners.toml into the register")
    imported.set_defaults(run="precision_register:import_files")
    for action in actions.choices.values():
        _add_config(action, default=argparse.SUPPRESS)


def _add_study(parser: Parser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE.csv",
        help="columns patient, scan, region, bmd, and technologist, date, area, bmc, unit if known",
    )
    parser.add_argument("--valid-from", type=date.fromisoformat, metavar="DATE", help="default: today")
    parser.add_argument("--valid-until", type=date.fromisoformat, metavar="DATE", help="default: in five years")


def _add_proposal(parser: Parser) -> None:
    parser.add_argument("--source", type=_text, required=True, help="how addenda name the study")
    parser.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why it was made; it is kept")
    parser.add_argument("--both-sides", action="store_true", help="what was measured on one side serves both")


def _cross_calibration(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="study|phantom|propose", required=True)
    study = actions.add_parser("study", help="print the worksheet of patients scanned on both scanners")
    study.add_argument("--source", type=_text, default="", help=argparse.SUPPRESS)
    study.set_defaults(run="cross_calibration:study", both_sides=False)
    propose = actions.add_parser("propose", help="put a study and its lines into the register, to be accepted")
    _add_proposal(propose)
    propose.set_defaults(run="cross_calibration:propose")
    for action in (study, propose):
        action.add_argument(
            "file", type=Path, metavar="FILE.csv", help="patient, scanner (old, new), scan, region, bmd, date"
        )
        action.add_argument("--old", type=_text, required=True, metavar="SERIAL", help="the scanner that is replaced")
        action.add_argument("--new", type=_text, required=True, metavar="SERIAL", help="the scanner that takes over")
        action.add_argument("--valid-from", type=date.fromisoformat, metavar="DATE", help="default: today")
    phantom = actions.add_parser("phantom", help="compare ten scans of one phantom on each scanner")
    phantom.add_argument("file", type=Path, metavar="FILE.csv", help="columns scanner (old, new), scan, region, bmd")
    phantom.set_defaults(run="cross_calibration:phantom")
    for action in (study, propose, phantom):
        _add_config(action, default=argparse.SUPPRESS)


def _context(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="load|show", required=True)
    load = actions.add_parser("load", help="load a CSV table; the exams of its patients become due again")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    _add_force(load)
    load.set_defaults(run="clinical_context:load")
    show = actions.add_parser("show", help="print what is stored about a patient")
    show.add_argument("patient_id", type=_text)
    _add_issuer(show)
    show.set_defaults(run="clinical_context:show")
    for action in (load, show):
        _add_config(action, default=argparse.SUPPRESS)


def _qc(parser: Parser) -> None:
    _add_json(parser)
    actions = parser.add_subparsers(metavar="chart|import|remedy|service")
    chart = actions.add_parser("chart", help="print the control charts of a scanner as CSV")
    load = actions.add_parser("import", help="load phantom scans that were typed in a table, all of them or none")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    remedy = actions.add_parser("remedy", help="record what was done about a stop; a good scan then ends it")
    remedy.add_argument("stop", type=int, metavar="N", help="the number of the stop, as qc prints it")
    remedy.add_argument("--not-the-scanner", action="store_true", help="as where the phantom lay askew: lift the stop")
    service = actions.add_parser("service", help="record work on a scanner, which its control chart shows")
    for action, run in ((chart, "chart"), (load, "load"), (remedy, "remedy"), (service, "service")):
        action.set_defaults(run=f"qc:{run}")
        _add_config(action, default=argparse.SUPPRESS)
    for action in (chart, load, service):
        action.add_argument("--serial-number", type=_text, required=True, help="of the scanner, as in its reports")
    for action in (remedy, service):
        action.add_argument("--what", type=_text, required=True, metavar="TEXT", help="what was done")
        action.add_argument("--on", type=date.fromisoformat, metavar="DATE", help="default: today")
    for action in (load, remedy):
        _add_force(action)


def _backup(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a new file; it will contain patient data")


def _restore(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="made by dxatrend backup, from SQLite or PostgreSQL")
    parser.add_argument("--replace", action="store_true", help="replace a store that is not empty")


def _audit(parser: Parser) -> None:
    parser.add_argument("--patient", type=_text, metavar="ID", help="only entries about this patient")
    _add_issuer(parser, of=" of that patient")
    _add_since(parser, "entries")
    _add_json(parser)
    parser.add_argument("--verify", action="store_true", help="only check whether any entry was changed or removed")


def _reprocess(parser: Parser) -> None:
    parser.add_argument("--patient", type=_text, metavar="ID", help="only this patient's exams")
    _add_issuer(parser, of=" of that patient")
    _add_since(parser, "exams")
    parser.add_argument(
        "--scanner", type=_text, metavar="SERIAL", help="only exams on the scanner with this serial number"
    )
    parser.add_argument("--dry-run", action="store_true", help="print which addenda would change, and how")
    _add_json(parser)


def _load(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="DICOM files, also in folders below it")
    parser.add_argument("--deliver", action="store_true", help="write addenda to them as if scanners had sent them")


def _fetch(parser: Parser) -> None:
    parser.add_argument("patient", type=_text, metavar="PATIENT", help="Patient ID (0010,0020)")
    _add_issuer(parser)


def _confirm(parser: Parser) -> None:
    parser.add_argument("number", type=int, metavar="N", help="as status prints it")


def _merge(parser: Parser) -> None:
    parser.add_argument("old", type=_text, metavar="OLD", help="the patient ID that is no longer used")
    parser.add_argument("new", type=_text, metavar="NEW", help="the patient ID that replaces it")
    _add_issuer(parser, "--old-issuer", " of OLD")
    _add_issuer(parser, "--new-issuer", " of NEW")
    parser.add_argument("--undo", action="store_true", help="treat them as two patients again")


def _withdraw(parser: Parser) -> None:
    parser.add_argument("exam", metavar="E12", help="the exam, as held, show and audit print it")
    parser.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why; the addendum quotes it")
    parser.add_argument("--undo", action="store_true", help="use the exam again, including its rejected reports")


def _split(parser: Parser) -> None:
    parser.add_argument("exam", metavar="E12", help="the exam, as held prints it")


def _desk(parser: Parser) -> None:
    parser.add_argument("--demo", action="store_true", help="show what dxatrend demo has left, with accounts to try")
    actions = parser.add_subparsers(metavar="user", required=False)
    user = actions.add_parser("user", help="the accounts of those who may use the desk")
    changes = user.add_subparsers(metavar="add|list|password|role|remove", required=True)
    add = changes.add_parser("add", help="add an account; its password is asked for, or read from standard input")
    add.add_argument("name", type=_text)
    add.add_argument("--role", choices=_ROLES, required=True, help="each may do what those before it may")
    add.add_argument("--proxy", action="store_true", help="no password: the proxy in front says who it is")
    add.set_defaults(run="desk:add_user")
    listed = changes.add_parser("list", help="list the accounts, their roles and open sessions")
    listed.set_defaults(run="desk:list_users")
    password = changes.add_parser("password", help="set another password, and log the account out")
    password.add_argument("name", type=_text)
    password.set_defaults(run="desk:set_password")
    role = changes.add_parser("role", help="give an account another role")
    role.add_argument("name", type=_text)
    role.add_argument("role", choices=_ROLES)
    role.set_defaults(run="desk:set_role")
    remove = changes.add_parser("remove", help="remove an account, and log it out")
    remove.add_argument("name", type=_text)
    remove.set_defaults(run="desk:remove_user")
    for one in (user, add, listed, password, role, remove):
        _add_config(one, default=argparse.SUPPRESS)


_ROLES = ("look", "read", "act", "configure")
"""As ``pipeline.edge.configuration.desk_settings.Role``, which is slow to import."""


def _status(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument(
        "--check", action="store_true", help="print one line for a monitoring system; exit with 0, 1, 2 or 3"
    )


def _alarms(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument("--kinds", action="store_true", help="list every kind of alarm")
    actions = parser.add_subparsers(metavar="shelve|unshelve|test")
    shelve = actions.add_parser("shelve", help="hear nothing of an alarm until a day; the audit trail has who said so")
    shelve.add_argument("alarm", type=_text, metavar="ALARM", help="as dxatrend alarms prints it, or a kind of alarm")
    shelve.add_argument("--until", type=date.fromisoformat, metavar="DATE", required=True, help="the last such day")
    shelve.add_argument("--reason", type=_text, required=True, metavar="TEXT", help="why; others read it")
    shelve.set_defaults(run="alarms:shelve")
    unshelve = actions.add_parser("unshelve", help="hear of an alarm again")
    unshelve.add_argument("alarm", type=_text, metavar="ALARM")
    unshelve.set_defaults(run="alarms:unshelve")
    test = actions.add_parser("test", help="send a test message by every way out, now")
    test.set_defaults(run="alarms:test")
    for action in (shelve, unshelve, test):
        _add_config(action, default=argparse.SUPPRESS)


def _show(parser: Parser) -> None:
    parser.add_argument("report", metavar="FILE|N", help="a DICOM file, or the number of a receipt")


COMMANDS: dict[str, Command] = {
    "demo": Command(
        run="demo:run",
        summary="Send the sample patients through the whole service on this machine and print each result.",
        examples=("dxatrend demo", "dxatrend demo --outline"),
        arguments=_demo,
    ),
    "serve": Command(
        run="service:serve",
        summary="Run everything one machine needs: listener, worker, desk, Prefect server and schedules.",
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
        examples=("dxatrend work",),
    ),
    "desk": Command(
        run="desk:serve",
        summary="Run the desk alone: the pages that show what happened, why, and what to do; or administer its users.",
        examples=("dxatrend desk", "dxatrend desk user add mary --role act"),
        arguments=_desk,
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
        examples=("dxatrend check", "dxatrend check --config /etc/dxatrend"),
    ),
    "status": Command(
        run="status:run",
        summary="Show what was received, waits, was delivered or is held, per scanner and destination.",
        examples=("dxatrend status", "dxatrend status --json", "dxatrend status --check"),
        arguments=_status,
    ),
    "alarms": Command(
        run="alarms:run",
        summary="List the alarms that are raised; shelve one, or test whether messages get out.",
        examples=(
            "dxatrend alarms",
            'dxatrend alarms shelve destination_away:pacs --until 2026-12-01 --reason "upgrade of the PACS"',
            "dxatrend alarms test",
        ),
        arguments=_alarms,
    ),
    "held": Command(
        run="held:run",
        summary="List what is held for a person to decide, and why.",
        examples=("dxatrend held", "dxatrend held --json", "dxatrend held --set-aside"),
        arguments=_held,
    ),
    "release": Command(
        run="held:release",
        summary="Try held work again, or try now what waits for a destination.",
        examples=("dxatrend release E12", "dxatrend release pacs"),
        arguments=_release,
        writes=True,
    ),
    "set-aside": Command(
        run="held:set_aside",
        summary="Stop asking for a decision on held work, which stays held; release still tries it again.",
        examples=(
            'dxatrend set-aside 12 --reason "a lateral spine, nothing to compare"',
            "dxatrend set-aside 12 --undo",
        ),
        arguments=_set_aside,
        writes=True,
    ),
    "precision": Command(
        run="",
        summary="Evaluate precision studies, and keep the register of LSCs: propose, compare, accept, withdraw.",
        examples=(
            "dxatrend precision study.csv --serial-number DF+500475 --valid-from 2026-03-01",
            'dxatrend precision propose study.csv --serial-number DF+500475 --source "in vivo study, March 2026"',
            "dxatrend precision accept R3 --dry-run",
            "dxatrend precision list",
        ),
        arguments=_precision,
    ),
    "cross-calibration": Command(
        run="",
        summary="Evaluate scans on an old and a new scanner, and propose the line between them.",
        examples=(
            "dxatrend cross-calibration study pairs.csv --old DF+500475 --new ME+200111",
            'dxatrend cross-calibration propose pairs.csv --old DF+500475 --new ME+200111 --source "in vivo, May 2026"',
            "dxatrend cross-calibration phantom phantom.csv",
        ),
        arguments=_cross_calibration,
    ),
    "qc": Command(
        run="qc:show",
        summary="Show whether each scanner is fit by its phantom; record remedies, service and phantom scans.",
        examples=(
            "dxatrend qc",
            "dxatrend qc import phantom.csv --serial-number DF+500475",
            'dxatrend qc remedy 3 --what "tube replaced"',
        ),
        arguments=_qc,
    ),
    "context": Command(
        run="",
        summary="Load or show clinical context that reports do not contain: therapy, fractures, menopause.",
        examples=("dxatrend context load context.csv", "dxatrend context show 12345"),
        arguments=_context,
    ),
    "backup": Command(
        run="backup:run",
        summary="Copy the store into one file; the service may be running.",
        examples=("dxatrend backup /backup/dxatrend.sqlite3",),
        arguments=_backup,
    ),
    "restore": Command(
        run="backup:restore",
        summary="Replace the store with a backup; the service must be stopped.",
        examples=("dxatrend restore /backup/dxatrend.sqlite3 --replace",),
        arguments=_restore,
    ),
    "audit": Command(
        run="audit:run",
        summary="Print the audit trail: who sent, compared, delivered and released what.",
        examples=("dxatrend audit --patient 12345 --since 2026-03-01", "dxatrend audit --verify"),
        arguments=_audit,
    ),
    "reprocess": Command(
        run="reprocess:run",
        summary="Examine again what depends on anything that has changed, and supersede addenda that differ.",
        examples=("dxatrend reprocess --dry-run", "dxatrend reprocess --patient 12345"),
        arguments=_reprocess,
        writes=True,
    ),
    "load": Command(
        run="history:load",
        summary="Import DICOM files as history; no addenda to them are delivered.",
        examples=("dxatrend load /archive/dxa",),
        arguments=_load,
        writes=True,
    ),
    "fetch": Command(
        run="history:fetch",
        summary="Query the archives for a patient's earlier reports and import them as history.",
        examples=("dxatrend fetch 12345",),
        arguments=_fetch,
        writes=True,
    ),
    "confirm": Command(
        run="patients:confirm",
        summary="Confirm that a caller new to a scanner may send its reports.",
        examples=("dxatrend confirm 3",),
        arguments=_confirm,
        writes=True,
    ),
    "merge": Command(
        run="patients:merge",
        summary="Treat the exams of one patient ID as those of another from now on.",
        examples=("dxatrend merge OLD123 NEW456", "dxatrend merge OLD123 NEW456 --undo"),
        arguments=_merge,
        writes=True,
    ),
    "withdraw": Command(
        run="patients:withdraw",
        summary="Exclude an exam from every comparison and supersede its addendum.",
        examples=('dxatrend withdraw E12 --reason "wrong patient scanned"', "dxatrend withdraw E12 --undo"),
        arguments=_withdraw,
        writes=True,
    ),
    "split": Command(
        run="patients:split",
        summary="Split an exam by day, where one study was used for several visits.",
        examples=("dxatrend split E12",),
        arguments=_split,
        writes=True,
    ),
    "show": Command(
        run="show:run",
        summary="Print a report as an outline, the exam read from it, and the addendum it would get.",
        examples=("dxatrend show report.dcm", "dxatrend show 12"),
        arguments=_show,
    ),
}
