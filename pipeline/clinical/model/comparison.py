"""Comparison of one region with earlier exams: change, result, obstacle, trend line and finding (R2, R3)."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pipeline.clinical.model.caution import Caution, Flag
from pipeline.clinical.model.exam import Exam, Measurement
from pipeline.clinical.model.precision import LeastSignificantChange
from pipeline.clinical.regions import Region, Site


class Result(StrEnum):
    """The result of comparing one region with an earlier exam (R3.8)."""

    GAIN = "GAIN"
    LOSS = "LOSS"
    NO_SIGNIFICANT_CHANGE = "NSC"
    NOT_COMPARABLE = "NOT_COMPARABLE"
    NO_LSC = "NO_LSC"
    NO_PRIOR = "NO_PRIOR"

    @property
    def significant(self) -> bool:
        """Whether it is a gain or a loss: a change that equals or exceeds the LSC."""
        return self in (Result.GAIN, Result.LOSS)


class Obstacle(StrEnum):
    """Why a measurement may not be compared with an earlier one."""

    ID_CONFLICT = "ID_CONFLICT"
    SCANNER_UNKNOWN = "SCANNER_UNKNOWN"
    OTHER_SCANNER = "OTHER_SCANNER"
    OTHER_EPOCH = "OTHER_EPOCH"
    OTHER_VERTEBRAE = "OTHER_VERTEBRAE"
    OTHER_SIDE = "OTHER_SIDE"
    OTHER_REGION = "OTHER_REGION"
    NOT_FOR_MONITORING = "NOT_MONITORED"
    SAME_DAY = "SAME_DAY"
    INVALID_SITE = "INVALID_SITE"
    """Hardware, an artefact, a calcium tablet or a contrast study: so the BMD is not that of bone (R2.22, N5)."""
    PAEDIATRIC = "PAEDIATRIC"
    """One of the two exams was made below 20 years of age: an LSC does not judge growth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a region was not compared with one earlier exam, as a sentence for the radiologist.

    ``exam`` is that earlier exam, or the exam itself where ``own``: the obstacle lies in it.
    """

    obstacle: Obstacle
    exam: Exam
    text: str
    own: bool = False


class Change(NamedTuple):
    """The change of one region since one earlier exam.

    A named tuple, as a dozen are made per exam: a frozen dataclass would take a third of the core's time.

    ``difference`` in g/cm2 with the scanner's decimals; ``percent`` of the earlier BMD, one decimal;
    ``rate`` in g/cm2 per year, only where R3.4 allows it. ``lsc`` is ``None`` exactly when ``result`` is NO_LSC.
    ``region`` and ``bmd`` are set where the two scans share only some vertebrae: the ones compared, and the BMD
    now on them (R2.12); otherwise the finding's own measurement was compared.
    """

    reference: Exam
    reference_bmd: Decimal
    difference: Decimal
    percent: Decimal
    result: Result
    lsc: LeastSignificantChange | None
    rate: Decimal | None = None
    region: Region | None = None
    bmd: Decimal | None = None

    @property
    def interval(self) -> tuple[Decimal, Decimal] | None:
        """The 95 % interval of a significant change in g/cm2: the difference less and plus the LSC."""
        if self.lsc is None or not self.result.significant:
            return None
        return self.difference - self.lsc.lsc, self.difference + self.lsc.lsc


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line fitted through all comparable exams of a region: secondary information, never a result (R3.5).

    ``slope`` and its ``standard_error`` in g/cm2 per year; the error follows from the facility's precision error.
    ``agrees`` says whether the slope has the sign of the significant change since prior or baseline: only then
    is it put into words; it is always coded.
    """

    region: Region
    exams: int
    since: date
    slope: Decimal
    standard_error: Decimal
    significant: bool
    agrees: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One measured region with its changes, or the reasons why there are none.

    ``since_prior`` and ``since_baseline`` are both set or both ``None``; they rest on the same exam when there
    is only one comparable exam. ``measurement`` lacks every score that must not be reported: all of a site that is not
    ``valid``, the T-score of a patient to whom none applies. ``detectable_on`` is the earliest day on which a change
    since this exam, at the rate observed since the prior, would reach the LSC (R2.21).
    """

    measurement: Measurement
    since_prior: Change | None = None
    since_baseline: Change | None = None
    refusals: tuple[Refusal, ...] = ()
    cautions: tuple[Caution, ...] = ()
    detectable_on: date | None = None

    @property
    def valid(self) -> bool:
        """Whether numbers and scores of this exam's own scan may be reported (R2.22, N5)."""
        return not any(refusal.obstacle is Obstacle.INVALID_SITE and refusal.own for refusal in self.refusals)

    @property
    def of_a_child(self) -> bool:
        """Whether the patient is below 20, so that no change is judged (R4.1)."""
        return any(refusal.obstacle is Obstacle.PAEDIATRIC and refusal.own for refusal in self.refusals)

    @property
    def followed(self) -> bool:
        """Whether its BMD is reported: a region used for monitoring, or a child's total body (R2.17, ISCD)."""
        region = self.measurement.region
        return region.monitorable or (self.of_a_child and region.site is Site.TOTAL_BODY)

    @property
    def plausible(self) -> bool:
        """Whether its changes may be reported in numbers (R3.1)."""
        return not any(caution.flag is Flag.IMPLAUSIBLE_CHANGE for caution in self.cautions)

    @property
    def result(self) -> Result:
        """The result against the latest comparable prior (R3.3)."""
        if self.since_prior is not None:
            return self.since_prior.result
        return Result.NOT_COMPARABLE if self.refusals else Result.NO_PRIOR
