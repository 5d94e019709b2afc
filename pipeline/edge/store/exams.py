"""Which reports make up a visit, and which other visits has the patient had?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, insert, select, update

from pipeline.clinical.assemble import assemble
from pipeline.clinical.model import Exam, Patient, Scanner
from pipeline.edge.store import patients, work
from pipeline.edge.store.database import insert_if_absent, ring
from pipeline.edge.store.schema import State, exam, reading, receipt, scanner
from pipeline.sr.extract import Report

_REPORT = TypeAdapter(Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOnFile:
    """What is on file of one visit: its reports, each with the number of the receipt it was read from.

    ``revision`` tells whether anything was added since.
    """

    number: int
    revision: int
    attempts: int
    reports: tuple[tuple[int, Report], ...]

    @property
    def patient(self) -> Patient:
        """Whose exam it is."""
        return self.reports[0][1].exam.patient

    @property
    def study_instance_uid(self) -> str:
        """The study it belongs to."""
        return self.reports[0][1].exam.study_instance_uid

    def exam(self) -> Exam:
        """What its reports say together.

        Raises:
            Contradiction: they tell different things.
        """
        return assemble([report.exam for _, report in self.reports])


def record(connection: Connection, receipt_number: int, report: Report, *, due_at: datetime, seen_at: datetime) -> int:
    """Keep what a receipt says, in the exam it belongs to, which becomes due; the number of the exam."""
    number = _exam_of(connection, report, due_at=due_at, seen_at=seen_at)
    connection.execute(
        insert(reading).values(
            receipt_id=receipt_number, exam_id=number, report=_REPORT.dump_json(report).decode("ascii")
        )
    )
    work.done(connection, receipt, [receipt_number])
    ring(connection)
    return number


def load(connection: Connection, numbers: Sequence[int]) -> list[ExamOnFile]:
    """The exams of these numbers, with their reports in the order they came, in the order of the numbers given."""
    return sorted(_load(connection, exam.c.id.in_(numbers)), key=lambda found: numbers.index(found.number))


def history(connection: Connection, who: Patient, *, but: int | None = None) -> list[ExamOnFile]:
    """Every exam of a patient that does not wait for a person, the first one first, but one."""
    number = patients.find(connection, who.patient_id, who.issuer)
    which = (exam.c.patient_id == number) & (exam.c.state != State.HELD)
    return _load(connection, which if but is None else which & (exam.c.id != but))


def due_again(connection: Connection, patient_number: int, *, since: date, at: datetime) -> int:
    """Look again at a patient's exams from a day on, because what they rest on has changed; how many."""
    theirs = (exam.c.patient_id == patient_number) & (exam.c.state == State.DONE)
    later = exam.c.performed_at >= datetime.combine(since, time.min)
    result = connection.execute(
        update(exam).where(theirs & later).values(state=State.WAITING, due_at=at, revision=exam.c.revision + 1)
    )
    ring(connection)
    return result.rowcount


def followed_up(connection: Connection, of: ExamOnFile) -> None:
    """The exam has been carried to the outbox; it stays due when a report was added meanwhile."""
    current = connection.execute(select(exam.c.revision).where(exam.c.id == of.number).with_for_update()).scalar_one()
    if current == of.revision:
        work.done(connection, exam, [of.number])
    else:
        connection.execute(
            update(exam).where(exam.c.id == of.number).values(attempts=0, lease_owner=None, leased_until=None)
        )


def exam_of(connection: Connection, receipt_number: int) -> ExamOnFile | None:
    """The exam a receipt belongs to; ``None`` when it has not been read."""
    number = connection.scalar(select(reading.c.exam_id).where(reading.c.receipt_id == receipt_number))
    return None if number is None else load(connection, [number])[0]


def _exam_of(connection: Connection, report: Report, *, due_at: datetime, seen_at: datetime) -> int:
    who, where = report.exam.patient, report.exam.scanner
    patient_number = patients.number_of(connection, who.patient_id, who.issuer)
    scanner_number = _scanner(connection, where, seen_at)
    number = insert_if_absent(
        connection,
        exam,
        patient_id=patient_number,
        scanner_id=scanner_number,
        study_instance_uid=report.exam.study_instance_uid,
        performed_at=report.exam.performed_at,
        revision=1,
        state=State.WAITING,
        due_at=due_at,
    )
    if number is not None:
        return number
    added: int = connection.execute(
        update(exam)
        .where(
            exam.c.patient_id == patient_number,
            exam.c.scanner_id == scanner_number,
            exam.c.study_instance_uid == report.exam.study_instance_uid,
        )
        .values(revision=exam.c.revision + 1, state=State.WAITING, due_at=due_at, attempts=0, reason=None, detail=None)
        .returning(exam.c.id)
    ).scalar_one()
    return added


def _scanner(connection: Connection, machine: Scanner, seen_at: datetime) -> int:
    key = "\t".join(machine.key)
    number = insert_if_absent(
        connection,
        scanner,
        key=key,
        manufacturer=machine.manufacturer,
        model=machine.model,
        serial_number=machine.serial_number,
        last_seen_at=seen_at,
    )
    if number is not None:
        return number
    again = update(scanner).where(scanner.c.key == key).values(last_seen_at=seen_at).returning(scanner.c.id)
    known: int = connection.execute(again).scalar_one()
    return known


def _load(connection: Connection, which: ColumnElement[bool]) -> list[ExamOnFile]:
    query = (
        select(exam.c.id, exam.c.revision, exam.c.attempts, reading.c.receipt_id, reading.c.report)
        .join(reading, reading.c.exam_id == exam.c.id)
        .where(which)
        .order_by(exam.c.performed_at, exam.c.id, reading.c.receipt_id)
    )
    reports: dict[tuple[int, int, int], list[tuple[int, Report]]] = {}
    for row in connection.execute(query):
        found = reports.setdefault((row.id, row.revision, row.attempts), [])
        found.append((row.receipt_id, _REPORT.validate_json(row.report)))
    return [
        ExamOnFile(number=number, revision=revision, attempts=attempts, reports=tuple(found))
        for (number, revision, attempts), found in reports.items()
    ]
