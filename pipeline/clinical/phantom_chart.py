"""Control chart of a phantom: baselines by segment, the rules each scan broke, and what its repeats showed (R7, E24).

A scan that breaks a rule is repeated twice the same day; scans that come later stand in where nobody did. Only where
the mean of the two confirms it is the scanner in doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from pipeline.clinical.cautions import major_version
from pipeline.clinical.model import ZERO
from pipeline.clinical.phantom_qc import (
    BASELINE_DAYS,
    CUSUM_LIMIT,
    HUNDRED,
    PHANTOM_SCANS,
    REPEATS,
    Baseline,
    QualityRule,
    baseline,
    breaks_range,
    broken_at,
    calibration_holds,
    next_cusum,
    still_out,
)

BROUGHT_ABOUT = timedelta(days=60)
"""Work within so many days after a failure may have been done for it."""

_START = (ZERO, ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlScan:
    """One scan of a phantom: its number, and its BMD in g/cm2 in the region that is judged."""

    number: int
    performed_at: datetime
    phantom: str
    bmd: Decimal
    software: str = ""

    @property
    def day(self) -> date:
        """The day of the scan."""
        return self.performed_at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMark:
    """Work on the scanner. At a calibration epoch (``is_epoch``) a new baseline begins (R2.6)."""

    day: date
    what: str
    is_epoch: bool = False
    is_bridged: bool = True
    """False for an epoch across which nothing is compared."""
    after: datetime | None = None
    """A scan of that day that came before the work, such as the one for which it was done."""

    def is_done_at(self, moment: datetime) -> bool:
        """Whether a scan of that moment was made after the work."""
        return self.day <= moment.date() and (self.after is None or moment > self.after)


class Outcome(StrEnum):
    """What a phantom scan says of the scanner."""

    NO_LIMITS = "no limits yet"
    FIT = "fit"
    WARNING = "warning"
    REPEAT = "repeat twice"
    """Outside, and not repeated yet."""
    REFUTED = "not confirmed"
    """Outside, but its two repeats are not."""
    CONFIRMED = "confirmed"
    """Outside, and so are its two repeats: the scanner is not fit for patients."""


@dataclass(slots=True, kw_only=True)
class Segment:
    """Scans that share a baseline; its last limits are those of ``baseline``, ``None`` while there are too few days."""

    reason: str
    phantom: str
    begins: datetime
    baseline: Baseline | None = None
    days: list[date] = field(default_factory=list)
    """The days that the baseline rests on."""
    values: list[Decimal] = field(default_factory=list)
    """Their values in g/cm2, one a day."""

    @property
    def is_complete(self) -> bool:
        """Whether the baseline has all its days and stays as it is."""
        return len(self.days) >= BASELINE_DAYS[1]

    @property
    def missing_days(self) -> int:
        """How many days are still needed before there are limits."""
        return max(0, BASELINE_DAYS[0] - len(self.days))

    @property
    def center(self) -> Decimal:
        """The mean of the baseline, or of the days there are, in g/cm2."""
        return self.baseline.mean if self.baseline else sum(self.values, ZERO) / max(len(self.values), 1)


@dataclass(slots=True, kw_only=True)
class JudgedScan:
    """One scan with the limits it was judged by, the rules it broke, and its outcome."""

    scan: ControlScan
    segment: Segment
    limits: Baseline | None
    rules: tuple[QualityRule, ...] = ()
    outcome: Outcome = Outcome.NO_LIMITS
    repeats: tuple[ControlScan, ...] = ()
    cusum: tuple[Decimal, Decimal] = _START

    @property
    def percent(self) -> Decimal:
        """The deviation from the mean of its baseline in percent."""
        center = self.limits.mean if self.limits else self.segment.center
        return HUNDRED * (self.scan.bmd - center) / center

    @property
    def failed_rules(self) -> tuple[QualityRule, ...]:
        """The rules it broke that call for two repeats."""
        return tuple(rule for rule in self.rules if rule.fails)

    @property
    def asks_for_repeats(self) -> bool:
        """Whether it was outside its limits, and is no repeat of a scan that was."""
        return self.outcome in (Outcome.REPEAT, Outcome.REFUTED, Outcome.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A scan that failed: the last good one before it, and when its repeats confirmed it; ``None`` without repeats."""

    scan: JudgedScan
    last_good_at: datetime | None
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """The phantom before and after work on the scanner: ten scans each, within 1 % of each other or not (R2.6)."""

    mark: ServiceMark
    before: int
    after: int
    percent: Decimal | None
    """Change of the mean in percent; ``None`` while scans are missing."""
    holds: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlChart:
    """Every scan of one phantom, and of those it replaced, on one scanner; in the order they were performed."""

    segments: tuple[Segment, ...] = ()
    scans: tuple[JudgedScan, ...] = ()
    failures: tuple[Failure, ...] = ()
    """The confirmed ones, and the last one if it still waits for its repeats."""
    bridges: tuple[Bridge, ...] = ()

    @property
    def last(self) -> JudgedScan | None:
        """The latest scan."""
        return self.scans[-1] if self.scans else None

    @property
    def awaiting(self) -> JudgedScan | None:
        """The scan that waits for its repeats."""
        waiting = [failure.scan for failure in self.failures if failure.confirmed_at is None]
        return waiting[-1] if waiting else None

    def fit_again_at(self, shown_at: datetime, remedied_on: date) -> datetime | None:
        """Return when a scan showed that the scanner is fit, after what stopped it was remedied; ``None`` if not yet.

        It is the first scan within 2 SD and 1.5 % of the baseline. Where the work began a new baseline there are no
        limits yet: then it is the tenth scan after it, if the mean of ten holds within 1 % of the ten before (R2.6), or
        if nothing is compared across it.
        """
        later = [one for one in self.scans if one.scan.performed_at > shown_at and one.scan.day >= remedied_on]
        unsettled = (Outcome.REPEAT, Outcome.CONFIRMED)
        doubted = {scan.number for one in later if one.outcome in unsettled for scan in one.repeats}
        good = [one for one in later if one.outcome is Outcome.FIT and one.scan.number not in doubted]
        found = [one.scan.performed_at for one in good if not self._is_refuted(one)]
        for bridge in self.bridges:
            new = [
                one for one in later if bridge.mark.is_done_at(one.scan.performed_at) and one.segment.begins > shown_at
            ]
            if bridge.mark.is_epoch and len(new) >= PHANTOM_SCANS and (bridge.holds or not bridge.mark.is_bridged):
                found.append(new[PHANTOM_SCANS - 1].scan.performed_at)
        return min(found, default=None)

    def _is_refuted(self, one: JudgedScan) -> bool:
        """Whether the baseline of a scan began with work that is said to be bridged, and the phantom says it is not."""
        epochs = [bridge for bridge in self.bridges if bridge.mark.is_epoch]
        begun = [bridge for bridge in epochs if bridge.mark.is_done_at(one.scan.performed_at)]
        return bool(begun) and begun[-1].holds is False and begun[-1].mark.is_bridged


def judge(scans: Sequence[ControlScan], marks: Sequence[ServiceMark] = ()) -> ControlChart:
    """Judge every scan of a phantom on one scanner, and of the phantoms it replaced, oldest first."""
    judging = Judging(marks)
    for scan in scans:
        judging.add(scan)
    return judging.chart()


class Judging:
    """Judges one scan after the other, as they come."""

    def __init__(self, marks: Sequence[ServiceMark] = ()) -> None:
        self.awaiting: JudgedScan | None = None
        """The scan that waits for its repeats."""
        self._segments: list[Segment] = []
        self.judged: list[JudgedScan] = []
        """The scans so far."""
        self._marks = sorted(marks, key=lambda mark: mark.day)
        self._series: list[tuple[datetime, Decimal]] = []  # one value a day, since the rules began anew
        self._previous: ControlScan | None = None  # since the rules began anew
        self._cusum = _START
        self._confirmed: list[Failure] = []
        self._software = ""

    def chart(self) -> ControlChart:
        """Return the chart of the scans so far."""
        waiting = [] if self.awaiting is None else [self._failure(self.awaiting, confirmed_at=None)]
        return ControlChart(
            segments=tuple(self._segments),
            scans=tuple(self.judged),
            failures=(*self._confirmed, *waiting),
            bridges=tuple(_bridge([one.scan for one in self.judged], self._confirmed, mark) for mark in self._marks),
        )

    def add(self, scan: ControlScan) -> JudgedScan:
        """Judge one more scan; it is not earlier than those before it."""
        reason = self._new_segment(scan)
        if reason:
            self._segments.append(Segment(reason=reason, phantom=scan.phantom, begins=scan.performed_at))
            self._restart()
            self.awaiting = None
        self._software = scan.software or self._software
        segment = self._segments[-1]
        judged = JudgedScan(scan=scan, segment=segment, limits=segment.baseline)
        before = self.judged[-1].scan if self.judged else None
        is_first_of_day = reason != "" or before is None or before.day != scan.day
        self.judged.append(judged)
        if self.awaiting is not None:
            self._add_repeat(judged)
            return judged
        if is_first_of_day:
            self._series.append((scan.performed_at, scan.bmd))
        if judged.limits is not None:
            self._apply_rules(judged, judged.limits, is_first_of_day=is_first_of_day)
        self._previous = scan
        if is_first_of_day and judged.outcome is not Outcome.REPEAT:
            self._add_to_baseline(scan.day, scan.bmd)
        return judged

    def _new_segment(self, scan: ControlScan) -> str:
        """Return why a scan begins a new segment; empty if it does not."""
        if not self.judged:
            return "first scan"
        before = self.judged[-1].scan
        if before.phantom != scan.phantom:
            return f"phantom {before.phantom} replaced by {scan.phantom}"
        done = [mark for mark in self._marks if mark.is_epoch and mark.is_done_at(scan.performed_at)]
        begun = [mark for mark in done if not mark.is_done_at(before.performed_at)]
        if begun:
            return begun[-1].what
        if scan.software and self._software and major_version(scan.software) != major_version(self._software):
            return f"software {self._software} → {scan.software}"
        return ""

    def _apply_rules(self, judged: JudgedScan, limits: Baseline, *, is_first_of_day: bool) -> None:
        scan, before = judged.scan, self._previous
        values = [bmd for _, bmd in self._series[-QualityRule.TEN_X.scans :]] if is_first_of_day else [scan.bmd]
        rules = list(broken_at(len(values) - 1, values, limits))
        if before is not None and before.day == scan.day and breaks_range(scan.bmd, before.bmd, limits):
            rules.append(QualityRule.R_4S)
        if is_first_of_day:
            was_above = max(self._cusum) > CUSUM_LIMIT
            self._cusum = next_cusum(self._cusum, scan.bmd, limits)
            if max(self._cusum) > CUSUM_LIMIT and not was_above:
                rules.append(QualityRule.CUSUM)
        judged.cusum = self._cusum
        judged.rules = tuple(rules)
        judged.outcome = Outcome.WARNING if rules else Outcome.FIT
        if judged.failed_rules:
            judged.outcome = Outcome.REPEAT
            self.awaiting = judged

    def _add_repeat(self, repeat: JudgedScan) -> None:
        """Take a scan as a repeat of the one that failed; the second one settles it."""
        failed = self.awaiting
        assert failed is not None  # it waits
        limits = failed.limits
        assert limits is not None  # it broke a rule
        failed.repeats = (*failed.repeats, repeat.scan)
        repeat.cusum = self._cusum
        repeat.limits = limits
        repeat.rules = tuple(broken_at(0, [repeat.scan.bmd], limits))
        repeat.outcome = Outcome.WARNING if repeat.rules else Outcome.FIT
        if len(failed.repeats) < REPEATS:
            return
        again = [scan.bmd for scan in failed.repeats]
        self.awaiting = None
        if still_out(failed.scan.bmd, again, limits):
            failed.outcome = Outcome.CONFIRMED
            self._confirmed.append(self._failure(failed, confirmed_at=repeat.scan.performed_at))
        else:
            failed.outcome = Outcome.REFUTED
            self._add_to_baseline(failed.scan.day, sum(again, ZERO) / REPEATS)
        self._restart()

    def _failure(self, failed: JudgedScan, *, confirmed_at: datetime | None) -> Failure:
        """Return a failure with the last scan before those that the broken rules looked at."""
        length = max(rule.scans for rule in failed.failed_rules)
        window = [at for at, _ in self._series if at <= failed.scan.performed_at][-length:]
        first = window[0] if length > 1 else failed.scan.performed_at
        earlier = [one for one in self.judged if one.scan.performed_at < first and one.segment is failed.segment]
        good = [one.scan.performed_at for one in earlier if one.outcome not in (Outcome.CONFIRMED, Outcome.REPEAT)]
        return Failure(scan=failed, last_good_at=good[-1] if good else None, confirmed_at=confirmed_at)

    def _add_to_baseline(self, day: date, value: Decimal) -> None:
        """Add the value of a day to the baseline while it has not all its days; each day counts once (R7.2)."""
        segment = self._segments[-1]
        if segment.is_complete or day in segment.days:
            return
        segment.days.append(day)
        segment.values.append(value)
        if len(set(segment.values)) > 1:
            segment.baseline = baseline(segment.values)

    def _restart(self) -> None:
        """Let rules that look at several scans begin anew."""
        self._series.clear()
        self._previous = None
        self._cusum = _START


def _bridge(scans: Sequence[ControlScan], confirmed: Sequence[Failure], mark: ServiceMark) -> Bridge:
    """Return what ten scans before and after the work, of one phantom, say (R2.6).

    Those before are the last good ones: none since a failure that the work may have been done for.
    """
    later = [scan for scan in scans if mark.is_done_at(scan.performed_at)]
    phantom = later[0].phantom if later else None
    after = [scan.bmd for scan in later if scan.phantom == phantom][:PHANTOM_SCANS]
    lately = [one for one in confirmed if timedelta() <= mark.day - one.scan.scan.day <= BROUGHT_ABOUT]
    good_until = min((one.last_good_at for one in lately if one.last_good_at), default=None)
    earlier = [
        scan.bmd
        for scan in scans
        if not mark.is_done_at(scan.performed_at)
        and scan.phantom == (phantom or scan.phantom)
        and (good_until is None or scan.performed_at <= good_until)
    ]
    before = earlier[-PHANTOM_SCANS:]
    if min(len(before), len(after)) < PHANTOM_SCANS:
        return Bridge(mark=mark, before=len(before), after=len(after), percent=None, holds=None)
    then, now = sum(before, ZERO) / PHANTOM_SCANS, sum(after, ZERO) / PHANTOM_SCANS
    return Bridge(
        mark=mark,
        before=len(before),
        after=len(after),
        percent=HUNDRED * (now - then) / then,
        holds=calibration_holds(before, after),
    )
