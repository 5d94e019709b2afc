"""Whose exam is it, and might it be another patient's?"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, select, update

from pipeline.clinical.model import Patient, Sex
from pipeline.edge.store import patients, people, work
from pipeline.edge.store.prepared import Prepared
from pipeline.edge.store.schema import State, exam, patient

ID_CONFLICT = "id_conflict"
"""The reason for which an exam is held that may be another patient's."""


def patient_of(connection: Connection, who: Patient, study_instance_uid: str) -> int:
    """The number of the patient a report is of; one report of a study may leave out the issuer another one tells."""
    same_study = _SAME_STUDY.execute(connection, {"study": study_instance_uid, "patient": who.patient_id})
    known: dict[str, int] = {row.issuer: row.id for row in same_study}
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
    if _WITHDRAWN.scalar(connection, {"exam": number}) is not None:  # it says nothing of anybody
        return set()
    same = people.one_with(connection, patient_number)
    others = _of_other_patients(connection, same, study_instance_uid)
    for one in (number, *others) if others else ():
        work.hold(connection, exam, one, reason=ID_CONFLICT, detail=_shared(one, (number, *others)))
    held = {number, *others} if others else set()
    if not others:
        detail = _contradiction(connection, number, who, same)
        if detail is not None:
            work.hold(connection, exam, number, reason=ID_CONFLICT, detail=detail)
            held.add(number)
    return held


def judge_again(connection: Connection, old: int, new: int, *, at: datetime) -> None:
    """After a patient was merged into another one, or no longer is: release what was held for it, hold what must be."""
    both = people.one_with(connection, old) | people.one_with(connection, new)
    for row in connection.execute(_JUDGED.where(exam.c.patient_id.in_(both))).all():
        detail = _problem(connection, row, alone=row.patient_id == old or row.state == State.HELD)
        if row.state != State.HELD and detail is not None:
            work.hold(connection, exam, row.id, reason=ID_CONFLICT, detail=detail)
        elif row.state == State.HELD and row.reason == ID_CONFLICT and detail is None:
            work.release(connection, exam, row.id, at=at)


def judge_held(connection: Connection, number: int, *, at: datetime) -> None:
    """After an exam was withdrawn, or part of it: release what was held because of it and is no longer in doubt."""
    row = connection.execute(select(exam.c.patient_id, exam.c.study_instance_uid).where(exam.c.id == number)).one()
    theirs = exam.c.patient_id.in_(people.one_with(connection, row.patient_id))
    near = theirs | (exam.c.study_instance_uid == row.study_instance_uid)
    for held in connection.execute(_JUDGED.where(near, exam.c.state == State.HELD, exam.c.reason == ID_CONFLICT)).all():
        if _problem(connection, held, alone=True) is None:
            work.release(connection, exam, held.id, at=at)


def same_person(patient_id: str | BindParameter[str], issuer: str | BindParameter[str] | None) -> ColumnElement[bool]:
    """Which patients on file may be this one: the id is the same, and the issuer, or one does not tell it."""
    same_id = patient.c.patient_id == patient_id
    return same_id if issuer is None else same_id & patient.c.issuer.in_([issuer, ""])


_JUDGED = (
    select(exam.c.id, exam.c.patient_id, exam.c.study_instance_uid, exam.c.birth_date, exam.c.sex)
    .add_columns(exam.c.state, exam.c.reason)
    .where(exam.c.withdrawn.is_(None))
    .order_by(exam.c.id)
)
_WITHDRAWN = Prepared(select(exam.c.withdrawn).where(exam.c.id == bindparam("exam")))
_SAME_STUDY = Prepared(
    select(patient.c.id, patient.c.issuer)
    .join(exam, exam.c.patient_id == patient.c.id)
    .where(exam.c.study_instance_uid == bindparam("study"), patient.c.patient_id == bindparam("patient"))
)
_SAME_PATIENT = bindparam("same", expanding=True, type_=exam.c.patient_id.type)
_OF_OTHERS = Prepared(
    select(exam.c.id)
    .where(exam.c.study_instance_uid == bindparam("study"), exam.c.patient_id.not_in(_SAME_PATIENT))
    .where(exam.c.withdrawn.is_(None))
    .order_by(exam.c.id)
)
_SURE = (
    select(exam.c.id)
    .where(exam.c.patient_id.in_(_SAME_PATIENT), exam.c.id != bindparam("exam"))
    .where(exam.c.reason.is_distinct_from(ID_CONFLICT), exam.c.withdrawn.is_(None))
    .limit(1)
)
_OTHER_BIRTH_DATE = Prepared(_SURE.where(exam.c.birth_date != bindparam("known")))
_OTHER_SEX = Prepared(_SURE.where(exam.c.sex != bindparam("known"), exam.c.sex != ""))


def _of_other_patients(connection: Connection, same: Collection[int], study_instance_uid: str) -> list[int]:
    """The exams of a study that are somebody else's."""
    return _OF_OTHERS.scalars(connection, {"study": study_instance_uid, "same": list(same)})


def _problem(connection: Connection, row: Row[Any], *, alone: bool) -> str | None:
    """Why an exam may be another patient's; whether it contradicts the patient's others is asked only if told to."""
    same = people.one_with(connection, row.patient_id)
    others = _of_other_patients(connection, same, row.study_instance_uid)
    if others:
        return _shared(row.id, (row.id, *others))
    who = Patient(patient_id="-", birth_date=row.birth_date, sex=Sex(row.sex))
    return _contradiction(connection, row.id, who, same) if alone else None


def _shared(one: int, together: Sequence[int]) -> str:
    named = ", ".join(f"E{other}" for other in sorted(together) if other != one)
    return f"the study is that of {named}, PatientID (0010,0020) or its issuer is not"


def _contradiction(connection: Connection, number: int, who: Patient, same: Collection[int]) -> str | None:
    """By what an exam cannot be the same patient's as the others under its patient."""
    found = None
    for name, contradicting, known in _contradictions(who):
        values = {"same": list(same), "exam": number, "known": known}
        if contradicting.scalar(connection, values) is not None:
            found = f"{name} is another than in other exams of this patient"
    return found


def _contradictions(who: Patient) -> Iterator[tuple[str, Prepared, object]]:
    """Of what is known of a patient, which query finds another exam that contradicts it."""
    if who.birth_date is not None:
        yield "PatientBirthDate (0010,0030)", _OTHER_BIRTH_DATE, who.birth_date
    if who.sex:
        yield "PatientSex (0010,0040)", _OTHER_SEX, who.sex.value
