"""Trend plots: the scans of a region over the years, joined where they may be compared, and what lies between them.

Absolute BMD over time and age. A reference curve of the vendor's is never drawn: it is not ours to judge by.
"""

from collections.abc import Iterable, Iterator, Sequence
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

MOST_PLOTS = 12
"""As many as one page holds and a reader looks at."""

MOST_APART = 3
"""So many other machines have a mark of their own in a plot: the marks of more would not be told apart."""

MOST_NOTED = 2
"""So many reasons for excluding scans, and so many other sets of vertebrae, are named in a plot."""

NOT_COMPARABLE = "this scanner, not comparable"
OTHERS = "further scanners"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotContext:
    """What is drawn beside the scans: breaks of calibration, therapy, and the days of exams held for a person."""

    epochs: Sequence[Epoch] = ()
    contexts: Sequence[ClinicalContext] = ()
    held: Sequence[date] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One scan of a region; ``bmd`` in g/cm2; ``recomputed`` where its report prints another set of vertebrae."""

    on: date
    bmd: Decimal
    recomputed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The BMD a region is compared with, and the LSC about it that a change must reach; both in g/cm2."""

    bmd: Decimal
    lsc: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Scans that may not be compared, and what sets them apart: mostly the scanner that made them."""

    why: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where something changed that keeps BMDs apart, or may: in a word for the plot, and in full.

    ``interrupts`` says that the scans on its two sides are comparable only after a look, so that no line joins them.
    """

    on: date
    word: str
    why: str
    interrupts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A therapy on record, from its first day to its last, the exam's where it had not ``ended``.

    ``since_told`` says that its beginning is on record; else it is the day of the first record of it.
    """

    therapy: Therapy
    begins: date
    ends: date
    since_told: bool
    ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """BMD of one region over the years; ``series`` may be compared, the oldest first, and the last is this exam's.

    ``sets`` name the vertebrae that reports of the series print where they are others, ``excluded`` are scans that are
    not valid, ``held`` the days of exams that wait for a person. ``born`` gives the axis of age.
    """

    region: str
    series: tuple[Point, ...]
    apart: tuple[Apart, ...]
    band: Band | None
    sets: tuple[str, ...] = ()
    excluded: tuple[Apart, ...] = ()
    breaks: tuple[Break, ...] = ()
    courses: tuple[Course, ...] = ()
    held: tuple[date, ...] = ()
    born: date | None = None

    @property
    def legend(self) -> tuple[str, ...]:
        """What is told below the plot, a line each: scans apart, sets of vertebrae, scans excluded."""
        return (*(group.why for group in self.apart), *self.sets, *(group.why for group in self.excluded))


def plots(
    findings: Sequence[Finding], exam: Exam, history: Iterable[Exam], beside: PlotContext | None = None
) -> tuple[Plot, ...]:
    """A plot for each region with an earlier scan; of a spine only its largest sets of vertebrae.

    None at all where somebody else's exams may be among the history (R2.19).
    """
    beside = beside or PlotContext()
    if any(refusal.obstacle is Obstacle.ID_CONFLICT for finding in findings for refusal in finding.refusals):
        return ()
    largest = max((len(finding.measurement.region.vertebrae) for finding in findings), default=0)
    earlier = sorted(
        (one for one in history if one.performed_at < exam.performed_at and not _same_exam(one, exam)),
        key=lambda one: (one.performed_at, one.study_instance_uid),
    )
    drawn = (
        _plot(finding, exam, earlier, beside)
        for finding in findings
        if len(finding.measurement.region.vertebrae) in (0, largest) and finding.valid and not finding.of_a_child
    )
    return tuple(plot for plot in drawn if len(plot.series) > 1 or plot.apart or plot.excluded)[:MOST_PLOTS]


def courses(records: Sequence[ClinicalContext], until: date) -> tuple[Course, ...]:
    """The therapies on record up to a day, the first one first; one that no record ends lasts until that day."""
    found: list[Course] = []
    for day in sorted({record.recorded_on for record in records if record.recorded_on <= until}):
        known = context_on(records, day)
        begins, told = known.therapy_since or day, known.therapy_since is not None
        if found and found[-1].therapy is known.therapy:
            found[-1] = replace(found[-1], begins=begins, since_told=True) if told else found[-1]
            continue
        if found:
            found[-1] = replace(found[-1], ends=max(found[-1].begins, min(begins, day)), ended=True)
        found.append(Course(therapy=known.therapy or Therapy.NONE, begins=begins, ends=until, since_told=told))
    return tuple(course for course in found if course.therapy is not Therapy.NONE and course.begins <= until)


def _plot(finding: Finding, exam: Exam, earlier: Sequence[Exam], beside: PlotContext) -> Plot:
    prior = finding.since_prior
    region, bmd = finding.measurement.region, finding.measurement.bmd
    if prior is not None and prior.region is not None and prior.bmd is not None:
        region, bmd = prior.region, prior.bmd
    told = [(one, point) for one in earlier if (point := _point(one, region)) is not None]
    left_out = [(one, point, why) for one, point in told if (why := _invalid(one, region, beside))]
    left_out += [(one, point, f"{name} only") for one in earlier for point, name in _other_set(one, region)]
    valid = [(one, point) for one, point in told if not _invalid(one, region, beside)]
    series, joined = _series(finding, exam, valid)
    apart = [(one, point) for one, point in valid if one.key not in joined]
    this = Point(on=exam.performed_on, bmd=bmd, recomputed=_is_recomputed(exam, region))
    return Plot(
        region=region_name(region),
        series=(*series, this),
        apart=tuple(_apart(apart, exam)),
        band=Band(bmd=prior.reference_bmd, lsc=prior.lsc.lsc) if prior and prior.lsc else None,
        sets=tuple(_sets([*(one for one, _ in valid), exam], region)),
        excluded=tuple(_excluded(left_out)),
        breaks=tuple(_breaks([*(one for one, _ in valid), exam], exam.scanner, beside.epochs)),
        courses=courses(beside.contexts, exam.performed_on),
        held=tuple(sorted({day for day in beside.held if day < exam.performed_on})),
        born=exam.patient.birth_date,
    )


def _point(exam: Exam, region: Region) -> Point | None:
    bmd = _bmd(exam, region)
    return None if bmd is None else Point(on=exam.performed_on, bmd=bmd, recomputed=_is_recomputed(exam, region))


def _is_recomputed(exam: Exam, region: Region) -> bool:
    return region.part == SPINE and region.key not in exam.by_region


def _printed_set(exam: Exam, region: Region) -> Region | None:
    """The set of vertebrae that speaks for the spine in a report; the region itself where it prints that."""
    printed = [m.region for m in exam.measurements if m.region.part == SPINE and m.region.monitorable]
    if region in printed:
        return region
    return max(printed, key=lambda one: (len(one.vertebrae), one.key), default=None)


def _sets(exams: Iterable[Exam], region: Region) -> Iterator[str]:
    """Which vertebrae other reports print than the ones that are drawn, and when (R2.12)."""
    years: dict[Region, list[str]] = {}
    for one in exams if region.part == SPINE else ():
        printed = _printed_set(one, region)
        if printed is not None and printed != region:
            years.setdefault(printed, []).append(f"{one.performed_on:%Y}")
    for printed, when in list(years.items())[-MOST_NOTED:]:
        yield f"printed as {printed}: {', '.join(dict.fromkeys(when))}"


def _other_set(exam: Exam, region: Region) -> Iterator[tuple[Point, str]]:
    """The spine of a report that does not tell the vertebrae drawn: its own number, which is not comparable."""
    printed = _printed_set(exam, region) if region.part == SPINE and _bmd(exam, region) is None else None
    if printed is not None:
        yield Point(on=exam.performed_on, bmd=exam.by_region[printed.key].bmd), str(printed)


def _invalid(exam: Exam, region: Region, beside: PlotContext) -> str:
    """Why a scan must not be judged, by the patient's age and by what is on record of its day; else empty (R2.22)."""
    if is_child(exam):
        return f"below {ADULT_FROM} years of age"
    return ", ".join(invalid_because(region, context_on(beside.contexts, exam.performed_on)))


def _excluded(left_out: Sequence[tuple[Exam, Point, str]]) -> Iterator[Apart]:
    """By reason, the most recent first; those that are not named become one."""
    groups: dict[str, list[Point]] = {}
    for _, point, why in sorted(left_out, key=lambda one: one[1].on, reverse=True):
        groups.setdefault(why, []).insert(0, point)
    named = list(groups.items())
    kept = named if len(named) <= MOST_NOTED else named[: MOST_NOTED - 1]
    for why, points in kept:
        yield Apart(why=why, points=tuple(points))
    if rest := [point for _, points in named[len(kept) :] for point in points]:
        yield Apart(why="other reasons", points=tuple(sorted(rest, key=lambda point: point.on)))


def _breaks(exams: Sequence[Exam], scanner: Scanner, epochs: Sequence[Epoch]) -> Iterator[Break]:
    """What changed between one scan and the next: the scanner, its calibration, its major software (R2.1 to R2.6)."""
    for one, other in pairwise(exams):
        if one.scanner != other.scanner:
            serials = " to ".join(e.scanner.serial_number or "not stated" for e in (one, other))
            yield Break(on=_middle(one, other), word="scanner", why=f"other scanner (S/N {serials})")
    for one, other in pairwise([e for e in exams if e.scanner == scanner]):
        for epoch in epochs:
            if epoch.scanner == scanner and one.performed_on < epoch.begins <= other.performed_on:
                told = "calibration checked" if epoch.cross_calibrated else "calibrated anew"
                why = f"{told} on {epoch.begins} ({epoch.reason})"
                yield Break(on=epoch.begins, word="calibration", why=why)
        if one.software and other.software and major_version(one.software) != major_version(other.software):
            why = f"software {one.software} to {other.software}"
            yield Break(on=_middle(one, other), word="software", why=why, interrupts=True)


def _middle(one: Exam, other: Exam) -> date:
    return one.performed_on + (other.performed_on - one.performed_on) / 2


def _series(
    finding: Finding, exam: Exam, told: Sequence[tuple[Exam, Point]]
) -> tuple[tuple[Point, ...], frozenset[tuple[str, int]]]:
    """The comparable scans from the baseline on, and which exams they are of.

    Of a cross-calibrated scanner those two that were brought to this one's scale; as they were measured, they stand
    apart with the rest.
    """
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior is None or baseline is None:
        return (), frozenset()
    if prior.reference.scanner != exam.scanner:
        return tuple(dict.fromkeys((_reference(baseline), _reference(prior)))), frozenset()
    begins = baseline.reference.performed_at
    comparable = [
        (one, point)
        for one, point in told
        if one.scanner == exam.scanner and begins <= one.performed_at and one.performed_on < exam.performed_on
    ]
    return tuple(point for _, point in comparable), frozenset(one.key for one, _ in comparable)


def _reference(change: Change) -> Point:
    return Point(on=change.reference.performed_on, bmd=change.reference_bmd)


def _apart(told: Sequence[tuple[Exam, Point]], exam: Exam) -> Iterator[Apart]:
    """By what sets them apart, the most recent first; more of them than there are marks become one."""
    groups: dict[str, list[Point]] = {}
    for one, point in reversed(told):
        same = one.scanner == exam.scanner and exam.scanner.identified
        groups.setdefault(NOT_COMPARABLE if same else _machine(one.scanner), []).insert(0, point)
    named = list(groups.items())
    kept = named if len(named) <= MOST_APART else named[: MOST_APART - 1]
    for why, points in kept:
        yield Apart(why=why, points=tuple(points))
    if rest := [point for _, points in named[len(kept) :] for point in points]:
        yield Apart(why=OTHERS, points=tuple(sorted(rest, key=lambda point: point.on)))


def _machine(scanner: Scanner) -> str:
    """A scanner in the width of a small plot; what tells two of a model apart comes first."""
    return f"S/N {scanner.serial_number or 'not stated'}, {scanner.manufacturer} {scanner.model}"


def _bmd(exam: Exam, region: Region) -> Decimal | None:
    if region.part == SPINE:
        return subset_bmd(exam, region)
    measured = exam.measurement_of(region)
    return None if measured is None else measured.bmd


def _same_exam(one: Exam, other: Exam) -> bool:
    return one.key == other.key
