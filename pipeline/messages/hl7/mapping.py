"""The mapping of one receiver: which segments, fields and OBX it gets, in which order, codes and words.

It is written as TOML; every value is checked when the configuration is read. Texts with names in braces, such as
``{accession}``, are filled in for each message. What is outside the braces is HL7 as it stands, so ``^`` separates
components there; what is filled in is escaped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.clinical.regions import UnknownRegionError, parse_region
from pipeline.messages.hl7.names import EXAM_NAMES, FIELD_NAMES, NUMBERS, REGION_NAMES, TEXTS, WITH_CODE
from pipeline.messages.quantities import REGION_DATES
from pipeline.sr import codes

ValueType = Literal["NM", "CWE", "CE", "ST", "TX", "FT", "DT", "ED"]
"""The data types of OBX-5 that are written (HL7 table 0125)."""

Sentences = Literal["obx", "repeat", "break", "space"]
"""How the sentences of a text are told apart: an OBX each, repetitions of OBX-5, line breaks, or spaces."""

CharacterSet = Literal["UNICODE UTF-8", "ASCII", "8859/1", "8859/2", "8859/5", "8859/7", "8859/9", "8859/15"]
"""The character sets of HL7 table 0211 that are written."""

Segment = Literal["PID", "PV1", "ORC", "OBR"]
"""A segment between MSH and OBX."""

SEGMENTS: tuple[Segment, ...] = ("PID", "PV1", "ORC", "OBR")
"""The segments between MSH and OBX, in the order of ORU^R01."""

_FIELD = re.compile(r"(MSH|PID|PV1|ORC|OBR)-([1-9][0-9]?)")
_FIXED = ("MSH-1", "MSH-2", "MSH-10", "MSH-12", "MSH-18")
_NAME = re.compile(r"\{([^{}]*)\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f|]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """``[[obx]]``: one OBX for the exam, or with ``each = "region"`` one for each region that has the value."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which checks what TOML has

    type: ValueType
    value: str
    code: str = "{code}"
    each: Literal["exam", "region"] = "exam"
    regions: tuple[str, ...] = ()
    sub_id: str = ""
    unit: str = "{unit}"
    sentences: Sentences = "break"

    def __post_init__(self) -> None:
        known = EXAM_NAMES | REGION_NAMES if self.each == "region" else EXAM_NAMES
        for key in ("value", "code", "sub_id", "unit"):
            _check(f"{key}: ", getattr(self, key), known | {"code", "unit"})
        if self.regions and self.each != "region":
            raise ValueError('regions: needs each = "region"')
        _check_regions(self.regions)
        names = names_in(self.value)
        alone = len(names) == 1 and self.value == f"{{{names[0]}}}"
        if self.type == "NM" and not (alone and names[0] in NUMBERS):
            raise ValueError("value: NM takes one number and nothing else, such as {bmd}")
        if self.type == "DT" and not (alone and names[0] in REGION_DATES):
            raise ValueError("value: DT takes one date and nothing else, such as {prior_date}")
        if (self.type == "ED") != ("pdf" in names) or ("pdf" in names and not alone):
            raise ValueError("value: ED takes {pdf}, and nothing else does")
        if "{code}" in self.code and not (alone and names[0] in WITH_CODE):
            raise ValueError("code: there is none for this value; give one, such as DXA1^DXA impression^L")
        if self.sentences == "obx" and not (alone and names[0] in TEXTS):
            raise ValueError('sentences: "obx" needs one text as the value, such as {impression}')

    @property
    def region_keys(self) -> frozenset[str]:
        """The keys of the regions it is for; none for all."""
        return frozenset(parse_region(key).key for key in self.regions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Mapping:
    """What one receiver gets."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which checks what TOML has

    version: Literal["2.3.1", "2.4", "2.5", "2.5.1"] = "2.5.1"
    character_set: CharacterSet = "UNICODE UTF-8"
    segments: tuple[Segment, ...] = SEGMENTS
    fields: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)
    obx: tuple[Observation, ...]

    def __post_init__(self) -> None:
        if not self.obx:
            raise ValueError("obx: a result without one says nothing")
        if self.segments != tuple(name for name in SEGMENTS if name in self.segments) or "OBR" not in self.segments:
            raise ValueError(f"segments: some of {', '.join(SEGMENTS)} in this order, and always OBR")
        for name, text in self.fields.items():
            if not _FIELD.fullmatch(name) or name in _FIXED:
                raise ValueError(f"fields.{name}: not a field that can be set; one is OBR-18")
            _check(f"fields.{name}: ", text, FIELD_NAMES)
        _check_regions(self.regions)
        for value in self.words:
            if value not in _CODE_VALUES:
                raise ValueError(f"words.{value}: no code of 99DXATREND; one is LOSS")
        if self.version in ("2.3.1", "2.4") and any(one.type == "CWE" for one in self.obx):
            raise ValueError("obx: before version 2.5 a code is a CE, not a CWE")

    @property
    def encloses_pdf(self) -> bool:
        """Whether a message has the pages of the addendum in it."""
        return any(one.type == "ED" for one in self.obx)


_CODE_VALUES = frozenset(code.value for members in codes.private_scheme().values() for code in members)


def _check_regions(keys: Iterable[str]) -> None:
    for key in keys:
        try:
            parse_region(key)
        except UnknownRegionError as unknown:
            raise ValueError(f"regions: {unknown}") from None


def names_in(template: str) -> list[str]:
    """Return the names in braces of a text that is filled in."""
    return _NAME.findall(template)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill in encoded values; what is filled in is not looked at again."""
    return _NAME.sub(lambda name: values[name[1]], template)


def _check(key: str, template: str, known: frozenset[str]) -> None:
    for name in names_in(template):
        if name not in known:
            raise ValueError(f"{key}there is no {{{name}}} here")
    literal = _NAME.sub("", template)
    if "{" in literal or "}" in literal:
        raise ValueError(f"{key}a brace without its other one")
    if _CONTROLS.search(literal):
        raise ValueError(f"{key}there is a | or a control character in it")
