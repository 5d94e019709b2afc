"""Decide whether a container or number belongs to this exam, by study, date and time point (PS3.16 TID 1502).

PS3.16 lets a measurement group, and a single number, be of another study, another day, or a time point such as
"Baseline". A time point counts as another exam unless the study or the day is also stated to be this exam's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pipeline.clinical.model import LONGEST_EXAM
from pipeline.sr.dialects.model import Dialect, Fact
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.values import Clock
from pipeline.sr.extract.acquisition_method import named_method
from pipeline.sr.extract.ambiguous_dates import has_time, possible_days, possible_moments


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePointContext:
    """The study and time of this exam as the header states them, and the dialect's names for time points."""

    dialect: Dialect
    study_instance_uid: str
    performed_at: datetime | None
    """In the department's local time."""

    header_date: date | None
    """The day as the header states it, perhaps in another time zone."""

    clock: Clock

    def is_this_exam(self, text: str) -> bool | None:
        """Whether a date and time can be this exam's; ``None`` where the text is no date.

        An exam may go on after midnight: a time within twelve hours of the exam's is taken for the exam's.
        """
        days = possible_days(text, self.dialect.date_order)
        if not days:
            return None
        if self.performed_at is None:
            return False
        if {self.performed_at.date(), self.header_date} & {*days}:
            return True
        moments = possible_moments(text, self.dialect.date_order, clock=self.clock) if has_time(text) else ()
        return any(abs(moment - self.performed_at) <= LONGEST_EXAM for moment in moments)

    def why_another_exam(self, items: Sequence[Item]) -> str:
        """Return why a container with these items is not of this exam; empty where none of them says so."""
        rule = self.dialect.region
        if rule.study is None and not rule.time_points:
            return ""
        studies = {item.value for item in items if rule.study and rule.study.matches(item.concept)}
        if studies:
            return "" if studies == {self.study_instance_uid} else "is of another study"
        has_time_point = any(concept.matches(item.concept) for item in items for concept in rule.time_points)
        if has_time_point and not self._is_dated(items):
            return "is stated for a time point that nothing shows to be today's"
        return ""

    def why_no_measurement(self, items: Sequence[Item]) -> str:
        """Return why a number with these items below it was not measured in this exam; empty where it was."""
        rule = self.dialect.region
        for item in items:
            if rule.derivation is not None and rule.derivation.matches(item.concept):
                return "is derived"
            if rule.method is not None and rule.method.matches(item.concept) and (method := named_method(item.code)):
                return f"was measured by {method}"
            if rule.derivation is not None and item.relationship == "HAS CONCEPT MOD" and not self._knows(item.concept):
                return "has a modifier that the dialect does not know"
        if another := self.why_another_exam(items):
            return another
        return "" if self._is_dated(items) in (True, None) else "is dated on another day"

    def is_of_another_day(self, items: Sequence[Item]) -> bool:
        """Whether the items have a date that cannot be this exam's."""
        return self._is_dated(items) is False

    def _knows(self, concept: Code | None) -> bool:
        """Whether the dialect knows a concept, used or not."""
        rule, dialect = self.dialect.region, self.dialect
        own = (rule.finding_site, rule.laterality, rule.modifier, rule.method, *rule.time_points)
        return (
            any(known is not None and known.matches(concept) for known in own)
            or dialect.facts.find(concept) is not None
            or dialect.noted.find(concept) is not None
        )

    def _is_dated(self, items: Sequence[Item]) -> bool | None:
        """Whether all dates among the items are this exam's; ``None`` when there is none."""
        texts = [item.value for item in items if self.dialect.facts.find(item.concept) is Fact.ACQUIRED_AT]
        fits = [fit for text in texts if (fit := self.is_this_exam(text)) is not None]
        return all(fits) if fits else None
