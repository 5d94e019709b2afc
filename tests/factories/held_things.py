"""A store with something held in each kind of work: a report, an exam, a delivery, a commitment and a question."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import insert, select

from pipeline.edge.app import App
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import receipts, work_queue
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import addendum as addendum_table
from pipeline.edge.store.schema import commitment_request, delivery, exam, history_query, receipt
from pipeline.edge.store.schema_base import State
from tests.factories.reports import ENHANCED_SR, encode, region, report, spine

UNKNOWN_NAME = "^<script>alert(1)</script>"
"""The name of the patient of the report that no dialect knows."""


class HeldThings(NamedTuple):
    """The printed number of each."""

    unknown: str
    """A readable report of a kind that no dialect knows."""
    broken: str
    """Bytes that are no DICOM object."""
    exam: str
    delivery: str
    commitment: str
    query: str


def hold_things(app: App, *, caller: str = "SCANNER1", days_ago: int = 2) -> HeldThings:
    """Hold one of each kind in a store that has exams with addenda; the exam since today, the rest for some days."""
    now = datetime.now(UTC)
    before = now - timedelta(days=days_ago)
    unknown = _receive(
        app,
        encode(_unknown("2.25.801")),
        caller,
        before,
        uid="2.25.801",
    )
    broken = _receive(app, b"not a DICOM object", caller, before, uid="2.25.802")
    while extract_waiting(app):
        pass
    with app.database.write() as connection:
        row = connection.execute(
            select(exam.c.id, exam.c.patient_id, addendum_table.c.id.label("addendum"))
            .join(addendum_table, addendum_table.c.exam_id == exam.c.id)
            .order_by(exam.c.id)
            .limit(1)
        ).one()
        detail = "the study is that of E99 sent by SCANNER2, PatientID (0010,0020) or its issuer is not"
        work_queue.hold(connection, exam, row.id, reason="id_conflict", detail=detail)
        waiting = {"state": State.WAITING, "due_at": before}
        sent = connection.scalar(select(delivery.c.id).where(delivery.c.addendum_id == row.addendum).limit(1))
        if sent is None:  # no destination is configured
            unsent = {"addendum_id": row.addendum, "destination": "pacs", "size": 1, **waiting}
            sent = connection.execute(insert(delivery).values(**unsent).returning(delivery.c.id)).scalar_one()
        work_queue.hold(connection, delivery, sent, reason="refused", detail="0xA900 from the PACS")
        asked = connection.execute(
            insert(commitment_request)
            .values(calling_ae_title=caller, transaction_uid="2.25.9", requested_at=before, requested="[]", **waiting)
            .returning(commitment_request.c.id)
        ).scalar_one()
        work_queue.hold(connection, commitment_request, asked, reason="not_reported", detail="its scanner is silent")
        query = connection.execute(
            insert(history_query)
            .values(patient_id=row.patient_id, exam_id=row.id, destination="archive", requested_at=before, **waiting)
            .returning(history_query.c.id)
        ).scalar_one()
        work_queue.hold(connection, history_query, query, reason="unexpected", detail="KeyError at query_retrieve:1")
    return HeldThings(str(unknown), str(broken), f"E{row.id}", f"D{sent}", f"C{asked}", f"Q{query}")


def _unknown(uid: str) -> Dataset:
    content = spine(region("L1-L4", "0.95"))
    return report(content, root="Kidney report", PatientName=UNKNOWN_NAME, SOPInstanceUID=uid)


def _receive(app: App, data_set: bytes, caller: str, at: datetime, *, uid: str) -> int:
    instance = Instance(
        sop_class_uid=ENHANCED_SR,
        sop_instance_uid=uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=data_set,
    )
    with app.database.write() as connection:
        number, _ = receipts.store(connection, instance, calling_ae_title=caller, host="192.0.2.7", at=at)
        connection.execute(receipt.update().where(receipt.c.id == number).values(due_at=at))
    return number
