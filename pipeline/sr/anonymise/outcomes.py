"""Compare what is read from a report with what is read from it once it is anonymous."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from pipeline.clinical.model import Measurement
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.sr.anonymise.texts import Texts
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.extract.known_phantoms import PhantomScan
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.rejection_note import RejectionNoteError
from pipeline.sr.extract.report import Report

Outcome = Report | UnreadableReportError
"""What reading a report ends with."""


def difference(original: Outcome, anonymous: Outcome, texts: Texts) -> str:
    """Return the name of what differs that should not; empty where both are read alike.

    Texts are compared by what becomes of them, dates by the day to which they move.
    """
    if type(original) is not type(anonymous):
        return "how it is read"
    for (name, before), (_, after) in zip(_facts(original, texts), _facts(anonymous, None), strict=False):
        if before != after:
            return name
    if isinstance(original, Report) and isinstance(anonymous, Report):
        return _other_days(original, anonymous, texts)
    return ""


def _facts(outcome: Outcome, texts: Texts | None) -> Iterator[tuple[str, Any]]:
    """Yield what has to be equal; with ``texts`` as it has to become."""
    match outcome:
        case Report():
            yield from _of_report(outcome, texts)
        case PhantomReportError(scan=scan):
            yield from _of_phantom(scan, texts)
        case RejectionNoteError(rejection=rejection):
            yield "the reason of the rejection", rejection.title
            yield "what it rejects", [_uid(uid, texts) for uid in rejection.sop_instance_uids]
        case _:
            yield "why it cannot be read", outcome.reason


def _of_report(report: Report, texts: Texts | None) -> Iterator[tuple[str, Any]]:
    exam = report.exam
    yield "dialect", (report.dialect, report.location)
    yield "the measured regions", [measurement.region for measurement in exam.measurements]
    yield "measurements", [_measurement(measurement, texts) for measurement in exam.measurements]
    yield (
        "scores against other populations",
        [replace(one, reference_population=_worded(one.reference_population, texts)) for one in report.other_scores],
    )
    yield "scanner", _scanner(exam.scanner, texts)
    yield "software", _device(exam.software, texts)
    yield "the time of the exam", _moment(exam.performed_at, texts)
    yield "the characteristics of the patient", (exam.age, exam.weight_kg, exam.height_cm, exam.menopause_age)
    yield "sex", exam.patient.sex
    yield "birth date", exam.patient.birth_date and _day(exam.patient.birth_date, texts)
    yield "ethnic group", _worded(report.ethnic_group, texts)
    yield "the scans", [(one.site, one.side, bool(one.scan), one.regions) for one in report.analyses]
    yield "the scanner's own trend", [_without_days(point) for point in report.vendor_trend]
    yield "SOP Instance UID", _uid(report.sop_instance_uid, texts)
    yield "Study Instance UID", _uid(exam.study_instance_uid, texts)


def _of_phantom(scan: PhantomScan, texts: Texts | None) -> Iterator[tuple[str, Any]]:
    yield "measurements", [_measurement(measurement, texts) for measurement in scan.measurements]
    yield "scanner", _scanner(scan.scanner, texts)
    yield "software", _device(scan.software, texts)
    yield "the time of the scan", _moment(scan.performed_at, texts)


def _other_days(original: Report, anonymous: Report, texts: Texts) -> str:
    """Return what has other days than moved ones: of two readings of a printed date one may be left."""
    for before, after in zip(original.analyses, anonymous.analyses, strict=True):
        if not _one_of(before.analysed_at, after.analysed_at, lambda moment: _moment(moment, texts)):
            return "when a scan was analysed"
    for then, now in zip(original.vendor_trend, anonymous.vendor_trend, strict=True):
        if not _one_of(then.days, now.days, lambda day: _day(day, texts)):
            return "a day of the scanner's own trend"
    return ""


def _one_of(original: tuple[Any, ...], anonymous: tuple[Any, ...], move: Callable[[Any], Any]) -> bool:
    return bool(original) == bool(anonymous) and (not original or bool({*map(move, original)} & {*anonymous}))


def _measurement(measurement: Measurement, texts: Texts | None) -> Measurement:
    return replace(
        measurement,
        scan_mode=_worded(measurement.scan_mode, texts),
        analysis_protocol=_worded(measurement.analysis_protocol, texts),
        reference_population=_worded(measurement.reference_population, texts),
        technologist="somebody" if measurement.technologist else "",
    )


def _scanner(scanner: Any, texts: Texts | None) -> tuple[str, str, str]:
    if texts is None:
        return scanner.manufacturer, scanner.model, scanner.serial_number
    return (
        texts.device(scanner.manufacturer),
        texts.device(scanner.model),
        texts.serial_number(scanner.serial_number),
    )


def _without_days(point: TrendPoint) -> TrendPoint:
    return replace(point, printed_date="", days=())


def _worded(text: str, texts: Texts | None) -> str:
    return text if texts is None else texts.worded(text)


def _device(text: str, texts: Texts | None) -> str:
    return text if texts is None else texts.device(text)


def _uid(uid: str, texts: Texts | None) -> str:
    return uid if texts is None else texts.uid(uid)


def _day(day: date, texts: Texts | None) -> date:
    return day if texts is None else texts.day(day)


def _moment(moment: datetime, texts: Texts | None) -> datetime:
    return moment if texts is None else datetime.combine(texts.day(moment.date()), moment.time())
