"""One patient: identity as far as it is known, exams on every scanner with their results, context, queries, trail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.rules import Rules
from pipeline.clinical.wording.impression import SUBJECT_TO_REVIEW
from pipeline.edge.overview.addendum_text import AddendumText, read_addendum
from pipeline.edge.overview.results import RegionResult, measured, stated
from pipeline.edge.store import audit_trail, exams, outbox, patient_file, patient_merges, patients, receipts
from pipeline.edge.store.audit_trail import SealedEntry
from pipeline.edge.store.patient_file import DeliveryRow, ExamRow, HistoryQueryRow, MergeOnFile, PatientOnFile
from pipeline.edge.store.patients import ContextOnFile
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header
from pipeline.sr.dicom.unreadable import UnreadableReportError

MOST_EXAMS = 60
"""Exams of a patient on one page, the latest ones."""

MOST_ENTRIES = 40
"""Entries of the audit trail on one page, the latest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamLine:
    """One exam of a patient: its latest addendum by number, how far it is delivered, and its results by region.

    ``overall`` is the result since the prior, ``overall_since_baseline`` the one since an earlier baseline; each is
    empty where the addendum states none. ``is_doubted`` says that the addendum has it subject to review (E22).
    """

    row: ExamRow
    overall: str
    overall_since_baseline: str
    is_doubted: bool
    addendum: int | None
    deliveries: tuple[DeliveryRow, ...]
    regions: tuple[RegionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientOverview:
    """What is on file of a patient.

    ``identities`` are those who count as one, the patient asked for among them; ``namesakes`` only share an id.
    ``name`` is as the latest report has it.
    """

    number: int
    name: str
    birth_dates: tuple[str, ...]
    sexes: tuple[str, ...]
    identities: tuple[PatientOnFile, ...]
    namesakes: tuple[PatientOnFile, ...]
    merges: tuple[MergeOnFile, ...]
    exams: tuple[ExamLine, ...]
    contexts: tuple[ContextOnFile, ...]
    queries: tuple[HistoryQueryRow, ...]
    entries: tuple[SealedEntry, ...]

    @property
    def own(self) -> PatientOnFile:
        """The id and issuer that was asked for."""
        return next(one for one in self.identities if one.number == self.number)

    @property
    def latest(self) -> ExamLine | None:
        """The latest exam that may be spoken of."""
        return next((one for one in self.exams if one.row.state != State.HELD and not one.row.withdrawn), None)


def identities_of(connection: Connection, number: int) -> tuple[list[PatientOnFile], list[PatientOnFile]] | None:
    """Return who counts as this patient, and who only shares an id; ``None`` where no patient has the number."""
    found = patient_file.patients_of(connection, [number])
    if not found:
        return None
    merged = patient_merges.merged_patients(connection, number)
    linked = patient_file.linked(connection, found[0].linked_patients)
    return [one for one in linked if one.number in merged], [one for one in linked if one.number not in merged]


def patient_overview(connection: Connection, number: int, rules: Rules) -> PatientOverview | None:
    """Return what is on file of a patient; ``None`` where no patient has the number."""
    known = identities_of(connection, number)
    if known is None:
        return None
    identities, namesakes = known
    numbers = [one.number for one in identities]
    rows = patient_file.exams_of(connection, numbers, most=MOST_EXAMS)
    contexts = tuple(context for one in numbers for context in patients.contexts(connection, one))
    lines = tuple(_lines(connection, rows, [one.record for one in contexts], rules))
    own = next(one for one in identities if one.number == number)
    return PatientOverview(
        number=number,
        name=_name(connection, lines),
        birth_dates=tuple(dict.fromkeys(str(row.birth_date) for row in rows if row.birth_date)),
        sexes=tuple(dict.fromkeys(row.sex for row in rows if row.sex)),
        identities=(own, *(one for one in identities if one is not own)),
        namesakes=tuple(namesakes),
        merges=tuple(patient_file.merges_among(connection, numbers)),
        exams=lines,
        contexts=contexts,
        queries=tuple(patient_file.history_queries_of(connection, numbers)),
        entries=tuple(audit_trail.latest_about(connection, numbers, [row.number for row in rows], most=MOST_ENTRIES)),
    )


def patient_name(connection: Connection, exam_number: int) -> str:
    """Return the patient's name as the first report of an exam that states one has it (PS3.5 6.2.1)."""
    for report in patient_file.reports_of(connection, exam_number):
        try:
            (receipt,) = receipts.load(connection, [report.receipt])
            header = read_header(receipt.instance.data_set, receipt.instance.transfer_syntax_uid)
        except (UnreadableReportError, DamagedContentError):
            continue
        if name := header_text(header, "PatientName"):
            return name
    return ""


def _lines(
    connection: Connection, rows: Sequence[ExamRow], records: Sequence[ClinicalContext], rules: Rules
) -> Iterator[ExamLine]:
    numbers = [row.number for row in rows]
    addenda = patient_file.addenda_of(connection, numbers)
    latest = {one.exam: one for one in addenda if one.rendering_of is None}
    deliveries = patient_file.deliveries_of(connection, [one.number for one in addenda])
    exam_of = {one.number: one.exam for one in addenda}
    for row in rows:
        issued = latest.get(row.number)
        content = _content(connection, row, has_addendum=issued is not None)
        yield ExamLine(
            row=row,
            overall=issued.overall if issued else "",
            overall_since_baseline=next(iter(content.coded.whole.get("BOVERALL", ())), "") if content else "",
            addendum=issued.number if issued else None,
            deliveries=tuple(one for one in deliveries if exam_of[one.addendum] == row.number),
            is_doubted=content is not None and any(SUBJECT_TO_REVIEW in text for text in content.sentences),
            regions=stated(content) if content is not None else _measured(connection, row, records, rules),
        )


def _content(connection: Connection, row: ExamRow, *, has_addendum: bool) -> AddendumText | None:
    """Return what the latest addendum says; of a held or withdrawn exam nothing, as nothing may rest on it."""
    if row.state == State.HELD or row.withdrawn or not has_addendum:
        return None
    issued = outbox.latest(connection, row.number)
    return read_addendum(issued.data_set) if issued else None


def _measured(
    connection: Connection, row: ExamRow, records: Sequence[ClinicalContext], rules: Rules
) -> tuple[RegionResult, ...]:
    """Return what an exam measured; of a held or withdrawn one nothing, as nothing may rest on it."""
    if row.state == State.HELD or row.withdrawn:
        return ()
    (on_file,) = exams.load(connection, [row.number])
    return measured(on_file, records, rules)


def _name(connection: Connection, lines: Sequence[ExamLine]) -> str:
    """Return the name in the latest exam; a held or withdrawn one may be somebody else's, and comes last."""
    certain_first = sorted(lines, key=lambda line: line.row.state == State.HELD or bool(line.row.withdrawn))
    return next((name for line in certain_first if (name := patient_name(connection, line.row.number))), "")
