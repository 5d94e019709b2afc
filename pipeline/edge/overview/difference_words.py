"""What a person is told of an addendum that would be another: which values, in which words.

Numbers of changes are left out. The sentences have those that may be told; a change within the LSC is none (N6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.clinical.model import Result
from pipeline.edge.store.reprocessing_results import Difference
from pipeline.sr import codes
from pipeline.sr.render.page_content import VERDICTS

_RESULTS = {"RESULT": "result since the prior exam", "BRESULT": "result since the baseline"}
"""The results of regions, with names that say more here than the meanings of their codes."""

_OF_A_CHANGE = frozenset(
    [
        *("DIFF", "PDIFF", "CI_LOW", "CI_HIGH", "RATE", "SLOPE", "SLOPE_SE"),
        *("BDIFF", "BPDIFF", "BCI_LOW", "BCI_HIGH"),
    ]
)

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_OF_ANOTHER_EXAM = ("PRIOR", "BASELINE", "OBSTACLE")


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """One coded value of an addendum that would be another: of which region, and its code, before and after."""

    region: str
    name: str
    before: str
    after: str

    @property
    def what(self) -> str:
        """The name of the value in words."""
        if self.name in _RESULTS:
            return _RESULTS[self.name]
        of, _, what = self.name.partition("_")
        if codes.words(self.name) == self.name and of in _OF_ANOTHER_EXAM and what:
            return f"{what.lower().replace('_', ' ')} of the {'exam not compared' if of == 'OBSTACLE' else of.lower()}"
        return codes.words(self.name) if codes.words(self.name) != self.name else self.name.replace("_", " ")

    @property
    def in_words(self) -> tuple[str, str]:
        """The value before and after, in the words that results have on every page."""
        if self.name in _RESULTS:
            return result_in_words(self.before), result_in_words(self.after)
        return codes_in_words(self.before), codes_in_words(self.after)


def changed_values(difference: Difference) -> Iterator[ChangedValue]:
    """Yield the values of regions that would be others: results first, no numbers of changes, no UIDs of studies."""
    for region, concepts in difference.regions.items():
        for name, (before, after) in sorted(concepts.items(), key=lambda one: one[0] not in _RESULTS):
            if name not in _OF_A_CHANGE and not name.endswith("STUDY"):
                yield ChangedValue(region, name, before, after)


def result_in_words(result: str) -> str:
    """Return the result of a region in words; an addendum may have none."""
    return VERDICTS[Result(result)] if result in set(Result) else result or "not said"


def codes_in_words(values: str) -> str:
    """Return codes and days, separated by commas, in words."""
    parts = []
    for value in filter(None, values.split(", ")):
        day = _DATE.fullmatch(value)
        parts.append("-".join(day.groups()) if day else codes.words(value))
    return ", ".join(parts)
