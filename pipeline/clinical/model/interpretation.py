"""Interpretation of one exam: overall result, findings, cautions, suggestions, and the text of the addendum."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.clinical.model.caution import Caution
from pipeline.clinical.model.comparison import Finding, Result, Trend
from pipeline.clinical.model.diagnosis import CategoryChange, Diagnosis, Target
from pipeline.clinical.model.exam import Exam


class Overall(StrEnum):
    """The result over all regions used for monitoring (R3.9)."""

    IMPROVED = "IMPROVED"
    STABLE = "STABLE"
    DECLINED = "DECLINED"
    DISCORDANT = "DISCORDANT"
    INDETERMINATE = "INDETERMINATE"
    NO_PRIOR = "NO_PRIOR"
    WITHDRAWN = "WITHDRAWN"
    """Somebody has withdrawn the exam: it has no result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A suggestion to the radiologist, with its rule, its published source and the facts it rests on (R5)."""

    rule: str
    text: str
    source: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEvaluated:
    """A rule that could not be evaluated, and the inputs it lacked; this never means "not indicated" (section 5.1)."""

    rule: str
    topic: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrative:
    """The text of an addendum by section, in reading order; each item is one sentence or a few.

    ``status`` states that nobody has verified the text; ``impression`` is what a radiologist would sign; ``findings``
    are region by region; ``basis`` is what was compared on which scanner with which LSC. ``small_print`` appears on the
    rendered pages only.
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
        """All sentences except the small print, in order."""
        followed = (*self.findings, *self.basis, *self.cautions, *self.suggestions, *self.not_supplied)
        return (*self.status, *self.impression, *followed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """Everything the addendum states about one exam.

    ``findings`` are in the order of the exam's measurements; ``narrative`` says in words what the other fields hold as
    values. ``overall`` is the result against the prior and ``overall_since_baseline`` that against the baseline (R3.3),
    each with the findings ``counted`` in it. ``representative`` are the findings that represent spine and hip, counted
    or not. ``response`` states whether response to therapy may be claimed (R3.9).
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
    representative: tuple[Finding, ...] = ()
    response: bool = False
    category_change: CategoryChange | None = None
    target: Target | None = None

    @property
    def regions_without_lsc(self) -> tuple[str, ...]:
        """The keys of the regions whose change is not judged for want of an LSC (R1.13)."""
        return tuple(one.measurement.region.key for one in self.findings if one.result is Result.NO_LSC)

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
