"""Find when an exam was performed and when its scans were acquired and analysed, in the department's time zone.

An exam was performed at Acquisition DateTime (0008,002A), else Acquisition Date and Time (0008,0022 and 0032), else
Study Date and Time (0008,0020 and 0030). Content Date is when the report was written, perhaps years after the scan,
and never counts. An offset from UTC, in a DT or in Timezone Offset From UTC (0008,0201), is applied: days are those of
the department. Without a time the exam is taken to be at midnight.
"""

from datetime import date, datetime, time, tzinfo

from pipeline.sr.dialects.model import DateOrder, Fact
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.values import Clock, read_date, read_datetime, read_offset, read_time
from pipeline.sr.extract.ambiguous_dates import possible_moments
from pipeline.sr.extract.observation_context import ObservationContext
from pipeline.sr.extract.remarks import Remarks
from pipeline.sr.extract.temporal_context import TimePointContext


def clock_of(report: Elements, zone: tzinfo | None = None) -> Clock:
    """Return the time zone of a report's times, and the department's; ``None`` is that of this computer."""
    return Clock(offset=read_offset(header_text(report, "TimezoneOffsetFromUTC")), zone=zone)


def read_performed_at(report: Elements, clock: Clock, remarks: Remarks) -> tuple[datetime | None, date | None]:
    """Return when the exam was performed in the department's time, and the day as the header states it."""
    acquired = header_text(report, "AcquisitionDateTime")
    stated = read_datetime(acquired)
    if stated is not None:
        return read_datetime(acquired, clock), stated.date()
    for event in ("Acquisition", "Study"):
        day = read_date(header_text(report, f"{event}Date"))
        if day is not None:
            moment = read_time(header_text(report, f"{event}Time"))
            if moment is None:
                remarks.add(f"{event} Time is absent or no time; the exam stands at midnight")
                return datetime.combine(day, time()), day
            return clock.local(datetime.combine(day, moment)), day
    return None, None


def require_this_day(context: ObservationContext, time_point: TimePointContext, remarks: Remarks) -> None:
    """Check that nothing is dated on another day than the header.

    Raises:
        UnreadableReportError: a scan or a region is, or all dates outside them are.
    """
    fits: dict[str, bool] = {}
    for text in sorted(frozenset[str]().union(*context.every(Fact.ACQUIRED_AT))):
        fit = time_point.is_this_exam(text)
        if fit is not None:
            fits[text] = fit
        else:
            remarks.add("a date of acquisition cannot be read; the header's counts")
    in_scans, outside = ([fits[text] for text in texts if text in fits] for texts in context.every(Fact.ACQUIRED_AT))
    if not all(in_scans) or (outside and not any(outside)):
        raise UnreadableReportError(Reason.OTHER_DATE, "in a scan" if not all(in_scans) else "outside the scans")


def possible_analysis_times(
    report: Elements, text: str, order: DateOrder | None, performed_on: date, clock: Clock
) -> tuple[datetime, ...]:
    """Return when a scan can have been analysed: not before the scan, nor after the object was written."""
    if not text:
        return ()
    written = (read_date(header_text(report, f"{event}Date")) for event in ("Content", "InstanceCreation"))
    latest = max((day for day in written if day is not None), default=date.max)
    return possible_moments(text, order, earliest=performed_on, latest=latest, clock=clock)


def read_acquisition_time(report: Elements, clock: Clock) -> str:
    """Return when the scan was acquired by the header, if it has the time as well as the day."""
    moment = header_text(report, "AcquisitionTime").strip()
    day = header_text(report, "AcquisitionDate").strip()
    text = header_text(report, "AcquisitionDateTime").strip() or (day + moment if day and moment else "")
    stated, local = read_datetime(text), read_datetime(text, clock)
    if local is None or (local == stated and clock.offset is None):
        return text
    return f"{local:%Y%m%d%H%M%S}"  # else one scan with times in two zones would be two
