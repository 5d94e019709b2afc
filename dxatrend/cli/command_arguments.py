"""Arguments of each command, beside the folder of the configuration, which all of them take.

Nothing is imported here but the standard library and constants, so that ``--help`` and shell completion are quick.
"""

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path

from dxatrend.cli.precision_arguments import add_cross_calibration, add_precision
from dxatrend.cli.shared_arguments import Parser, add_config, add_force, add_issuer, add_json, add_since, as_text


def _demo(parser: Parser) -> None:
    parser.add_argument("--outline", action="store_true", help="print the content of each addendum as well")


def _work(parser: Parser) -> None:
    parser.add_argument(
        "--schedules", action="store_true", help="also start the scheduled runs; for one worker of an installation"
    )


def _init(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the configuration folder to make (default: that of --config)",
    )
    parser.add_argument(
        "--ae-title", type=as_text, metavar="TITLE", help="ours, for scanners and PACS (default: DXATREND)"
    )
    parser.add_argument("--port", type=as_text, help="where scanners reach us (default: 11112; DICOM's own is 104)")
    parser.add_argument(
        "--host", type=as_text, metavar="ADDRESS", help="of this machine (default: 0.0.0.0, all of them)"
    )
    parser.add_argument(
        "--scanner", action="append", type=as_text, metavar="AE@ADDRESS", help="who may send; once for each scanner"
    )
    parser.add_argument(
        "--pacs",
        action="append",
        type=as_text,
        metavar="AE@ADDRESS:PORT",
        help="who gets the addenda; once for each PACS",
    )
    parser.add_argument(
        "--proof", choices=("none", "commitment", "find"), help="what proves that a PACS has an addendum"
    )
    parser.add_argument("--images", action="store_true", help="also send pages as images, if the PACS shows no SR")
    parser.add_argument("--time-zone", type=as_text, metavar="NAME", help="of the department, such as Europe/Berlin")
    parser.add_argument(
        "--store", type=as_text, metavar="URL", help="of a PostgreSQL database (default: a SQLite file)"
    )


def _release(parser: Parser) -> None:
    parser.add_argument(
        "number",
        metavar="N|NAME",
        help="a number that held prints (12 a receipt, E12 an exam, D12 a delivery, C12 a storage commitment, "
        "Q12 a query to an archive), or the name of a destination",
    )


def _held(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("--set-aside", action="store_true", help="list what a person has set aside, who, and why")


def _set_aside(parser: Parser) -> None:
    parser.add_argument("number", metavar="N", help="a number that held prints")
    parser.add_argument("--reason", type=as_text, default="", metavar="TEXT", help="why; the audit trail keeps it")
    parser.add_argument("--undo", action="store_true", help="let it wait for a decision again")


def _context(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="load|show", required=True)
    load = actions.add_parser("load", help="load a CSV table; the exams of its patients become due again")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    add_force(load)
    load.set_defaults(run="clinical_context:load")
    show = actions.add_parser("show", help="print what is stored about a patient")
    show.add_argument("patient_id", type=as_text)
    add_issuer(show)
    show.set_defaults(run="clinical_context:show")
    for action in (load, show):
        add_config(action, default=argparse.SUPPRESS)


def _qc(parser: Parser) -> None:
    add_json(parser)
    actions = parser.add_subparsers(metavar="chart|import|remedy|service")
    chart = actions.add_parser("chart", help="print the control charts of a scanner as CSV")
    load = actions.add_parser("import", help="load phantom scans that were typed in a table, all of them or none")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    load.add_argument("--dry-run", action="store_true", help="only check the table; nothing is loaded")
    remedy = actions.add_parser("remedy", help="record what was done about a stop; a good scan then ends it")
    remedy.add_argument("stop", type=int, metavar="N", help="the number of the stop, as qc prints it")
    remedy.add_argument("--not-the-scanner", action="store_true", help="as where the phantom lay askew: lift the stop")
    service = actions.add_parser("service", help="record work on a scanner, which its control chart shows")
    for action, run in ((chart, "chart"), (load, "load"), (remedy, "remedy"), (service, "service")):
        action.set_defaults(run=f"qc:{run}")
        add_config(action, default=argparse.SUPPRESS)
    for action in (chart, load, service):
        action.add_argument("--serial-number", type=as_text, required=True, help="of the scanner, as in its reports")
    for action in (remedy, service):
        action.add_argument("--what", type=as_text, required=True, metavar="TEXT", help="what was done")
        action.add_argument("--on", type=date.fromisoformat, metavar="DATE", help="default: today")
    for action in (load, remedy):
        add_force(action)


def _backup(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a new file; it will contain patient data")


def _restore(parser: Parser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="made by dxatrend backup, from SQLite or PostgreSQL")
    parser.add_argument("--replace", action="store_true", help="replace a store that is not empty")


def _upgrade(parser: Parser) -> None:
    backup = parser.add_mutually_exclusive_group()
    backup.add_argument(
        "--backup",
        type=Path,
        metavar="FILE",
        help="the new backup (default: in backup.folder, else in backups of the data folder)",
    )
    backup.add_argument("--backed-up", type=Path, metavar="FILE", help="a backup that the earlier version has made")


def _audit(parser: Parser) -> None:
    parser.add_argument("--patient", type=as_text, metavar="ID", help="only entries about this patient")
    add_issuer(parser, of=" of that patient")
    add_since(parser, "entries")
    add_json(parser)
    parser.add_argument("--verify", action="store_true", help="only check whether any entry was changed or removed")


def _reprocess(parser: Parser) -> None:
    parser.add_argument("--patient", type=as_text, metavar="ID", help="only this patient's exams")
    add_issuer(parser, of=" of that patient")
    add_since(parser, "exams")
    parser.add_argument(
        "--scanner", type=as_text, metavar="SERIAL", help="only exams on the scanner with this serial number"
    )
    parser.add_argument("--dry-run", action="store_true", help="print which addenda would change, and how")
    add_json(parser)


def _load(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="DICOM files, also in folders below it")
    parser.add_argument("--deliver", action="store_true", help="write addenda to them as if scanners had sent them")


def _fetch(parser: Parser) -> None:
    parser.add_argument("patient", type=as_text, metavar="PATIENT", help="Patient ID (0010,0020)")
    add_issuer(parser)


def _confirm(parser: Parser) -> None:
    parser.add_argument("number", type=int, metavar="N", help="as status prints it")


def _merge(parser: Parser) -> None:
    parser.add_argument("old", type=as_text, metavar="OLD", help="the patient ID that is no longer used")
    parser.add_argument("new", type=as_text, metavar="NEW", help="the patient ID that replaces it")
    add_issuer(parser, "--old-issuer", " of OLD")
    add_issuer(parser, "--new-issuer", " of NEW")
    parser.add_argument("--undo", action="store_true", help="treat them as two patients again")


def _patient(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="export|erase", required=True)
    export = actions.add_parser("export", help="write everything on file about a patient into a new folder")
    erase = actions.add_parser("erase", help="erase everything on file about a patient, which cannot be undone")
    for action in (export, erase):
        action.add_argument("patient_id", type=as_text, metavar="ID", help="the patient ID, or one merged with it")
        add_issuer(action)
        add_config(action, default=argparse.SUPPRESS)
    export.add_argument("--to", type=Path, metavar="FOLDER", help="folder to make (default: one with the date)")
    export.set_defaults(run="patient:export")
    erase.add_argument("--reason", type=as_text, default="", metavar="TEXT", help="why; kept, so it must name nobody")
    erase.add_argument("--yes", action="store_true", help="erase without asking")
    add_force(erase)
    erase.set_defaults(run="patient:erase")


def _withdraw(parser: Parser) -> None:
    parser.add_argument("exam", metavar="E12", help="the exam, as held, show and audit print it")
    parser.add_argument("--reason", type=as_text, default="", metavar="TEXT", help="why; the addendum quotes it")
    parser.add_argument("--undo", action="store_true", help="use the exam again, including its rejected reports")


def _split(parser: Parser) -> None:
    parser.add_argument("exam", metavar="E12", help="the exam, as held prints it")


def _desk(parser: Parser) -> None:
    parser.add_argument("--demo", action="store_true", help="show what dxatrend demo has left, with accounts to try")
    actions = parser.add_subparsers(metavar="user", required=False)
    user = actions.add_parser("user", help="the accounts of those who may use the desk")
    changes = user.add_subparsers(metavar="add|list|password|role|remove", required=True)
    add = changes.add_parser("add", help="add an account; its password is asked for, or read from standard input")
    add.add_argument("name", type=as_text)
    add.add_argument("--role", choices=_ROLES, required=True, help="each may do what those before it may")
    add.add_argument("--proxy", action="store_true", help="no password: the proxy in front says who it is")
    add.set_defaults(run="desk:add_user")
    listed = changes.add_parser("list", help="list the accounts, their roles and open sessions")
    listed.set_defaults(run="desk:list_users")
    password = changes.add_parser("password", help="set another password, and log the account out")
    password.add_argument("name", type=as_text)
    password.set_defaults(run="desk:set_password")
    role = changes.add_parser("role", help="give an account another role")
    role.add_argument("name", type=as_text)
    role.add_argument("role", choices=_ROLES)
    role.set_defaults(run="desk:set_role")
    remove = changes.add_parser("remove", help="remove an account, and log it out")
    remove.add_argument("name", type=as_text)
    remove.set_defaults(run="desk:remove_user")
    for one in (user, add, listed, password, role, remove):
        add_config(one, default=argparse.SUPPRESS)


_ROLES = ("look", "read", "act", "configure")
"""As ``pipeline.edge.configuration.desk_settings.Role``, which is slow to import."""


def _check(parser: Parser) -> None:
    parser.add_argument("--strict", action="store_true", help="exit with 1 also where a person should look at anything")


def _status(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("--strict", action="store_true", help="exit with 1 where anything is not as it should be")
    parser.add_argument(
        "--check", action="store_true", help="print one line for a monitoring system; exit with 0, 1, 2 or 3"
    )


def _alarms(parser: Parser) -> None:
    add_json(parser)
    parser.add_argument("--kinds", action="store_true", help="list every kind of alarm")
    actions = parser.add_subparsers(metavar="shelve|unshelve|test")
    shelve = actions.add_parser("shelve", help="hear nothing of an alarm until a day; the audit trail has who said so")
    shelve.add_argument("alarm", type=as_text, metavar="ALARM", help="as dxatrend alarms prints it, or a kind of alarm")
    shelve.add_argument("--until", type=date.fromisoformat, metavar="DATE", required=True, help="the last such day")
    shelve.add_argument("--reason", type=as_text, required=True, metavar="TEXT", help="why; others read it")
    shelve.set_defaults(run="alarms:shelve")
    unshelve = actions.add_parser("unshelve", help="hear of an alarm again")
    unshelve.add_argument("alarm", type=as_text, metavar="ALARM")
    unshelve.set_defaults(run="alarms:unshelve")
    test = actions.add_parser("test", help="send a test message by every way out, now")
    test.set_defaults(run="alarms:test")
    for action in (shelve, unshelve, test):
        add_config(action, default=argparse.SUPPRESS)


def _show(parser: Parser) -> None:
    parser.add_argument("report", metavar="FILE|N", help="a DICOM file, or the number of a receipt")
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="write it into a file for support, without identity; an exam (E12) too",
    )
    parser.add_argument("--to", type=Path, metavar="FILE|FOLDER", help="with --anonymous: where (default: here)")


ARGUMENTS: dict[str, Callable[[Parser], None]] = {
    "work": _work,
    "init": _init,
    "demo": _demo,
    "desk": _desk,
    "check": _check,
    "status": _status,
    "alarms": _alarms,
    "held": _held,
    "release": _release,
    "set-aside": _set_aside,
    "precision": add_precision,
    "cross-calibration": add_cross_calibration,
    "qc": _qc,
    "context": _context,
    "backup": _backup,
    "restore": _restore,
    "upgrade": _upgrade,
    "audit": _audit,
    "reprocess": _reprocess,
    "load": _load,
    "fetch": _fetch,
    "confirm": _confirm,
    "merge": _merge,
    "patient": _patient,
    "withdraw": _withdraw,
    "split": _split,
    "show": _show,
}
"""What adds the arguments of a command; the others take none."""
