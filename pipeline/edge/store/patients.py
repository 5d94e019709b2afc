"""Patients on file by id and issuer, and the clinical context recorded of them."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, insert, select, tuple_

from pipeline.clinical.clinical_context import ClinicalContext, context_on
from pipeline.clinical.model import Patient
from pipeline.edge.store import patient_merges
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.schema import clinical_context, exam, patient

_RECORD = TypeAdapter(ClinicalContext)

_FIND = CompiledStatement(
    select(patient.c.id).where(patient.c.patient_id == bindparam("patient"), patient.c.issuer == bindparam("issuer"))
)
_CONTEXTS_OF = CompiledStatement(
    select(clinical_context.c.record)
    .join(patient, patient.c.id == clinical_context.c.patient_id)
    .where(tuple_(patient.c.patient_id, patient.c.issuer).in_(bindparam("identities", expanding=True)))
    .order_by(clinical_context.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextOnFile:
    """One record of clinical context, when it was recorded here, and by whom."""

    record: ClinicalContext
    loaded_at: datetime
    loaded_by: str


def number_of(connection: Connection, patient_id: str, issuer: str) -> int:
    """Return the number of a patient, inserted if new; id and issuer are trimmed already."""
    known = find(connection, patient_id, issuer)
    if known is not None:
        return known
    linked_patients = patient_merges.new_linked_patients(connection, patient_id)
    insert_if_absent(connection, patient, issuer=issuer, patient_id=patient_id, linked_patients_id=linked_patients)
    number = find(connection, patient_id, issuer)
    assert number is not None  # just inserted, or there before
    return number


def find(connection: Connection, patient_id: str, issuer: str) -> int | None:
    """Return the number of a patient on file; ``None`` for any other."""
    number: int | None = _FIND.scalar(connection, {"patient": patient_id, "issuer": issuer})
    return number


def linked_patients_of(connection: Connection, patient_id: str, issuer: str) -> int | None:
    """Return the linked patients of an id and issuer, or of the id alone where no issuer is given."""
    same = patient.c.patient_id == patient_id
    query = select(patient.c.linked_patients_id).where(same & (patient.c.issuer == issuer) if issuer else same)
    number: int | None = connection.scalar(query.order_by(patient.c.id).limit(1))
    return number


def linked_patients_number(connection: Connection, number: int) -> int:
    """Return the linked patients that a patient belongs to."""
    linked_patients: int = connection.execute(
        select(patient.c.linked_patients_id).where(patient.c.id == number)
    ).scalar_one()
    return linked_patients


def is_on_file_only_under_another_issuer(connection: Connection, patient_id: str, issuer: str) -> bool:
    """Return whether there are exams under this id, and none of them counts as this patient's."""
    own = patient_merges.merged_identities(connection, Patient(patient_id=patient_id, issuer=issuer))
    of_exams = select(patient.c.id).join(exam, exam.c.patient_id == patient.c.id).limit(1)
    mine = of_exams.where(tuple_(patient.c.patient_id, patient.c.issuer).in_(sorted(own)))
    if connection.scalar(mine) is not None:
        return False
    return connection.scalar(of_exams.where(patient.c.patient_id == patient_id)) is not None


def record_context(
    connection: Connection, patient_number: int, record: ClinicalContext, *, at: datetime, by: str
) -> bool:
    """Store a record and return whether it is new for its day; earlier records stay."""
    of_that_day = [found.record for found in contexts(connection, patient_number) if _same_day(found.record, record)]
    day = record.recorded_on
    if record in of_that_day and context_on(of_that_day, day) == context_on([*of_that_day, record], day):
        return False
    written = _RECORD.dump_json(record, exclude_none=True).decode()
    connection.execute(
        insert(clinical_context).values(
            patient_id=patient_number, recorded_on=record.recorded_on, record=written, loaded_at=at, loaded_by=by
        )
    )
    return True


def contexts(connection: Connection, patient_number: int) -> list[ContextOnFile]:
    """Return the clinical context of a patient, in the order it was loaded."""
    query = select(clinical_context).where(clinical_context.c.patient_id == patient_number)
    return [
        ContextOnFile(record=_RECORD.validate_json(row.record), loaded_at=row.loaded_at, loaded_by=row.loaded_by)
        for row in connection.execute(query.order_by(clinical_context.c.id))
    ]


def contexts_of(connection: Connection, who: Patient) -> list[ClinicalContext]:
    """Return the clinical context of a patient and of all identities merged with it."""
    identities = sorted(patient_merges.merged_identities(connection, who))
    found = _CONTEXTS_OF.scalars(connection, {"identities": identities})
    return [_RECORD.validate_json(record) for record in found]


def _same_day(one: ClinicalContext, other: ClinicalContext) -> bool:
    return one.recorded_on == other.recorded_on
