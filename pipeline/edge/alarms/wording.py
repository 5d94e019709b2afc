"""Words of the alarms: headline, duration, and the message as text and as JSON. Times are the department's, with zone.

Nothing here knows a patient: what is said comes from the kinds of alarm, from settings, and from counts.
"""

import socket
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.edge.alarm_kinds import KINDS, Priority
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.alarms.state_machine import Alarm, Line, News
from pipeline.edge.configuration.alarm_settings import AlarmsSettings

_ORDER = tuple(Priority)

_HEADS = {
    News.RAISED: "New",
    News.WORSE: "Worse",
    News.FLAPPING: "Comes and goes (told once; it is over after two quiet days)",
    News.OVER: "Over",
    News.REMINDER: "Still open",
}


def headline(kind: str, subject: str) -> str:
    """Return what an alarm says in one line."""
    return KINDS[kind].headline.format(subject)


def command(kind: str, subject: str) -> str:
    """Return the command that shows or mends what an alarm is about."""
    return KINDS[kind].command.format(subject)


def moment(at: datetime, calendar: Calendar) -> str:
    """Return a moment in the department's time zone, with the zone."""
    return f"{calendar.local(at):%Y-%m-%d %H:%M %Z}"


def duration(length: timedelta) -> str:
    """Return a length of time in its two largest units: ``3 h 10 min``."""
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes == 0:
        return f"{max(0, round(length.total_seconds()))} s"
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join([part for part in parts if part][:2])


def content(lines: Sequence[Line], at: datetime, settings: AlarmsSettings, calendar: Calendar) -> dict[str, Any]:
    """Return a message about alarms: its subject, its text, and each alarm for programs."""
    site = settings.site or socket.gethostname()
    ordered = sorted(lines, key=lambda line: (list(_HEADS).index(line.news), _ORDER.index(line.alarm.priority)))
    return {
        "subject": f"[dxatrend {site}] {_subject(ordered)}",
        "text": _text(ordered, at, settings, calendar),
        "site": site,
        "host": socket.gethostname(),
        "at": _iso(at),
        "alarms": [_for_programs(line, at, settings) for line in ordered],
    }


def test_content(at: datetime, settings: AlarmsSettings, calendar: Calendar) -> dict[str, Any]:
    """Return a message that tests a way out."""
    site = settings.site or socket.gethostname()
    text = f"This is a test of the alarms of dxatrend on {socket.gethostname()}, {moment(at, calendar)}.\n"
    return {
        "subject": f"[dxatrend {site}] Test: alarms get here",
        "text": f"{text}Nothing is wrong, and nothing is to be done.\n",
        "site": site,
        "host": socket.gethostname(),
        "at": _iso(at),
        "alarms": [],
    }


def _subject(lines: Sequence[Line]) -> str:
    news = [line for line in lines if line.news is not News.REMINDER]
    if not news:
        return f"{len(lines)} still open: {_short(lines[0].alarm)}"
    first = news[0]
    said = _short(first.alarm)
    if first.news is News.OVER:
        said = f"Over after {_lasted(first.alarm)}: {said}"
    elif first.news is News.FLAPPING:
        said = f"Comes and goes: {said}"
    more = len(lines) - 1
    return f"{said} (and {more} more)" if more else said


def _text(lines: Sequence[Line], at: datetime, settings: AlarmsSettings, calendar: Calendar) -> str:
    parts: list[str] = []
    for news, head in _HEADS.items():
        those = [line.alarm for line in lines if line.news is news]
        if those:
            parts += [head, "", *(_entry(alarm, news, at, settings, calendar) for alarm in those)]
    return "\n".join([*parts, f"dxatrend on {socket.gethostname()}, {moment(at, calendar)}", ""])


def _entry(alarm: Alarm, news: News, at: datetime, settings: AlarmsSettings, calendar: Calendar) -> str:
    said = headline(alarm.kind, alarm.subject)
    if news is News.OVER:
        ended = alarm.gone_at or at
        return f"  {said}\n    over since {moment(ended, calendar)}, after {_lasted(alarm)}\n"
    lines = [
        f"  {said}",
        f"    since {moment(alarm.since, calendar)} ({duration(at - alarm.since)}), priority {alarm.priority.value}",
    ]
    if alarm.detail:
        lines.append(f"    {alarm.detail}")
    lines += [f"    What to do: {KINDS[alarm.kind].advice}", f"    Command: {command(alarm.kind, alarm.subject)}"]
    if page := page_url(alarm.kind, settings):
        lines.append(f"    Page: {page}")
    return "\n".join([*lines, ""])


def page_url(kind: str, settings: AlarmsSettings) -> str | None:
    """Return the address of the page of the desk for an alarm, where ``desk_url`` is set."""
    return None if settings.desk_url is None else settings.desk_url.rstrip("/") + KINDS[kind].page


def _for_programs(line: Line, at: datetime, settings: AlarmsSettings) -> Mapping[str, Any]:
    alarm = line.alarm
    ended = alarm.gone_at if line.news is News.OVER else None
    return {
        "news": line.news.value,
        "kind": alarm.kind,
        "subject": alarm.subject,
        "priority": alarm.priority.value,
        "headline": headline(alarm.kind, alarm.subject),
        "detail": alarm.detail,
        "since": _iso(alarm.since),
        "ended": _iso(ended) if ended else None,
        "seconds": round(((ended or at) - alarm.since).total_seconds()),
        "advice": KINDS[alarm.kind].advice,
        "command": command(alarm.kind, alarm.subject),
        "page": page_url(alarm.kind, settings),
    }


def _short(alarm: Alarm) -> str:
    return headline(alarm.kind, alarm.subject)


def _lasted(alarm: Alarm) -> str:
    return duration((alarm.gone_at or alarm.since) - alarm.since)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
