"""Words that name nobody: those of the dialects, of bone densitometry, and of the standard's codes.

A text is kept only when every word of it is one of these and every number in it is short. So what nobody has thought of
is replaced, not kept.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from typing import Any

from pipeline.sr.dialects.concepts import Concept, Lookup
from pipeline.sr.dialects.model import Condition, Dialect, Fact
from pipeline.sr.dicom.content_item import Code, folded
from pipeline.sr.dicom.values import NoNumberError, is_blank, read_number

STANDARD_SCHEMES = frozenset({"DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "UCUM", "UMLS", "RADLEX", "FMA"})

REPLACED_WORD = "X"


class Vocabulary:
    """What may stay in a text of a report, by the dialects of the site."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._facts = tuple(dialect.facts for dialect in dialects)
        self._measured = [known for dialect in dialects for known in (dialect.quantities, dialect.changes)]
        self.devices = tuple(dialect.device for dialect in dialects)
        self._words = set(_OWN.split())
        self._codes: set[tuple[str, str]] = set()
        self._conditions: list[Concept] = []
        for dialect in dialects:
            for part in (*_WORDED, "device"):
                for found in _parts(getattr(dialect, part)):
                    self._add(found)

    def knows(self, text: str) -> bool:
        """Whether every word and number in a text may stay."""
        if _SHORT_DATE.search(text) or not _ALLOWED.fullmatch(text):
            return False
        if not all(map(self.knows_word, _WORD.findall(text))):
            return False
        return _is_number(text) or _has_few_digits(text)

    def knows_word(self, word: str) -> bool:
        """Whether a word may stay."""
        return _plain(word) in self._words

    def without_other_words(self, text: str) -> str:
        """Return a text in which each word and number that may not stay is replaced."""
        if _SHORT_DATE.search(text):
            return REPLACED_WORD
        words = _WORD.sub(lambda match: match[0] if self.knows_word(match[0]) else REPLACED_WORD, text)
        numbers = words if _has_few_digits(words) else _NUMBER.sub(REPLACED_WORD, words)
        return "".join(letter if _ALLOWED.fullmatch(letter) else " " for letter in numbers)

    def knows_code(self, code: Code) -> bool:
        """Whether a dialect names this code."""
        return (code.value, code.scheme) in self._codes or code.identity in self._codes

    def fact(self, concept: Code | None) -> Fact | None:
        """Return what a concept stands for in any of the dialects."""
        return next((fact for facts in self._facts if (fact := facts.find(concept)) is not None), None)

    def measures(self, concept: Code | None) -> bool:
        """Whether a concept is a measured value or a change of one in any of the dialects."""
        return any(known.find(concept) is not None for known in self._measured)

    def decides(self, concept: Code | None) -> bool:
        """Whether a dialect looks for words in texts of this concept."""
        return any(known.matches(concept) for known in self._conditions)

    def _add(self, found: Any) -> None:
        if isinstance(found, str):
            self._words.update(map(_plain, _WORD.findall(found)))
        elif isinstance(found, Condition):
            self._conditions.append(found.text)
        elif isinstance(found, Concept) and found.value:
            self._codes.update({(found.value, found.scheme), found.identity})


@lru_cache(maxsize=8)
def vocabulary_of(dialects: tuple[Dialect, ...]) -> Vocabulary:
    """Return the vocabulary by these dialects."""
    return Vocabulary(dialects)


def is_standard_meaning(code: Code) -> bool:
    """Whether a code's meaning is that of the standard's own table."""
    return folded(code.meaning) == _standard_meanings().get(code.identity, "")


_WORDED = (
    "reports",
    "scans",
    "places",
    "trends",
    "never",
    "region",
    "parts",
    "vertebrae",
    "sides",
    "finding_sites",
    "quantities",
    "facts",
    "changes",
    "noted",
    "units",
    "female",
    "male",
    "manufacturers",
)
"""The parts of a dialect whose words stay; the ids and names of phantoms do not."""

_OWN = """
    a acq ad adult advance age ai albuquerque am an analysed analysis analyzed anterior ap apex area array asian
    at australian automatic baseline bd bilateral black bmc bmd body bone bravo c caucasian change changes
    chinese cm cm2 code combined complete composite concept container contains content context contour cr d data
    dataset date datetime delphi density device dexa discovery distal dpx dual dualfemur duo dx dxa dxatrend e
    edge encore enhanced ex exam examination exclude excluded explorer f fast female femora femoral femur fill
    finnish for forearm french from g gauge ge german hd hdr head healthcare heel high hip hips hispanic history
    hologic horizon idxa image images in inc index infant inferred inter ischium italian japan japanese kg korea
    korean kv l la lateral left legs level lo low lumbar lumen lunar lva m ma male mass matched mean measured
    measurement measurements medical mg mgy mhz mineral ml mod mode n neck nhanes no none norland normal num obs
    oe of or osteo ot other pa partial pediatric pelvic pelvis percent phantom pm pname population posterior
    previous printed prodigy projection proximal qdr r radius rate ratio reference region regions report result
    results right roi s sc scan scanmode scanned scanner scanning score scores sd selected sequence sex shaft
    short site size small sn software spanish spine sr standard study subject summary supine systems t tbs the
    thick thin time title total trend triangle troch trochanter trochanteric u ud uidref uk ulna ultradistal
    unit units unverified us usa v va value values verified version vertebra vertebrae vs w white whole wi with
    without women x y year years yes young z
"""
"""Words of printouts and public descriptions that no dialect needs."""

_ALLOWED = re.compile(r"[\w\s\-/()\[\]%.,:;+*#'\u2019\"\u00b2\u00b3=<>|&{}^\u2212\u2010-\u2015?!_]*")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_SHORT_NUMBER = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{1,6})?")
_MOST_DIGITS_IN_ALL = 8
_SHORT_DATE = re.compile(r"(?<![0-9])[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}(?![0-9])")
"""What may be a date in a notation that is not read, such as one with two digits of the year."""

_MOST_DIGITS = 4
"""No number that a densitometer prints has more before the point; an id has."""


def _plain(word: str) -> str:
    return word.casefold().strip("\u00b2\u00b3").replace("\u2019", "'")


def _has_few_digits(text: str) -> bool:
    """Whether the numbers in a text are too short for an id, alone and together."""
    numbers = _NUMBER.findall(text)
    digits = sum(letter.isdecimal() for letter in text)
    return digits <= _MOST_DIGITS_IN_ALL and all(map(_SHORT_NUMBER.fullmatch, numbers))


def _is_number(text: str) -> bool:
    """Whether a text is one number as scanners print it, with its unit."""
    if is_blank(text):
        return True
    try:
        number = read_number(text)
    except NoNumberError:
        return False
    return number.value.adjusted() < _MOST_DIGITS


def _parts(value: Any) -> Iterator[Any]:
    """Yield the texts and values in a part of a dialect, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Lookup):
        yield from _parts(value.concepts)
    elif isinstance(value, Mapping):
        yield from _parts(tuple(value.items()))
    elif isinstance(value, tuple | list | frozenset):
        for one in value:
            yield from _parts(one)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            if field.name not in ("identity", "_plain", "_patterns", "because", "value", "scheme"):
                yield from _parts(getattr(value, field.name))


@cache
def _standard_meanings() -> Mapping[tuple[str, str], str]:
    from pydicom.sr import _concepts_dict  # noqa: PLC0415 - slow to import, and seldom needed

    concepts: Mapping[str, Mapping[str, Mapping[str, tuple[str, list[int]]]]] = _concepts_dict.concepts  # type: ignore[assignment]

    return {
        (value, scheme): folded(meaning)
        for scheme, keywords in concepts.items()
        for values in keywords.values()
        for value, (meaning, _) in values.items()
    }
