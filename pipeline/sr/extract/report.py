"""Extract an exam from a scanner's report: patient, scanner, time and measurements.

Results are read from the first location that has any, by the first dialect that knows the report. What must not be
guessed, such as an unknown unit, patient or date, holds the report for a person.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo

from pipeline.clinical.model import Exam, Measurement, Patient, Scanner, Sex
from pipeline.clinical.person_names import normal_name
from pipeline.clinical.regions import Side
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.sr.codes import SCHEME
from pipeline.sr.dialects.model import Dialect, Fact, normal_manufacturer
from pipeline.sr.dicom.content_item import Item, folded
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.tags import PIXEL_DATA
from pipeline.sr.dicom.text import person_name, printable
from pipeline.sr.dicom.uids import DEVICE_UID
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.values import Clock, read_date
from pipeline.sr.extract.acquisition_method import other_device, other_method
from pipeline.sr.extract.containers import Containers, find_containers
from pipeline.sr.extract.device_identity import read_scanner
from pipeline.sr.extract.exam_time import (
    clock_of,
    possible_analysis_times,
    read_acquisition_time,
    read_performed_at,
    require_this_day,
)
from pipeline.sr.extract.known_phantoms import KnownPhantom, PhantomScan
from pipeline.sr.extract.measurements import OtherScores, Results, read_results
from pipeline.sr.extract.observation_context import ObservationContext, patient_characteristics
from pipeline.sr.extract.patient_check import same_patient
from pipeline.sr.extract.phantom import PhantomReportError, is_phantom
from pipeline.sr.extract.reanalysis import Analysis, Part
from pipeline.sr.extract.rejection_note import RejectionNoteError, is_key_object_selection, read_key_objects
from pipeline.sr.extract.remarks import Remarks, Unused, quoted
from pipeline.sr.extract.result_locations import ResultLocation, result_locations
from pipeline.sr.extract.scanner_alias import Alias, Spelling, canonical_scanner, supply_serial_number
from pipeline.sr.extract.temporal_context import TimePointContext
from pipeline.sr.extract.vendor_trend import read_trends


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The exam in one report, the dialect and location it was read by, and what of the report was not used.

    ``remarks`` name regions and fields, never a patient's data; ``unused`` are values with the text they came in;
    ``ignored`` are containers that are no measurement of this exam. ``analyses`` are the scans and when they were
    analysed, ``vendor_trend`` is the scanner's own trend, and ``other_scores`` are scores against another reference
    population than the exam's.
    """

    exam: Exam
    dialect: str
    sop_class_uid: str
    sop_instance_uid: str
    remarks: tuple[str, ...]
    location: ResultLocation = ResultLocation.CONTENT_TREE
    analyses: tuple[Analysis, ...] = ()
    unused: tuple[Unused, ...] = ()
    ignored: tuple[str, ...] = ()
    other_scores: tuple[OtherScores, ...] = ()
    vendor_trend: tuple[TrendPoint, ...] = ()
    ethnic_group: str = ""
    station_name: str = ""
    name: str = field(default="", repr=False)
    """The patient's name as names are compared, where there is no birth date; empty where there is one."""

    @property
    def part(self) -> Part:
        """The report's exam and analyses, which are one part of the whole exam."""
        return Part(exam=self.exam, analyses=self.analyses)


def extract(
    report: Elements,
    dialects: Sequence[Dialect],
    aliases: Sequence[Alias] = (),
    spellings: Sequence[Spelling] = (),
    *,
    phantoms: Sequence[KnownPhantom] = (),
    zone: tzinfo | None = None,
) -> Report:
    """Read a scanner's report by the first dialect that knows it.

    An alias may supply a missing serial number; a spelling is replaced by the scanner it stands for. ``phantoms`` are
    those of the department, beside the signs of the dialect. Times with an
    offset from UTC are converted to ``zone``, the department's time zone; ``None`` is that of this computer.

    Raises:
        PhantomReportError: it is a scan of a phantom.
        RejectionNoteError: it rejects instances that were sent before.
        UnreadableReportError: with the reason why it is held for a person, or ignored.
    """
    if is_key_object_selection(report):
        raise RejectionNoteError(read_key_objects(report))
    source = _Source(report, dialects, aliases, spellings, phantoms, clock_of(report, zone))
    refusals: list[UnreadableReportError] = []
    for location, read in _locations(report, source.clock):
        remarks = Remarks()
        try:
            return _report(source, location, read(remarks), remarks)
        except UnreadableReportError as refusal:
            if refusal.reason not in _MAY_BE_IN_ANOTHER_LOCATION:
                raise
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    if _is_our_own(report, ()):
        raise UnreadableReportError(Reason.OWN_ADDENDUM)  # a rendering of one: pixels or a PDF
    raise UnreadableReportError(Reason.PICTURE if _is_image(source) else Reason.NOT_A_REPORT)


def trees(report: Elements) -> Iterator[tuple[ResultLocation, Item]]:
    """Yield the results in each location as content items, to be shown to a person; broken ones are left out."""
    for location, read in _locations(report, clock_of(report)):
        try:
            yield location, read(Remarks())
        except UnreadableReportError:
            continue


_MAY_BE_IN_ANOTHER_LOCATION = {Reason.UNKNOWN_DIALECT, Reason.NO_BMD}
"""Results that are not found in one location may be in another."""

_MAY_BE_ANOTHER_METHOD = {Reason.UNKNOWN_DIALECT, Reason.NO_BMD, Reason.UNKNOWN_UNIT}

_NO_ID = re.compile("[\\\\\ufffd]")
"""Two ids are not usable, nor is one that was decoded in part."""

_LATERALITIES = {"L": Side.LEFT, "R": Side.RIGHT}
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")
_IMAGE_MODALITIES = {"BMD", "BD", "OT", "CR", "DX"}
"""Modalities of densitometers' images, which a site can often configure."""

_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
"""Presentation states say how to display an image and hold no results (PS3.3 A.33)."""


@dataclass(frozen=True, slots=True)
class _Source:
    """An object to read, and the site's dialects, aliases, spellings, phantoms and clock."""

    elements: Elements
    dialects: Sequence[Dialect]
    aliases: Sequence[Alias]
    spellings: Sequence[Spelling]
    phantoms: Sequence[KnownPhantom]
    clock: Clock

    def text(self, keyword: str) -> str:
        """Return a text of the header, printable and on one line."""
        return printable(header_text(self.elements, keyword))

    @property
    def software(self) -> str:
        """The Software Versions (0018,1020), separated by commas."""
        return self.text("SoftwareVersions").replace("\\", ", ")

    @property
    def operator(self) -> str:
        """The first name in Operators' Name (0008,1070)."""
        return person_name(header_text(self.elements, "OperatorsName").split("\\")[0])


def _locations(elements: Elements, clock: Clock) -> Iterator[tuple[ResultLocation, Callable[[Remarks], Item]]]:
    def performed_on() -> date | None:
        moment, _ = read_performed_at(elements, clock, Remarks())
        return moment.date() if moment else None

    return result_locations(elements, performed_on)


def _report(source: _Source, location: ResultLocation, root: Item, remarks: Remarks) -> Report:
    """Read the results in one location of an object."""
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
            remarks.add(f"{quoted(item)} is not whole: {problem}")
    moment, header_date = read_performed_at(source.elements, source.clock, remarks)
    time_point = TimePointContext(
        dialect=dialect,
        study_instance_uid=study_instance_uid,
        performed_at=moment,
        header_date=header_date,
        clock=source.clock,
    )
    containers = find_containers(root, time_point, remarks)
    context = ObservationContext(containers, dialect, remarks)
    if is_phantom(source.elements, root, dialect, source.phantoms):
        raise PhantomReportError(_phantom_scan(source, root, _require(moment), containers, context, remarks))
    patient = _patient(source, remarks)
    performed_at = _require(moment)
    results = _results(source, root, dialect, containers, context, remarks)
    require_this_day(context, time_point, remarks)
    _require_this_side(source, results.measurements)
    of_patient = patient_characteristics(source.elements, context.of(), remarks)
    exam = Exam(
        study_instance_uid=study_instance_uid,
        patient=same_patient(patient, context, dialect, remarks),
        scanner=_scanner(source, root, dialect, performed_at, remarks),
        performed_at=performed_at,
        measurements=results.measurements,
        software=source.software or context.of().get(Fact.SOFTWARE, ""),
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
        remarks=remarks.texts(),
        location=location,
        analyses=tuple(_analyses(source, results, dialect, context, performed_at.date())),
        unused=remarks.unused(),
        ignored=remarks.ignored(),
        other_scores=results.other_scores,
        vendor_trend=read_trends(containers, dialect),
        ethnic_group=of_patient.ethnic_group,
        station_name=source.text("StationName"),
        name="" if exam.patient.birth_date else normal_name(header_text(source.elements, "PatientName")),
    )


def _is_our_own(elements: Elements, items: Sequence[Item]) -> bool:
    """Whether dxatrend wrote it: by its header, its device observer, or our private codes in it."""
    if folded(header_text(elements, "ManufacturerModelName")) == "dxatrend":
        return True
    return any(
        item.value == DEVICE_UID or (item.concept is not None and item.concept.scheme == SCHEME) for item in items
    )


def _is_image(source: _Source) -> bool:
    """Whether it is an image of a densitometer of a known manufacturer, or a presentation state."""
    if header_text(source.elements, "SOPClassUID").startswith(_PRESENTATION_STATES):
        return True
    if header_text(source.elements, "Modality").strip().upper() not in _IMAGE_MODALITIES:
        return False
    manufacturer = folded(normal_manufacturer(source.text("Manufacturer"), source.dialects))
    known = {folded(name) for dialect in source.dialects for name, _ in dialect.manufacturers}
    return PIXEL_DATA in source.elements and manufacturer in known


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


def _patient(source: _Source, remarks: Remarks) -> Patient:
    patient_id = header_text(source.elements, "PatientID").strip()
    if not patient_id or not patient_id.isprintable() or _NO_ID.search(patient_id):
        raise UnreadableReportError(Reason.NO_PATIENT_ID)
    birth_date = header_text(source.elements, "PatientBirthDate").strip()
    if birth_date and read_date(birth_date) is None:
        remarks.add_unused("Patient's Birth Date (0010,0030)", birth_date, "is no date")
    sex = header_text(source.elements, "PatientSex").strip().upper()
    if sex not in set(Sex):
        remarks.add_unused("Patient's Sex (0010,0040)", sex, "is none of F, M and O")
        sex = Sex.UNKNOWN
    return Patient(
        patient_id=patient_id,
        issuer=source.text("IssuerOfPatientID"),
        birth_date=read_date(birth_date),
        sex=Sex(sex),
    )


def _require(performed_at: datetime | None) -> datetime:
    if performed_at is None:
        raise UnreadableReportError(Reason.NO_STUDY_DATE)
    return performed_at


def _require_this_side(source: _Source, measurements: Sequence[Measurement]) -> None:
    """Check that the side in the header, if any, is one that was measured.

    Raises:
        UnreadableReportError: it is not.
    """
    sides = {m.region.side for m in measurements if m.region.side in _LATERALITIES.values()}
    for keyword in ("Laterality", "ImageLaterality"):
        side = _LATERALITIES.get(header_text(source.elements, keyword).strip().upper())
        if side is not None and sides and side not in sides:
            raise UnreadableReportError(Reason.CONTRADICTORY, f"{keyword} is another side than that of the results")


def _scanner(source: _Source, root: Item, dialect: Dialect, performed_at: datetime, remarks: Remarks) -> Scanner:
    """Return the scanner that the report names, completed by the site's aliases and spellings."""
    reported = read_scanner(source.elements, root, dialect, source.dialects, remarks)
    scanner = supply_serial_number(
        reported,
        source.aliases,
        station_name=source.text("StationName"),
        institution=source.text("InstitutionName"),
        on=performed_at.date(),
    )
    if scanner.serial_number != reported.serial_number:
        remarks.add("the serial number of the scanner is the configuration's word, not the report's")
    known = canonical_scanner(scanner, source.spellings)
    if known != scanner:
        remarks.add("the report spells its scanner otherwise; the configuration says that it is this one")
    return known


def _results(
    source: _Source,
    root: Item,
    dialect: Dialect,
    containers: Containers,
    context: ObservationContext,
    remarks: Remarks,
) -> Results:
    """Read what was measured by DXA.

    Raises:
        UnreadableReportError: there is no usable measurement by DXA.
    """
    try:
        return read_results(containers, dialect, context, remarks, operator=source.operator)
    except UnreadableReportError as refusal:
        method = other_method(source.elements, root) if refusal.reason in _MAY_BE_ANOTHER_METHOD else ""
        if method:
            raise UnreadableReportError(Reason.OTHER_METHOD, method) from None
        raise


def _phantom_scan(
    source: _Source,
    root: Item,
    performed_at: datetime,
    containers: Containers,
    context: ObservationContext,
    remarks: Remarks,
) -> PhantomScan:
    """Return a phantom's scan, without measurements when no region in it is known."""
    dialect = containers.time_point.dialect
    try:
        measurements = read_results(containers, dialect, context, remarks).measurements
    except UnreadableReportError:
        measurements = ()
    return PhantomScan(
        scanner=_scanner(source, root, dialect, performed_at, remarks),
        patient_id=source.text("PatientID"),
        patient_name=source.text("PatientName"),
        station_name=source.text("StationName"),
        institution=source.text("InstitutionName"),
        performed_at=performed_at,
        software=source.software or context.of().get(Fact.SOFTWARE, ""),
        measurements=measurements,
    )


def _analyses(
    source: _Source, results: Results, dialect: Dialect, context: ObservationContext, performed_on: date
) -> Iterator[Analysis]:
    """Yield for each scan of a report which scan it is, and when it was analysed."""
    for scan, regions in results.regions_of_scans:
        of_scan = context.of(scan.container.children)
        acquired = of_scan.get(Fact.ACQUIRED_AT, "") or read_acquisition_time(source.elements, source.clock)
        yield Analysis(
            site=str(scan.site or ""),
            side=str(scan.side or ""),
            scan=of_scan.get(Fact.SCAN_ID, "") or acquired,
            analysed_at=possible_analysis_times(
                source.elements, of_scan.get(Fact.ANALYSED_AT, ""), dialect.date_order, performed_on, source.clock
            ),
            regions=tuple(region.key for region in regions),
        )
