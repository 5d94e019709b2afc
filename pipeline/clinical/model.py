"""What do we know about a patient's bones: who, on which machine, when, where, how dense?

Every number is a ``Decimal`` exactly as the scanner printed it; BMD in g/cm2, BMC in g, area in cm2.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pipeline.clinical.regions import Region, Site
from pipeline.errors import DxatrendError

ZERO = Decimal(0)
A_THOUSAND = Decimal(1000)
BEYOND_BONE = {"bmd": Decimal(10), "bmc": Decimal(10_000), "area": Decimal(10_000)}
"""What no bone reaches: 10 g/cm2 (above it the unit was mg/cm2), 10 kg, 1 m2."""

_PLAUSIBLE = (
    *((name, ZERO, below) for name, below in BEYOND_BONE.items()),
    *(
        (name, -A_THOUSAND, A_THOUSAND)
        for name in ("t_score", "z_score", "percent_young_adult", "percent_age_matched", "tbs")
    ),
)
"""What each number of a measurement lies between."""

MOST_DECIMALS = 20
"""More digits than a DICOM number has; up to here every difference is exact."""


LONGEST_EXAM = timedelta(hours=12)
"""Parts of one exam, and two scans of one evening, lie no further apart, whichever side of midnight they are on."""


class ImpossibleMeasurementError(DxatrendError, ValueError):
    """A number that cannot be a measurement of bone."""


class Sex(StrEnum):
    """Patient's Sex (0010,0040); ``UNKNOWN`` when the report does not say."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who was scanned. Two exams are one patient's when id and issuer agree (R2.19).

    Ids are kept trimmed here; the store keeps the bytes as they were sent.
    """

    patient_id: str
    issuer: str = ""
    birth_date: date | None = None
    sex: Sex = Sex.UNKNOWN

    def contradicts(self, other: "Patient") -> tuple[str, ...]:
        """The DICOM names of what both know and tell differently; empty when they may be one person."""
        pairs = {
            "PatientID": (self.patient_id, other.patient_id),
            "IssuerOfPatientID": (self.issuer, other.issuer),
            "PatientBirthDate": (self.birth_date, other.birth_date),
            "PatientSex": (self.sex, other.sex),
        }
        return tuple(name for name, (mine, theirs) in pairs.items() if mine and theirs and mine != theirs)


@dataclass(frozen=True, slots=True)
class Scanner:
    """One physical densitometer. Scans compare only when their scanners are equal (R2.1).

    Equality ignores letter case and spacing, as the same console may send ``HOLOGIC`` and ``Hologic``. A
    machine without a serial number is equal to another without one, yet neither is ``identified``.
    """

    manufacturer: str
    model: str
    serial_number: str

    key: tuple[str, str, str] = field(init=False, repr=False, compare=False)
    """What equality rests on: manufacturer, model and serial number, folded."""

    def __post_init__(self) -> None:
        parts = (self.manufacturer, self.model, self.serial_number)
        manufacturer, model, serial_number = (" ".join(part.casefold().split()) for part in parts)
        object.__setattr__(self, "key", (manufacturer, model, serial_number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scanner) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.manufacturer} {self.model} (serial number {self.serial_number or 'not stated'})"

    @property
    def identified(self) -> bool:
        """Whether we know which machine this is: all three parts are there."""
        return all(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one exam says of one region.

    ``bmd`` in g/cm2, ``bmc`` in g, ``area`` in cm2, percentages of the young-adult and age-matched mean in %,
    ``tbs`` without unit. ``scan_mode``, ``analysis_protocol``, ``reference_population`` (behind the T-score) and
    ``technologist`` are the scanner's own texts, empty when it does not say.

    Raises:
        ImpossibleMeasurementError: a number that no bone has; the text names region and field, never the value.
    """

    region: Region
    bmd: Decimal
    bmc: Decimal | None = None
    area: Decimal | None = None
    t_score: Decimal | None = None
    z_score: Decimal | None = None
    percent_young_adult: Decimal | None = None
    percent_age_matched: Decimal | None = None
    tbs: Decimal | None = None
    scan_mode: str = ""
    analysis_protocol: str = ""
    reference_population: str = ""
    technologist: str = ""

    def __post_init__(self) -> None:
        for name, above, below in _PLAUSIBLE:
            value = getattr(self, name)
            if value is not None:
                _require(self.region, name, value, above=above, below=below)


def other_population(now: Measurement, then: Measurement) -> bool:
    """Whether the scores of two scans are known to rest on different reference populations (R4.5)."""
    mine, theirs = (" ".join(m.reference_population.casefold().split()) for m in (now, then))
    return bool(mine and theirs) and mine != theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """One visit of one patient to one scanner: the unit of work.

    ``performed_at`` is the department's local time; ``software`` its version text.
    ``measurements`` holds each region once. ``age`` in years as stated on the day; ``menopause_age`` in years. Of
    these four a number that nobody has is forgotten: they serve cautions, and no exam is lost for them. ``visit``
    counts the exams of a study that somebody has told apart.
    """

    study_instance_uid: str
    patient: Patient
    scanner: Scanner
    performed_at: datetime
    measurements: tuple[Measurement, ...]
    software: str = ""
    accession_number: str = ""
    institution: str = ""
    age: Decimal | None = None
    weight_kg: Decimal | None = None
    height_cm: Decimal | None = None
    menopause_age: Decimal | None = None
    visit: int = 1
    by_region: Mapping[str, Measurement] = field(init=False, repr=False, compare=False)
    """The measurements by region key."""

    performed_on: date = field(init=False, repr=False, compare=False)
    """The day of the visit."""

    key: tuple[str, int] = field(init=False, repr=False, compare=False)
    """What tells it from any other exam of the patient: its study and visit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "performed_on", self.performed_at.date())
        object.__setattr__(self, "key", (self.study_instance_uid, self.visit))
        for name in ("age", "weight_kg", "height_cm", "menopause_age"):
            if not _is_plain(getattr(self, name), above=ZERO, below=A_THOUSAND):
                object.__setattr__(self, name, None)
        object.__setattr__(self, "performed_at", self.performed_at.replace(tzinfo=None))
        object.__setattr__(self, "by_region", {m.region.key: m for m in reversed(self.measurements)})

    def is_of_same_day(self, other: "Exam") -> bool:
        """Whether two exams are of one day, or of one evening that goes on after midnight."""
        return self.performed_on == other.performed_on or abs(self.performed_at - other.performed_at) <= LONGEST_EXAM

    def measurement_of(self, region: Region) -> Measurement | None:
        """What this exam says of a region, if anything."""
        return self.by_region.get(region.key)


class Result(StrEnum):
    """What the comparison of one region with an earlier exam came to (R3.8)."""

    GAIN = "GAIN"
    LOSS = "LOSS"
    NO_SIGNIFICANT_CHANGE = "NSC"
    NOT_COMPARABLE = "NOT_COMPARABLE"
    NO_LSC = "NO_LSC"
    NO_PRIOR = "NO_PRIOR"


class Overall(StrEnum):
    """What the regions used for monitoring say together (R3.9)."""

    IMPROVED = "IMPROVED"
    STABLE = "STABLE"
    DECLINED = "DECLINED"
    DISCORDANT = "DISCORDANT"
    INDETERMINATE = "INDETERMINATE"
    NO_PRIOR = "NO_PRIOR"
    WITHDRAWN = "WITHDRAWN"
    """Somebody has taken the exam back: nothing is said of it."""


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
    """Hardware, an artefact, a calcium tablet or a contrast study: the BMD is not that of bone (R2.22, N5)."""
    PAEDIATRIC = "PAEDIATRIC"
    """One of the two exams was made below 20 years of age: growth is no change that an LSC judges."""


class Comparability(StrEnum):
    """How far a region may be compared with its prior (R2)."""

    COMPARABLE = "COMPARABLE"
    COMPARABLE_GLSC = "COMPARABLE_GLSC"
    REVIEW = "REVIEW"
    NOT_COMPARABLE = "NOT_COMPARABLE"


class Flag(StrEnum):
    """A caution that travels with a result; its value is at most 16 characters long, as a DICOM code is."""

    PARTIAL = "PARTIAL"
    SOFTWARE_CHANGED = "SOFTWARE_CHANGED"
    SCAN_MODE_CHANGED = "SCAN_MODE"
    SUBSET_RECOMPUTED = "SUBSET_BMD"
    TOTAL_DISAGREES = "TOTAL_DISAGREES"
    CROSS_CALIBRATED = "CROSS_CALIBRATED"
    LSC_APPROXIMATED = "LSC_APPROXIMATED"
    LSC_BEFORE_EPOCH = "LSC_BEFORE_EPOCH"
    LSC_80_EXCEEDED = "LSC_80_EXCEEDED"
    CEILING_EXCEEDED = "CEILING_EXCEEDED"
    BORDERLINE = "BORDERLINE"
    HIGH_BMI = "HIGH_BMI"
    AREA_CHANGED = "AREA_CHANGED"
    LEVEL_SHIFT_SUSPECTED = "LEVEL_SHIFT"
    VERTEBRA_OUTLIER = "VERTEBRA_OUTLIER"
    HEIGHT_CHANGED = "HEIGHT_CHANGED"
    WEIGHT_CHANGED = "WEIGHT_CHANGED"
    INTERVAL_SHORT = "INTERVAL_SHORT"
    INVALIDATED = "INVALIDATED"
    DOMINANT_ARM = "DOMINANT_ARM"
    QC_UNVERIFIED = "QC_UNVERIFIED"
    SPINE_SUSPECT = "SPINE_SUSPECT"
    SUSPECT_ARTEFACT = "SUSPECT_ARTEFACT"
    HIP_PREFERRED = "HIP_PREFERRED"
    ONE_OF_MANY = "ONE_OF_MANY"
    REGRESSION_TO_THE_MEAN = "REGRESSION_MEAN"
    TOO_SOON = "TOO_SOON"
    UNEXPECTED_DROP = "UNEXPECTED_DROP"
    EDGE_T = "EDGE_T"
    T_INCONSISTENT = "T_INCONSISTENT"
    MALE_REFERENCE = "MALE_REFERENCE"
    DISCORDANT_T = "DISCORDANT_T"
    PRIOR_DIAGNOSIS = "PRIOR_DIAGNOSIS"
    EARLIER_HELD = "EARLIER_HELD"
    NOT_ON_FILE = "NOT_ON_FILE"
    ARCHIVE_SILENT = "ARCHIVE_SILENT"
    VENDOR_DISAGREES = "VENDOR_DISAGREES"
    NEW_CALLER = "NEW_CALLER"
    DATE_LATE = "DATE_LATE"
    IMPLAUSIBLE_CHANGE = "IMPLAUSIBLE"
    SIDES_EXCHANGED = "SIDES_EXCHANGED"
    REFERENCE_CHANGED = "REF_CHANGED"
    HEIGHT_LOSS = "HEIGHT_LOSS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """A flag and the sentence that explains it; ``review`` asks the radiologist to look before trusting the result."""

    flag: Flag
    text: str
    review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a region was not compared with one earlier exam, in a sentence a radiologist would accept.

    ``exam`` is that earlier exam, or, where ``own``, the exam itself: what stands in the way lies in it.
    """

    obstacle: Obstacle
    exam: Exam
    text: str
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeastSignificantChange:
    """The LSC of one scanner and region, from the facility's own precision study (R1.12).

    ``lsc`` in g/cm2 at 95 % confidence; valid for exams from ``valid_from`` to ``valid_until``, both included.
    A region without a side serves both sides, never their mean (R1.16). ``same_day`` says whether the study
    repeated its scans on one day; ``approximated`` marks a value inflated from L1-L4 (R1.15), ``generalised`` one
    that spans two cross-calibrated scanners (R2.10).

    Raises:
        ImpossibleMeasurementError: an LSC that no precision study yields.
    """

    scanner: Scanner
    region: Region
    lsc: Decimal
    valid_from: date
    valid_until: date
    source: str
    patients: int | None = None
    repeats: int | None = None
    same_day: bool | None = None
    approximated: bool = False
    generalised: bool = False

    def __post_init__(self) -> None:
        _require(self.region, "lsc", self.lsc, above=ZERO, below=BEYOND_BONE["bmd"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A machine's calibration epoch: opened by service, relocation or a new tube (R2.6).

    Across a new epoch comparison stops, unless the phantom showed that the calibration held.
    """

    scanner: Scanner
    begins: date
    reason: str
    cross_calibrated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCalibration:
    """How BMD of a region on one scanner foretells that on another: ``new = intercept + slope * old`` (R2.7, R2.10).

    From an in vivo study of ``patients`` scanned once on the old and ``scans_on_new`` times on the new scanner.
    ``residual_sd`` (SEE) and the precision errors in g/cm2. A region without a side serves both sides. It holds for
    exams on the new scanner from ``valid_from`` on.

    Raises:
        ImpossibleMeasurementError: a number that no cross-calibration yields.
    """

    old: Scanner
    new: Scanner
    region: Region
    intercept: Decimal
    slope: Decimal
    residual_sd: Decimal
    precision_error_old: Decimal
    precision_error_new: Decimal
    patients: int
    scans_on_new: int
    valid_from: date
    source: str

    def __post_init__(self) -> None:
        for name in ("slope", "residual_sd", "precision_error_old", "precision_error_new"):
            _require(self.region, name, getattr(self, name), above=ZERO, below=BEYOND_BONE["bmd"])
        _require(self.region, "intercept", self.intercept, above=-BEYOND_BONE["bmd"], below=BEYOND_BONE["bmd"])
        _require(self.region, "scans_on_new", Decimal(self.scans_on_new), above=ZERO, below=A_THOUSAND)


@dataclass(frozen=True, slots=True, kw_only=True)
class QcGap:
    """Days on which a scanner's quality control had failed or was not shown to hold, both included (R7.6)."""

    scanner: Scanner
    begins: date
    ends: date
    reason: str


class Change(NamedTuple):
    """One region now against the same region in one earlier exam.

    A named tuple, as a dozen are made for every exam: a frozen dataclass would take a third of the core's time.

    ``difference`` in g/cm2 with the scanner's decimals; ``percent`` of the earlier BMD, one decimal;
    ``rate`` in g/cm2 per year, only where R3.4 allows it. ``lsc`` is ``None`` exactly when ``result`` is NO_LSC.
    ``region`` and ``bmd`` are set where the two scans share only some vertebrae: the ones compared, and the BMD
    now on them (R2.12); else the finding's own measurement was compared.
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
        if self.lsc is None or self.result not in (Result.GAIN, Result.LOSS):
            return None
        return self.difference - self.lsc.lsc, self.difference + self.lsc.lsc


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A straight line through all comparable exams of a region: secondary information, never a verdict (R3.5).

    ``slope`` and its ``standard_error`` in g/cm2 per year; the error follows from the facility's precision error.
    ``agrees`` says whether the slope has the sign of the significant change since prior or baseline: only then it is
    put into words, and always into codes.
    """

    region: Region
    exams: int
    since: date
    slope: Decimal
    standard_error: Decimal
    significant: bool
    agrees: bool = False


class Scale(StrEnum):
    """By which score a patient is classified (R4.1)."""

    T_SCORE = "T"
    Z_SCORE = "Z"


class Category(StrEnum):
    """What the lowest score means (R4.2, R4.4)."""

    NORMAL = "NORMAL"
    LOW_BONE_MASS = "LOW_BONE_MASS"
    OSTEOPOROSIS = "OSTEOPOROSIS"
    SEVERE_OSTEOPOROSIS = "SEVERE"
    WITHIN_EXPECTED = "WITHIN_EXPECTED"
    BELOW_EXPECTED = "BELOW_EXPECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One category for the whole exam, from its lowest valid score (R4.3); ``score`` as printed.

    ``prior_osteoporosis`` is an earlier exam that met the definition: the diagnosis persists (R4.8).
    """

    scale: Scale
    score: Decimal
    region: Region
    category: Category
    prior_osteoporosis: Exam | None = None

    @property
    def superseded(self) -> bool:
        """Whether an earlier diagnosis of osteoporosis persists, so that a better category is not printed (R4.8)."""
        return self.prior_osteoporosis is not None and self.category in (Category.NORMAL, Category.LOW_BONE_MASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryChange:
    """Another diagnostic category than at the last exam that had one (R4.2).

    ``before`` is what that ``exam`` came to; ``then`` is its score at the region that decides now, if it had one. A
    diagnosis that persists is no change for the better (R4.8).
    """

    exam: Exam
    before: Diagnosis
    now: Diagnosis
    then: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The lowest T-score beside the department's target; ``distance`` is what is missing, zero or less when reached.

    Goal-directed treatment: ASBMR/BHOF 2024.
    """

    target: Decimal
    score: Decimal
    region: Region

    @property
    def distance(self) -> Decimal:
        """The target less the score."""
        return self.target - self.score


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Something for the radiologist to accept or not: the rule, who says so, and the facts it rests on (R5)."""

    rule: str
    text: str
    source: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluated:
    """A rule that could not be evaluated, and the inputs it lacked: never the same as "not indicated" (section 5.1)."""

    rule: str
    topic: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What there is to say of one measured region: changes, or why there are none.

    ``since_prior`` and ``since_baseline`` are both set or both ``None``; they rest on the same exam when there
    is only one comparable one. ``measurement`` has no score that must not be said: none of a site that is not
    ``valid``, no T-score of somebody to whom none applies. ``detectable_on`` is the earliest day on which a change
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
        """Whether this exam's own scan may be spoken of in numbers and scores (R2.22, N5)."""
        return not any(refusal.obstacle is Obstacle.INVALID_SITE and refusal.own for refusal in self.refusals)

    @property
    def of_a_child(self) -> bool:
        """Whether nothing of it is judged, as the patient is below 20 (R4.1)."""
        return any(refusal.obstacle is Obstacle.PAEDIATRIC and refusal.own for refusal in self.refusals)

    @property
    def followed(self) -> bool:
        """Whether its BMD is told: of the regions used for monitoring, and of a child's total body (R2.17, ISCD)."""
        region = self.measurement.region
        return region.monitorable or (self.of_a_child and region.site is Site.TOTAL_BODY)

    @property
    def plausible(self) -> bool:
        """Whether its changes may be put in numbers (R3.1)."""
        return not any(caution.flag is Flag.IMPLAUSIBLE_CHANGE for caution in self.cautions)

    @property
    def result(self) -> Result:
        """The headline: against the latest comparable prior (R3.3)."""
        if self.since_prior is not None:
            return self.since_prior.result
        return Result.NOT_COMPARABLE if self.refusals else Result.NO_PRIOR

    @property
    def comparability(self) -> Comparability | None:
        """How far the headline may be trusted; ``None`` without an earlier exam (R2)."""
        if self.since_prior is None:
            return Comparability.NOT_COMPARABLE if self.refusals else None
        if any(caution.review for caution in self.cautions):
            return Comparability.REVIEW
        generalised = self.since_prior.lsc is not None and self.since_prior.lsc.generalised
        return Comparability.COMPARABLE_GLSC if generalised else Comparability.COMPARABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrative:
    """What a radiologist reads, by section and in this order; each text is one sentence or a few.

    ``status`` says that nobody has verified it; ``impression`` is what would be signed; ``findings`` are region by
    region; ``basis`` is what was compared on which scanner with which LSC. ``small_print`` is for the pages alone.
    """

    status: tuple[str, ...] = ()
    impression: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    basis: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    not_supplied: tuple[str, ...] = ()
    small_print: tuple[str, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it but the small print, in order."""
        followed = (*self.findings, *self.basis, *self.cautions, *self.suggestions, *self.not_supplied)
        return (*self.status, *self.impression, *followed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """Everything the addendum will say about one exam.

    ``findings`` are in the order of the exam's measurements; ``narrative`` already holds what the other fields say in
    codes; ``priors`` are the exams a change rests on. ``overall`` is the result against the prior and
    ``overall_since_baseline`` that against the baseline (R3.3), each with the findings ``counted`` in it;
    ``speaking`` are those that speak for spine and hip, counted or not.
    ``response`` says whether response to therapy may be claimed (R3.9).
    """

    exam: Exam
    findings: tuple[Finding, ...]
    overall: Overall
    cautions: tuple[Caution, ...]
    rules_version: str
    narrative: Narrative = Narrative()
    diagnosis: Diagnosis | None = None
    trends: tuple[Trend, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    not_evaluated: tuple[NotEvaluated, ...] = ()
    overall_since_baseline: Overall = Overall.NO_PRIOR
    counted: tuple[Finding, ...] = ()
    counted_since_baseline: tuple[Finding, ...] = ()
    speaking: tuple[Finding, ...] = ()
    response: bool = False
    category_change: CategoryChange | None = None
    target: Target | None = None

    @property
    def conclusions(self) -> tuple[str, ...]:
        """The sentences a radiologist reads, impression first (E17)."""
        return self.narrative.sentences

    @property
    def priors(self) -> tuple[Exam, ...]:
        """The exams that a change rests on, latest first, each once."""
        changes = [c for f in self.findings for c in (f.since_prior, f.since_baseline) if c is not None]
        exams = {change.reference.key: change.reference for change in changes}
        return tuple(sorted(exams.values(), key=lambda exam: exam.performed_at, reverse=True))


def _require(region: Region, name: str, value: Decimal, *, above: Decimal, below: Decimal) -> None:
    """Raise unless the value is a plain number between the two."""
    if not _is_plain(value, above=above, below=below):
        raise ImpossibleMeasurementError(f"{name} of {region} is not a number between {above} and {below}")


def _is_plain(value: Decimal | None, *, above: Decimal, below: Decimal) -> bool:
    """Whether a value is a number between the two, and short enough to be subtracted exactly."""
    if value is None:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DECIMALS and above < value < below
