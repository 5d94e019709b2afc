"""Find everything that is linked to one patient, by id and issuer: all ids merged with it, and what was never read."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from pipeline.edge.store import patient_file, patient_merges
from pipeline.edge.store.patient_rows import PatientRows, patient_rows, uids_of
from pipeline.edge.store.schema import exam, patient, reading
from pipeline.edge.store.unread_receipts import Whose, unread_receipts_of
from pipeline.errors import DxatrendError


class PatientNotFoundError(DxatrendError):
    """Nothing is on file under an id, or of several issuers; the text says which, and not the id."""


def select_patient(
    connection: Connection, patient_id: str, issuer: str = "", *, known: PatientRows | None = None
) -> PatientRows:
    """Return everything linked to the patient with an id, under every id that was merged with it.

    Without an issuer it is the only patient who has the id; one without an issuer on file is taken for the same. With
    ``known``, found a moment ago, only what is newer is looked for where a whole table would have to be read.

    Raises:
        PatientNotFoundError: nothing is on file, or the id is on file of several issuers.
    """
    numbers = _numbers(connection, patient_id, issuer)
    found = select_patients(connection, numbers, also={(patient_id, issuer)}, known=known)
    if not (found.patients or found.receipts):
        raise PatientNotFoundError("nothing is on file under this id and issuer")
    return found


def select_patients(
    connection: Connection,
    numbers: Collection[int],
    *,
    also: Collection[tuple[str, str]] = (),
    known: PatientRows | None = None,
) -> PatientRows:
    """Return everything linked to patients by our numbers, and to those merged with them."""
    patients = {one for number in numbers for one in patient_merges.merged_patients(connection, number)}
    identities = {(one.patient_id, one.issuer) for one in patient_file.patients_of(connection, patients)} | {*also}
    exams = connection.scalars(select(exam.c.id).where(exam.c.patient_id.in_(patients))).all()
    read = connection.scalars(select(reading.c.receipt_id).where(reading.c.exam_id.in_(exams))).all()
    whose = Whose(identities=identities, uids=uids_of(connection, exams, read))
    after = 0 if known is None else known.last_receipt
    unread = unread_receipts_of(connection, whose, after=after)
    if known is not None:
        unread |= known.receipts - set(read)
    return patient_rows(connection, patients, identities, unread, known=known)


def _numbers(connection: Connection, patient_id: str, issuer: str) -> list[int]:
    rows = connection.execute(select(patient.c.id, patient.c.issuer).where(patient.c.patient_id == patient_id)).all()
    issuers = sorted({row.issuer for row in rows} - {""})
    if not issuer and len(issuers) > 1:
        raise PatientNotFoundError(f"the id is on file of several issuers: {', '.join(issuers)}; name one (--issuer)")
    wanted = {issuer, ""} if len(issuers) <= 1 and issuer in ("", *issuers) else {issuer}
    wanted |= set(issuers) if not issuer else set()
    return [row.id for row in rows if row.issuer in wanted]
