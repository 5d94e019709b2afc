"""Find everything that is linked to one patient, by id and issuer: all ids merged with it, and what was never read."""

from collections.abc import Collection
from dataclasses import replace

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
        but = f"; {not_looked_into(found.damaged)}" if found.damaged else ""
        raise PatientNotFoundError(f"nothing is on file under this id and issuer{but}")
    return found


def not_looked_into(damaged: Collection[int]) -> str:
    """Return in words which receipts may be of a patient, as their bytes are damaged or gone."""
    which = f"receipt{'s' if len(damaged) > 1 else ''} {', '.join(map(str, sorted(damaged)))}"
    return (
        f"the bytes of {which} are damaged or gone, and nobody can tell whose they are: have them sent again, or "
        "restore a backup, and look again"
    )


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
    unread, damaged = unread_receipts_of(connection, whose, after=after)
    if known is not None:
        unread |= known.receipts - set(read)
        damaged |= known.damaged
    return replace(patient_rows(connection, patients, identities, unread, known=known), damaged=damaged)


def _numbers(connection: Connection, patient_id: str, issuer: str) -> list[int]:
    rows = connection.execute(select(patient.c.id, patient.c.issuer).where(patient.c.patient_id == patient_id)).all()
    issuers = sorted({row.issuer for row in rows} - {""})
    if not issuer and len(issuers) > 1:
        raise PatientNotFoundError(f"the id is on file of several issuers: {', '.join(issuers)}; name one (--issuer)")
    wanted = {issuer, ""} if len(issuers) <= 1 and issuer in ("", *issuers) else {issuer}
    wanted |= set(issuers) if not issuer else set()
    return [row.id for row in rows if row.issuer in wanted]
