"""Readings: the extracted report of each receipt, recorded in the exam it belongs to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, literal, select, update

from pipeline.edge.store import (
    exams,
    patient_identity,
    receipts,
    scanner_exams,
    scanners,
    senders,
    shared_scans,
    work_queue,
)
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.report_json import read_report, write_report
from pipeline.edge.store.schema import exam, patient, reading, receipt, rejection, scanner
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.senders import Sender
from pipeline.sr.dicom.header import UnusableEvidenceError, corrections, read_header, tidy_header, written_at
from pipeline.sr.extract.report import Report

REPEATED = "repeated"
"""The reason for which a report is ignored that has the same content as another one of its exam."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArrival:
    """How a report came: when, by which caller and reader, and when its exam is due for it.

    ``bound`` is a caller that the configuration binds to the scanner; ``late`` a report sent long after its exam.
    """

    seen_at: datetime
    due_at: datetime
    reader_fingerprint: str = ""
    historical: bool = False
    sender: Sender | None = None
    bound: bool = False
    late: bool = False


def record(
    connection: Connection,
    receipt_number: int,
    report: Report,
    arrival: ReportArrival,
    *,
    may_reject: Callable[[Sender], bool] = lambda _: True,
) -> int:
    """Record the report of a receipt in its exam, which becomes due, and return the number of the exam.

    A report with the content of another one of its exam, exported once more under a new UID, is ignored, unless it
    corrects patient or order as an addendum quotes them: then it replaces the other one. Where the study or the scan is
    on file under another patient, or the patient with another birth date or sex, the exam is held (R2.19). The later
    exams of the patient become due again. A rejection note received earlier counts where its sender ``may_reject``
    reports of this scanner. A historical report makes no exam due that has an addendum, or is to get one: that is for
    reprocessing.
    """
    study, who = report.exam.study_instance_uid, report.exam.patient
    historical = arrival.historical
    patient_number = patient_identity.patient_of(connection, who, study)
    scanner_number = scanners.number_of(
        connection,
        report.exam.scanner,
        station_name=report.station_name,
        institution=report.exam.institution,
        at=arrival.seen_at,
    )
    if arrival.sender is not None and arrival.sender.host and not historical and report.exam.scanner.identified:
        senders.record(connection, scanner_number, arrival.sender, bound=arrival.bound, at=arrival.seen_at)
    known = _find(connection, report, patient_number, scanner_number)
    same = None if known is None else _same_content(connection, known, receipt_number, report, historical=historical)
    if known is not None and same is not None:
        if (
            historical
            or not _may_correct(connection, same, arrival.sender)
            or not _corrects(connection, receipt_number, same, study)
        ):
            detail = f"it says what receipt {same} says"
            work_queue.ignore(connection, receipt, receipt_number, reason=REPEATED, detail=detail)
            return known
        _DELETE.execute(connection, {"receipt": same})
        detail = f"receipt {receipt_number} says the same, and tells patient or order otherwise"
        work_queue.ignore(connection, receipt, same, reason=receipts.CORRECTED, detail=detail)
    number = _record_exam(
        connection,
        report,
        patient_number,
        scanner_number,
        due_at=arrival.due_at,
        historical=historical,
        late=arrival.late,
        on_file=known,
    )
    rejected = _rejected_as(connection, report.sop_instance_uid, may_reject)
    _DELETE.execute(connection, {"receipt": receipt_number})  # where it was historical before
    values = {
        "receipt_id": receipt_number,
        "exam_id": number,
        **_columns_of(report),
        "reader_fingerprint": arrival.reader_fingerprint,
        "rejected": rejected,
    }
    _INSERT.execute(connection, values)
    if known is not None or rejected is not None:
        count_rejections(connection, number)
    work_queue.done(connection, receipt, [receipt_number])
    held = patient_identity.hold_conflicts(connection, number, who, patient_number, study, at=arrival.due_at)
    held |= shared_scans.hold(connection, number, receipt_number=receipt_number)
    for changed in sorted({number, *held}) if not historical else ():
        exams.reexamine_later_exams(connection, changed, at=arrival.due_at)
    notify(connection)
    return number


def is_correction(connection: Connection, receipt_number: int, report: Report, who: Sender) -> bool:
    """Return whether a report has the content of its sender's earlier one and corrects what an addendum quotes.

    The earlier one has the same UID, or is of the same study where a report of the same UID was corrected before.
    """
    content, study = _content(report), report.exam.study_instance_uid
    own = receipt.c.sop_instance_uid == report.sop_instance_uid
    corrected = select(receipt.c.id).where(own, receipt.c.reason == receipts.CORRECTED).exists()
    if connection.scalar(select(corrected)):  # by one that may have another UID
        own |= exam.c.study_instance_uid == study
    query = (
        select(reading.c.receipt_id, reading.c.report)
        .join(receipt, receipt.c.id == reading.c.receipt_id)
        .join(exam, exam.c.id == reading.c.exam_id)
        .where(own, receipt.c.id != receipt_number)
        .where(reading.c.rejected.is_(None), _is_from(who))
    )
    return any(
        _content(read_report(row.report)) == content and _corrects(connection, receipt_number, row.receipt_id, study)
        for row in connection.execute(query).all()
    )


def count_rejections(connection: Connection, number: int) -> None:
    """Withdraw an exam whose reports are all rejected, and bring it back once one is not.

    An exam withdrawn by hand stays so.
    """
    counts = select(reading.c.receipt_id).where(reading.c.exam_id == exam.c.id, reading.c.rejected.is_(None)).exists()
    titles = select(reading.c.rejected).where(reading.c.exam_id == exam.c.id, reading.c.rejected.is_not(None))
    this = update(exam).where(exam.c.id == number)
    connection.execute(this.where(counts, exam.c.withdrawn.in_(titles)).values(withdrawn=None))
    last = titles.order_by(reading.c.receipt_id.desc()).limit(1).scalar_subquery()
    connection.execute(this.where(~counts, exam.c.withdrawn.is_(None)).values(withdrawn=last))


def record_reader_fingerprint(connection: Connection, number: int, reader_fingerprint: str) -> None:
    """Record that the reports of an exam, extracted again, are unchanged."""
    connection.execute(update(reading).where(reading.c.exam_id == number).values(reader_fingerprint=reader_fingerprint))


def replace_reports(
    connection: Connection, number: int, reports: Mapping[int, Report], reader_fingerprint: str
) -> bool:
    """Replace the reports of an exam, by receipt, and return whether they are still one exam, and no other one."""
    last = list(reports.values())[-1]
    identities = {(r.exam.study_instance_uid, r.exam.patient.patient_id, r.exam.scanner) for r in reports.values()}
    row = connection.execute(select(exam).where(exam.c.id == number)).one()
    who = connection.execute(select(patient).where(patient.c.id == row.patient_id)).one()
    same_patient = last.exam.patient.patient_id == who.patient_id and last.exam.patient.issuer in ("", who.issuer)
    if len(identities) > 1 or not same_patient or last.exam.study_instance_uid != row.study_instance_uid:
        return False
    scanner_number = scanners.number_of(
        connection,
        last.exam.scanner,
        station_name=last.station_name,
        institution=last.exam.institution,
        at=connection.execute(select(scanner.c.last_seen_at).where(scanner.c.id == row.scanner_id)).scalar_one(),
    )
    if _find(connection, last, row.patient_id, scanner_number) not in (None, number):
        return False
    who_now = last.exam.patient
    connection.execute(
        update(exam)
        .where(exam.c.id == number)
        .values(
            scanner_id=scanner_number,
            performed_at=min(report.exam.performed_at for report in reports.values()),
            birth_date=who_now.birth_date or row.birth_date,
            sex=who_now.sex.value or row.sex,
            name=next((report.name for report in reports.values() if report.name), ""),
            revision=exam.c.revision + 1,
        )
    )
    for receipt_number, report in reports.items():
        one = update(reading).where(reading.c.receipt_id == receipt_number)
        connection.execute(one.values(**_columns_of(report), reader_fingerprint=reader_fingerprint))
    return True


def _columns_of(report: Report) -> dict[str, object]:
    """Return what is stored of a report itself."""
    return {
        "performed_at": _without_microseconds(report),
        "scanned": scanner_exams.write_scanned(report.exam),
        "report": write_report(report),
        "accession_number": report.exam.accession_number,
    }


def _find(connection: Connection, report: Report, patient_number: int, scanner_number: int) -> int | None:
    """Return the exam a report belongs to; of several visits under one study the nearest in time."""
    study, moment = report.exam.study_instance_uid, report.exam.performed_at
    found = _FIND.execute(connection, {"patient": patient_number, "scanner": scanner_number, "study": study})
    nearest = min(found, key=lambda row: (abs(row.performed_at - moment), row.id), default=None)
    return None if nearest is None else int(nearest.id)


def _same_content(
    connection: Connection, number: int, receipt_number: int, report: Report, *, historical: bool
) -> int | None:
    """Return another receipt of the exam with the same content, whatever the order is called.

    A historical receipt does not count for a report that is to get an addendum.
    """
    content = _content(report)
    others = (reading.c.exam_id == number) & (reading.c.receipt_id != receipt_number) & reading.c.rejected.is_(None)
    query = select(reading.c.receipt_id, reading.c.report).where(others)
    if not historical:
        query = query.join(receipt, receipt.c.id == reading.c.receipt_id).where(~receipt.c.historical)
    for row in connection.execute(query.order_by(reading.c.receipt_id)):
        if _content(read_report(row.report)) == content:
            return int(row.receipt_id)
    return None


def _may_correct(connection: Connection, number: int, who: Sender | None) -> bool:
    """Return whether a receipt came from this sender, or is history, so that the sender may correct it."""
    if who is None:
        return True
    return connection.scalar(select(receipt.c.id).where(receipt.c.id == number, _is_from(who))) is not None


def _is_from(who: Sender) -> ColumnElement[bool]:
    own = (receipt.c.calling_ae_title == who.ae_title) & (receipt.c.host == who.host)
    return own | receipt.c.historical | (receipt.c.host == "")


def _corrects(connection: Connection, later: int, earlier: int, study_instance_uid: str) -> bool:
    """Return whether a receipt differs from an earlier one in patient or order, and was not written before it."""
    headers = {}
    for number in (earlier, later):  # one at a time, as they may be large
        (one,) = receipts.load(connection, [number])
        headers[number] = read_header(one.instance.data_set, one.instance.transfer_syntax_uid)
    written, written_then = written_at(headers[later]), written_at(headers[earlier])
    if written is not None and written_then is not None and written < written_then:
        return False
    try:
        now, before = (tidy_header([headers[number]], study_instance_uid) for number in (later, earlier))
    except UnusableEvidenceError:
        return False
    return bool(corrections(now, before))


def _rejected_as(connection: Connection, sop_instance_uid: str, may_reject: Callable[[Sender], bool]) -> str | None:
    """Return the title of the first rejection note that names an instance and whose sender may reject it."""
    for row in _REJECTIONS.execute(connection, {"uid": sop_instance_uid}):
        if may_reject(Sender(ae_title=row.calling_ae_title, host=row.host)):
            return str(row.title)
    return None


def _without_microseconds(report: Report) -> datetime:
    return report.exam.performed_at.replace(microsecond=0)


def _content(report: Report) -> tuple[object, ...]:
    exam_alone = replace(report.exam, accession_number="", institution="", software="")
    return exam_alone, report.analyses, report.other_scores


def _record_exam(
    connection: Connection,
    report: Report,
    patient_number: int,
    scanner_number: int,
    *,
    due_at: datetime,
    historical: bool,
    late: bool,
    on_file: int | None,
) -> int:
    """Insert the exam a report belongs to, or add to the one on file, make it due, and return its number."""
    who = report.exam.patient
    if on_file is None:  # else the attempt alone would use up a number
        number = insert_if_absent(
            connection,
            exam,
            patient_id=patient_number,
            scanner_id=scanner_number,
            study_instance_uid=report.exam.study_instance_uid,
            performed_at=report.exam.performed_at,
            birth_date=who.birth_date,
            sex=who.sex.value,
            revision=1,
            historical=historical,
            late=late,
            name=report.name,
            state=State.WAITING,
            due_at=due_at,
        )
        if number is not None:
            return number
    performed_at = literal(report.exam.performed_at, exam.c.performed_at.type)
    known: dict[str, object] = {"birth_date": who.birth_date} if who.birth_date else {}
    if not historical:
        due = {
            "state": State.WAITING,
            "due_at": due_at,
            "attempts": 0,
            "worker_crashes": 0,
            "reason": None,
            "detail": None,
        }
        known |= {"historical": False, **due}
    added: int = connection.execute(
        update(exam)
        .where(exam.c.id == _find(connection, report, patient_number, scanner_number))
        .values(
            revision=exam.c.revision + 1,
            performed_at=case((exam.c.performed_at > performed_at, performed_at), else_=exam.c.performed_at),
            sex=who.sex.value or exam.c.sex,
            name=report.name or exam.c.name,
            **known,
        )
        .returning(exam.c.id)
    ).scalar_one()
    return added


_FIND = CompiledStatement(
    select(exam.c.id, exam.c.performed_at).where(
        exam.c.patient_id == bindparam("patient"),
        exam.c.scanner_id == bindparam("scanner"),
        exam.c.study_instance_uid == bindparam("study"),
    )
)
_REJECTIONS = CompiledStatement(
    select(rejection.c.title, receipt.c.calling_ae_title, receipt.c.host)
    .join(receipt, receipt.c.id == rejection.c.receipt_id)
    .where(rejection.c.sop_instance_uid == bindparam("uid"), rejection.c.undone_at.is_(None))
    .order_by(rejection.c.id)
)
_DELETE = CompiledStatement(delete(reading).where(reading.c.receipt_id == bindparam("receipt")))
_INSERT = CompiledStatement(insert(reading))
