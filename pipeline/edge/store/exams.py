"""Exams on file with their reports, the history of a patient, and which exams are to be examined again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cache
from itertools import combinations, groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select, tuple_, update

from pipeline.clinical.exam_assembly import ContradictionError, assemble
from pipeline.clinical.model import Exam, Patient
from pipeline.clinical.person_names import contradict
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.store import patient_identity, patient_merges, work_queue
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.report_json import read_report
from pipeline.edge.store.schema import exam, patient, reading
from pipeline.edge.store.schema_base import State
from pipeline.sr.extract.reanalysis import current, superseded_regions
from pipeline.sr.extract.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOnFile:
    """One exam on file: its reports, each with the number of the receipt it was extracted from.

    ``revision`` counts additions. ``historical`` exams are priors for others and get no addendum. ``taken_for`` is set
    where the exam counts as another patient's, with whom its own was merged. ``withdrawn`` is why it takes part in no
    comparison; empty while it does. ``rejected`` are reports that a rejection note names while others of the exam still
    count. ``visit`` numbers the exams of one study that was split by hand. A ``late`` exam was received long after its
    date, which nobody has confirmed: only exams received after it are compared with it.
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
        """The patient that the first report names."""
        return self.reports[0][1].exam.patient

    @property
    def study_instance_uid(self) -> str:
        """The study it belongs to."""
        return self.reports[0][1].exam.study_instance_uid

    @property
    def key(self) -> tuple[str, int]:
        """What distinguishes it from the patient's other exams, as ``Exam.key``."""
        return self.study_instance_uid, self.visit

    def exam(self) -> Exam:
        """Assemble the exam from its reports; of several analyses of one scan only the last one counts.

        Raises:
            ContradictionError: the reports contradict each other.
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
        """The scanner's own trend, without that of analyses that were replaced."""
        replaced = self.superseded()
        points = (
            point
            for number, report in self.reports
            for point in report.vendor_trend
            if point.region.key not in replaced.get(number, ())
        )
        return tuple(dict.fromkeys(points))

    def superseded(self) -> dict[int, tuple[str, ...]]:
        """Return by receipt the keys of the regions that a later analysis of the same scan has replaced."""
        parts = [report.part for _, report in self.reports]
        found = {number: superseded_regions(report.part, parts) for number, report in self.reports}
        return {number: regions for number, regions in found.items() if regions}


def load(connection: Connection, numbers: Sequence[int]) -> list[ExamOnFile]:
    """Return these exams in the order of the numbers given, with their reports in the order they were received."""
    found = _load(_OF_NUMBERS.execute(connection, {"numbers": list(numbers)}))
    return sorted(found, key=lambda one: numbers.index(one.number))


def is_on_file(connection: Connection, number: int) -> bool:
    """Return whether there is an exam of this number."""
    return connection.scalar(select(exam.c.id).where(exam.c.id == number)) is not None


def exam_of_receipt(connection: Connection, receipt_number: int) -> ExamOnFile | None:
    """Return the exam a receipt belongs to; ``None`` when it has not been extracted."""
    number = connection.scalar(select(reading.c.exam_id).where(reading.c.receipt_id == receipt_number))
    return None if number is None else load(connection, [number])[0]


def history(connection: Connection, who: Patient, *, but: int | None = None) -> list[ExamOnFile]:
    """Return every exam of a patient that counts and is not held, in the order performed, except exam ``but``."""
    identities = patient_merges.merged_identities(connection, who)
    statement = _history(has_issuer=bool(who.issuer))
    found = _load(statement.execute(connection, _values_of(who, identities, but)))
    theirs = (_as_theirs(earlier, who, identities) for earlier in found)
    return [earlier for earlier in theirs if earlier is not None]


def held_days(connection: Connection, who: Patient, *, but: int | None = None) -> list[date]:
    """Return the days of a patient's held exams, except exam ``but``."""
    identities = patient_merges.merged_identities(connection, who)
    found = _held_days(has_issuer=bool(who.issuer)).scalars(connection, _values_of(who, identities, but))
    return [performed_at.date() for performed_at in found]


def reexamine_since(connection: Connection, patient_number: int, *, since: date, at: datetime) -> int:
    """Make the exams of a patient's linked patients due again from a day on, and return their count."""
    values = {"patient": patient_number, "since": datetime.combine(since, time.min), "at": at}
    again = _REEXAMINE.execute(connection, values)
    notify(connection)
    return len(again)


def reexamine_scanner(connection: Connection, scanner_number: int, *, since: datetime, at: datetime) -> int:
    """Make the exams of a scanner due again from a day on, as its quality control has changed; return their count."""
    concerned = (exam.c.scanner_id == scanner_number) & (exam.c.performed_at >= datetime.combine(since, time.min))
    again = (
        update(exam)
        .where(concerned, exam.c.state == State.DONE, ~exam.c.historical)
        .values(state=State.WAITING, due_at=at, revision=exam.c.revision + 1)
    )
    count = connection.execute(again).rowcount
    if count:
        notify(connection)
    return count


def reexamine_later_exams(connection: Connection, number: int, *, at: datetime) -> int:
    """Make an exam and the patient's later ones due again, because what is known of it has changed; return the count.

    A late exam concerns no exam that was on file before it. A historical exam changes nothing until the next run over
    all exams, as an archive may supply thousands.
    """
    (row,) = _PLACE.execute(connection, {"exam": number})
    if row.late or row.historical:
        return 0
    return reexamine_since(connection, row.patient_id, since=row.performed_at.date(), at=at)


def confirm_date(connection: Connection, number: int, *, at: datetime) -> bool:
    """Confirm the day of a late exam, which then counts like any other; return whether it was late."""
    late = update(exam).where(exam.c.id == number, exam.c.late).values(late=False)
    if connection.execute(late).rowcount == 0:
        return False
    reexamine_later_exams(connection, number, at=at)
    return True


def finish_follow_up(connection: Connection, of: ExamOnFile) -> None:
    """Mark an exam as followed up; it stays due when a report was added meanwhile."""
    if _LOCKED_REVISION.scalar(connection, {"exam": of.number}) == of.revision:
        work_queue.done(connection, exam, [of.number])
    else:
        connection.execute(
            update(exam)
            .where(exam.c.id == of.number)
            .values(attempts=0, worker_crashes=0, lease_owner=None, leased_until=None)
        )


@cache
def _history(*, has_issuer: bool) -> CompiledStatement:
    counts = (exam.c.state != State.HELD) & exam.c.withdrawn.is_(None)
    on_time = ~exam.c.late | (exam.c.id < bindparam("but"))
    return CompiledStatement(_READINGS.where(_may_be_theirs(has_issuer=has_issuer), on_time, counts))


@cache
def _held_days(*, has_issuer: bool) -> CompiledStatement:
    held = (exam.c.state == State.HELD) & exam.c.withdrawn.is_(None)
    query = select(exam.c.performed_at).where(_may_be_theirs(has_issuer=has_issuer), held)
    return CompiledStatement(query.order_by(exam.c.performed_at))


def _may_be_theirs(*, has_issuer: bool) -> ColumnElement[bool]:
    """Return the condition of exams that may be a patient's: of the same id, or of a merged identity."""
    merged = tuple_(patient.c.patient_id, patient.c.issuer).in_(bindparam("identities", expanding=True))
    same = patient_identity.same_patient(bindparam("patient"), bindparam("issuer") if has_issuer else None)
    return exam.c.patient_id.in_(select(patient.c.id).where(same | merged)) & (exam.c.id != bindparam("but"))


def _values_of(who: Patient, identities: Collection[tuple[str, str]], but: int | None) -> Mapping[str, object]:
    """Return the values of ``_may_be_theirs``; no exam has the number 0."""
    values = {"patient": who.patient_id, "identities": sorted(identities), "but": but or 0}
    return values | ({"issuer": who.issuer} if who.issuer else {})


def _as_theirs(earlier: ExamOnFile, who: Patient, identities: Collection[tuple[str, str]]) -> ExamOnFile | None:
    """Return an exam as one of this patient's, merged ones included; ``None`` if it is another patient's."""
    sent_as = (earlier.patient.patient_id, earlier.patient.issuer)
    if sent_as in identities and sent_as != (who.patient_id, who.issuer):
        return replace(earlier, taken_for=who)
    return earlier if _is_same_person(earlier.patient, who) else None


def _is_same_person(other: Patient, who: Patient) -> bool:
    """Return whether a patient of the same id is the same person: where an issuer is missing, by the birth date."""
    if other.patient_id != who.patient_id:
        return False
    return other.issuer == who.issuer or (who.birth_date is not None and other.birth_date == who.birth_date)


def _load(readings: Sequence[Any]) -> list[ExamOnFile]:
    found: list[ExamOnFile] = []
    for number, rows in groupby(readings, key=lambda row: row.id):
        of_exam = list(rows)
        reports = {row.receipt_id: read_report(row.report) for row in of_exam}
        rejected = {row.receipt_id for row in of_exam if row.rejected is not None}
        if rejected == reports.keys():  # then the exam is withdrawn, and its addendum is about all of them
            rejected = set()
        first = of_exam[0]
        one = ExamOnFile(
            number=number,
            revision=first.revision,
            worker_crashes=first.worker_crashes,
            historical=first.historical,
            reports=tuple((receipt, report) for receipt, report in reports.items() if receipt not in rejected),
            visit=first.visit,
            withdrawn=first.withdrawn or "",
            late=first.late,
            rejected=tuple((receipt, report) for receipt, report in reports.items() if receipt in rejected),
        )
        found.append(one)
    return found


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
_LINKED = (
    select(patient.c.id)
    .join(_OTHER, _OTHER.c.linked_patients_id == patient.c.linked_patients_id)
    .where(_OTHER.c.id == bindparam("patient"))
)
_REEXAMINE = CompiledStatement(
    update(exam)
    .where(exam.c.patient_id.in_(_LINKED), exam.c.performed_at >= bindparam("since"))
    .where(exam.c.state == State.DONE, ~exam.c.historical)
    .values(state=State.WAITING, due_at=bindparam("at"), revision=exam.c.revision + 1)
    .returning(exam.c.id)
)
_LOCKED_REVISION = CompiledStatement(select(exam.c.revision).where(exam.c.id == bindparam("exam")).with_for_update())
