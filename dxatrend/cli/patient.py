"""``dxatrend patient export`` and ``patient erase``: what a patient, or the department, has a right to."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, today
from dxatrend.cli.store_access import open_store
from pipeline.edge.operations.patient_erasure import Erasure, PatientNotErasedError, erase_patient, look_at
from pipeline.edge.operations.patient_export import INDEX, ExportError, export_patient
from pipeline.edge.operations.patient_selection import PatientNotFoundError, not_looked_into
from pipeline.edge.store.patient_rows import PatientRows
from pipeline.edge.text_files import printable


def export(options: argparse.Namespace) -> int:
    """Write everything on file about a patient into a new folder."""
    to = options.to or Path(f"patient-export-{today()}")
    with open_store(options) as app:
        try:
            done = export_patient(app, options.patient_id.strip(), options.issuer.strip(), to=to)
        except (PatientNotFoundError, ExportError) as problem:
            print_errors(f"Nothing was exported: {printable(problem)}")
            return FAILURE
    rows = sum(done.rows.values())
    print(f"{printable(done.folder)}: {done.received} received objects, {done.addenda} addenda and pages, {rows} rows")
    if done.damaged:
        print_errors(f"Not everything could be looked into: {not_looked_into(done.damaged)}.")
    print(f"{printable(done.folder / INDEX)} says what is what. The files are not encrypted; only you may read them.")
    return SUCCESS


def erase(options: argparse.Namespace) -> int:
    """Erase everything on file about a patient, once it was confirmed by typing the id."""
    reason = " ".join(options.reason.split())
    patient_id, issuer = options.patient_id.strip(), options.issuer.strip()
    if not reason:
        print_errors("--reason is required: the audit trail keeps it. Name a request, not the patient.")
        return FAILURE
    with open_store(options) as app:
        try:
            found = look_at(app, patient_id, issuer)
            print(_what(found))
            if not (options.yes or _is_confirmed(patient_id)):
                print_errors("Nothing was erased.")
                return FAILURE
            done = erase_patient(app, patient_id, issuer, reason, found=found)
        except (PatientNotFoundError, PatientNotErasedError) as problem:
            print_errors(f"Nothing was erased: {printable(problem)}.")
            return FAILURE
    print(*_told(done), sep="\n")
    return SUCCESS


def _what(found: PatientRows) -> str:
    ids = f", under {len(found.patients)} merged ids" if len(found.patients) > 1 else ""
    return (
        f"On file{ids}: {len(found.exams)} exams, {len(found.receipts)} received objects, {len(found.addenda)} addenda "
        "and pages. An erasure cannot be undone; dxatrend patient export writes all of it into a folder first."
    )


def _is_confirmed(patient_id: str) -> bool:
    if not sys.stdin.isatty():
        print_errors("Without a terminal to confirm at, --yes is needed.")
        return False
    return input("Type the patient ID again to erase it: ").strip() == patient_id


def _told(done: Erasure) -> Iterator[str]:
    yield f"Erased: {done.exams} exams, {done.receipts} received objects, {done.addenda} addenda and pages."
    if not done.is_rewritten:
        yield "The files of the store still have to be rewritten; the nightly housekeeping does it."
    if done.damaged:
        yield f"Not everything could be looked into: {not_looked_into(done.damaged)}."
    yield "What is elsewhere is not ours to erase:"
    for destination, count in done.delivered.items():
        yield f"  {printable(destination)} has got {count} addenda and pages"
    for study in done.studies:
        yield f"  the precision study {printable(study)} has the id in a cell; an LSC rests on it, and it stays"
    for copy in done.copies:
        yield f"  {printable(copy)} was made earlier and still holds the patient"
    yield "  backups that were made earlier still hold the patient, until you delete them or they age out"
    yield "  scanners, archives and receivers of the audit trail keep what they have"
