"""Arguments of ``dxatrend precision`` and ``dxatrend cross-calibration``, each with actions of its own."""

import argparse
from datetime import date
from pathlib import Path

from dxatrend.cli.shared_arguments import Parser, add_config, add_json, as_text

PRECISION_ACTIONS = ("study", "propose", "list", "worksheet", "accept", "decline", "withdraw", "import")
"""The actions of ``dxatrend precision``."""


def add_precision(parser: Parser) -> None:
    """Add the actions of ``dxatrend precision``."""
    actions = parser.add_subparsers(metavar="|".join(PRECISION_ACTIONS), required=True)
    study = actions.add_parser("study", help="print a study's worksheet and its entries for precision.toml")
    _add_study(study)
    study.add_argument("--serial-number", type=as_text, help="of the scanner, as in scanners.toml")
    study.add_argument("--source", type=as_text, help="how addenda name the study")
    study.set_defaults(run="precision:run")
    propose = actions.add_parser("propose", help="put a study and its LSCs into the register, to be accepted")
    _add_study(propose)
    _add_proposal(propose)
    propose.add_argument("--serial-number", type=as_text, help="of the scanner; needed where there are several")
    propose.add_argument("--same-day", choices=("yes", "no"), help="whether scans were repeated on one day, if undated")
    propose.add_argument(
        "--software", type=as_text, default="", help="of the scanner; default: that of its latest exam"
    )
    propose.set_defaults(run="precision_register:propose")
    listed = actions.add_parser("list", help="print what counts, what is missing and what waits for a decision")
    listed.add_argument("--all", action="store_true", help="also what no longer counts")
    add_json(listed)
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
            "--reason", type=as_text, default="", required=action is not accept, metavar="TEXT", help="why; it is kept"
        )
        if action is not decline:
            action.add_argument("--dry-run", action="store_true", help="print which addenda would change, and how")
        action.set_defaults(run=f"precision_register:{decision}")
    imported = actions.add_parser("import", help="take precision.toml and scanners.toml into the register")
    imported.set_defaults(run="precision_register:import_files")
    for action in actions.choices.values():
        add_config(action, default=argparse.SUPPRESS)


def add_cross_calibration(parser: Parser) -> None:
    """Add the actions of ``dxatrend cross-calibration``."""
    actions = parser.add_subparsers(metavar="study|phantom|propose", required=True)
    study = actions.add_parser("study", help="print the worksheet of patients scanned on both scanners")
    study.add_argument("--source", type=as_text, default="", help=argparse.SUPPRESS)
    study.set_defaults(run="cross_calibration:study", both_sides=False)
    propose = actions.add_parser("propose", help="put a study and its lines into the register, to be accepted")
    _add_proposal(propose)
    propose.set_defaults(run="cross_calibration:propose")
    for action in (study, propose):
        action.add_argument(
            "file", type=Path, metavar="FILE.csv", help="patient, scanner (old, new), scan, region, bmd, date"
        )
        action.add_argument("--old", type=as_text, required=True, metavar="SERIAL", help="the scanner that is replaced")
        action.add_argument("--new", type=as_text, required=True, metavar="SERIAL", help="the scanner that takes over")
        action.add_argument("--valid-from", type=date.fromisoformat, metavar="DATE", help="default: today")
    phantom = actions.add_parser("phantom", help="compare ten scans of one phantom on each scanner")
    phantom.add_argument("file", type=Path, metavar="FILE.csv", help="columns scanner (old, new), scan, region, bmd")
    phantom.set_defaults(run="cross_calibration:phantom")
    for action in (study, propose, phantom):
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
    parser.add_argument("--source", type=as_text, required=True, help="how addenda name the study")
    parser.add_argument("--reason", type=as_text, default="", metavar="TEXT", help="why it was made; it is kept")
    parser.add_argument("--both-sides", action="store_true", help="what was measured on one side serves both")
