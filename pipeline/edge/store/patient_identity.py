"""Patient identity of an exam: which patient it is filed under, and holds for identity conflicts (R2.19)."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, select, update

from pipeline.clinical.model import Patient, Sex
from pipeline.clinical.person_names import contradict
from pipeline.edge.store import patient_merges, patients, work_queue
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.intruders import intruders, named
from pipeline.edge.store.schema import exam, patient
from pipeline.edge.store.schema_base import State

ID_CONFLICT = "id_conflict"
"""The reason for which an exam is held that may be another patient's."""


def patient_of(connection: Connection, who: Patient, study_instance_uid: str) -> int:
    """Return the number of a report's patient, where another report of the study may supply a missing issuer."""
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

    Without a birth date the names are compared. Only the exams of the wrong side are held, where ``intruders`` can
    decide which that is. A held exam that is no longer in doubt is released, as when more exams agree. Returns the
    exams that were held or released.
    """
    withdrawn = _WITHDRAWN.scalar(connection, {"exam": number})
    if withdrawn is not None:  # it does not count
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
    """Hold what is in doubt because of an exam on file, as when its report was received."""
    row = connection.execute(select(exam).where(exam.c.id == number)).one()
    whose = connection.execute(select(patient).where(patient.c.id == row.patient_id)).one()
    who = Patient(patient_id=whose.patient_id, issuer=whose.issuer, birth_date=row.birth_date, sex=Sex(row.sex))
    hold_conflicts(connection, number, who, row.patient_id, row.study_instance_uid, at=at)


def reassess_after_merge(connection: Connection, old: int, new: int, *, at: datetime) -> None:
    """Release and hold exams again after a patient was merged into another one, or a merge was undone."""
    both = patient_merges.merged_patients(connection, old) | patient_merges.merged_patients(connection, new)
    for row in connection.execute(_JUDGED.where(exam.c.patient_id.in_(both))).all():
        detail = _problem(connection, row, alone=row.patient_id == old or row.state == State.HELD)
        if row.state != State.HELD and detail is not None:
            work_queue.hold(connection, exam, row.id, reason=ID_CONFLICT, detail=detail)
        elif row.state == State.HELD and row.reason == ID_CONFLICT and detail is None:
            work_queue.release(connection, exam, row.id, at=at)


def release_settled(connection: Connection, number: int, *, at: datetime) -> None:
    """Release what was held because of an exam and is no longer in doubt, after a withdrawal or rejection."""
    row = connection.execute(select(exam.c.patient_id, exam.c.study_instance_uid).where(exam.c.id == number)).one()
    theirs = exam.c.patient_id.in_(patient_merges.merged_patients(connection, row.patient_id))
    near = theirs | (exam.c.study_instance_uid == row.study_instance_uid)
    for held in connection.execute(_JUDGED.where(near, exam.c.state == State.HELD, exam.c.reason == ID_CONFLICT)).all():
        if not _is_in_doubt(connection, held):
            work_queue.release(connection, exam, held.id, at=at)


def same_patient(patient_id: str | BindParameter[str], issuer: str | BindParameter[str] | None) -> ColumnElement[bool]:
    """Return the condition that a patient on file may be this one: same id, and same issuer or one has none."""
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
_SAME = bindparam("same", expanding=True, type_=exam.c.patient_id.type)
_OF_OTHER_PATIENTS = CompiledStatement(
    select(exam.c.id)
    .where(exam.c.study_instance_uid == bindparam("study"), exam.c.patient_id.not_in(_SAME))
    .where(exam.c.withdrawn.is_(None))
    .order_by(exam.c.id)
)
_OTHERS = select(exam.c.id, exam.c.name).where(exam.c.patient_id.in_(_SAME), exam.c.withdrawn.is_(None))
_OTHER_SEX = _OTHERS.where(exam.c.sex != bindparam("known"), exam.c.sex != "", exam.c.id != bindparam("exam")).limit(1)
_OTHER_BIRTH_DATE = _OTHERS.where(exam.c.birth_date != bindparam("known"), exam.c.id != bindparam("exam")).limit(1)
_NAMES = _OTHERS.where(exam.c.birth_date.is_(None), exam.c.name != "")
_CERTAIN = exam.c.reason.is_distinct_from(ID_CONFLICT)
_ANY_OTHER_SEX, _CERTAIN_OTHER_SEX = CompiledStatement(_OTHER_SEX), CompiledStatement(_OTHER_SEX.where(_CERTAIN))
_ANY_OTHER_BIRTH_DATE = CompiledStatement(_OTHER_BIRTH_DATE)
_CERTAIN_OTHER_BIRTH_DATE = CompiledStatement(_OTHER_BIRTH_DATE.where(_CERTAIN))
_ANY_NAMES = CompiledStatement(_NAMES)
_CERTAIN_NAMES = CompiledStatement(_NAMES.where((exam.c.id == bindparam("exam")) | _CERTAIN))


def _of_other_patients(connection: Connection, same: Collection[int], study_instance_uid: str) -> list[int]:
    """Return the exams of a study that are filed under other patients."""
    return _OF_OTHER_PATIENTS.scalars(connection, {"study": study_instance_uid, "same": list(same)})


def _concerned(connection: Connection, same: Collection[int], study_instance_uid: str) -> Sequence[Row[Any]]:
    """Return the exams of a patient and those of a study, without withdrawn ones."""
    near = exam.c.patient_id.in_(list(same)) | (exam.c.study_instance_uid == study_instance_uid)
    return connection.execute(_JUDGED.where(near)).all()


def _doubts(
    connection: Connection, rows: Sequence[Row[Any]], same: Collection[int], study_instance_uid: str
) -> dict[int, str]:
    """Return the exams of a patient, or of a study with it, that may be another patient's, each with the reason.

    An exam in doubt for its study does not count among the patient's other exams.
    """
    doubts: dict[int, str] = {}
    shared = [row for row in rows if row.study_instance_uid == study_instance_uid]
    sides = _sides([(row.id, -1 if row.patient_id in same else row.patient_id) for row in shared])
    for one in intruders(connection, sides, majority=False) if len(sides) > 1 else ():
        doubts[one] = _shared(connection, one, [row.id for row in shared])
    theirs = [row for row in rows if row.patient_id in same and row.id not in doubts]
    attributes = {
        "PatientBirthDate (0010,0030)": _sides([(row.id, row.birth_date) for row in theirs if row.birth_date]),
        "PatientSex (0010,0040)": _sides([(row.id, row.sex) for row in theirs if row.sex]),
        "PatientName (0010,0010), without a birth date,": _sides_by_name(theirs),
    }
    for name, sides in attributes.items():
        for one in intruders(connection, sides, majority=True) if len(sides) > 1 else ():
            others = named(connection, [number for side in sides if one not in side for number in side][:_NAMED])
            doubts[one] = f"{name} is another than in other exams of this patient: {others}"
    return doubts


def _is_in_doubt(connection: Connection, row: Row[Any]) -> bool:
    """Return whether an exam may be another patient's, by its study and its patient's other exams."""
    same = patient_merges.merged_patients(connection, row.patient_id)
    rows = _concerned(connection, same, row.study_instance_uid)
    return row.id in _doubts(connection, rows, same, row.study_instance_uid)


_NAMED = 3
"""Contradicting exams that are named in the detail of a held one."""


def _sides(values: Sequence[tuple[int, object]]) -> list[list[int]]:
    """Group exams by equal value, in the order of the first exam of each side."""
    found: dict[object, list[int]] = {}
    for number, value in values:
        found.setdefault(value, []).append(number)
    return list(found.values())


def _sides_by_name(rows: Sequence[Row[Any]]) -> list[list[int]]:
    """Group the exams without a birth date by names that may be one person's, in the order of their first exam."""
    found: list[list[Row[Any]]] = []
    for row in rows:
        if row.birth_date is None and row.name:
            side = next((one for one in found if not all(contradict(row.name, other.name) for other in one)), None)
            found.append([row]) if side is None else side.append(row)
    return [[row.id for row in side] for side in found]


def _problem(connection: Connection, row: Row[Any], *, alone: bool) -> str | None:
    """Return why an exam may be another patient's; with ``alone`` also for contradicting the patient's other exams."""
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
    """Return whether any other exam of a patient contradicts an exam in birth date, sex or name."""
    return next(_contradictions(connection, number, who, same, certain=False), None) is not None


def _contradiction(connection: Connection, number: int, who: Patient, same: Collection[int]) -> str | None:
    """Return in what an exam contradicts the patient's exams that are not in doubt themselves."""
    return next(_contradictions(connection, number, who, same, certain=True), None)


def _contradictions(
    connection: Connection, number: int, who: Patient, same: Collection[int], *, certain: bool
) -> Iterator[str]:
    """Yield in what other exams of a patient contradict one; with ``certain`` of exams not held for an id conflict."""
    values = {"same": list(same), "exam": number}
    other_sex = _CERTAIN_OTHER_SEX if certain else _ANY_OTHER_SEX
    if who.sex and other_sex.execute(connection, {**values, "known": who.sex.value}):
        yield "PatientSex (0010,0040) is another than in other exams of this patient"
    other_birth_date = _CERTAIN_OTHER_BIRTH_DATE if certain else _ANY_OTHER_BIRTH_DATE
    if who.birth_date is None:
        unknown = _CERTAIN_NAMES.execute(connection, values) if certain else _ANY_NAMES.execute(connection, values)
        names: dict[int, str] = {row.id: row.name for row in unknown}
        own = names.pop(number, "")
        if any(contradict(own, other) for other in names.values()):
            yield "PatientName (0010,0010) is another than in other exams of this patient, and no birth date is told"
    elif other_birth_date.execute(connection, {**values, "known": who.birth_date}):
        yield "PatientBirthDate (0010,0030) is another than in other exams of this patient"
