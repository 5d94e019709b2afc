"""``dxatrend show``: a report as an outline, the exam read from it, and the addendum it would get."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Connection

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Exam, Finding, Interpretation, Measurement
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.app import App
from pipeline.edge.dicom_files import FileLeftOutError, read_dicom_file
from pipeline.edge.follow_up.examination import preview
from pipeline.edge.store import exams, receipts
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.text_files import printable
from pipeline.sr.dicom.content_tree import header_items, header_text
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.measurements import OtherScores
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.report import Report, UnreadableReportError, extract, trees


def run(options: argparse.Namespace) -> int:
    """Print a DICOM file, or a receipt by its number; fails where it is not a report that we can use."""
    with open_store(options) as app:
        try:
            report = _print_report(app, options.report)
        except PhantomReportError as phantom:
            print(phantom.reason.sentence, *map(_measurement, phantom.scan.measurements), sep="\n")
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
    for place, tree in trees(elements):
        print(f"{place}:", outline(tree), "", sep="\n")
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
        *_not_measured(report),
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
    yield f"\nused: {exam.performed_at:%Y-%m-%d %H:%M}  {exam.scanner}"
    yield from map(_measurement, exam.measurements)


def _measurement(measurement: Measurement) -> str:
    scores = _scores(measurement)
    against = [f"against {measurement.reference_population}"] if scores and measurement.reference_population else []
    return "  ".join([f"  {measurement.region.key:<24}", f"{measurement.bmd} g/cm2", *scores, *against])


def _not_measured(report: Report) -> Iterator[str]:
    """Yield what else a report contains, and what of it was not read."""
    yield from _section("scans", [" ".join(filter(None, _scan(report, at))) for at in range(len(report.analyses))])
    yield from _section("scores against another reference population", map(_other_scores, report.other_scores))
    yield from _section("the scanner's own trend, never a measurement", map(_trend_point, report.vendor_trend))
    yield from _section("ignored", [one.replace(" was ignored", "") for one in report.ignored])
    yield from _section("left out", [f"{one.what} {one.reason}: {one.text!r}" for one in report.unused])
    left_out = {f"{one.what} {one.reason} and was not used" for one in report.unused}
    yield from _section("remarks", [remark for remark in report.remarks if remark not in left_out])


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    for position, line in enumerate(lines):
        if position == 0:
            yield f"{title}:"
        yield f"  {line}"


def _scan(report: Report, at: int) -> Iterator[str]:
    analysis = report.analyses[at]
    yield analysis.side
    yield analysis.site or "unnamed scan"
    yield f"({analysis.scan})" if analysis.scan else ""
    times = " or ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in analysis.analysed_at)
    yield f"analysed {times}" if times else ""


def _other_scores(scores: OtherScores) -> str:
    population = scores.reference_population or "one without a name"
    return "  ".join([f"{scores.region.key:<24}", *_scores(scores), f"against {population}"])


def _scores(of: Measurement | OtherScores) -> list[str]:
    return [f"{name} {score}" for name, score in (("T", of.t_score), ("Z", of.z_score)) if score is not None]


def _trend_point(point: TrendPoint) -> str:
    day = point.day.isoformat() if point.day else f"{point.printed_date} ({_days(point.days)})"
    changes = (
        (point.since_previous, "g/cm2 since the previous"),
        (point.since_previous_percent, "% since the previous"),
        (point.since_baseline, "g/cm2 since the first"),
        (point.since_baseline_percent, "% since the first"),
    )
    printed = [f"{value:+f} {what}" for value, what in changes if value is not None]
    bmd = [f"{point.bmd} g/cm2"] if point.bmd is not None else []
    return "  ".join([f"{point.region.key:<24}", day, *bmd, *printed, point.marks]).rstrip()


def _days(days: Sequence[date]) -> str:
    return " or ".join(map(str, days)) or "not a date we can read"


def _interpretation(interpretation: Interpretation) -> Iterator[str]:
    yield f"overall: {interpretation.overall}"
    for finding in interpretation.findings:
        yield f"{finding.measurement.region.key:<24}  {finding.result}{_difference(finding)}"
    yield from interpretation.conclusions


def _difference(finding: Finding) -> str:
    change = finding.since_prior
    return "" if change is None else f"  {change.difference:+} g/cm2 since {change.reference.performed_on}"
