"""Whose exam is it, and might it be another patient's?"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, select, update

from pipeline.clinical.model import Patient, Sex
from pipeline.clinical.person_names import contradict
from pipeline.edge.store import patient_merges, patients, work_queue
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.intruders import intruders, named
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
    connection: Connection, number: int, who: Patient, patient_number: int, study_instance_uid: str, *, at: datetime
) -> set[int]:
    """Hold exams of one study under two patients, and those whose birth date or sex is not the patient's (R2.19).

    Where no birth date is told the name counts, as far as names contradict each other.
    An intruder's alone, where anything tells who that is. What was held and is not in doubt any more is released, as
    when more exams agree. Returns which exams were held or released.
    """
    if _WITHDRAWN.scalar(connection, {"exam": number}) is not None:  # it says nothing of anybody
        return set()
    same = patient_merges.merged_patients(connection, patient_number)
    if not _of_other_patients(connection, same, study_instance_uid) and not _contradicts(connection, number, who, same):
        return set()
    rows = _concerned(connection, same, study_instance_uid)
    doubts = _doubts(connection, rows, same, study_instance_uid)
    for row in rows:
        if row.id in doubts:
            work_queue.hold(connection, exam, row.id, reason=ID_CONFLICT, detail=doubts[row.id])
    held = (row for row in rows if row.state == State.HELD and row.reason == ID_CONFLICT and row.id not in doubts)
    released = [row.id for row in held if not _is_in_doubt(connection, row)]
    for one in released:
        work_queue.release(connection, exam, one, at=at)
    return {*doubts, *released}


def hold_if_in_doubt(connection: Connection, number: int, *, at: datetime) -> None:
    """Hold what is in doubt because of an exam that is on file, as when its report came."""
    row = connection.execute(select(exam).where(exam.c.id == number)).one()
    whose = connection.execute(select(patient).where(patient.c.id == row.patient_id)).one()
    who = Patient(patient_id=whose.patient_id, issuer=whose.issuer, birth_date=row.birth_date, sex=Sex(row.sex))
    hold_conflicts(connection, number, who, row.patient_id, row.study_instance_uid, at=at)


def reassess_after_merge(connection: Connection, old: int, new: int, *, at: datetime) -> None:
    """After a patient was merged into another one, or no longer is: release what was held for it, hold what must be."""
    both = patient_merges.merged_patients(connection, old) | patient_merges.merged_patients(connection, new)
    for row in connection.execute(_JUDGED.where(exam.c.patient_id.in_(both))).all():
        detail = _problem(connection, row, alone=row.patient_id == old or row.state == State.HELD)
        if row.state != State.HELD and detail is not None:
            work_queue.hold(connection, exam, row.id, reason=ID_CONFLICT, detail=detail)
        elif row.state == State.HELD and row.reason == ID_CONFLICT and detail is None:
            work_queue.release(connection, exam, row.id, at=at)


def release_settled(connection: Connection, number: int, *, at: datetime) -> None:
    """After an exam was withdrawn, or part of it: release what was held because of it and is no longer in doubt."""
    row = connection.execute(select(exam.c.patient_id, exam.c.study_instance_uid).where(exam.c.id == number)).one()
    theirs = exam.c.patient_id.in_(patient_merges.merged_patients(connection, row.patient_id))
    near = theirs | (exam.c.study_instance_uid == row.study_instance_uid)
    for held in connection.execute(_JUDGED.where(near, exam.c.state == State.HELD, exam.c.reason == ID_CONFLICT)).all():
        if not _is_in_doubt(connection, held):
            work_queue.release(connection, exam, held.id, at=at)


def same_patient(patient_id: str | BindParameter[str], issuer: str | BindParameter[str] | None) -> ColumnElement[bool]:
    """Which patients on file may be this one: the id is the same, and the issuer, or one does not tell it."""
    same_id = patient.c.patient_id == patient_id
    return same_id if issuer is None else same_id & patient.c.issuer.in_([issuer, ""])


_JUDGED = (
    select(exam.c.id, exam.c.patient_id, exam.c.study_instance_uid, exam.c.birth_date, exam.c.sex, exam.c.name)
    .add_columns(exam.c.state, exam.c.reason)
    .where(exam.c.withdrawn.is_(None))
    .order_by(exam.c.id)
)
_WITHDRAWN = CompiledStatement(select(exam.c.withdrawn).where(exam.c.id == bindparam("exam")))
_SAME_STUDY = CompiledStatement(
    select(patient.c.id, patient.c.issuer)
    .join(exam, exam.c.patient_id == patient.c.id)
    .where(exam.c.study_instance_uid == bindparam("study"), patient.c.patient_id == bindparam("patient"))
)
_SAME_PATIENT = bindparam("same", expanding=True, type_=exam.c.patient_id.type)
_OF_OTHERS = CompiledStatement(
    select(exam.c.id)
    .where(exam.c.study_instance_uid == bindparam("study"), exam.c.patient_id.not_in(_SAME_PATIENT))
    .where(exam.c.withdrawn.is_(None))
    .order_by(exam.c.id)
)
_ANY = (
    select(exam.c.id)
    .where(exam.c.patient_id.in_(_SAME_PATIENT), exam.c.id != bindparam("exam"))
    .where(exam.c.withdrawn.is_(None))
    .limit(1)
)
_ANY_BIRTH_DATE = CompiledStatement(_ANY.where(exam.c.birth_date != bindparam("known")))
_ANY_SEX = CompiledStatement(_ANY.where(exam.c.sex != bindparam("known"), exam.c.sex != ""))
_SURE = _ANY.where(exam.c.reason.is_distinct_from(ID_CONFLICT))
_NAMES = (
    select(exam.c.id, exam.c.name)
    .where(exam.c.patient_id.in_(_SAME_PATIENT), exam.c.birth_date.is_(None), exam.c.name != "")
    .where(exam.c.withdrawn.is_(None))
)
_ANY_NAMES = CompiledStatement(_NAMES)
_SURE_NAMES = CompiledStatement(
    _NAMES.where((exam.c.id == bindparam("exam")) | exam.c.reason.is_distinct_from(ID_CONFLICT))
)
_OTHER_BIRTH_DATE = CompiledStatement(_SURE.where(exam.c.birth_date != bindparam("known")))
_OTHER_SEX = CompiledStatement(_SURE.where(exam.c.sex != bindparam("known"), exam.c.sex != ""))


def _of_other_patients(connection: Connection, same: Collection[int], study_instance_uid: str) -> list[int]:
    """The exams of a study that are somebody else's."""
    return _OF_OTHERS.scalars(connection, {"study": study_instance_uid, "same": list(same)})


def _concerned(connection: Connection, same: Collection[int], study_instance_uid: str) -> Sequence[Row[Any]]:
    """The exams of a patient, and those of a study, but for what was withdrawn."""
    near = exam.c.patient_id.in_(list(same)) | (exam.c.study_instance_uid == study_instance_uid)
    return connection.execute(_JUDGED.where(near)).all()


def _doubts(
    connection: Connection, rows: Sequence[Row[Any]], same: Collection[int], study_instance_uid: str
) -> dict[int, str]:
    """Which exams of a patient, or of a study with it, may be somebody else's, and by what; with who sent the others.

    What is in doubt for its study says nothing of whose the patient's other exams are.
    """
    doubts: dict[int, str] = {}
    shared = [row for row in rows if row.study_instance_uid == study_instance_uid]
    sides = _sides([(row.id, -1 if row.patient_id in same else row.patient_id) for row in shared])
    for one in intruders(connection, sides, majority=False) if len(sides) > 1 else ():
        doubts[one] = _shared(connection, one, [row.id for row in shared])
    theirs = [row for row in rows if row.patient_id in same and row.id not in doubts]
    told = {
        "PatientBirthDate (0010,0030)": _sides([(row.id, row.birth_date) for row in theirs if row.birth_date]),
        "PatientSex (0010,0040)": _sides([(row.id, row.sex) for row in theirs if row.sex]),
        "PatientName (0010,0010), without a birth date,": _sides_by_name(theirs),
    }
    for name, sides in told.items():
        for one in intruders(connection, sides, majority=True) if len(sides) > 1 else ():
            others = named(connection, [number for side in sides if one not in side for number in side][:_NAMED])
            doubts[one] = f"{name} is another than in other exams of this patient: {others}"
    return doubts


def _is_in_doubt(connection: Connection, row: Row[Any]) -> bool:
    """Whether an exam may be somebody else's, by its own study and its own patient's other exams."""
    same = patient_merges.merged_patients(connection, row.patient_id)
    rows = _concerned(connection, same, row.study_instance_uid)
    return row.id in _doubts(connection, rows, same, row.study_instance_uid)


_NAMED = 3
"""So many of the exams that contradict one are named with it."""


def _sides(told: Sequence[tuple[int, object]]) -> list[list[int]]:
    """The exams that tell the same, in the order in which the first of each side came."""
    found: dict[object, list[int]] = {}
    for number, what in told:
        found.setdefault(what, []).append(number)
    return list(found.values())


def _sides_by_name(rows: Sequence[Row[Any]]) -> list[list[int]]:
    """Of the exams that tell no birth date, those whose names may be one person's, each side by its first exam."""
    found: list[list[Row[Any]]] = []
    for row in rows:
        if row.birth_date is None and row.name:
            side = next((one for one in found if not all(contradict(row.name, other.name) for other in one)), None)
            found.append([row]) if side is None else side.append(row)
    return [[row.id for row in side] for side in found]


def _problem(connection: Connection, row: Row[Any], *, alone: bool) -> str | None:
    """Why an exam may be another patient's; whether it contradicts the patient's others is asked only if told to."""
    same = patient_merges.merged_patients(connection, row.patient_id)
    rows = _concerned(connection, same, row.study_instance_uid)
    shared = [other for other in rows if other.study_instance_uid == row.study_instance_uid]
    if any(other.patient_id not in same for other in shared):
        return _doubts(connection, shared, same, row.study_instance_uid).get(row.id)
    who = Patient(patient_id="-", birth_date=row.birth_date, sex=Sex(row.sex))
    return _contradiction(connection, row.id, who, same) if alone else None


def _shared(connection: Connection, one: int, together: Sequence[int]) -> str:
    others = named(connection, [other for other in together if other != one])
    return f"the study is that of {others}, PatientID (0010,0020) or its issuer is not"


def _contradicts(connection: Connection, number: int, who: Patient, same: Collection[int]) -> bool:
    """Whether any other exam of a patient tells another birth date or sex, or without birth dates another name."""
    told = {"same": list(same), "exam": number}
    if who.birth_date is None and _is_named_otherwise(connection, number, same, _ANY_NAMES):
        return True
    return (
        who.birth_date is not None and _ANY_BIRTH_DATE.scalar(connection, {**told, "known": who.birth_date}) is not None
    ) or (bool(who.sex) and _ANY_SEX.scalar(connection, {**told, "known": who.sex.value}) is not None)


def _contradiction(connection: Connection, number: int, who: Patient, same: Collection[int]) -> str | None:
    """By what an exam cannot be the same patient's as the others under its patient."""
    found = None
    if who.birth_date is None and _is_named_otherwise(connection, number, same, _SURE_NAMES):
        found = "PatientName (0010,0010) is another than in other exams of this patient, and no birth date is told"
    for name, contradicting, known in _contradictions(who):
        values = {"same": list(same), "exam": number, "known": known}
        if contradicting.scalar(connection, values) is not None:
            found = f"{name} is another than in other exams of this patient"
    return found


def _is_named_otherwise(connection: Connection, number: int, same: Collection[int], others: CompiledStatement) -> bool:
    """Whether the name of an exam without a birth date contradicts one of the others without."""
    found = others.execute(connection, {"same": list(same), "exam": number})
    names: dict[int, str] = {row.id: row.name for row in found}
    mine = names.pop(number, "")
    return any(contradict(mine, theirs) for theirs in names.values())


def _contradictions(who: Patient) -> Iterator[tuple[str, CompiledStatement, object]]:
    """Of what is known of a patient, which query finds another exam that contradicts it."""
    if who.birth_date is not None:
        yield "PatientBirthDate (0010,0030)", _OTHER_BIRTH_DATE, who.birth_date
    if who.sex:
        yield "PatientSex (0010,0040)", _OTHER_SEX, who.sex.value
