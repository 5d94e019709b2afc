"""Is what a report says in one place of this exam, or of another one that it tells beside it?

PS3.16 lets a measurement group, and a single number, be of another study, of another day, or of a time point such as
"Baseline" (TID 1502). What says so is history unless it also says that the study or the day is this exam's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pipeline.clinical.model import LONGEST_EXAM
from pipeline.sr.dialects.model import Dialect, Fact
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.values import Clock
from pipeline.sr.extract.acquisition_method import named_method
from pipeline.sr.extract.ambiguous_dates import possible_days, possible_moments, tells_time


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePointContext:
    """This exam, as its header tells it, and how the dialect tells of others."""

    dialect: Dialect
    study_instance_uid: str
    performed_at: datetime | None
    """By the department's clock."""

    told_on: date | None
    """The day as the header tells it, perhaps by another clock."""

    clock: Clock

    def is_its_day(self, text: str) -> bool | None:
        """Whether a date and time can be this exam's; ``None`` where it is none.

        An exam may go on after midnight: a time within twelve hours of its own is its own.
        """
        days = possible_days(text, self.dialect.date_order)
        if not days:
            return None
        if self.performed_at is None:
            return False
        if {self.performed_at.date(), self.told_on} & {*days}:
            return True
        moments = possible_moments(text, self.dialect.date_order, clock=self.clock) if tells_time(text) else ()
        return any(abs(moment - self.performed_at) <= LONGEST_EXAM for moment in moments)

    def why_another(self, items: Sequence[Item]) -> str:
        """Why what stands with these items is not of this exam; empty where none of them says so."""
        rule = self.dialect.region
        if rule.study is None and not rule.time_points:
            return ""
        studies = {item.value for item in items if rule.study and rule.study.matches(item.concept)}
        if studies:
            return "" if studies == {self.study_instance_uid} else "is of another study"
        told = any(concept.matches(item.concept) for item in items for concept in rule.time_points)
        return (
            "is stated for a time point that nothing shows to be today's" if told and not self._is_dated(items) else ""
        )

    def why_no_measurement(self, items: Sequence[Item]) -> str:
        """Why a number with these items below it is none that was measured now; empty where none of them says so."""
        rule = self.dialect.region
        for item in items:
            if rule.derivation is not None and rule.derivation.matches(item.concept):
                return "is derived"
            if rule.method is not None and rule.method.matches(item.concept) and (method := named_method(item.code)):
                return f"was measured by {method}"
            if rule.derivation is not None and item.relationship == "HAS CONCEPT MOD" and not self._knows(item.concept):
                return "has a modifier that the dialect does not know"
        if another := self.why_another(items):
            return another
        return "" if self._is_dated(items) in (True, None) else "is dated on another day"

    def is_of_another_day(self, items: Sequence[Item]) -> bool:
        """Whether a day told among some items is none that can be this exam's."""
        return self._is_dated(items) is False

    def _knows(self, concept: Code | None) -> bool:
        """Whether the dialect knows what an item is about, be it of use or not."""
        rule, dialect = self.dialect.region, self.dialect
        own = (rule.finding_site, rule.laterality, rule.modifier, rule.method, *rule.time_points)
        return (
            any(known is not None and known.matches(concept) for known in own)
            or dialect.facts.find(concept) is not None
            or dialect.noted.find(concept) is not None
        )

    def _is_dated(self, items: Sequence[Item]) -> bool | None:
        """Whether all days told among some items are this exam's; ``None`` when none is told."""
        told = [item.value for item in items if self.dialect.facts.find(item.concept) is Fact.ACQUIRED_AT]
        fits = [fit for text in told if (fit := self.is_its_day(text)) is not None]
        return all(fits) if fits else None
