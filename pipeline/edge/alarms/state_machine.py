"""State machine of the alarms: from the conditions of a moment to the alarms that are open, and the message to send.

An alarm is pending until its hold-off is over, then raised; it is told once, reminded of every morning, and told again
when it is over. A high one is told at any hour, a medium one while the department works, a low one in the morning.
Pure: neither database nor clock, so that a year can be played in a second.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from pipeline.edge.alarm_kinds import KINDS, Kind, Priority
from pipeline.edge.alarms.calendar import Calendar

Key = tuple[str, str]
"""Kind and subject: what an alarm is about."""

BLIND = timedelta(minutes=3)
"""After so long without a look the hold-offs begin again: the service was stopped, and has to find its feet."""

REMIND_AFTER = timedelta(hours=12)
"""An alarm that was told so lately is not repeated in the morning."""

REMIND_LOW_AFTER = timedelta(days=28)
"""How often a low alarm is repeated."""

FLAPS = ((2, timedelta(hours=4)), (3, timedelta(hours=72)))
FLAP_WINDOW = timedelta(hours=72)
"""Raised so often within so long, an alarm comes and goes: that is told, and then neither coming nor going."""

FLAP_CALM = timedelta(hours=48)
"""A flapping alarm is over once its cause has been away for so long."""

SETTLE = timedelta(minutes=2)
"""How long a condition that counts by age must have been seen: at its start a service first catches up."""


class News(StrEnum):
    """What a line of a message says of an alarm."""

    RAISED = "raised"
    WORSE = "worse"
    FLAPPING = "flapping"
    REMINDER = "reminder"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is wrong at a moment: since when, and how far (``step``); ``detail`` names no patient.

    ``is_urgent`` makes a low alarm a medium one.
    """

    kind: str
    subject: str = ""
    since: datetime
    detail: str = ""
    step: int = 0
    is_urgent: bool = False

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One episode of an alarm; ``number`` is that of its row once it has one.

    ``observed_at``: begin of its hold-off. ``gone_at``: since when its cause is away. ``told_step``: the step that was
    told last.
    """

    number: int | None = None
    kind: str
    subject: str
    since: datetime
    detail: str
    step: int = 0
    is_urgent: bool = False
    is_flapping: bool = False
    observed_at: datetime
    raised_at: datetime | None = None
    told_at: datetime | None = None
    told_step: int = 0
    gone_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def key(self) -> Key:
        """What it is about."""
        return self.kind, self.subject

    @property
    def priority(self) -> Priority:
        """How pressing it is now."""
        priority = KINDS[self.kind].priority
        return Priority.MEDIUM if self.is_urgent and priority is Priority.LOW else priority

    @property
    def is_raised(self) -> bool:
        """Whether it is raised and its cause still there."""
        return self.raised_at is not None and self.ended_at is None and (self.gone_at is None or self.is_flapping)


@dataclass(frozen=True, slots=True)
class Line:
    """One alarm in a message."""

    news: News
    alarm: Alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When the last look was, the last message, and the last morning's."""

    looked_at: datetime | None = None
    message_at: datetime | None = None
    morning: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a department has set: its calendar, hold-offs of its own, and kinds that are off."""

    calendar: Calendar = field(default_factory=Calendar)
    hold_offs: Mapping[str, timedelta] = field(default_factory=dict)
    off: Collection[str] = ()
    calm: timedelta = timedelta(minutes=5)
    """How long a cause must be away before its alarm is over."""
    apart: timedelta = timedelta(minutes=15)
    """How far messages are apart, unless a high alarm is in one; what comes meanwhile shares the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The result of a look: all alarms that were open, as they are now; which have vanished; and the message."""

    alarms: tuple[Alarm, ...]
    vanished: tuple[Alarm, ...]
    rhythm: Rhythm
    message: tuple[Line, ...]


def advance(
    open_alarms: Sequence[Alarm],
    ended: Sequence[Alarm],
    conditions: Sequence[Condition],
    shelved: Collection[Key],
    rhythm: Rhythm,
    at: datetime,
    rules: Rules,
) -> Step:
    """Return the alarms after a look at the conditions of this moment, and what to tell.

    ``ended`` are the alarms that have ended within ``FLAP_WINDOW``. What is ``shelved`` is kept, and not told; a key
    without a subject shelves every alarm of its kind.
    """
    present = {one.key: one for one in conditions if one.kind not in rules.off and _is_old_enough(one, at, rules)}
    is_blind = rhythm.looked_at is None or abs(at - rhythm.looked_at) > BLIND
    alarms, vanished = _observe(open_alarms, present, at, is_blind=is_blind)
    causes = {alarm.key for alarm in alarms}
    alarms = [_raise(alarm, causes, ended, at, rules) for alarm in alarms]
    morning = _morning(alarms, rhythm, at, rules.calendar)
    lines = _lines(alarms, shelved, rhythm, at, rules, is_morning=morning)
    told = {line.alarm.key: line.news for line in lines}
    after = tuple(
        _told(alarm, told.get(alarm.key), at, rules, is_silent=alarm.told_at is None or _is_shelved(alarm, shelved))
        for alarm in alarms
    )
    by_key = {alarm.key: alarm for alarm in after}
    return Step(
        alarms=after,
        vanished=tuple(vanished),
        rhythm=Rhythm(
            looked_at=at,
            message_at=at if lines else rhythm.message_at,
            morning=_day(at, rules) if _is_past_morning(at, rules.calendar) else rhythm.morning,
        ),
        message=tuple(replace(line, alarm=by_key[line.alarm.key]) for line in lines),
    )


def hold_off(kind: Kind, rules: Rules) -> timedelta:
    """Return the hold-off of a kind, the department's own where it has set one."""
    return rules.hold_offs.get(kind.name, kind.hold_off)


def _is_old_enough(condition: Condition, at: datetime, rules: Rules) -> bool:
    """Return whether a condition that counts by its age has reached it; any other has."""
    kind = KINDS[condition.kind]
    if not kind.is_aged:
        return True
    if kind.working_days and kind.name not in rules.hold_offs:
        return at >= rules.calendar.after_working_days(condition.since, kind.working_days)
    return at - condition.since >= hold_off(kind, rules)


def _observe(
    open_alarms: Sequence[Alarm], present: Mapping[Key, Condition], at: datetime, *, is_blind: bool
) -> tuple[list[Alarm], list[Alarm]]:
    """Return the open alarms with what is seen now, and the pending ones whose cause is away."""
    seen, vanished = [], []
    for alarm in open_alarms:
        condition = present.get(alarm.key)
        if condition is not None:
            alarm = replace(
                alarm,
                detail=condition.detail,
                step=condition.step,
                is_urgent=condition.is_urgent,
                since=alarm.since if alarm.raised_at else condition.since,
                observed_at=at if is_blind and not alarm.raised_at else alarm.observed_at,
                gone_at=None,
            )
        elif alarm.raised_at is None:
            vanished.append(alarm)
            continue
        elif alarm.gone_at is None:
            alarm = replace(alarm, gone_at=at)
        seen.append(alarm)
    known = {alarm.key for alarm in open_alarms}
    seen += [
        Alarm(
            kind=one.kind,
            subject=one.subject,
            since=one.since,
            detail=one.detail,
            step=one.step,
            is_urgent=one.is_urgent,
            observed_at=at,
        )
        for key, one in present.items()
        if key not in known
    ]
    return seen, vanished


def _raise(alarm: Alarm, causes: Collection[Key], ended: Sequence[Alarm], at: datetime, rules: Rules) -> Alarm:
    """Return a pending alarm raised if its hold-off is over; one that another explains waits for that to end."""
    if alarm.raised_at is not None:
        return alarm
    if is_hidden(alarm, causes):
        return replace(alarm, observed_at=at)
    if at - alarm.observed_at < _wait(KINDS[alarm.kind], rules):
        return alarm
    before = [one.raised_at for one in ended if one.key == alarm.key and one.raised_at]
    flaps = any(sum(at - raised <= within for raised in before) >= times - 1 for times, within in FLAPS)
    return replace(alarm, raised_at=at, is_flapping=flaps)


def _wait(kind: Kind, rules: Rules) -> timedelta:
    """Return for how long a cause must have been seen."""
    if kind.is_aged:
        return min(SETTLE, rules.hold_offs.get(kind.name, SETTLE))
    return hold_off(kind, rules)


def is_hidden(alarm: Alarm, causes: Collection[Key]) -> bool:
    """Return whether another alarm, pending or raised, explains this one."""
    return any(
        (kind, alarm.subject) in causes if same else any(cause[0] == kind for cause in causes)
        for kind, same in KINDS[alarm.kind].hidden_by
    )


def _is_shelved(alarm: Alarm, shelved: Collection[Key]) -> bool:
    return alarm.key in shelved or (alarm.kind, "") in shelved


def _day(at: datetime, rules: Rules) -> date:
    return rules.calendar.local(at).date()


def _is_past_morning(at: datetime, calendar: Calendar) -> bool:
    return calendar.local(at).time() >= calendar.morning


def _morning(alarms: Sequence[Alarm], rhythm: Rhythm, at: datetime, calendar: Calendar) -> bool:
    """Return whether it is time for the morning's message: on a day of work, or on any while a high alarm is open."""
    today = calendar.local(at).date()
    if rhythm.morning == today or not _is_past_morning(at, calendar):
        return False
    is_pressing = any(alarm.is_raised and alarm.priority is Priority.HIGH for alarm in alarms)
    return is_pressing or calendar.is_working_day(today)


def _lines(
    alarms: Sequence[Alarm],
    shelved: Collection[Key],
    rhythm: Rhythm,
    at: datetime,
    rules: Rules,
    *,
    is_morning: bool,
) -> list[Line]:
    heard = [alarm for alarm in alarms if alarm.raised_at is not None and not _is_shelved(alarm, shelved)]
    news = [(alarm, _news(alarm, at, rules)) for alarm in heard]
    at_once = [Line(what, alarm) for alarm, what in news if what and alarm.priority is not Priority.LOW]
    if is_morning:
        later = [Line(what, alarm) for alarm, what in news if what and alarm.priority is Priority.LOW]
        said = {line.alarm.key for line in at_once}
        reminders = [
            Line(News.REMINDER, alarm) for alarm in heard if alarm.key not in said and _is_to_be_reminded(alarm, at)
        ]
        return at_once + later + [line for line in reminders if line.alarm.key not in {one.alarm.key for one in later}]
    is_pressing = any(line.alarm.priority is Priority.HIGH for line in at_once)
    if not (is_pressing or rules.calendar.is_read(at)):
        return []
    is_soon = rhythm.message_at is not None and timedelta() <= at - rhythm.message_at < rules.apart
    return [] if is_soon and not is_pressing else at_once


def _news(alarm: Alarm, at: datetime, rules: Rules) -> News | None:
    """Return what is to be told of a raised alarm, apart from reminders."""
    if _is_over(alarm, at, rules):
        return News.OVER if alarm.told_at is not None else None
    if alarm.gone_at is not None:
        return None
    if alarm.told_at is None:
        return News.FLAPPING if alarm.is_flapping else News.RAISED
    return News.WORSE if alarm.step > alarm.told_step else None


def _is_over(alarm: Alarm, at: datetime, rules: Rules) -> bool:
    calm = FLAP_CALM if alarm.is_flapping else rules.calm
    return alarm.gone_at is not None and at - alarm.gone_at >= calm


def _is_to_be_reminded(alarm: Alarm, at: datetime) -> bool:
    if alarm.told_at is None or not alarm.is_raised:
        return False
    return at - alarm.told_at >= (REMIND_LOW_AFTER if alarm.priority is Priority.LOW else REMIND_AFTER)


def _told(alarm: Alarm, news: News | None, at: datetime, rules: Rules, *, is_silent: bool) -> Alarm:
    """Return an alarm after the message: one that is over ends once that was told, or at once where nobody hears."""
    if news is News.OVER or (news is None and is_silent and _is_over(alarm, at, rules)):
        return replace(alarm, ended_at=at)
    return alarm if news is None else replace(alarm, told_at=at, told_step=alarm.step)
