"""What does a report say, what of it did we recognise and use, which exam do we see in it, and what would we answer?"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import Connection

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.clinical.model import Exam, Finding, Interpretation, Measurement
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.edge.app import App
from pipeline.edge.dicom_files import FileLeftOutError, read_dicom_file
from pipeline.edge.follow_up.examination import preview
from pipeline.edge.store import exams, receipts
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.text_files import printable
from pipeline.sr.dicom.content_tree import header_text, read_instance
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.measurements import OtherScores
from pipeline.sr.extract.phantom import PhantomReport
from pipeline.sr.extract.report import Report, UnreadableReportError, extract, trees


def show(app: App, report: str) -> int:
    """Print a DICOM file, or the receipt of a number; the exit status."""
    try:
        known = app.reference_data
        elements = read_elements(*_bytes_of(app, report))
        for place, tree in trees(elements):
            print(f"{place}:", outline(tree), "", sep="\n")
        read = extract(elements, app.dialects, known.aliases, known.spellings, zone=known.zone)
    except PhantomReport as phantom:
        print(phantom.reason.sentence, *map(_measured, phantom.scan.measurements), sep="\n")
        return 0
    except (UnreadableReportError, FileLeftOutError, OSError) as problem:
        ours = isinstance(problem, UnreadableReportError) and problem.reason is Reason.OWN_ADDENDUM
        if ours:
            print(f"\n{_written_by_us(*_bytes_of(app, report))}")
            return 0
        print(f"\n{printable(problem)}", file=sys.stderr)
        return 1
    with app.database.read() as connection:
        seen = _seen(connection, report, read)
        said = preview(connection, seen.exam, known.clinical, vendor_trend=seen.vendor_trend)
    print(f"read as {read.dialect}, from {read.place}", *seen.remarks, *_told(seen.exam), *_beside(read), sep="\n")
    print("", *_said(said), sep="\n")
    return 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """The whole exam a receipt belongs to, or what one file says alone."""

    exam: Exam
    vendor_trend: tuple[TrendPoint, ...]
    remarks: tuple[str, ...] = ()


def _written_by_us(data_set: bytes, transfer_syntax_uid: str) -> str:
    """What an object of our own is."""
    instance = read_instance(data_set, transfer_syntax_uid)
    for source in instance.get("SourceInstanceSequence", []):
        return (
            f"{header_text(instance, 'SeriesDescription')}, number {header_text(instance, 'InstanceNumber')}: "
            f"a face of our addendum {header_text(source, 'ReferencedSOPInstanceUID')}"
        )
    return f"our addendum {header_text(instance, 'SOPInstanceUID')}"


def _bytes_of(app: App, report: str) -> tuple[bytes, str]:
    if not report.isdecimal():
        return split_file(read_dicom_file(Path(report), most_mb=app.settings.service.listener.largest_object_mb))
    with app.database.read() as connection:
        found = receipts.load(connection, [int(report)])
    if not found:
        raise FileNotFoundError(f"there is no receipt {report}")
    return found[0].instance.data_set, found[0].instance.transfer_syntax_uid


def _seen(connection: Connection, report: str, read: Report) -> _Seen:
    on_file = exams.exam_of_receipt(connection, int(report)) if report.isdecimal() else None
    if on_file is None:
        return _Seen(read.exam, read.vendor_trend)
    try:
        return _Seen(on_file.exam(), on_file.vendor_trend, tuple(_parts(on_file)))
    except ContradictionError as contradiction:
        told = f"the reports of this exam contradict each other: {contradiction}"
        return _Seen(read.exam, read.vendor_trend, (told,))


def _parts(on_file: ExamOnFile) -> Iterator[str]:
    made_of = ", ".join(str(number) for number, _ in on_file.reports)
    yield f"{len(on_file.reports)} reports make up this exam, E{on_file.number}: {made_of}"
    if on_file.withdrawn:
        yield f"it is withdrawn: {on_file.withdrawn}"
    if on_file.rejected:
        yield f"rejected, and no part of it: {', '.join(str(number) for number, _ in on_file.rejected)}"
    for number, regions in on_file.superseded().items():
        yield f"a later analysis has replaced what receipt {number} says of {', '.join(regions)}"


def _told(exam: Exam) -> Iterator[str]:
    yield f"\nused: {exam.performed_at:%Y-%m-%d %H:%M}  {exam.scanner}"
    yield from map(_measured, exam.measurements)


def _measured(measurement: Measurement) -> str:
    scores = _scores(measurement)
    against = [f"against {measurement.reference_population}"] if scores and measurement.reference_population else []
    return "  ".join([f"  {measurement.region.key:<24}", f"{measurement.bmd} g/cm2", *scores, *against])


def _beside(read: Report) -> Iterator[str]:
    """What one report says that is no measurement of ours, and what of it was not read."""
    yield from _section("scans", [" ".join(filter(None, _scan(read, at))) for at in range(len(read.analyses))])
    yield from _section("kept apart, against another reference population", list(map(_other, read.other_scores)))
    yield from _section("the scanner's own trend, never a measurement", list(map(_point, read.vendor_trend)))
    yield from _section("put aside", [one.replace(" was put aside", "") for one in read.aside])
    yield from _section("left out", [f"{one.what} {one.reason}: {one.text!r}" for one in read.unused])
    left_out = {f"{one.what} {one.reason} and was not used" for one in read.unused}
    yield from _section("remarks", [remark for remark in read.remarks if remark not in left_out])


def _section(title: str, told: list[str]) -> Iterator[str]:
    if told:
        yield f"{title}:"
        yield from (f"  {line}" for line in told)


def _scan(read: Report, at: int) -> Iterator[str]:
    analysis = read.analyses[at]
    yield analysis.side
    yield analysis.site or "unnamed scan"
    yield f"({analysis.scan})" if analysis.scan else ""
    moments = " or ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in analysis.analysed_at)
    yield f"analysed {moments}" if moments else ""


def _other(scores: OtherScores) -> str:
    population = scores.reference_population or "one not named"
    return "  ".join([f"{scores.region.key:<24}", *_scores(scores), f"against {population}"])


def _scores(of: Measurement | OtherScores) -> list[str]:
    return [f"{name} {score}" for name, score in (("T", of.t_score), ("Z", of.z_score)) if score is not None]


def _point(point: TrendPoint) -> str:
    day = point.day.isoformat() if point.day else f"{point.printed_date} ({_days(point.days)})"
    changes = (
        (point.since_previous, "g/cm2 since the previous"),
        (point.since_previous_percent, "% since the previous"),
        (point.since_baseline, "g/cm2 since the first"),
        (point.since_baseline_percent, "% since the first"),
    )
    told = [f"{value:+f} {what}" for value, what in changes if value is not None]
    bmd = [f"{point.bmd} g/cm2"] if point.bmd is not None else []
    return "  ".join([f"{point.region.key:<24}", day, *bmd, *told, point.marks]).rstrip()


def _days(days: tuple[date, ...]) -> str:
    return " or ".join(map(str, days)) or "no date we know"


def _said(interpretation: Interpretation) -> Iterator[str]:
    yield f"overall: {interpretation.overall}"
    for finding in interpretation.findings:
        yield f"{finding.measurement.region.key:<24}  {finding.result}{_difference(finding)}"
    yield from interpretation.conclusions


def _difference(finding: Finding) -> str:
    change = finding.since_prior
    return "" if change is None else f"  {change.difference:+} g/cm2 since {change.reference.performed_on}"
