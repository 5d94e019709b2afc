"""Which scans of a region belong into one line over the years, and which stand apart?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipeline.clinical.model import Change, Exam, Finding, Obstacle, Scanner
from pipeline.clinical.priors import subset_bmd
from pipeline.clinical.regions import SPINE, Region
from pipeline.clinical.wording.names import region_name

MOST_PLOTS = 12
"""As many as one page holds and a reader looks at."""

MOST_APART = 3
"""So many other machines have a mark of their own in a plot: the marks of more would not be told apart."""

NOT_COMPARABLE = "this scanner, not comparable"
OTHERS = "further scanners"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One scan of a region; ``bmd`` in g/cm2."""

    on: date
    bmd: Decimal


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
class Plot:
    """BMD of one region over the years; ``series`` may be compared, the oldest first, and the last is this exam's."""

    region: str
    series: tuple[Point, ...]
    apart: tuple[Apart, ...]
    band: Band | None


def plots(findings: Sequence[Finding], exam: Exam, history: Iterable[Exam]) -> tuple[Plot, ...]:
    """A plot for each region with an earlier scan; of a spine only its largest sets of vertebrae.

    None at all where somebody else's exams may be among the history (R2.19).
    """
    if any(refusal.obstacle is Obstacle.ID_CONFLICT for finding in findings for refusal in finding.refusals):
        return ()
    largest = max((len(finding.measurement.region.vertebrae) for finding in findings), default=0)
    earlier = sorted(
        (one for one in history if one.performed_at < exam.performed_at and not _same_exam(one, exam)),
        key=lambda one: (one.performed_at, one.study_instance_uid),
    )
    drawn = (
        _plot(finding, exam, earlier)
        for finding in findings
        if len(finding.measurement.region.vertebrae) in (0, largest)
    )
    return tuple(plot for plot in drawn if len(plot.series) > 1 or plot.apart)[:MOST_PLOTS]


def _plot(finding: Finding, exam: Exam, earlier: Sequence[Exam]) -> Plot:
    prior = finding.since_prior
    region, bmd = finding.measurement.region, finding.measurement.bmd
    if prior is not None and prior.region is not None and prior.bmd is not None:
        region, bmd = prior.region, prior.bmd
    told = [(one, Point(on=one.performed_on, bmd=then)) for one in earlier if (then := _bmd(one, region)) is not None]
    series, joined = _series(finding, exam, told)
    apart = [(one, point) for one, point in told if one.key not in joined]
    return Plot(
        region=region_name(region),
        series=(*series, Point(on=exam.performed_on, bmd=bmd)),
        apart=tuple(_apart(apart, exam)),
        band=Band(bmd=prior.reference_bmd, lsc=prior.lsc.lsc) if prior and prior.lsc else None,
    )


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
