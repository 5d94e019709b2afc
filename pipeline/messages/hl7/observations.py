"""The values behind the names of a mapping: of the whole exam and of one region, with codes, units and words."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pipeline.clinical.model import Flag
from pipeline.clinical.regions import Region
from pipeline.clinical.wording.names import region_name
from pipeline.messages.exam_result import ExamResult, RegionResult
from pipeline.messages.hl7.encoding import escape
from pipeline.messages.quantities import (
    EXAM_CODES,
    REGION_CODES,
    REGION_DATES,
    REGION_NUMBERS,
    SECTIONS,
    Quantity,
    own_code,
    word_for,
)
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code

_SHORT = {"left": "L", "right": "R", "mean": "M"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What stands behind a name: its texts, of a coded value also the codes; ``code`` and ``unit`` are OBX-3 and 6."""

    name: str
    texts: tuple[str, ...]
    codes: tuple[str, ...] = ()
    code: str = ""
    unit: str = ""
    is_text: bool = False

    @property
    def joined(self) -> str:
        """All of it in one line."""
        return (" " if self.is_text else "; ").join(self.texts)


def exam_values(result: ExamResult, words: Mapping[str, str], pdf: bytes | None) -> dict[str, Value]:
    """Return the values of the whole exam under their names."""
    texts = {"conclusions": result.sentences, "note": (result.note,) if result.note else ()}
    texts |= {section: result.sections.get(section, ()) for section in SECTIONS}
    coded = {
        "overall": (result.overall,) if result.overall else (),
        "baseline_overall": result.whole.get("BOVERALL", ()),
        "category": result.whole.get("CATEGORY", ()),
        "prior_category": result.whole.get("PCATEGORY", ()),
        "exam_flags": result.flags,
    }
    values = [Value(name=name, texts=tuple(filter(None, text)), is_text=True) for name, text in texts.items()]
    values += [_coded(name, found, words, _triple(EXAM_CODES[name])) for name, found in coded.items()]
    values.append(Value(name="pdf", texts=() if pdf is None else (base64.b64encode(pdf).decode("ascii"),)))
    return {value.name: value for value in values}


def region_values(result: RegionResult, words: Mapping[str, str], regions: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of a region under their names; ``regions`` are the receiver's own names of them."""
    region = result.region
    label = regions.get(region.key) or region_name(region)
    values = [
        Value(name="region", texts=(label,)),
        Value(name="region_key", texts=(region.key,)),
        Value(name="region_id", texts=(region_id(region),)),
    ]
    for name, quantity in REGION_NUMBERS.items():
        found = result.values.get(quantity.key, ())[:1]
        unit = f"{quantity.unit}^{quantity.unit}^UCUM" if quantity.unit else ""
        values.append(Value(name=name, texts=found, code=_of_region(quantity, region, label), unit=unit))
    for name, quantity in REGION_CODES.items():
        found = result.values.get(quantity.key, ())
        values.append(_coded(name, found, words, _of_region(quantity, region, label)))
    values += [Value(name=name, texts=_days(result.values.get(key, ())[:1])) for name, key in REGION_DATES.items()]
    return {value.name: value for value in values}


def for_readers(values: Mapping[str, Value], result: RegionResult, words: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of a region that a text may have: no number that is unsaid, and no change that cannot be."""
    found = {
        name: replace(value, texts=())
        if name in REGION_NUMBERS and REGION_NUMBERS[name].key in result.unsaid
        else value
        for name, value in values.items()
    }
    if not result.is_plausible:
        doubt = word_for(Flag.IMPLAUSIBLE_CHANGE, words)
        for name in ("result", "baseline_result"):
            found[name] = replace(found[name], texts=tuple(doubt for _ in found[name].texts))
    return found


def region_id(region: Region) -> str:
    """Return the key of a region in at most the 20 characters that OBX-4 may have."""
    return f"{region.part} {_SHORT[region.side]}" if region.side else region.key


def _coded(name: str, found: Iterable[str], words: Mapping[str, str], code: str) -> Value:
    values = tuple(dict.fromkeys(found))
    return Value(name=name, texts=tuple(word_for(value, words) for value in values), codes=values, code=code)


def _days(found: Iterable[str]) -> tuple[str, ...]:
    """Return DICOM dates (PS3.5 6.2 DA) as a person reads them."""
    return tuple(f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in found)


def _of_region(quantity: Quantity, region: Region, label: str) -> str:
    """Return OBX-3: a standard code with ours beside it, or ours alone; ours names the region, which LOINC does not."""
    concept, own = quantity.code(region), _triple(own_code(quantity, region, label))
    return own if concept.scheme == codes.SCHEME else f"{_triple(concept)}^{own}"


def _triple(concept: Code) -> str:
    return f"{concept.value}^{escape(concept.meaning)}^{concept.scheme}"
