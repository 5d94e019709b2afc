"""Trend plots as values: the scans of a region over the years, which are comparable, and what lies between them.

BMD is absolute, in g/cm². A vendor's reference curve is never drawn: it does not decide whether a change counts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

from pipeline.clinical.cautions import major_version
from pipeline.clinical.clinical_context import ClinicalContext, Therapy, context_on
from pipeline.clinical.model import Change, Epoch, Exam, Finding, Obstacle, Scanner
from pipeline.clinical.priors import subset_bmd
from pipeline.clinical.regions import SPINE, Region
from pipeline.clinical.validity import ADULT_FROM, invalid_because, is_child
from pipeline.clinical.wording.names import region_name

MAX_PLOTS = 12
"""Most plots of an addendum: one page holds no more."""

MAX_GROUPS = 3
"""Most groups of scans with a marker of their own in a plot; more markers could not be distinguished."""

MAX_REASONS = 2
"""Most reasons for excluding scans, and most other sets of vertebrae, that a plot names."""

NOT_COMPARABLE = "this scanner, not comparable"
OTHERS = "further scanners"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotContext:
    """What plots show beside the scans: calibration epochs, clinical records, and days of exams held for a person."""

    epochs: Sequence[Epoch] = ()
    records: Sequence[ClinicalContext] = ()
    held_days: Sequence[date] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One scan of a region; ``bmd`` in g/cm², ``recomputed`` if its report prints another set of vertebrae.

    ``printed`` is that set, where it is not the one drawn.
    """

    on: date
    bmd: Decimal
    recomputed: bool = False
    printed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The BMD that a region is compared with, and the LSC that a change from it must reach; both in g/cm²."""

    bmd: Decimal
    lsc: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanGroup:
    """Scans that share a reason for not being compared, mostly another scanner."""

    reason: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A day on which scanner, calibration, software or scan mode changed; ``label`` for the plot, ``reason`` in full.

    If it ``interrupts``, scans on its two sides are comparable only after review, and no line joins them.
    """

    on: date
    label: str
    reason: str
    interrupts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TherapyCourse:
    """A therapy on record from its first to its last day; that of the exam if it has not ``ended``.

    ``start_on_record`` is false if the first day is only that of the first record of it.
    """

    therapy: Therapy
    begins: date
    ends: date
    start_on_record: bool
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """BMD of one region over the years.

    ``series`` are comparable scans, the oldest first, this exam's last. ``sets`` name vertebrae that reports of the
    series print instead of those drawn, ``excluded`` are scans that are not valid, ``held_days`` those of exams held
    for a person. With ``birth_date`` the plot has an axis of age. ``band`` is about the prior, ``baseline_band`` about
    the baseline where that is another exam with its own comparison of the same vertebrae; ``prior_on`` and
    ``baseline_on`` are their days.
    """

    region: str
    series: tuple[Point, ...]
    not_comparable: tuple[ScanGroup, ...]
    band: Band | None
    sets: tuple[str, ...] = ()
    excluded: tuple[ScanGroup, ...] = ()
    breaks: tuple[Break, ...] = ()
    therapies: tuple[TherapyCourse, ...] = ()
    held_days: tuple[date, ...] = ()
    birth_date: date | None = None
    baseline_band: Band | None = None
    prior_on: date | None = None
    baseline_on: date | None = None

    @property
    def legend(self) -> tuple[str, ...]:
        """Lines below the plot: scans not comparable, other sets of vertebrae, scans excluded."""
        return (
            *(group.reason for group in self.not_comparable),
            *self.sets,
            *(group.reason for group in self.excluded),
        )


def plots(
    findings: Sequence[Finding], exam: Exam, history: Iterable[Exam], plot_context: PlotContext | None = None
) -> tuple[Plot, ...]:
    """Return a plot for each region with an earlier scan; of a spine only for its largest sets of vertebrae.

    There is none if another patient's exams may be among the history (R2.19).
    """
    plot_context = plot_context or PlotContext()
    if any(refusal.obstacle is Obstacle.ID_CONFLICT for finding in findings for refusal in finding.refusals):
        return ()
    largest = max((len(finding.measurement.region.vertebrae) for finding in findings), default=0)
    earlier = sorted(
        (one for one in history if one.performed_at < exam.performed_at and not _same_exam(one, exam)),
        key=lambda one: (one.performed_at, one.study_instance_uid),
    )
    drawn = (
        _plot(finding, exam, earlier, plot_context)
        for finding in findings
        if len(finding.measurement.region.vertebrae) in (0, largest) and finding.valid and not finding.of_a_child
    )
    return tuple(plot for plot in drawn if len(plot.series) > 1 or plot.not_comparable or plot.excluded)[:MAX_PLOTS]


def therapy_courses(records: Sequence[ClinicalContext], until: date) -> tuple[TherapyCourse, ...]:
    """Return the therapies on record up to a day, the first one first; one that no record ends lasts until that day."""
    courses: list[TherapyCourse] = []
    for day in sorted({record.recorded_on for record in records if record.recorded_on <= until}):
        known = context_on(records, day)
        begins, on_record = known.therapy_since or day, known.therapy_since is not None
        if courses and courses[-1].therapy is known.therapy:
            courses[-1] = replace(courses[-1], begins=begins, start_on_record=True) if on_record else courses[-1]
            continue
        if courses:
            courses[-1] = replace(courses[-1], ends=max(courses[-1].begins, min(begins, day)), ended=True)
        therapy = known.therapy or Therapy.NONE
        courses.append(TherapyCourse(therapy=therapy, begins=begins, ends=until, start_on_record=on_record))
    return tuple(course for course in courses if course.therapy is not Therapy.NONE and course.begins <= until)


def drawn_region(finding: Finding) -> Region:
    """Return the region that the plot of a finding draws: the vertebrae that were compared, where these are fewer."""
    prior = finding.since_prior
    return prior.region if prior is not None and prior.region is not None else finding.measurement.region


def _plot(finding: Finding, exam: Exam, earlier: Sequence[Exam], plot_context: PlotContext) -> Plot:
    prior, region = finding.since_prior, drawn_region(finding)
    bmd = prior.bmd if prior is not None and prior.bmd is not None else finding.measurement.bmd
    scans = [(one, point) for one in earlier if (point := scan_of(one, region)) is not None]
    left_out = [(point, reason) for one, point in scans if (reason := _invalid(one, region, plot_context))]
    left_out += [(point, f"{name} only") for one in earlier for point, name in other_set(one, region)]
    valid = [(one, point) for one, point in scans if not _invalid(one, region, plot_context)]
    series, joined = _series(finding, exam, valid)
    rest = [(one, point) for one, point in valid if one.key not in joined]
    with_exam = [*(one for one, _ in valid), exam]
    this = _point_of(exam, region, bmd)
    return Plot(
        region=region_name(region),
        series=(*series, this),
        not_comparable=tuple(_not_comparable(rest, exam)),
        band=_band(prior),
        sets=tuple(_sets(with_exam, region)),
        excluded=tuple(_excluded(left_out)),
        breaks=tuple(_breaks(with_exam, exam.scanner, plot_context.epochs, region)),
        therapies=therapy_courses(plot_context.records, exam.performed_on),
        held_days=tuple(sorted({day for day in plot_context.held_days if day < exam.performed_on})),
        birth_date=exam.patient.birth_date,
        baseline_band=_baseline_band(finding),
        prior_on=prior.reference.performed_on if prior else None,
        baseline_on=finding.since_baseline.reference.performed_on if finding.since_baseline else None,
    )


def _band(change: Change | None) -> Band | None:
    return Band(bmd=change.reference_bmd, lsc=change.lsc.lsc) if change and change.lsc else None


def _baseline_band(finding: Finding) -> Band | None:
    """Return the band about the baseline, if it is another exam than the prior and the same vertebrae were compared."""
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior is None or baseline is None or prior.reference.key == baseline.reference.key:
        return None
    return _band(baseline) if prior.region == baseline.region else None


def scan_of(exam: Exam, region: Region) -> Point | None:
    """Return the scan of a region, recomputed where its report prints other vertebrae; ``None`` where it has none."""
    bmd = _bmd(exam, region)
    return None if bmd is None else _point_of(exam, region, bmd)


def _point_of(exam: Exam, region: Region, bmd: Decimal) -> Point:
    if region.part != SPINE or region.key in exam.by_region:
        return Point(on=exam.performed_on, bmd=bmd)
    return Point(on=exam.performed_on, bmd=bmd, recomputed=True, printed=str(_printed_set(exam, region) or ""))


def _printed_set(exam: Exam, region: Region) -> Region | None:
    """Return the region if a report prints it, else the largest set of vertebrae that it prints."""
    printed = [m.region for m in exam.measurements if m.region.part == SPINE and m.region.monitorable]
    if region in printed:
        return region
    return max(printed, key=lambda one: (len(one.vertebrae), one.key), default=None)


def _sets(exams: Iterable[Exam], region: Region) -> Iterator[str]:
    """Yield the sets of vertebrae that reports print instead of the one drawn, and their years (R2.12)."""
    years: dict[Region, list[str]] = {}
    for one in exams if region.part == SPINE else ():
        printed = _printed_set(one, region)
        if printed is not None and printed != region:
            years.setdefault(printed, []).append(f"{one.performed_on:%Y}")
    for printed, when in list(years.items())[-MAX_REASONS:]:
        yield f"printed as {printed}: {', '.join(dict.fromkeys(when))}"


def other_set(exam: Exam, region: Region) -> Iterator[tuple[Point, str]]:
    """Yield the spine of a report without the vertebrae drawn: its own BMD, which is not comparable."""
    printed = _printed_set(exam, region) if region.part == SPINE and _bmd(exam, region) is None else None
    if printed is not None:
        yield Point(on=exam.performed_on, bmd=exam.by_region[printed.key].bmd), str(printed)


def _invalid(exam: Exam, region: Region, plot_context: PlotContext) -> str:
    """Return why a scan is not valid, by age and by clinical records of its day (R2.22); empty if it is valid."""
    if is_child(exam):
        return f"below {ADULT_FROM} years of age"
    return ", ".join(invalid_because(region, context_on(plot_context.records, exam.performed_on)))


def _excluded(left_out: Sequence[tuple[Point, str]]) -> Iterator[ScanGroup]:
    """Yield excluded scans by reason, the most recent first; reasons beyond ``MAX_REASONS`` become one."""
    by_reason: dict[str, list[Point]] = {}
    for point, reason in sorted(left_out, key=lambda scan: scan[0].on, reverse=True):
        by_reason.setdefault(reason, []).insert(0, point)
    yield from _groups(by_reason, MAX_REASONS, "other reasons")


def _groups(by_reason: Mapping[str, Sequence[Point]], most: int, others: str) -> Iterator[ScanGroup]:
    """Yield at most this many groups; if there are more reasons, the last group is of all the others."""
    named = list(by_reason.items())
    kept = named if len(named) <= most else named[: most - 1]
    for reason, points in kept:
        yield ScanGroup(reason=reason, points=tuple(points))
    if rest := [point for _, points in named[len(kept) :] for point in points]:
        yield ScanGroup(reason=others, points=tuple(sorted(rest, key=lambda point: point.on)))


def _breaks(exams: Sequence[Exam], scanner: Scanner, epochs: Sequence[Epoch], region: Region) -> Iterator[Break]:
    """Yield changes of scanner, calibration, major software and mode between a scan and the next (R2.1 to R2.6)."""
    for one, other in pairwise(exams):
        if one.scanner != other.scanner:
            serials = " to ".join(e.scanner.serial_number or "not stated" for e in (one, other))
            yield Break(on=_middle(one, other), label="scanner", reason=f"other scanner (S/N {serials})")
    for one, other in pairwise([e for e in exams if e.scanner == scanner]):
        for epoch in epochs:
            if epoch.scanner == scanner and one.performed_on < epoch.begins <= other.performed_on:
                event = "calibration checked" if epoch.cross_calibrated else "calibrated anew"
                reason = f"{event} on {epoch.begins} ({epoch.reason})"
                yield Break(on=epoch.begins, label="calibration", reason=reason)
        if one.software and other.software and major_version(one.software) != major_version(other.software):
            reason = f"software {one.software} to {other.software}"
            yield Break(on=_middle(one, other), label="software", reason=reason, interrupts=True)
        yield from _changes_of_mode(one, other, region)


def _changes_of_mode(one: Exam, other: Exam, region: Region) -> Iterator[Break]:
    """Yield another scan mode or protocol of analysis, where both reports state it (R2.5)."""
    before, after = (exam.by_region.get((_printed_set(exam, region) or region).key) for exam in (one, other))
    if before is None or after is None:
        return
    protocols = before.analysis_protocol, after.analysis_protocol
    for what, (then, now) in (("scan mode", (before.scan_mode, after.scan_mode)), ("analysis", protocols)):
        if then and now and then != now:
            reason = f"{what} {then} to {now}"
            yield Break(on=_middle(one, other), label=what, reason=reason, interrupts=True)


def _middle(one: Exam, other: Exam) -> date:
    return one.performed_on + (other.performed_on - one.performed_on) / 2


def _series(
    finding: Finding, exam: Exam, scans: Sequence[tuple[Exam, Point]]
) -> tuple[tuple[Point, ...], frozenset[tuple[str, int]]]:
    """Return the comparable scans from the baseline on, and the keys of their exams.

    Of a cross-calibrated scanner they are only prior and baseline, brought to the scale of this scanner; as measured,
    they are among the scans that are not comparable.
    """
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior is None or baseline is None:
        return (), frozenset()
    if prior.reference.scanner != exam.scanner:
        return tuple(dict.fromkeys((_reference(baseline), _reference(prior)))), frozenset()
    begins = baseline.reference.performed_at
    comparable = [
        (one, point)
        for one, point in scans
        if one.scanner == exam.scanner and begins <= one.performed_at and one.performed_on < exam.performed_on
    ]
    return tuple(point for _, point in comparable), frozenset(one.key for one, _ in comparable)


def _reference(change: Change) -> Point:
    return Point(on=change.reference.performed_on, bmd=change.reference_bmd)


def _not_comparable(scans: Sequence[tuple[Exam, Point]], exam: Exam) -> Iterator[ScanGroup]:
    """Yield scans that are not comparable by scanner, the most recent first; more than ``MAX_GROUPS`` become one."""
    by_reason: dict[str, list[Point]] = {}
    for one, point in reversed(scans):
        same = one.scanner == exam.scanner and exam.scanner.identified
        by_reason.setdefault(NOT_COMPARABLE if same else _scanner_label(one.scanner), []).insert(0, point)
    yield from _groups(by_reason, MAX_GROUPS, OTHERS)


def _scanner_label(scanner: Scanner) -> str:
    """Name a scanner in the width of a small plot, its serial number first."""
    return f"S/N {scanner.serial_number or 'not stated'}, {scanner.manufacturer} {scanner.model}"


def _bmd(exam: Exam, region: Region) -> Decimal | None:
    if region.part == SPINE:
        return subset_bmd(exam, region)
    measured = exam.measurement_of(region)
    return None if measured is None else measured.bmd


def _same_exam(one: Exam, other: Exam) -> bool:
    return one.key == other.key
