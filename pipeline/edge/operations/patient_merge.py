"""Merge two patient ids that belong to one human being, or undo such a merge."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from pipeline.clinical.model import Patient
from pipeline.edge.audit import events
from pipeline.edge.store import audit_trail, exams, patient_identity, patient_merges, patients, shared_scans
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.errors import DxatrendError


class PatientMergeError(DxatrendError):
    """Two patients that cannot be merged, or cannot be told apart again; the text says why."""


def merge(database: Database, old: Patient, new: Patient, *, make_due: bool = False) -> list[int]:
    """Count the exams of ``old`` as those of ``new`` from now on; the audit trail has it.

    Returns the numbers of the linked patients whose exams now have to be examined again; with ``make_due`` they are due
    for a worker.

    Raises:
        PatientMergeError: one of them is not on file, they are one already, or ``old`` was merged into somebody else.
    """
    problem = "OLD and NEW are one patient already, or OLD was merged into somebody else"
    return _change(database, old, new, patient_merges.merge, undo=False, problem=problem, make_due=make_due)


def merge_as_told(database: Database, old: Patient, new: Patient) -> bool:
    """Merge two patient ids because another system says so, and make their exams due; return whether that was new.

    One of the two must be on file: the other one is then put there, so that what comes under it later is known as the
    same patient's. Where neither is, or they are one already, nothing is done. What a person has undone is not done
    again because the message comes again: only a person may do it.

    Raises:
        PatientMergeError: ``old`` was merged into somebody else, or a person has undone this merge.
    """
    if (old.patient_id, old.issuer) == (new.patient_id, new.issuer):
        return False
    with database.write() as connection:
        numbers = [patients.find(connection, one.patient_id, one.issuer) for one in (old, new)]
        if numbers == [None, None]:
            return False
        old_number, new_number = (patients.number_of(connection, one.patient_id, one.issuer) for one in (old, new))
        if new_number in patient_merges.merged_patients(connection, old_number):
            return False
        if patient_merges.was_undone(connection, old_number, new_number):
            raise PatientMergeError("a person has undone this merge; if it is right, dxatrend merge does it again")
    merge(database, old, new, make_due=True)
    return True


def unmerge(database: Database, old: Patient, new: Patient, *, make_due: bool = False) -> list[int]:
    """Count the exams of ``old`` and of ``new`` as those of two patients again; the audit trail has it.

    Returns the numbers of the linked patients whose exams now have to be examined again; with ``make_due`` they are due
    for a worker.

    Raises:
        PatientMergeError: one of them is not on file, or ``old`` was not merged into ``new``.
    """
    problem = "OLD was not merged into NEW"
    return _change(database, old, new, patient_merges.undo, undo=True, problem=problem, make_due=make_due)


def _change(
    database: Database,
    old: Patient,
    new: Patient,
    change: Callable[..., bool],
    *,
    undo: bool,
    problem: str,
    make_due: bool,
) -> list[int]:
    now = datetime.now(UTC)
    with database.write() as connection:
        old_number, new_number = _find(connection, old, "OLD"), _find(connection, new, "NEW")
        if not change(connection, old_number, new_number, at=now):
            raise PatientMergeError(problem)
        patient_identity.reassess_after_merge(connection, old_number, new_number, at=now)
        shared_scans.release_settled(connection, at=now)
        detail = {"old": old_number, "new": new_number, "undo": undo}
        audit_trail.record(connection, events.by_operator(Event.MERGED, at=now, patient=new_number, detail=detail))
        both = (old_number, new_number)
        for number in both if make_due else ():
            exams.reexamine_since(connection, number, since=date.min, at=now)
        return sorted({patients.linked_patients_number(connection, number) for number in both})


def _find(connection: Connection, patient: Patient, role: str) -> int:
    number = patients.find(connection, patient.patient_id, patient.issuer)
    if number is None:
        raise PatientMergeError(f"nothing is on file about {role}")
    return number
