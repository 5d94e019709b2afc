"""Which exam does a scanner's report describe?

When an exam was performed: Acquisition DateTime (0008,002A), else Acquisition Date and Time (0008,0022 and 0032), else
Study Date and Time (0008,0020 and 0030). Content Date is when the report was written, perhaps years after the scan,
and never counts. An offset from UTC, in a DT or in Timezone Offset From UTC (0008,0201), is applied: days are those of
the department. Without a time the exam stands at midnight; without a date the report is held.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo

from pipeline.clinical.model import Exam, Measurement, Patient, Scanner, Sex
from pipeline.clinical.person_names import normal_name
from pipeline.clinical.regions import Side
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.sr.codes import SCHEME
from pipeline.sr.dialects.model import Dialect, Fact, normal_manufacturer
from pipeline.sr.dicom.content_item import Item, folded
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.text import person_name, printable
from pipeline.sr.dicom.uids import DEVICE_UID
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.values import Clock, read_date, read_datetime, read_offset, read_time
from pipeline.sr.extract.acquisition_method import other_device, other_method
from pipeline.sr.extract.ambiguous_dates import possible_moments
from pipeline.sr.extract.containers import Layout, lay_out
from pipeline.sr.extract.device_identity import read_scanner
from pipeline.sr.extract.measurements import OtherScores, Results, read_results
from pipeline.sr.extract.observation_context import Facts, patient_facts
from pipeline.sr.extract.patient_check import same_patient
from pipeline.sr.extract.phantom import PhantomReportError, PhantomScan, is_phantom
from pipeline.sr.extract.reanalysis import Analysis, Part
from pipeline.sr.extract.rejection_note import RejectionNoteError, is_key_object_selection, read_key_objects
from pipeline.sr.extract.remarks import Notes, Unused, quoted
from pipeline.sr.extract.result_locations import Place, places
from pipeline.sr.extract.scanner_alias import Alias, Spelling, as_spelt_here, supply_serial_number
from pipeline.sr.extract.temporal_context import TimePointContext
from pipeline.sr.extract.vendor_trend import read_trends

__all__ = ["Reason", "Report", "UnreadableReportError", "extract", "trees"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one report says, by which dialect, where it stood in the object, and what was not read as it stands.

    ``remarks`` name regions and fields, never a patient's data; ``unused`` keeps values with the text they came in.
    ``aside`` is what the dialect knows as no measurement. ``analyses`` tells scans and their analyses apart,
    ``vendor_trend`` is what the scanner itself says of change, and ``other_scores`` are against another reference
    population than the exam's.
    """

    exam: Exam
    dialect: str
    sop_class_uid: str
    sop_instance_uid: str
    remarks: tuple[str, ...]
    place: Place = Place.CONTENT_TREE
    analyses: tuple[Analysis, ...] = ()
    unused: tuple[Unused, ...] = ()
    aside: tuple[str, ...] = ()
    other_scores: tuple[OtherScores, ...] = ()
    vendor_trend: tuple[TrendPoint, ...] = ()
    ethnic_group: str = ""
    station_name: str = ""
    name: str = field(default="", repr=False)
    """The patient's name as names are compared, where no birth date tells people apart; empty where one does."""

    @property
    def part(self) -> Part:
        """What the report adds to its exam."""
        return Part(exam=self.exam, analyses=self.analyses)


def extract(
    report: Elements,
    dialects: Sequence[Dialect],
    aliases: Sequence[Alias] = (),
    spellings: Sequence[Spelling] = (),
    *,
    zone: tzinfo | None = None,
) -> Report:
    """Read a scanner's report in the first dialect that knows it.

    An alias may supply a missing serial number; a machine told in another spelling is taken for the one it is.
    Times told with an offset from UTC are the department's, who lives in ``zone``; unless given, in this machine's.

    Raises:
        PhantomReportError: it is a scan of a phantom.
        RejectionNoteError: it takes back instances that were sent before.
        UnreadableReportError: with the reason why a person must look, or why it is put aside.
    """
    if is_key_object_selection(report):
        raise RejectionNoteError(read_key_objects(report))
    source = _Source(report, dialects, aliases, spellings, _clock(report, zone))
    refusals: list[UnreadableReportError] = []
    for place, read in _places(report, source.clock):
        notes = Notes()
        try:
            return _report(source, place, read(notes), notes)
        except UnreadableReportError as refusal:
            if refusal.reason not in _MAY_STAND_ELSEWHERE:
                raise
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    if _is_our_own(report, ()):
        raise UnreadableReportError(Reason.OWN_ADDENDUM)  # a face of one: pixels or a PDF
    raise UnreadableReportError(Reason.PICTURE if _is_picture(source) else Reason.NOT_A_REPORT)


def trees(report: Elements) -> Iterator[tuple[Place, Item]]:
    """The results in each place of an object as content items, for a person to look at; broken ones are left out."""
    for place, read in _places(report, _clock(report)):
        try:
            yield place, read(Notes())
        except UnreadableReportError:
            continue


_MAY_STAND_ELSEWHERE = {Reason.UNKNOWN_DIALECT, Reason.NO_BMD}
"""What is not found in one place of an object may be found in another."""

_MAY_BE_ANOTHER_METHOD = {Reason.UNKNOWN_DIALECT, Reason.NO_BMD, Reason.UNKNOWN_UNIT}

_NO_ID = re.compile("[\\\\\ufffd]")
"""Two ids are none, and one that is half decoded is half an id."""

_LATERALITIES = {"L": Side.LEFT, "R": Side.RIGHT}

_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")
_PIXEL_DATA = 0x7FE00010
_PICTURE_MODALITIES = {"BMD", "BD", "OT", "CR", "DX"}
"""What densitometers call their pictures, which a site can often configure."""

_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
"""How a picture is shown: what they say is in the picture they are about (PS3.3 A.33)."""


@dataclass(frozen=True, slots=True)
class _Source:
    """An object that is read, and what the department has told us."""

    elements: Elements
    dialects: Sequence[Dialect]
    aliases: Sequence[Alias]
    spellings: Sequence[Spelling]
    clock: Clock

    def text(self, keyword: str) -> str:
        """A text of the header, as a database and a terminal take it."""
        return printable(header_text(self.elements, keyword))

    @property
    def software(self) -> str:
        """The Software Versions (0018,1020), each."""
        return self.text("SoftwareVersions").replace("\\", ", ")

    @property
    def operator(self) -> str:
        """Who scanned, by Operators' Name (0008,1070): the first who is named."""
        return person_name(header_text(self.elements, "OperatorsName").split("\\")[0])


def _places(elements: Elements, clock: Clock) -> Iterator[tuple[Place, Callable[[Notes], Item]]]:
    def performed_on() -> date | None:
        moment, _ = _performed_at(elements, clock, Notes())
        return moment.date() if moment else None

    return places(elements, performed_on)


def _report(source: _Source, place: Place, root: Item, notes: Notes) -> Report:
    """What the results in one place of an object say."""
    uids = [header_text(source.elements, keyword) for keyword in ("SOPClassUID", "SOPInstanceUID")]
    if not all(map(_UID.fullmatch, uids)):
        raise UnreadableReportError(Reason.NO_INSTANCE_UID)
    items = list(root.walk())
    if _is_our_own(source.elements, items):
        raise UnreadableReportError(Reason.OWN_ADDENDUM)
    dialect = _choose(source, root)
    if method := other_device(source.elements):
        raise UnreadableReportError(Reason.OTHER_METHOD, method)
    study_instance_uid = header_text(source.elements, "StudyInstanceUID")
    if not _UID.fullmatch(study_instance_uid):
        raise UnreadableReportError(Reason.NO_STUDY_UID)
    for item in items:
        for problem in item.problems:
            notes.remark(f"{quoted(item)} is not whole: {problem}")
    moment, told_on = _performed_at(source.elements, source.clock, notes)
    time_point = TimePointContext(
        dialect=dialect,
        study_instance_uid=study_instance_uid,
        performed_at=moment,
        told_on=told_on,
        clock=source.clock,
    )
    layout = lay_out(root, time_point, notes)
    facts = Facts(layout, dialect, notes)
    if is_phantom(source.elements, root, dialect):
        raise PhantomReportError(_phantom_scan(source, root, _require(moment), layout, facts, notes))
    patient = _patient(source, notes)
    performed_at = _require(moment)
    results = _results(source, root, dialect, layout, facts, notes)
    _require_this_day(facts, time_point, notes)
    _require_this_side(source, results.measurements)
    of_patient = patient_facts(source.elements, facts.of(), notes)
    exam = Exam(
        study_instance_uid=study_instance_uid,
        patient=same_patient(patient, facts, dialect, notes),
        scanner=_scanner(source, root, dialect, performed_at, notes),
        performed_at=performed_at,
        measurements=results.measurements,
        software=source.software or facts.of().get(Fact.SOFTWARE, ""),
        accession_number=source.text("AccessionNumber"),
        institution=source.text("InstitutionName"),
        age=of_patient.age,
        weight_kg=of_patient.weight_kg,
        height_cm=of_patient.height_cm,
        menopause_age=of_patient.menopause_age,
    )
    return Report(
        exam=exam,
        dialect=str(dialect),
        sop_class_uid=uids[0],
        sop_instance_uid=uids[1],
        remarks=notes.told(),
        place=place,
        analyses=tuple(_analyses(source, results, dialect, facts, performed_at.date())),
        unused=notes.left_out(),
        aside=notes.apart(),
        other_scores=results.other_scores,
        vendor_trend=read_trends(layout, dialect),
        ethnic_group=of_patient.ethnic_group,
        station_name=source.text("StationName"),
        name="" if exam.patient.birth_date else normal_name(header_text(source.elements, "PatientName")),
    )


def _is_our_own(elements: Elements, items: Sequence[Item]) -> bool:
    """Whether we wrote it: by its header, by its device observer, or by our private codes in it."""
    if folded(header_text(elements, "ManufacturerModelName")) == "dxatrend":
        return True
    return any(
        item.value == DEVICE_UID or (item.concept is not None and item.concept.scheme == SCHEME) for item in items
    )


def _is_picture(source: _Source) -> bool:
    """Whether it is a picture of a densitometer whose maker we know, or tells how to show one."""
    if header_text(source.elements, "SOPClassUID").startswith(_PRESENTATION_STATES):
        return True
    if header_text(source.elements, "Modality").strip().upper() not in _PICTURE_MODALITIES:
        return False
    maker = folded(normal_manufacturer(source.text("Manufacturer"), source.dialects))
    makers = {folded(name) for dialect in source.dialects for name, _ in dialect.manufacturers}
    return _PIXEL_DATA in source.elements and maker in makers


def _choose(source: _Source, root: Item) -> Dialect:
    manufacturer = normal_manufacturer(source.text("Manufacturer"), source.dialects)
    for dialect in source.dialects:
        if dialect.reads(root, manufacturer):
            return dialect
    for dialect in source.dialects:
        if dialect.reads_below(root, manufacturer):
            return dialect
    if method := other_method(source.elements, root):
        raise UnreadableReportError(Reason.OTHER_METHOD, method)
    raise UnreadableReportError(Reason.UNKNOWN_DIALECT, f"its root is {quoted(root)}")


def _patient(source: _Source, notes: Notes) -> Patient:
    patient_id = header_text(source.elements, "PatientID").strip()
    if not patient_id or not patient_id.isprintable() or _NO_ID.search(patient_id):
        raise UnreadableReportError(Reason.NO_PATIENT_ID)
    birth_date = header_text(source.elements, "PatientBirthDate").strip()
    if birth_date and read_date(birth_date) is None:
        notes.leave_out("Patient's Birth Date (0010,0030)", birth_date, "is no date")
    sex = header_text(source.elements, "PatientSex").strip().upper()
    if sex not in set(Sex):
        notes.leave_out("Patient's Sex (0010,0040)", sex, "is none of F, M and O")
        sex = Sex.UNKNOWN
    return Patient(
        patient_id=patient_id,
        issuer=source.text("IssuerOfPatientID"),
        birth_date=read_date(birth_date),
        sex=Sex(sex),
    )


def _clock(elements: Elements, zone: tzinfo | None = None) -> Clock:
    return Clock(offset=read_offset(header_text(elements, "TimezoneOffsetFromUTC")), zone=zone)


def _performed_at(elements: Elements, clock: Clock, notes: Notes) -> tuple[datetime | None, date | None]:
    """When an exam was performed by the department's clock, and on which day the header tells."""
    acquired = header_text(elements, "AcquisitionDateTime")
    told = read_datetime(acquired)
    if told is not None:
        return read_datetime(acquired, clock), told.date()
    for event in ("Acquisition", "Study"):
        day = read_date(header_text(elements, f"{event}Date"))
        if day is not None:
            moment = read_time(header_text(elements, f"{event}Time"))
            if moment is None:
                notes.remark(f"{event} Time is absent or no time; the exam stands at midnight")
                return datetime.combine(day, time()), day
            return clock.local(datetime.combine(day, moment)), day
    return None, None


def _require(performed_at: datetime | None) -> datetime:
    if performed_at is None:
        raise UnreadableReportError(Reason.NO_STUDY_DATE)
    return performed_at


def _require_this_day(facts: Facts, time_point: TimePointContext, notes: Notes) -> None:
    """Make sure that nothing is dated on another day than the header.

    Raises:
        UnreadableReportError: a scan or a region is, or all that is told outside them.
    """
    fits: dict[str, bool] = {}
    for text in sorted(frozenset[str]().union(*facts.every(Fact.ACQUIRED_AT))):
        fit = time_point.is_its_day(text)
        if fit is not None:
            fits[text] = fit
        else:
            notes.remark("a date of acquisition cannot be read; the header's counts")
    in_scans, around = ([fits[text] for text in texts if text in fits] for texts in facts.every(Fact.ACQUIRED_AT))
    if not all(in_scans) or (around and not any(around)):
        raise UnreadableReportError(Reason.OTHER_DATE, "in a scan" if not all(in_scans) else "outside the scans")


def _require_this_side(source: _Source, measurements: Sequence[Measurement]) -> None:
    """Make sure that a header that tells a side tells one that was measured.

    Raises:
        UnreadableReportError: it does not.
    """
    sides = {m.region.side for m in measurements if m.region.side in _LATERALITIES.values()}
    for keyword in ("Laterality", "ImageLaterality"):
        side = _LATERALITIES.get(header_text(source.elements, keyword).strip().upper())
        if side is not None and sides and side not in sides:
            raise UnreadableReportError(Reason.CONTRADICTORY, f"{keyword} is another side than that of the results")


def _scanner(source: _Source, root: Item, dialect: Dialect, performed_at: datetime, notes: Notes) -> Scanner:
    """The machine that has scanned, as far as the report or a person tells."""
    told = read_scanner(source.elements, root, dialect, source.dialects, notes)
    scanner = supply_serial_number(
        told,
        source.aliases,
        station_name=source.text("StationName"),
        institution=source.text("InstitutionName"),
        on=performed_at.date(),
    )
    if scanner.serial_number != told.serial_number:
        notes.remark("the serial number of the scanner is the configuration's word, not the report's")
    known = as_spelt_here(scanner, source.spellings)
    if known != scanner:
        notes.remark("the report spells its scanner otherwise; the configuration says that it is this one")
    return known


def _results(source: _Source, root: Item, dialect: Dialect, layout: Layout, facts: Facts, notes: Notes) -> Results:
    """What was measured, if by DXA.

    Raises:
        UnreadableReportError: nothing that can be used, by DXA.
    """
    try:
        return read_results(layout, dialect, facts, notes, operator=source.operator)
    except UnreadableReportError as refusal:
        method = other_method(source.elements, root) if refusal.reason in _MAY_BE_ANOTHER_METHOD else ""
        if method:
            raise UnreadableReportError(Reason.OTHER_METHOD, method) from None
        raise


def _phantom_scan(
    source: _Source, root: Item, performed_at: datetime, layout: Layout, facts: Facts, notes: Notes
) -> PhantomScan:
    """A phantom's scan, also when nothing in it has a name we know."""
    dialect = layout.time_point.dialect
    try:
        measurements = read_results(layout, dialect, facts, notes).measurements
    except UnreadableReportError:
        measurements = ()
    return PhantomScan(
        scanner=_scanner(source, root, dialect, performed_at, notes),
        station_name=source.text("StationName"),
        institution=source.text("InstitutionName"),
        performed_at=performed_at,
        software=source.software or facts.of().get(Fact.SOFTWARE, ""),
        measurements=measurements,
    )


def _analyses(
    source: _Source, results: Results, dialect: Dialect, facts: Facts, performed_on: date
) -> Iterator[Analysis]:
    """What tells the scans of a report and their analyses apart."""
    for scan, regions in results.regions_of_scans:
        told = facts.of(scan.container.children)
        acquired = told.get(Fact.ACQUIRED_AT, "") or _acquisition(source)
        yield Analysis(
            site=str(scan.site or ""),
            side=str(scan.side or ""),
            scan=told.get(Fact.SCAN_ID, "") or acquired,
            analysed_at=_analysed_at(source, told.get(Fact.ANALYSED_AT, ""), dialect, performed_on),
            regions=tuple(region.key for region in regions),
        )


def _analysed_at(source: _Source, text: str, dialect: Dialect, performed_on: date) -> tuple[datetime, ...]:
    """When a scan can have been analysed: not before it was made, nor after the object that tells so was written."""
    if not text:
        return ()
    written = (read_date(header_text(source.elements, f"{event}Date")) for event in ("Content", "InstanceCreation"))
    latest = max((day for day in written if day is not None), default=date.max)
    return possible_moments(text, dialect.date_order, earliest=performed_on, latest=latest, clock=source.clock)


def _acquisition(source: _Source) -> str:
    """When the header says the scan was acquired, if it tells the time as well as the day."""
    moment = header_text(source.elements, "AcquisitionTime").strip()
    day = header_text(source.elements, "AcquisitionDate").strip()
    told = header_text(source.elements, "AcquisitionDateTime").strip() or (day + moment if day and moment else "")
    by_this_clock, by_our_clock = read_datetime(told), read_datetime(told, source.clock)
    if by_our_clock is None or (by_our_clock == by_this_clock and source.clock.offset is None):
        return told
    return f"{by_our_clock:%Y%m%d%H%M%S}"  # else one scan told by two clocks would be two
