"""The result of one exam as its addendum states it: header, sentences by section, and values by region.

It is read from the bytes of the addendum, so that every message has the addendum's numbers, digit for digit.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.model import Overall, Result
from pipeline.clinical.regions import Region, parse_region
from pipeline.sr import codes
from pipeline.sr.author.readback import ReadBack, is_implausible, is_invalid, read_back
from pipeline.sr.dicom.content_tree import header_items, header_text, read_tree
from pipeline.sr.dicom.header import Header, tidy_header
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.tags import SPECIFIC_CHARACTER_SET

Values = Mapping[str, tuple[str, ...]]
"""Values as the addendum has them, under the names of ``ReadBack``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """The scanner as the addendum names it; empty texts where it could not."""

    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionResult:
    """What the addendum states of one region."""

    region: Region
    values: Values

    def first(self, name: str) -> str:
        """Return the first value of a name; empty where there is none."""
        return next(iter(self.values.get(name, ())), "")

    @property
    def is_valid(self) -> bool:
        """Whether the numbers of this exam are those of bone (R2.22)."""
        return not is_invalid(self.values)

    @property
    def is_plausible(self) -> bool:
        """Whether its changes may be reported (R3.1)."""
        return not is_implausible(self.values)

    @property
    def unsaid(self) -> frozenset[str]:
        """The numbers that the addendum has in codes alone, so that no text for a reader may have them (N5, N6).

        They are those of an invalid site, of a change that is not significant or not plausible, and of a fitted line
        that does not agree with a significant change.
        """
        signs = {name: _SIGNS.get(self.first(name), 0) if self.is_plausible else 0 for name in _CHANGE}
        slope = Decimal(self.first("SLOPE") or 0)
        hidden = [numbers for name, numbers in _CHANGE.items() if not signs[name]]
        hidden += [] if self.is_valid else [_MEASURED]
        hidden += [] if any(slope * sign > 0 for sign in signs.values()) else [_FITTED]
        return frozenset[str]().union(*hidden)


_MEASURED = frozenset({"BMD", "BMC", "AREA", "T_SCORE", "Z_SCORE", "PYA", "PAM"})
_CHANGE = {
    "RESULT": frozenset({"DIFF", "PDIFF", "CI_LOW", "CI_HIGH", "RATE"}),
    "BRESULT": frozenset({"BDIFF", "BPDIFF", "BCI_LOW", "BCI_HIGH"}),
}
"""The numbers that belong to each result."""

_FITTED = frozenset({"SLOPE", "SLOPE_SE"})
_SIGNS: Mapping[str, int] = {Result.GAIN: 1, Result.LOSS: -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamResult:
    """One exam's result, as one addendum states it.

    ``order`` names the exam, and with it every version of its result, to other systems; ``sections`` holds the
    sentences of the addendum under the names of ``Narrative``. ``supersedes`` says whether there was an earlier
    version. ``authored_at`` has an offset from UTC; ``performed_at`` (``yyyymmddhhmmss``) is the scanner's local time.
    """

    header: Header
    sop_instance_uid: str
    order: str
    authored_at: datetime
    performed_at: str
    preliminary: bool
    supersedes: bool
    equipment: Equipment
    note: str
    sentences: tuple[str, ...]
    sections: Mapping[str, tuple[str, ...]]
    overall: str
    flags: tuple[str, ...]
    whole: Values
    regions: tuple[RegionResult, ...]

    @property
    def withdrawn(self) -> bool:
        """Whether the exam has been withdrawn, so that it has no result."""
        return self.overall == Overall.WITHDRAWN

    def first(self, name: str) -> str:
        """Return the first value of a name of the whole exam; empty where there is none."""
        return next(iter(self.whole.get(name, ())), "")


def read_result(
    data_set: bytes, *, exam_number: int, authored_at: datetime, sections: Mapping[str, int] | None = None
) -> ExamResult:
    """Return the result that an addendum of ours states.

    ``sections`` says how many of its sentences belong to each section, in their order; without it they have no section.

    Raises:
        UnreadableReportError: the bytes are no addendum.
    """
    elements = read_elements(data_set, ExplicitVRLittleEndian)
    tree = read_tree(elements)
    content: ReadBack = read_back(tree)
    study = header_text(elements, "StudyInstanceUID")
    sentences = tuple(item.value for item in tree.walk() if item.has_concept(codes.CONCLUSION))
    notes = [item.value for item in tree.walk() if item.has_concept(codes.COMMENT)]
    header = tidy_header([elements], study)
    return ExamResult(
        header=header,
        sop_instance_uid=header_text(elements, "SOPInstanceUID"),
        order=short_id("exam", study, str(exam_number)),
        authored_at=authored_at,
        performed_at=_performed_at(elements, header),
        preliminary=header_text(elements, "PreliminaryFlag") != "FINAL",
        supersedes=bool(header_items(elements, "PredecessorDocumentsSequence")),
        equipment=_equipment(elements),
        note=next(iter(notes), ""),
        sentences=sentences,
        sections=_by_section(sentences, sections or {}),
        overall=content.overall,
        flags=content.flags,
        whole=content.whole,
        regions=tuple(RegionResult(region=parse_region(key), values=of) for key, of in content.regions.items()),
    )


def short_id(*parts: str) -> str:
    """Return an identifier of 20 letters and digits that derives from what it names."""
    digest = hashlib.sha256(json.dumps(["dxatrend", *parts]).encode("ascii")).digest()
    return "DX" + base64.b32encode(digest).decode("ascii")[:18]


def _equipment(elements: Elements) -> Equipment:
    for item in header_items(elements, "ContributingEquipmentSequence"):
        return Equipment(
            manufacturer=_own_text(elements, item, "Manufacturer"),
            model=_own_text(elements, item, "ManufacturerModelName"),
            serial_number=_own_text(elements, item, "DeviceSerialNumber"),
            software=_own_text(elements, item, "SoftwareVersions"),
        )
    return Equipment()


def _own_text(elements: Elements, item: Elements, keyword: str) -> str:
    """Return a text of an item of the header, which has the character set of the data set around it."""
    return header_text({**_character_set(elements), **item}, keyword)


def _character_set(elements: Elements) -> Elements:
    return {tag: value for tag, value in elements.items() if tag == SPECIFIC_CHARACTER_SET}


def _performed_at(elements: Elements, header: Header) -> str:
    for item in header_items(elements, "ContributingEquipmentSequence"):
        if moment := header_text(item, "ContributionDateTime"):
            return moment[:14]
    return header.study_date + header.study_time[:6] if header.study_date else ""


def _by_section(sentences: Sequence[str], sizes: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    begin = 0
    for name, size in sizes.items():
        found[name] = tuple(sentences[begin : begin + size])
        begin += size
    return found
