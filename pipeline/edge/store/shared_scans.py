"""Find one scan on file under two patients, as after a correction at the console, and hold both exams.

Two reports are of one scan when the scanner, the second and every BMD that both contain are equal, and the scanner's
own identifier of the scan is. Study Time (0008,0030) may be that of a worklist: where a report has no identifier of the
scan, at least two regions must agree; a report without any time decides nothing. An exam that is already held for its
study or its patient's birth date is not held for its scans as well.
"""

from collections.abc import Iterator
from datetime import datetime, time
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select

from pipeline.edge.store import work_queue
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.patient_identity import ID_CONFLICT
from pipeline.edge.store.report_json import read_report
from pipeline.edge.store.schema import exam, patient, reading, receipt
from pipeline.edge.store.schema_base import State

SAME_SCAN = "same_scan"
"""The reason for which an exam is held whose scan is also on file under another patient."""


class _Pair(NamedTuple):
    """One scan twice: the other exam, and the receipt and sender on each side."""

    exam: int
    mine: str
    theirs: str


def hold(connection: Connection, number: int, *, receipt_number: int | None = None) -> set[int]:
    """Hold an exam and those of other patients that share a scan with it, or with one receipt of it; return them."""
    pairs = list(_pairs(connection, number, receipt_number))
    for pair in pairs:
        mine, theirs = f"E{number} ({pair.mine})", f"E{pair.exam} ({pair.theirs})"
        work_queue.hold(connection, exam, number, reason=SAME_SCAN, detail=_detail(mine, theirs))
        work_queue.hold(connection, exam, pair.exam, reason=SAME_SCAN, detail=_detail(theirs, mine))
    return {number, *(pair.exam for pair in pairs)} if pairs else set()


def release_settled(connection: Connection, *, at: datetime) -> None:
    """Release the exams held because of another one that no longer counts, or is the same patient's by now."""
    held = select(exam.c.id).where(exam.c.state == State.HELD, exam.c.reason == SAME_SCAN).order_by(exam.c.id)
    for number in connection.scalars(held).all():
        if not list(_pairs(connection, number)):
            work_queue.release(connection, exam, number, at=at)


def _detail(this: str, other: str) -> str:
    return f"one scan under two patients: {this} and {other}; withdraw the wrong one"


def _pairs(connection: Connection, number: int, receipt_number: int | None = None) -> Iterator[_Pair]:
    """Yield the exams of other linked patients that share a scan with an exam, each once."""
    found: set[int] = set()
    if receipt_number is None:
        own = _OF_EXAM.execute(connection, {"exam": number})
    else:
        own = _OF_RECEIPT.execute(connection, {"receipt": receipt_number})
    for mine in own:
        values = {"moment": mine.performed_at, "scanner": mine.scanner_id, "linked_patients": mine.linked_patients_id}
        for theirs in _OF_OTHERS_AT_THAT_TIME.execute(connection, values):
            if theirs.exam_id not in found and _is_one_scan(mine.report, theirs.report):
                found.add(theirs.exam_id)
                yield _Pair(theirs.exam_id, _sent(mine), _sent(theirs))


def _sent(row: Row[Any]) -> str:
    return f"receipt {row.receipt_id} from {row.calling_ae_title}"


def _is_one_scan(report: str, other_report: str) -> bool:
    one, other = read_report(report), read_report(other_report)
    mine, theirs = one.exam.by_region, other.exam.by_region
    shared = mine.keys() & theirs.keys()
    if not shared or any(mine[key].bmd != theirs[key].bmd for key in shared):
        return False
    scans = [{analysis.scan for analysis in each.analyses if analysis.scan} for each in (one, other)]
    if all(scans):
        return bool(scans[0] & scans[1])
    return len(shared) >= _FEWEST_REGIONS and one.exam.performed_at.time() != time()


_FEWEST_REGIONS = 2


_COUNTING = (
    select(reading.c.exam_id, reading.c.receipt_id, reading.c.report, reading.c.performed_at)
    .add_columns(exam.c.scanner_id, patient.c.linked_patients_id, receipt.c.calling_ae_title)
    .select_from(reading)
    .join(exam, exam.c.id == reading.c.exam_id)
    .join(patient, patient.c.id == exam.c.patient_id)
    .join(receipt, receipt.c.id == reading.c.receipt_id)
    .where(reading.c.rejected.is_(None), exam.c.withdrawn.is_(None), exam.c.reason.is_distinct_from(ID_CONFLICT))
    .order_by(reading.c.receipt_id)
)
_OF_EXAM = CompiledStatement(_COUNTING.where(reading.c.exam_id == bindparam("exam")))
_OF_RECEIPT = CompiledStatement(_COUNTING.where(reading.c.receipt_id == bindparam("receipt")))
_OF_OTHERS_AT_THAT_TIME = CompiledStatement(
    _COUNTING.where(
        reading.c.performed_at == bindparam("moment"),
        exam.c.scanner_id == bindparam("scanner"),
        patient.c.linked_patients_id != bindparam("linked_patients"),
    )
)
