"""Watch: look at the conditions every few seconds, keep the alarms' states, send what is to be told.

Any process may watch. One at a time does, under a lease in the store: the worker, or the monitor, which goes on when no
worker runs. The state is in the store alone, so that it does not matter which.
"""

import dataclasses
import logging
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from pipeline.edge.alarm_kinds import Priority
from pipeline.edge.alarms import wording
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.alarms.conditions import Conditions
from pipeline.edge.alarms.state_machine import FLAP_WINDOW, Alarm, Rhythm, Rules, Step, advance
from pipeline.edge.alarms.ways_out import NotSentError, Send, send_heartbeat, ways_out
from pipeline.edge.app import App
from pipeline.edge.configuration.alarm_settings import WEEKDAYS
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.store import alarm_messages, alarms
from pipeline.edge.store.alarm_messages import OutgoingMessage

log = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
"""Waits before a message is tried again."""

_FIELDS = tuple(field.name for field in dataclasses.fields(Alarm) if field.name != "number")


def calendar_of(service: ServiceSettings) -> Calendar:
    """Return the calendar of a department."""
    settings = service.alarms
    return Calendar(
        days=tuple(WEEKDAYS.index(day) for day in settings.work_days),
        ends=settings.work_ends,
        holidays=settings.holidays,
        morning=settings.morning,
        zone=service.exam.zone,
    )


def rules_of(service: ServiceSettings) -> Rules:
    """Return what a department has set for its alarms."""
    settings = service.alarms
    return Rules(
        calendar=calendar_of(service),
        hold_offs={kind: timedelta(minutes=minutes) for kind, minutes in settings.hold_off_minutes.items()},
        off=settings.off,
        calm=timedelta(minutes=settings.calm_minutes),
        apart=timedelta(minutes=settings.apart_minutes),
    )


class Watcher:
    """Looks at the conditions in one process; ``clock`` returns the present moment, in UTC."""

    def __init__(self, app: App, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._service = app.settings.service
        self._rules = rules_of(self._service)
        self._ways = ways_out(self._service.alarms)
        self._clock = clock
        self._conditions = Conditions()
        self._heartbeat_failed = False

    def now(self) -> datetime:
        """Return the present moment of its clock."""
        return self._clock()

    @property
    def every(self) -> timedelta:
        """How often it looks."""
        return timedelta(seconds=self._service.alarms.every_seconds)

    def poll(self, app: App) -> datetime:
        """Look, record and send, unless another process watches; return when to look again.

        Raises:
            StoreError: the database failed.
        """
        now = self._clock()
        following = now + self.every
        with app.database.read() as connection:
            is_free = alarms.is_free(connection, at=now)
        step = self._look(app, now) if is_free else None
        if step is None:
            return following
        for way, send in self._ways.items():
            self._send_due(app, way, send)
        self._beat(app, step)
        return following

    def _look(self, app: App, at: datetime) -> Step | None:
        """Look and record; return ``None`` where another process has begun to watch."""
        conditions = self._conditions.read(app, self._rules.calendar, tuple(self._ways), at)
        with app.database.write() as connection:
            if not alarms.lease(connection, at=at):
                return None
            before = open_alarms(connection)
            shelved = {(shelf.kind, shelf.subject) for shelf in alarms.shelves(connection, at=at)}
            ended = [to_alarm(row) for row in alarms.ended_rows(connection, since=at - FLAP_WINDOW)]
            step = advance(before, ended, conditions, shelved, _rhythm(connection), at, self._rules)
            self._record(connection, before, step, at)
        for line in step.message:
            said = wording.headline(line.alarm.kind, line.alarm.subject)
            log.warning("alarm: %s", said, extra={"status": line.news.value})
        return step

    def _record(self, connection: Connection, before: Sequence[Alarm], step: Step, at: datetime) -> None:
        known = {alarm.number: alarm for alarm in before}
        for alarm in step.vanished:
            assert alarm.number is not None  # it was on file
            alarms.drop(connection, alarm.number)
        for alarm in step.alarms:
            if alarm != known.get(alarm.number):
                alarms.save(connection, alarm.number, {name: getattr(alarm, name) for name in _FIELDS})
        rhythm = step.rhythm
        alarms.record_look(connection, looked_at=rhythm.looked_at, message_at=rhythm.message_at, morning=rhythm.morning)
        if step.message:
            content = wording.content(step.message, at, self._service.alarms, self._rules.calendar)
            alarm_messages.add(connection, tuple(self._ways), content, at=at)
            alarms.drop_old(connection, at=at)
            alarm_messages.drop_old(connection, at=at)

    def _send_due(self, app: App, way: str, send: Send) -> None:
        """Send what is due by one way, until one fails."""
        while (message := self._claim(app, way)) is not None:
            try:
                send(message.content, identity(message))
            except NotSentError as problem:
                wait = min(FIRST_WAIT * 2 ** min(message.attempts - 1, 10), LONGEST_WAIT)
                with app.database.write() as connection:
                    alarm_messages.postpone(
                        connection, message.number, until=self._clock() + wait, problem=str(problem)
                    )
                log.warning("a message of the alarms is not out: %s", problem, extra={"destination": way})
                return
            with app.database.write() as connection:
                alarm_messages.record_sent(connection, message.number, at=self._clock())
            log.info("a message of the alarms is out", extra={"destination": way})

    def _claim(self, app: App, way: str) -> OutgoingMessage | None:
        with app.database.write() as connection:
            return alarm_messages.claim(connection, way, at=self._clock())

    def _beat(self, app: App, step: Step) -> None:
        """Send the outward heartbeat, unless something is wrong that it is there to tell of."""
        settings, now = self._service.alarms.heartbeat, self._clock()
        if settings is None or not is_well(step.alarms):
            return
        with app.database.read() as connection:
            watch = alarms.watch(connection)
        last = watch.heartbeat_at if watch else None
        if last is not None and timedelta() <= now - last < timedelta(minutes=settings.minutes):
            return
        try:
            send_heartbeat(settings)
        except NotSentError as problem:
            if not self._heartbeat_failed:
                log.warning("the outward heartbeat is not heard: %s", problem)
            self._heartbeat_failed = True
        else:
            self._heartbeat_failed = False
        with app.database.write() as connection:
            alarms.record_look(connection, heartbeat_at=now)


def is_well(open_now: Sequence[Alarm]) -> bool:
    """Return whether the outward heartbeat may go out: no high alarm is raised, and messages get out."""
    return not any(
        alarm.is_raised and (alarm.priority is Priority.HIGH or alarm.kind == "messages_stuck") for alarm in open_now
    )


def open_alarms(connection: Connection) -> list[Alarm]:
    """Return the alarms on file that have not ended, pending ones as well."""
    return [to_alarm(row) for row in alarms.open_rows(connection)]


def identity(message: OutgoingMessage) -> str:
    """Return what identifies a message to its receivers, also when it comes twice."""
    return f"dxatrend-{message.number}-{message.created_at:%Y%m%d%H%M%S%f}-{socket.gethostname()}"


def to_alarm(row: Row[Any]) -> Alarm:
    """Return the alarm of a row."""
    return Alarm(number=row.id, **{name: getattr(row, name) for name in _FIELDS})


def _rhythm(connection: Connection) -> Rhythm:
    watch = alarms.watch(connection)
    if watch is None:
        return Rhythm()
    return Rhythm(looked_at=watch.looked_at, message_at=watch.message_at, morning=watch.morning)
