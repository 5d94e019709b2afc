"""Write the result of an exam as an unsolicited result message, ORU^R01 (HL7 v2.5.1 chapter 7.3.1).

The same result, mapping and earlier versions give the same bytes on any day. A version that supersedes another is a
correction (C) under the same order number and observation identifiers; observations that are no more are deleted (D).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import DxatrendError
from pipeline.messages.exam_result import ExamResult, RegionResult, short_id
from pipeline.messages.hl7.encoding import (
    DELIMITERS,
    SEGMENT_END,
    escape,
    escape_formatted,
    moment,
    person_name,
    physician,
    segment,
)
from pipeline.messages.hl7.mapping import Hl7Mapping, Observation, fill, names_in
from pipeline.messages.hl7.observations import Value, exam_values, for_readers, region_values

ENCODINGS = {
    "UNICODE UTF-8": "utf-8",
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 5, 7, 9, 15)},
}
"""The encoding of each character set (HL7 table 0211)."""

STUDY_REPORT = "38269-7^DXA Skeletal system Study report^LN"

DEFAULT_FIELDS = {
    "MSH-3": "DXATREND",
    "MSH-7": "{authored_at}",
    "MSH-9": "ORU^R01^ORU_R01",
    "MSH-11": "P",
    "PID-1": "1",
    "PID-3": "{patient_id}^^^{issuer}",
    "PID-5": "{patient_name}",
    "PID-7": "{birth_date}",
    "PID-8": "{sex}",
    "PV1-1": "1",
    "PV1-2": "U",
    "PV1-8": "{referring_physician}",
    "ORC-1": "RE",
    "ORC-3": "{order}^DXATREND",
    "OBR-1": "1",
    "OBR-3": "{order}^DXATREND",
    "OBR-4": STUDY_REPORT,
    "OBR-7": "{performed_at}",
    "OBR-16": "{referring_physician}",
    "OBR-18": "{accession}",
    "OBR-22": "{authored_at}",
    "OBR-24": "RAD",
    "OBR-25": "{result_status}",
}
"""What the fields have that a mapping does not set; accession number and order as in IHE's radiology framework."""

ABNORMAL_FLAGS = {"GAIN": "U", "LOSS": "D"}
"""OBX-8 beside a result of comparison: significant change up or down (HL7 table 0078); no other flag is true, nor is
one of these where the change is not plausible."""

TEXT_TYPES = ("ST", "TX", "FT")
"""What a person reads as it is."""


class UnwritableLetterError(DxatrendError):
    """The receiver's character set lacks a letter of the result."""


@dataclass(frozen=True, slots=True)
class _Obx:
    """One OBX: type, identifier, sub-identifier, value, unit and abnormal flag, all encoded."""

    type: str
    code: str
    sub_id: str
    value: str
    unit: str = ""
    flag: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What a receiver finds an observation by when it is corrected."""
        return self.code, self.sub_id


def control_id(result: ExamResult) -> str:
    """Return the message control id (MSH-10): the same however often a result is sent."""
    return short_id("message", result.sop_instance_uid)


def status_of(result: ExamResult) -> str:
    """Return the result status (HL7 tables 0123 and 0085): preliminary, final, or correction of an earlier one."""
    if result.supersedes:
        return "C"
    return "P" if result.preliminary else "F"


def write_message(
    result: ExamResult, mapping: Hl7Mapping, *, earlier: Sequence[ExamResult] = (), pdf: bytes | None = None
) -> bytes:
    """Return the message of a result.

    Args:
        result: What the addendum states.
        mapping: What the receiver wants.
        earlier: The earlier versions, whose observations are deleted where there are no more.
        pdf: The addendum's pages, for a mapping that encloses them.

    Raises:
        UnwritableLetterError: the character set of the mapping lacks a letter.
    """
    encoding = ENCODINGS[mapping.character_set]
    fields = _header_fields(result, encoding)
    lines = [_msh(mapping, fields, control_id(result))]
    lines += [_line(name, mapping, fields) for name in mapping.segments]
    observations = list(_observations(result, mapping, fields, pdf))
    known = {one.key for one in observations}
    gone: dict[tuple[str, str], _Obx] = {}
    for version in earlier:
        for one in _observations(version, mapping, _header_fields(version, encoding), b"" if pdf is None else pdf):
            if one.key not in known:
                gone[one.key] = one
    written = [_obx(number, one, fields) for number, one in enumerate(observations, 1)]
    written += [_obx(number, one, fields, gone=True) for number, one in enumerate(gone.values(), len(written) + 1)]
    last = 17 if mapping.version == "2.3.1" else 18  # OBX-18 came with version 2.4
    lines += [segment("OBX", one[:last]) for one in written]
    try:
        return (SEGMENT_END.join(lines) + SEGMENT_END).encode(encoding)
    except UnicodeEncodeError:
        raise UnwritableLetterError(f"a letter of it is not in {mapping.character_set}") from None


def _header_fields(result: ExamResult, encoding: str) -> dict[str, str]:
    """Return the encoded text of each name that any field may have."""
    header, equipment = result.header, result.equipment
    plain = {
        "patient_id": header.patient_id,
        "issuer": header.issuer,
        "birth_date": header.birth_date,
        "sex": header.sex,
        "accession": header.accession_number,
        "study_id": header.study_id,
        "study_uid": header.study_instance_uid,
        "study_description": header.study_description,
        "order": result.order,
        "sop_instance_uid": result.sop_instance_uid,
        "control_id": control_id(result),
        "manufacturer": equipment.manufacturer,
        "model": equipment.model,
        "namespace": equipment.model[:20],  # EI.2 of OBX-18 has no more; the number before it is whole
        "serial_number": equipment.serial_number,
        "software": equipment.software,
        "performed_at": result.performed_at,
        "authored_at": moment(result.authored_at),
        "result_status": status_of(result),
    }
    return {name: escape(text) for name, text in plain.items()} | {
        "patient_name": person_name(_spelt_in(header.patient_name, encoding)),
        "referring_physician": physician(header.referring_physician),
    }


def _spelt_in(name: str, encoding: str) -> str:
    """Return the spellings of a person name that an encoding has, if it has any: each alone is the whole name."""
    spellings = [group for group in name.split("=") if _has_letters(encoding, group)]
    return "=".join(spellings) if any(group.strip("^ ") for group in spellings) else name


def _has_letters(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _msh(mapping: Hl7Mapping, fields: Mapping[str, str], identifier: str) -> str:
    fixed = {2: DELIMITERS, 10: identifier, 12: mapping.version, 18: mapping.character_set}
    return segment("MSH", _numbered("MSH", mapping, fields, fixed))


def _line(name: str, mapping: Hl7Mapping, fields: Mapping[str, str]) -> str:
    return segment(name, _numbered(name, mapping, fields, {}))


def _numbered(name: str, mapping: Hl7Mapping, fields: Mapping[str, str], fixed: Mapping[int, str]) -> list[str]:
    """Return the fields of a segment in their order, from the first."""
    templates = {**DEFAULT_FIELDS, **mapping.fields}
    of_segment = {
        int(number): fill(template, fields).rstrip("^")
        for key, template in templates.items()
        for owner, _, number in [key.partition("-")]
        if owner == name
    }
    filled = {**of_segment, **fixed}
    return [filled.get(number, "") for number in range(1, max(filled) + 1)]


def _observations(
    result: ExamResult, mapping: Hl7Mapping, fields: Mapping[str, str], pdf: bytes | None
) -> Iterator[_Obx]:
    """Yield the observations of a result in the order of the mapping, each with an identity of its own."""
    of_exam = exam_values(result, mapping.words, pdf)
    of_regions = [(one, region_values(one, mapping.words, mapping.regions)) for one in result.regions]
    taken: set[tuple[str, str]] = set()
    for wanted in mapping.obx:
        if wanted.each == "exam":
            made: Iterable[_Obx] = _written(wanted, of_exam, fields, None, mapping.words)
        else:
            made = (
                obx
                for region, values in of_regions
                if not wanted.regions or region.region.key in wanted.region_keys
                for obx in _written(wanted, values, fields, region, mapping.words)
            )
        for obx in made:
            if obx.key not in taken:  # else a receiver would take the second for a correction of the first
                taken.add(obx.key)
                yield obx


def _written(
    wanted: Observation,
    values: Mapping[str, Value],
    fields: Mapping[str, str],
    region: RegionResult | None,
    words: Mapping[str, str],
) -> Iterator[_Obx]:
    """Yield the OBX of one entry of the mapping; none where a value that it names is not there."""
    if region is not None and wanted.type in TEXT_TYPES:
        values = for_readers(values, region, words)
    names = names_in(wanted.value)
    known = [values[name] for name in names if name in values]
    if any(not values[name].texts if name in values else not fields[name] for name in names):
        return
    only = known[0] if len(names) == 1 and known else None
    extra = {"code": only.code if only else "", "unit": only.unit if only else ""}
    plain = {**fields, **extra} | {name: escape(value.joined) for name, value in values.items()}
    code = fill(wanted.code, plain)
    sub_id = fill(wanted.sub_id or ("{region_id}" if region else ""), plain)
    unit = fill(wanted.unit, plain)
    if only is not None and wanted.sentences == "obx" and only.is_text:
        for number, text in enumerate(only.texts, 1):
            yield _Obx(wanted.type, code, f"{sub_id}.{number}" if sub_id else str(number), _text(wanted, [text]), unit)
        return
    is_verdict = only is not None and names[0] in ("result", "baseline_result")
    is_reported = region is not None and region.is_plausible
    flag = ABNORMAL_FLAGS.get(only.codes[0], "") if only and only.codes and is_verdict and is_reported else ""
    yield _Obx(wanted.type, code, sub_id, _value(wanted, only, plain), unit, flag)


def _value(wanted: Observation, only: Value | None, plain: Mapping[str, str]) -> str:
    if wanted.type == "DT" and only is not None:
        return only.joined.replace("-", "")
    if wanted.type == "ED" and only is not None:
        return f"^application^pdf^Base64^{only.joined}"
    if only is not None and wanted.value == f"{{{only.name}}}":
        if wanted.type in ("CWE", "CE") and only.codes:
            pairs = zip(only.codes, only.texts, strict=True)
            return "~".join(f"{escape(value)}^{escape(word)}^99DXATREND" for value, word in pairs)
        if only.is_text:
            return _text(wanted, only.texts)
    return fill(wanted.value, plain)


def _text(wanted: Observation, sentences: Sequence[str]) -> str:
    """Return sentences as OBX-5."""
    if wanted.sentences == "repeat":
        return "~".join(map(escape, sentences))
    if wanted.type == "FT":
        return escape_formatted((" " if wanted.sentences == "space" else "\n").join(sentences))
    if wanted.sentences == "break":
        return "\\.br\\".join(map(escape, sentences))
    return escape(" ".join(sentences))


def _obx(number: int, one: _Obx, fields: Mapping[str, str], *, gone: bool = False) -> list[str]:
    equipment = f"{fields['serial_number']}^{fields['namespace']}".rstrip("^")
    values = {
        1: str(number),
        2: one.type,
        3: one.code,
        4: one.sub_id,
        5: "" if gone else one.value,
        6: "" if gone else one.unit,
        8: "" if gone else one.flag,
        11: "D" if gone else fields["result_status"],
        14: fields["performed_at"],
        18: equipment,
    }
    return [values.get(place, "") for place in range(1, max(values) + 1)]
