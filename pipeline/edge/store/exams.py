"""Which reports make up a visit, and which other visits has the patient had?"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cache
from itertools import combinations, groupby

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, insert, literal, select, tuple_, update

from pipeline.clinical.exam_assembly import ContradictionError, assemble
from pipeline.clinical.model import Exam, Patient
from pipeline.clinical.person_names import contradict
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.store import (
    patient_identity,
    patient_merges,
    receipts,
    scanners,
    senders,
    shared_scans,
    work_queue,
)
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.database import insert_if_absent, notify
from pipeline.edge.store.schema import State, exam, patient, reading, receipt, rejection, scanner
from pipeline.edge.store.senders import Sender
from pipeline.sr.dicom.header import UnusableEvidenceError, corrections, read_header, tidy_header, written_at
from pipeline.sr.extract.reanalysis import current, superseded_regions
from pipeline.sr.extract.report import Report

_REPORT = TypeAdapter(Report)

REPEATED = "repeated"
"""The reason for which a report is put aside that says only what another one of its exam has said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOnFile:
    """What is on file of one visit: its reports, each with the number of the receipt it was read from.

    ``revision`` tells whether anything was added since; ``historical`` that it is a prior for others and gets no
    addendum. ``taken_for`` is set where the exam counts as another patient's, with whom its own was merged.
    ``withdrawn`` is why it takes part in no comparison; empty while it does. ``rejected`` are reports that a rejection
    note has named while others of the exam still count. ``visit`` counts those of one study, told apart by hand.
    ``late`` is one that came long after its day, while nobody has confirmed that day: only exams that came after it are
    compared with it.
    """

    number: int
    revision: int
    worker_crashes: int
    historical: bool
    reports: tuple[tuple[int, Report], ...]
    visit: int = 1
    taken_for: Patient | None = None
    withdrawn: str = ""
    late: bool = False
    rejected: tuple[tuple[int, Report], ...] = ()

    @property
    def patient(self) -> Patient:
        """Whose exam it is."""
        return self.reports[0][1].exam.patient

    @property
    def study_instance_uid(self) -> str:
        """The study it belongs to."""
        return self.reports[0][1].exam.study_instance_uid

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from any other exam of the patient, as ``Exam.key``."""
        return self.study_instance_uid, self.visit

    def exam(self) -> Exam:
        """What its reports say together.

        Of several analyses of one scan only the last one counts.

        Raises:
            Contradiction: they tell different things.
        """
        names = [report.name for _, report in self.reports if report.name]
        if any(contradict(one, other) for one, other in combinations(names, 2)):
            raise ContradictionError("parts of one exam differ in PatientName, and tell no birth date")
        exam = replace(assemble(current([report.part for _, report in self.reports])), visit=self.visit)
        if self.taken_for is None:
            return exam
        who = replace(exam.patient, patient_id=self.taken_for.patient_id, issuer=self.taken_for.issuer)
        return replace(exam, patient=who)

    @property
    def vendor_trend(self) -> tuple[TrendPoint, ...]:
        """What the scanner itself says of change; of an analysis that was replaced, nothing."""
        replaced = self.superseded()
        points = (
            point
            for number, report in self.reports
            for point in report.vendor_trend
            if point.region.key not in replaced.get(number, ())
        )
        return tuple(dict.fromkeys(points))

    def superseded(self) -> dict[int, tuple[str, ...]]:
        """By receipt, the keys of the regions that a later analysis of the same scan has replaced."""
        parts = [report.part for _, report in self.reports]
        found = {number: superseded_regions(report.part, parts) for number, report in self.reports}
        return {number: regions for number, regions in found.items() if regions}


def record(
    connection: Connection,
    receipt_number: int,
    report: Report,
    *,
    due_at: datetime,
    seen_at: datetime,
    reader_fingerprint: str = "",
    historical: bool = False,
    sender: Sender | None = None,
    bound: bool = False,
    late: bool = False,
    may_reject: Callable[[Sender], bool] = lambda _: True,
) -> int:
    """Keep what a receipt says, in the exam it belongs to, which becomes due; the number of the exam.

    A report that says what another one of its exam has said, exported once more under a new UID, changes nothing,
    unless it corrects what an addendum quotes of patient and order: then it takes the other one's place. Where the
    study or the scan is on file under another patient, or the patient with another birth date or sex, the exam is held
    (R2.19).
    What was said of the patient's later exams is looked at again.
    A late exam, whose date nobody has confirmed, concerns no exam that was there before it.
    A rejection note that came before it counts where its sender ``may_reject`` reports of this machine.
    A historical report makes no exam due that has an addendum, or is to get one: that is for a reexamination.
    """
    study, who = report.exam.study_instance_uid, report.exam.patient
    patient_number = patient_identity.patient_of(connection, who, study)
    scanner_number = scanners.number_of(
        connection,
        report.exam.scanner,
        station_name=report.station_name,
        institution=report.exam.institution,
        at=seen_at,
    )
    if sender is not None and sender.host and not historical and report.exam.scanner.identified:
        senders.record(connection, scanner_number, sender, bound=bound, at=seen_at)
    known = _find(connection, report, patient_number, scanner_number)
    told_by = None if known is None else _told_already(connection, known, receipt_number, report, historical=historical)
    if known is not None and told_by is not None:
        if (
            historical
            or not _may_correct(connection, told_by, sender)
            or not _corrects(connection, receipt_number, told_by, study)
        ):
            detail = f"it says what receipt {told_by} says"
            work_queue.ignore(connection, receipt, receipt_number, reason=REPEATED, detail=detail)
            return known
        _FORGET.execute(connection, {"receipt": told_by})
        detail = f"receipt {receipt_number} says the same, and tells patient or order otherwise"
        work_queue.ignore(connection, receipt, told_by, reason=receipts.CORRECTED, detail=detail)
    number = _exam_of(
        connection, report, patient_number, scanner_number, due_at=due_at, historical=historical, late=late
    )
    _FORGET.execute(connection, {"receipt": receipt_number})  # where it was historical before
    notes = _REJECTED_AS.execute(connection, {"uid": report.sop_instance_uid})
    believed = (row.title for row in notes if may_reject(Sender(ae_title=row.calling_ae_title, host=row.host)))
    rejected: str | None = next(believed, None)
    said = _REPORT.dump_json(report).decode()
    of = {"receipt_id": receipt_number, "exam_id": number, "performed_at": _second_of(report)}
    _KEEP.execute(connection, {**of, "report": said, "reader_fingerprint": reader_fingerprint, "rejected": rejected})
    if known is not None or rejected is not None:
        count_rejections(connection, number)
    work_queue.done(connection, receipt, [receipt_number])
    held = patient_identity.hold_conflicts(connection, number, who, patient_number, study, at=due_at)
    held |= shared_scans.hold(connection, number, receipt_number=receipt_number)
    for changed in sorted({number, *held}) if not historical else ():
        reexamine_later_exams(connection, changed, at=due_at)
    notify(connection)
    return number


def is_correction(connection: Connection, receipt_number: int, report: Report, who: Sender) -> bool:
    """Whether a report says what its sender's under the same UID has said, and corrects what an addendum quotes.

    Or says it under the UID of one whose place another one has taken.
    """
    said, study = _content(report), report.exam.study_instance_uid
    own = receipt.c.sop_instance_uid == report.sop_instance_uid
    corrected = select(receipt.c.id).where(own, receipt.c.reason == receipts.CORRECTED).exists()
    if connection.scalar(select(corrected)):  # by one that may have come under another UID
        own |= exam.c.study_instance_uid == study
    query = (
        select(reading.c.receipt_id, reading.c.report)
        .join(receipt, receipt.c.id == reading.c.receipt_id)
        .join(exam, exam.c.id == reading.c.exam_id)
        .where(own, receipt.c.id != receipt_number)
        .where(reading.c.rejected.is_(None), _is_from(who))
    )
    return any(
        _content(_REPORT.validate_json(row.report)) == said
        and _corrects(connection, receipt_number, row.receipt_id, study)
        for row in connection.execute(query).all()
    )


def count_rejections(connection: Connection, number: int) -> None:
    """Withdraw an exam of which every report was rejected, and bring back one that has got a report that was not.

    What somebody has withdrawn by hand stays so.
    """
    counts = select(reading.c.receipt_id).where(reading.c.exam_id == exam.c.id, reading.c.rejected.is_(None)).exists()
    titles = select(reading.c.rejected).where(reading.c.exam_id == exam.c.id, reading.c.rejected.is_not(None))
    this = update(exam).where(exam.c.id == number)
    connection.execute(this.where(counts, exam.c.withdrawn.in_(titles)).values(withdrawn=None))
    last = titles.order_by(reading.c.receipt_id.desc()).limit(1).scalar_subquery()
    connection.execute(this.where(~counts, exam.c.withdrawn.is_(None)).values(withdrawn=last))


def load(connection: Connection, numbers: Sequence[int]) -> list[ExamOnFile]:
    """The exams of these numbers, with their reports in the order they came, in the order of the numbers given."""
    found = _load(connection, _OF_NUMBERS, {"numbers": list(numbers)})
    return sorted(found, key=lambda one: numbers.index(one.number))


def history(connection: Connection, who: Patient, *, but: int | None = None) -> list[ExamOnFile]:
    """Every exam of a patient that counts and does not wait for a person, the first one first, but one."""
    together = patient_merges.merged_identities(connection, who)
    found = _load(connection, _history(tells_issuer=bool(who.issuer)), _whose(who, together, but=but))
    theirs = (_taken_for(earlier, who, together) for earlier in found)
    return [earlier for earlier in theirs if earlier is not None]


def _taken_for(earlier: ExamOnFile, who: Patient, together: Collection[tuple[str, str]]) -> ExamOnFile | None:
    """An exam as one of this patient's, if it is: somebody may have said that two patients are one."""
    sent_as = (earlier.patient.patient_id, earlier.patient.issuer)
    if sent_as in together and sent_as != (who.patient_id, who.issuer):
        return replace(earlier, taken_for=who)
    return earlier if _is_theirs(earlier.patient, who) else None


def held_days(connection: Connection, who: Patient, *, but: int | None = None) -> list[date]:
    """The days of a patient's exams that wait for a person, but one."""
    values = _whose(who, patient_merges.merged_identities(connection, who), but=but)
    found = _held_days(tells_issuer=bool(who.issuer)).scalars(connection, values)
    return [performed_at.date() for performed_at in found]


def _whose(who: Patient, together: Collection[tuple[str, str]], *, but: int | None) -> dict[str, object]:
    """What ``_may_be_theirs`` asks for; no exam has the number 0."""
    return {"patient": who.patient_id, "issuer": who.issuer, "together": sorted(together), "but": but or 0}


@cache
def _history(*, tells_issuer: bool) -> CompiledStatement:
    theirs = _may_be_theirs(tells_issuer=tells_issuer) & exam.c.withdrawn.is_(None)
    theirs &= ~exam.c.late | (exam.c.id < bindparam("but"))
    return CompiledStatement(_READINGS.where(theirs, exam.c.state != State.HELD))


@cache
def _held_days(*, tells_issuer: bool) -> CompiledStatement:
    held = _may_be_theirs(tells_issuer=tells_issuer) & (exam.c.state == State.HELD) & exam.c.withdrawn.is_(None)
    return CompiledStatement(select(exam.c.performed_at).where(held).order_by(exam.c.performed_at))


def _may_be_theirs(*, tells_issuer: bool) -> ColumnElement[bool]:
    """Which exams may be a patient's: by the same id, or because somebody said that two patients are one."""
    one_of_them = tuple_(patient.c.patient_id, patient.c.issuer).in_(bindparam("together", expanding=True))
    same = patient_identity.same_patient(bindparam("patient"), bindparam("issuer") if tells_issuer else None)
    return exam.c.patient_id.in_(select(patient.c.id).where(same | one_of_them)) & (exam.c.id != bindparam("but"))


def _is_theirs(other: Patient, who: Patient) -> bool:
    """Whether an exam under the same id is the same person's: where an issuer is missing, by the birth date."""
    if other.patient_id != who.patient_id:
        return False
    return other.issuer == who.issuer or (who.birth_date is not None and other.birth_date == who.birth_date)


def reexamine_since(connection: Connection, patient_number: int, *, since: date, at: datetime) -> int:
    """Look again at a person's exams from a day on, because what they rest on has changed; how many."""
    values = {"patient": patient_number, "since": datetime.combine(since, time.min), "at": at}
    again = _DUE_AGAIN.execute(connection, values)
    notify(connection)
    return len(again)


def reexamine_later_exams(connection: Connection, number: int, *, at: datetime) -> int:
    """Look again at the exams of a person after one of which other things are known now; how many."""
    (row,) = _PLACE.execute(connection, {"exam": number})
    if row.late:
        return 0
    if row.historical:  # what an archive brings in by the thousand waits for the next run over all exams
        return 0
    return reexamine_since(connection, row.patient_id, since=row.performed_at.date(), at=at)


def confirm_date(connection: Connection, number: int, *, at: datetime) -> bool:
    """Somebody has confirmed the day of an exam that came late: it counts like any other; whether it was late."""
    late = update(exam).where(exam.c.id == number, exam.c.late).values(late=False)
    if connection.execute(late).rowcount == 0:
        return False
    reexamine_later_exams(connection, number, at=at)
    return True


def record_reader_fingerprint(connection: Connection, number: int, reader_fingerprint: str) -> None:
    """The reports of an exam, read by the dialects and aliases of an edition, say what they said before."""
    connection.execute(update(reading).where(reading.c.exam_id == number).values(reader_fingerprint=reader_fingerprint))


def replace_reports(connection: Connection, number: int, told: Mapping[int, Report], reader_fingerprint: str) -> bool:
    """Keep what the reports of an exam, by receipt, say now; whether they are still one exam, and no other."""
    last = list(told.values())[-1]
    identities = {(r.exam.study_instance_uid, r.exam.patient.patient_id, r.exam.scanner) for r in told.values()}
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
            performed_at=min(report.exam.performed_at for report in told.values()),
            birth_date=who_now.birth_date or row.birth_date,
            sex=who_now.sex.value or row.sex,
            name=next((report.name for report in told.values() if report.name), ""),
            revision=exam.c.revision + 1,
        )
    )
    for receipt_number, report in told.items():
        said = _REPORT.dump_json(report).decode()
        one = update(reading).where(reading.c.receipt_id == receipt_number)
        connection.execute(
            one.values(report=said, performed_at=_second_of(report), reader_fingerprint=reader_fingerprint)
        )
    return True


def finish_follow_up(connection: Connection, of: ExamOnFile) -> None:
    """The exam has been carried to the outbox; it stays due when a report was added meanwhile."""
    current = _LOCKED_REVISION.scalar(connection, {"exam": of.number})
    if current == of.revision:
        work_queue.done(connection, exam, [of.number])
    else:
        connection.execute(
            update(exam)
            .where(exam.c.id == of.number)
            .values(attempts=0, worker_crashes=0, lease_owner=None, leased_until=None)
        )


def is_on_file(connection: Connection, number: int) -> bool:
    """Whether there is an exam of this number."""
    return connection.scalar(select(exam.c.id).where(exam.c.id == number)) is not None


def exam_of_receipt(connection: Connection, receipt_number: int) -> ExamOnFile | None:
    """The exam a receipt belongs to; ``None`` when it has not been read."""
    number = connection.scalar(select(reading.c.exam_id).where(reading.c.receipt_id == receipt_number))
    return None if number is None else load(connection, [number])[0]


def _find(connection: Connection, report: Report, patient_number: int, scanner_number: int) -> int | None:
    """The exam a report belongs to; of several visits under one study the one that lies nearest."""
    same = {"patient": patient_number, "scanner": scanner_number, "study": report.exam.study_instance_uid}
    found = _FIND.execute(connection, same)
    moment = report.exam.performed_at
    nearest = min(found, key=lambda row: (abs(row.performed_at - moment), row.id), default=None)
    return None if nearest is None else int(nearest.id)


def _told_already(
    connection: Connection, number: int, receipt_number: int, report: Report, *, historical: bool
) -> int | None:
    """Another receipt of the exam that says the same; what the order and not the scan is called does not count.

    What a historical receipt has said is worth saying again by one that is to be answered.
    """
    said = _content(report)
    others = (reading.c.exam_id == number) & (reading.c.receipt_id != receipt_number) & reading.c.rejected.is_(None)
    readings = select(reading.c.receipt_id, reading.c.report).where(others)
    if not historical:
        readings = readings.join(receipt, receipt.c.id == reading.c.receipt_id).where(~receipt.c.historical)
    for row in connection.execute(readings.order_by(reading.c.receipt_id)):
        if _content(_REPORT.validate_json(row.report)) == said:
            return int(row.receipt_id)
    return None


def _may_correct(connection: Connection, number: int, who: Sender | None) -> bool:
    """Whether a receipt is its sender's own to correct, or history."""
    if who is None:
        return True
    return connection.scalar(select(receipt.c.id).where(receipt.c.id == number, _is_from(who))) is not None


def _is_from(who: Sender) -> ColumnElement[bool]:
    own = (receipt.c.calling_ae_title == who.ae_title) & (receipt.c.host == who.host)
    return own | receipt.c.historical | (receipt.c.host == "")


def _corrects(connection: Connection, later: int, earlier: int, study_instance_uid: str) -> bool:
    """Whether a receipt tells patient or order otherwise than an earlier one, and was not written before it."""
    headers = {}
    for number in (earlier, later):  # each alone, as they may be large
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


def _second_of(report: Report) -> datetime:
    return report.exam.performed_at.replace(microsecond=0)


def _content(report: Report) -> tuple[object, ...]:
    exam_alone = replace(report.exam, accession_number="", institution="", software="")
    return exam_alone, report.analyses, report.other_scores


def _exam_of(
    connection: Connection,
    report: Report,
    patient_number: int,
    scanner_number: int,
    *,
    due_at: datetime,
    historical: bool,
    late: bool,
) -> int:
    """The number of the exam a report belongs to, which becomes due with it."""
    who = report.exam.patient
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
    began = literal(report.exam.performed_at, exam.c.performed_at.type)
    there = _find(connection, report, patient_number, scanner_number)
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
        .where(exam.c.id == there)
        .values(
            revision=exam.c.revision + 1,
            performed_at=case((exam.c.performed_at > began, began), else_=exam.c.performed_at),
            sex=who.sex.value or exam.c.sex,
            name=report.name or exam.c.name,
            **known,
        )
        .returning(exam.c.id)
    ).scalar_one()
    return added


_READINGS = (
    select(
        exam.c.id,
        exam.c.revision,
        exam.c.worker_crashes,
        exam.c.historical,
        exam.c.withdrawn,
        exam.c.visit,
        exam.c.late,
    )
    .add_columns(reading.c.receipt_id, reading.c.report, reading.c.rejected)
    .join(reading, reading.c.exam_id == exam.c.id)
    .order_by(exam.c.performed_at, exam.c.id, reading.c.receipt_id)
)
_OF_NUMBERS = CompiledStatement(_READINGS.where(exam.c.id.in_(bindparam("numbers", expanding=True))))
_PLACE = CompiledStatement(
    select(exam.c.patient_id, exam.c.performed_at, exam.c.historical, exam.c.late).where(exam.c.id == bindparam("exam"))
)
_OTHER = patient.alias()
_SAME_LINKED_PATIENTS = (
    select(patient.c.id)
    .join(_OTHER, _OTHER.c.linked_patients_id == patient.c.linked_patients_id)
    .where(_OTHER.c.id == bindparam("patient"))
)
_DUE_AGAIN = CompiledStatement(
    update(exam)
    .where(exam.c.patient_id.in_(_SAME_LINKED_PATIENTS), exam.c.performed_at >= bindparam("since"))
    .where(exam.c.state == State.DONE, ~exam.c.historical)
    .values(state=State.WAITING, due_at=bindparam("at"), revision=exam.c.revision + 1)
    .returning(exam.c.id)
)
_LOCKED_REVISION = CompiledStatement(select(exam.c.revision).where(exam.c.id == bindparam("exam")).with_for_update())
_FIND = CompiledStatement(
    select(exam.c.id, exam.c.performed_at).where(
        exam.c.patient_id == bindparam("patient"),
        exam.c.scanner_id == bindparam("scanner"),
        exam.c.study_instance_uid == bindparam("study"),
    )
)
_REJECTED_AS = CompiledStatement(
    select(rejection.c.title, receipt.c.calling_ae_title, receipt.c.host)
    .join(receipt, receipt.c.id == rejection.c.receipt_id)
    .where(rejection.c.sop_instance_uid == bindparam("uid"), rejection.c.undone_at.is_(None))
    .order_by(rejection.c.id)
)
_FORGET = CompiledStatement(delete(reading).where(reading.c.receipt_id == bindparam("receipt")))
_KEEP = CompiledStatement(insert(reading))


def _load(connection: Connection, query: CompiledStatement, values: Mapping[str, object]) -> list[ExamOnFile]:
    found: list[ExamOnFile] = []
    for number, rows in groupby(query.execute(connection, values), key=lambda row: row.id):
        of_exam = list(rows)
        reports = {row.receipt_id: _REPORT.validate_json(row.report) for row in of_exam}
        rejected = {row.receipt_id for row in of_exam if row.rejected is not None}
        if rejected == reports.keys():  # then it is withdrawn, and all of them are what it is about
            rejected = set()
        first = of_exam[0]
        one = ExamOnFile(
            number=number,
            revision=first.revision,
            worker_crashes=first.worker_crashes,
            historical=first.historical,
            reports=tuple((receipt, told) for receipt, told in reports.items() if receipt not in rejected),
            visit=first.visit,
            withdrawn=first.withdrawn or "",
            late=first.late,
            rejected=tuple((receipt, told) for receipt, told in reports.items() if receipt in rejected),
        )
        found.append(one)
    return found
