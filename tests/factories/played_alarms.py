"""The state machine of the alarms played over a stretch of time, with a clock that is moved."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.edge.alarms.state_machine import FLAP_WINDOW, Alarm, Condition, Key, Line, Rhythm, Rules, advance

What = Callable[[datetime], Collection[Condition]]
"""What is wrong at a moment."""


class Played:
    """What the state machine has sent so far, and the alarms it keeps."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.open: tuple[Alarm, ...] = ()
        self.ended: list[Alarm] = []
        self.rhythm = Rhythm()
        self.messages: list[tuple[datetime, tuple[Line, ...]]] = []

    def look(self, at: datetime, *conditions: Condition, shelved: Collection[Key] = ()) -> tuple[Line, ...]:
        """Look once and return the message, which is empty where there is nothing to tell."""
        lately = [one for one in self.ended if one.ended_at and at - one.ended_at <= FLAP_WINDOW]
        step = advance(self.open, lately, conditions, shelved, self.rhythm, at, self.rules)
        self.open = tuple(alarm for alarm in step.alarms if alarm.ended_at is None)
        self.ended = lately + [alarm for alarm in step.alarms if alarm.ended_at is not None]
        self.rhythm = step.rhythm
        if step.message:
            self.messages.append((at, step.message))
        return step.message

    def play(self, begin: datetime, end: datetime, what: What, *, every: timedelta = timedelta(minutes=1)) -> None:
        """Look at what is wrong every minute of a stretch of time."""
        for at in moments(begin, end, every):
            conditions = what(at)
            if conditions or self.open or not self.rhythm.looked_at:  # else nothing could change
                self.look(at, *conditions)
            else:
                self.rhythm = replace(self.rhythm, looked_at=at)

    def said(self) -> list[list[tuple[str, str]]]:
        """News and kind of each alarm in each message."""
        return [[(line.news.value, line.alarm.kind) for line in lines] for _, lines in self.messages]


def moments(begin: datetime, end: datetime, every: timedelta) -> Iterator[datetime]:
    """The moments of a stretch of time."""
    while begin < end:
        yield begin
        begin += every


def day(month: int, number: int, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    """A moment of 2026, a year that begins on a Thursday."""
    return datetime(year, month, number, hour, minute, tzinfo=UTC)


class Spells:
    """Stretches of time during which something is wrong."""

    def __init__(self, kind: str, *stretches: tuple[datetime, timedelta], subject: str = "") -> None:
        self.kind, self.subject, self.stretches = kind, subject, stretches

    def at(self, moment: datetime) -> list[Condition]:
        """What is wrong at a moment."""
        return [
            Condition(kind=self.kind, subject=self.subject, since=begin)
            for begin, length in self.stretches
            if begin <= moment < begin + length
        ]
