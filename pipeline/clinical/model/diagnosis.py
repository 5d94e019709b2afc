"""Diagnostic category by T- or Z-score, its change, and the department's target (R4)."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pipeline.clinical.model.exam import Exam
from pipeline.clinical.regions import Region


class Scale(StrEnum):
    """The score that classifies a patient (R4.1)."""

    T_SCORE = "T"
    Z_SCORE = "Z"


class Category(StrEnum):
    """The diagnostic category of the lowest score (R4.2, R4.4)."""

    NORMAL = "NORMAL"
    LOW_BONE_MASS = "LOW_BONE_MASS"
    OSTEOPOROSIS = "OSTEOPOROSIS"
    SEVERE_OSTEOPOROSIS = "SEVERE"
    WITHIN_EXPECTED = "WITHIN_EXPECTED"
    BELOW_EXPECTED = "BELOW_EXPECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One category for the whole exam, from its lowest valid score (R4.3); ``score`` as printed.

    ``prior_osteoporosis`` is an earlier exam that met the definition of osteoporosis: that diagnosis persists (R4.8).
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
    """A diagnostic category other than that of the last exam with a category (R4.2).

    ``before`` is the diagnosis of that ``exam``; ``then`` is its score at the region that decides now, if it had one. A
    diagnosis that persists is no improvement (R4.8).
    """

    exam: Exam
    before: Diagnosis
    now: Diagnosis
    then: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The lowest T-score beside the department's treatment target (goal-directed treatment, ASBMR/BHOF 2024)."""

    target: Decimal
    score: Decimal
    region: Region

    @property
    def distance(self) -> Decimal:
        """Target minus score: what is missing; zero or less once the target is reached."""
        return self.target - self.score
