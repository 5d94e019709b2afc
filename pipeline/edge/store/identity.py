"""Whose exam is it, and might it be another patient's?"""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.store import patients, work
from pipeline.edge.store.schema import exam, patient

ID_CONFLICT = "id_conflict"
"""The reason for which an exam is held that may be another patient's."""


def patient_of(connection: Connection, who: Patient, study_instance_uid: str) -> int:
    """The number of the patient a report is of; one report of a study may leave out the issuer another one tells."""
    same_study = (
        select(patient.c.id, patient.c.issuer)
        .join(exam, exam.c.patient_id == patient.c.id)
        .where(exam.c.study_instance_uid == study_instance_uid, patient.c.patient_id == who.patient_id)
    )
    known: dict[str, int] = {row.issuer: row.id for row in connection.execute(same_study)}
    if not who.issuer and len(known) == 1:
        return next(iter(known.values()))
    number = patients.number_of(connection, who.patient_id, who.issuer)
    if who.issuer and who.issuer not in known and "" in known:
        theirs = (exam.c.patient_id == known[""]) & (exam.c.study_instance_uid == study_instance_uid)
        connection.execute(update(exam).where(theirs).values(patient_id=number))
    return number


def hold_conflicts(
    connection: Connection, number: int, who: Patient, patient_number: int, study_instance_uid: str
) -> set[int]:
    """Hold exams of one study under two patients, and an exam whose birth date or sex is not the patient's (R2.19).

    Returns which were held. An exam that is itself held for this reason says nothing of whose the next one is.
    """
    study = exam.c.study_instance_uid == study_instance_uid
    others = list(connection.scalars(select(exam.c.id).where(study, exam.c.patient_id != patient_number)))
    for one in (number, *others) if others else ():
        named = ", ".join(f"E{other}" for other in sorted((number, *others)) if other != one)
        detail = f"the study is that of {named}, PatientID (0010,0020) or its issuer is not"
        work.hold(connection, exam, one, reason=ID_CONFLICT, detail=detail)
    held = {number, *others} if others else set()
    for name, contradicts in _contradictions(who) if not others else ():
        theirs = (exam.c.patient_id == patient_number) & (exam.c.id != number)
        sure = theirs & exam.c.reason.is_distinct_from(ID_CONFLICT)
        if connection.scalar(select(exam.c.id).where(sure, contradicts).limit(1)) is not None:
            detail = f"{name} is another than in other exams of this patient"
            work.hold(connection, exam, number, reason=ID_CONFLICT, detail=detail)
            held.add(number)
    return held


def same_person(who: Patient) -> ColumnElement[bool]:
    """Which patients on file may be this one: the id is the same, and the issuer, or one does not tell it."""
    same_id = patient.c.patient_id == who.patient_id
    return same_id & patient.c.issuer.in_((who.issuer, "")) if who.issuer else same_id


def _contradictions(who: Patient) -> Iterator[tuple[str, ColumnElement[bool]]]:
    """Of what is known of a patient, what would contradict it in another exam."""
    if who.birth_date is not None:
        yield "PatientBirthDate (0010,0030)", exam.c.birth_date != who.birth_date
    if who.sex:
        yield "PatientSex (0010,0040)", (exam.c.sex != who.sex.value) & (exam.c.sex != "")
