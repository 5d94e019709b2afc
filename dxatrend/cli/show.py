"""``dxatrend show``: a report as an outline, the exam read from it, and the addendum it would get."""

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from dxatrend.cli.output import FAILURE, SUCCESS, moment, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Exam, Finding, Interpretation
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.app import App
from pipeline.edge.dicom_files import FileLeftOutError, read_dicom_file
from pipeline.edge.follow_up.examination import preview
from pipeline.edge.overview.report_view import Section, measurement_line, not_measured, outlines
from pipeline.edge.store import exams, receipts
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.text_files import printable
from pipeline.sr.dicom.content_tree import header_items, header_text
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.report import Report, extract


def run(options: argparse.Namespace) -> int:
    """Print a DICOM file, or a receipt by its number; fails where it is not a report that we can use."""
    if options.anonymous:
        from dxatrend.cli.anonymous import write  # noqa: PLC0415 - show alone does not need it

        return write(options)
    if options.to is not None:
        print_errors("--to belongs to --anonymous: it says where the file for support goes.")
        return FAILURE
    with open_store(options) as app:
        try:
            report = _print_report(app, options.report)
        except PhantomReportError as phantom:
            print(phantom.reason.sentence, *map(measurement_line, phantom.scan.measurements), sep="\n")
            return SUCCESS
        except (UnreadableReportError, FileLeftOutError, OSError) as problem:
            if isinstance(problem, UnreadableReportError) and problem.reason is Reason.OWN_ADDENDUM:
                print(f"\n{_own_object(*_read_bytes(app, options.report))}")
                return SUCCESS
            print_errors(f"\n{printable(problem)}")
            return FAILURE
        _print_exam(app, options.report, report)
    return SUCCESS


def _print_report(app: App, named: str) -> Report:
    """Print the outline of every content tree of an object and return what is read from them."""
    known = app.reference_data
    elements = read_elements(*_read_bytes(app, named))
    for one in outlines(elements):
        print(f"{one.place}:", one.text, "", sep="\n")
    return extract(elements, app.dialects, known.aliases, known.spellings, phantoms=known.phantoms, zone=known.zone)


def _print_exam(app: App, named: str, report: Report) -> None:
    """Print the exam that a report is part of, what else the report contains, and the interpretation."""
    with app.database.read() as connection:
        seen = _seen(connection, named, report)
        clinical = app.reference_in_force(connection).reference_data.clinical
        found = preview(connection, seen.exam, clinical, vendor_trend=seen.vendor_trend)
    print(
        f"read as {report.dialect}, from {report.location}",
        *seen.remarks,
        *_exam(seen.exam),
        *_lines(not_measured(report)),
        sep="\n",
    )
    print("", *_interpretation(found), sep="\n")


@dataclass(frozen=True, slots=True)
class _Seen:
    """The exam that a receipt is part of, or what one file contains alone."""

    exam: Exam
    vendor_trend: tuple[TrendPoint, ...]
    remarks: tuple[str, ...] = ()


def _own_object(data_set: bytes, transfer_syntax_uid: str) -> str:
    """Describe an object that dxatrend has written."""
    instance = read_elements(data_set, transfer_syntax_uid)
    for source in header_items(instance, "SourceInstanceSequence"):
        return (
            f"{header_text(instance, 'SeriesDescription')}, number {header_text(instance, 'InstanceNumber')}: "
            f"a rendering of our addendum {header_text(source, 'ReferencedSOPInstanceUID')}"
        )
    return f"our addendum {header_text(instance, 'SOPInstanceUID')}"


def _read_bytes(app: App, named: str) -> tuple[bytes, str]:
    """Return the data set and the Transfer Syntax UID of a file or a receipt."""
    if not named.isdecimal():
        return split_file(read_dicom_file(Path(named), most_mb=app.settings.service.listener.largest_object_mb))
    with app.database.read() as connection:
        found = receipts.load(connection, [int(named)])
    if not found:
        raise FileNotFoundError(f"there is no receipt {named}")
    return found[0].instance.data_set, found[0].instance.transfer_syntax_uid


def _seen(connection: Connection, named: str, report: Report) -> _Seen:
    stored = exams.exam_of_receipt(connection, int(named)) if named.isdecimal() else None
    if stored is None:
        return _Seen(report.exam, report.vendor_trend)
    try:
        return _Seen(stored.exam(), stored.vendor_trend, tuple(_reports(stored)))
    except ContradictionError as contradiction:
        remark = f"the reports of this exam contradict each other: {contradiction}"
        return _Seen(report.exam, report.vendor_trend, (remark,))


def _reports(stored: ExamOnFile) -> Iterator[str]:
    numbers = ", ".join(str(number) for number, _ in stored.reports)
    yield f"exam E{stored.number} consists of {len(stored.reports)} reports: {numbers}"
    if stored.withdrawn:
        yield f"it is withdrawn: {stored.withdrawn}"
    if stored.rejected:
        yield f"rejected and not used: {', '.join(str(number) for number, _ in stored.rejected)}"
    for number, regions in stored.superseded().items():
        yield f"a later analysis replaces what receipt {number} has for {', '.join(regions)}"


def _exam(exam: Exam) -> Iterator[str]:
    yield f"\nused: {moment(exam.performed_at)}  {exam.scanner}"
    yield from map(measurement_line, exam.measurements)


def _lines(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        yield f"{section.title}:"
        yield from (f"  {line}" for line in section.lines)


def _interpretation(interpretation: Interpretation) -> Iterator[str]:
    yield f"overall: {interpretation.overall}"
    for finding in interpretation.findings:
        yield f"{finding.measurement.region.key:<24}  {finding.result}{_difference(finding)}"
    yield from interpretation.conclusions


def _difference(finding: Finding) -> str:
    change = finding.since_prior
    return "" if change is None else f"  {change.difference:+} g/cm2 since {change.reference.performed_on}"
