"""Arguments of each command, beside the folder of the configuration, which all of them take.

Nothing is imported here but the standard library and constants, so that ``--help`` and shell completion are quick.
"""

import argparse
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pipeline.edge.configuration.folders import CONFIG_VARIABLE, SYSTEM_FOLDER
from pipeline.edge.configuration.log_format import LOG_FORMAT_VARIABLE, LOG_FORMATS

Parser = argparse.ArgumentParser

PRECISION_ACTIONS = ("study", "propose", "list", "worksheet", "accept", "decline", "withdraw", "import")
"""The actions of ``dxatrend precision``."""


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


def _init(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the configuration folder to make (default: that of --config)",
    )
    parser.add_argument(
        "--ae-title", type=_text, metavar="TITLE", help="ours, for scanners and PACS (default: DXATREND)"
    )
    parser.add_argument("--port", type=_text, help="where scanners reach us (default: 11112; DICOM's own is 104)")
    parser.add_argument("--host", type=_text, metavar="ADDRESS", help="of this machine (default: 0.0.0.0, all of them)")
    parser.add_argument(
        "--scanner", action="append", type=_text, metavar="AE@ADDRESS", help="who may send; once for each scanner"
    )
    parser.add_argument(
        "--pacs",
        action="append",
        type=_text,
        metavar="AE@ADDRESS:PORT",
        help="who gets the addenda; once for each PACS",
    )
    parser.add_argument(
        "--proof", choices=("none", "commitment", "find"), help="what proves that a PACS has an addendum"
    )
    parser.add_argument("--images", action="store_true", help="also send pages as images, if the PACS shows no SR")
    parser.add_argument("--time-zone", type=_text, metavar="NAME", help="of the department, such as Europe/Berlin")
    parser.add_argument("--store", type=_text, metavar="URL", help="of a PostgreSQL database (default: a SQLite file)")


def _release(parser: Parser) -> None:
    parser.add_argument(
        "number",
        metavar="N|NAME",
        help="a number that held prints (12 a receipt, E12 an exam, D12 a delivery, C12 a storage commitment, "
        "Q12 a query to an archive), or the name of a destination",
    )


def _held(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument("--set-aside", action="store_true", help="list what a person has set aside, who, and why")


def _set_aside(parser: Parser) -> None:
    parser.add_argument("number", metavar="N", help="a number that held prints")
    parser.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why; the audit trail keeps it")
    parser.add_argument("--undo", action="store_true", help="let it wait for a decision again")


def _precision(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="|".join(PRECISION_ACTIONS), required=True)
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
        add_config(action, default=argparse.SUPPRESS)


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
        add_config(action, default=argparse.SUPPRESS)


def _context(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="load|show", required=True)
    load = actions.add_parser("load", help="load a CSV table; the exams of its patients become due again")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    add_force(load)
    load.set_defaults(run="clinical_context:load")
    show = actions.add_parser("show", help="print what is stored about a patient")
    show.add_argument("patient_id", type=_text)
    _add_issuer(show)
    show.set_defaults(run="clinical_context:show")
    for action in (load, show):
        add_config(action, default=argparse.SUPPRESS)


def _qc(parser: Parser) -> None:
    _add_json(parser)
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
        action.add_argument("--serial-number", type=_text, required=True, help="of the scanner, as in its reports")
    for action in (remedy, service):
        action.add_argument("--what", type=_text, required=True, metavar="TEXT", help="what was done")
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


def _patient(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="export|erase", required=True)
    export = actions.add_parser("export", help="write everything on file about a patient into a new folder")
    erase = actions.add_parser("erase", help="erase everything on file about a patient, which cannot be undone")
    for action in (export, erase):
        action.add_argument("patient_id", type=_text, metavar="ID", help="the patient ID, or one merged with it")
        _add_issuer(action)
        add_config(action, default=argparse.SUPPRESS)
    export.add_argument("--to", type=Path, metavar="FOLDER", help="folder to make (default: one with the date)")
    export.set_defaults(run="patient:export")
    erase.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why; kept, so it must name nobody")
    erase.add_argument("--yes", action="store_true", help="erase without asking")
    add_force(erase)
    erase.set_defaults(run="patient:erase")


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
        add_config(one, default=argparse.SUPPRESS)


_ROLES = ("look", "read", "act", "configure")
"""As ``pipeline.edge.configuration.desk_settings.Role``, which is slow to import."""


def _check(parser: Parser) -> None:
    parser.add_argument("--strict", action="store_true", help="exit with 1 also where a person should look at anything")


def _status(parser: Parser) -> None:
    _add_json(parser)
    parser.add_argument("--strict", action="store_true", help="exit with 1 where anything is not as it should be")
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
    "init": _init,
    "demo": _demo,
    "desk": _desk,
    "check": _check,
    "status": _status,
    "alarms": _alarms,
    "held": _held,
    "release": _release,
    "set-aside": _set_aside,
    "precision": _precision,
    "cross-calibration": _cross_calibration,
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
