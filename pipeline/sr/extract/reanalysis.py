"""Choose the latest analysis of a scan that was analysed again, and one reference population.

Scanners send an exam in parts, export a scan again, and analyse a scan again. Two analyses are of one scan when site,
side, and the scanner's own id or time of the scan agree. The latest analysis of a scan counts as a whole, since another
analysis may leave out a vertebra. Analyses that cannot be ordered are all kept; if they differ, the exam is held as
contradictory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.clinical.model import Exam, Measurement
from pipeline.sr.extract.measurements import is_female


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One analysis of one scan in a report: which scan, when it was analysed, the keys of its regions.

    ``scan`` is the scanner's own id of the acquisition, else its time; empty when the report has neither.
    ``analysed_at`` has two moments where a printed date can be read in two ways, and none where there is no date.
    """

    site: str
    side: str
    scan: str
    analysed_at: tuple[datetime, ...]
    regions: tuple[str, ...]

    @property
    def same_scan(self) -> tuple[str, str, str] | None:
        """Site, side and scan, which analyses of one scan have in common; ``None`` when the scan is not known."""
        return (self.site, self.side, self.scan) if self.scan else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The exam of one report, and the analyses in it."""

    exam: Exam
    analyses: tuple[Analysis, ...]


def current(parts: Sequence[Part]) -> list[Exam]:
    """Return the exam of each part without the superseded measurements; parts without any other are left out."""
    latest = _latest(parts)
    exams = [_without(part, _superseded(part, latest)) for part in parts]
    kept = [exam for exam in exams if exam.measurements] or exams
    return _with_one_population(kept)


def superseded_regions(part: Part, parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the keys of a part's regions that a later analysis of their scan has superseded."""
    return tuple(sorted(_superseded(part, _latest(parts))))


_Scan = tuple[str, str, str]


def _latest(parts: Sequence[Part]) -> dict[_Scan, datetime]:
    """Return for each scan the earliest moment at which its latest analysis can have been made."""
    latest: dict[_Scan, datetime] = {}
    for analysis in (analysis for part in parts for analysis in part.analyses):
        scan = analysis.same_scan
        if scan is not None and analysis.analysed_at:
            moment = min(analysis.analysed_at)
            latest[scan] = max(moment, latest.get(scan, moment))
    return latest


def _superseded(part: Part, latest: dict[_Scan, datetime]) -> set[str]:
    replaced: set[str] = set()
    for analysis in part.analyses:
        scan = analysis.same_scan
        if scan is not None and analysis.analysed_at and max(analysis.analysed_at) < latest[scan]:
            replaced.update(analysis.regions)
    return replaced


def _without(part: Part, regions: set[str]) -> Exam:
    if not regions:
        return part.exam
    kept = tuple(measurement for measurement in part.exam.measurements if measurement.region.key not in regions)
    return replace(part.exam, measurements=kept)


def _with_one_population(exams: Sequence[Exam]) -> list[Exam]:
    """Drop scores against men of regions that another report has against women.

    The female reference counts for both (ISCD, R4.5); the BMD is the same and stays.
    """
    against_women = {m.region.key for exam in exams for m in exam.measurements if is_female(m.reference_population)}
    return [replace(exam, measurements=tuple(_scored(exam, against_women))) for exam in exams]


def _scored(exam: Exam, against_women: set[str]) -> Iterator[Measurement]:
    for measurement in exam.measurements:
        population = measurement.reference_population
        if measurement.region.key in against_women and population and not is_female(population):
            yield replace(
                measurement,
                t_score=None,
                z_score=None,
                percent_young_adult=None,
                percent_age_matched=None,
                reference_population="",
            )
        else:
            yield measurement
