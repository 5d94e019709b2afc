"""``dxatrend merge``, ``withdraw``, ``split`` and ``confirm``: correct patients, exams and senders."""

import argparse

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.clinical.model import Patient
from pipeline.edge.operations import exam_corrections
from pipeline.edge.operations.exam_corrections import ExamNotFoundError, find_exam
from pipeline.edge.operations.patient_merge import PatientMergeError, unmerge
from pipeline.edge.operations.patient_merge import merge as merge_patients
from pipeline.edge.operations.sender_confirmation import confirm_sender
from pipeline.edge.reprocess.on_demand import reexamine_patients
from pipeline.edge.text_files import printable


def merge(options: argparse.Namespace) -> int:
    """Merge two patient IDs, or undo that, and examine the exams concerned again."""
    old = Patient(patient_id=options.old.strip(), issuer=options.old_issuer.strip())
    new = Patient(patient_id=options.new.strip(), issuer=options.new_issuer.strip())
    with open_store(options) as app:
        try:
            changed = (unmerge if options.undo else merge_patients)(app.database, old, new)
        except PatientMergeError as problem:
            print_errors(problem)
            return FAILURE
        counts = reexamine_patients(app, changed)
    print(
        f"{counts.issued} addenda superseded, {counts.unchanged} exams examined again and unchanged, {counts.held} held"
    )
    return SUCCESS


def withdraw(options: argparse.Namespace) -> int:
    """Exclude an exam from every comparison, or undo that."""
    reason = " ".join(options.reason.split())
    if not (reason or options.undo):
        print_errors("--reason is required: the addendum says why the exam was withdrawn")
        return FAILURE
    with open_store(options) as app:
        try:
            number = find_exam(app.database, options.exam)
        except ExamNotFoundError as unknown:
            print_errors(printable(unknown))
            return FAILURE
        change = exam_corrections.undo_withdrawal if options.undo else exam_corrections.withdraw
        done = change(app.database, number, reason)
    if not done:
        print_errors(f"E{number} is " + ("not withdrawn" if options.undo else "already withdrawn"))
        return FAILURE
    change_made = "is used again" if options.undo else "is withdrawn"
    print(f"E{number} {change_made}; the exams that depend on it are due again")
    return SUCCESS


def split(options: argparse.Namespace) -> int:
    """Split an exam of several visits by day."""
    with open_store(options) as app:
        try:
            number = find_exam(app.database, options.exam)
        except ExamNotFoundError as unknown:
            print_errors(printable(unknown))
            return FAILURE
        visits = exam_corrections.split(app.database, number)
    if not visits:
        print_errors(f"all reports of E{number} belong to one visit")
        return FAILURE
    print(f"E{number} is now {', '.join(f'E{one} ({day})' for one, day in visits)}")
    return SUCCESS


def confirm(options: argparse.Namespace) -> int:
    """Confirm a caller that is new to a scanner."""
    with open_store(options) as app:
        due = confirm_sender(app.database, options.number)
    if due is None:
        print_errors(f"{options.number} is not a caller that dxatrend status lists for confirmation")
        return FAILURE
    print(f"confirmed; {due} exams are due again")
    return SUCCESS
