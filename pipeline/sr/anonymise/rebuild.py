"""Build a report anew from what may stay of it: an allow-list of elements and words, stand-ins for identity (PS3.15 E).

Nothing is copied that is not named here: numbers, codes and texts by the rules of ``vocabulary.py``. UIDs, names, dates
and ids get stand-ins, every other text a placeholder. The rest is dropped, private elements and pixels among it.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from pydicom.datadict import dictionary_VR, keyword_for_tag

from pipeline.sr.anonymise.aliases import Aliases
from pipeline.sr.anonymise.texts import Texts
from pipeline.sr.dicom.character_sets import declared, decoded
from pipeline.sr.dicom.content_item import Code
from pipeline.sr.dicom.reader import Elements, Value
from pipeline.sr.dicom.tags import (
    CODE_MEANING,
    CODE_SCHEME,
    CODE_VALUE,
    CONCEPT_NAME,
    LONG_CODE_VALUE,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    URN_CODE_VALUE,
)
from pipeline.sr.dicom.values import read_date, read_datetime, read_time
from pipeline.sr.dicom.writer import Attributes, EncodedElements, element, elements, encode, sequence
from pipeline.sr.extract import hologic_private, lunar_xml
from pipeline.sr.extract.remarks import Remarks

METHOD = "dxatrend: stand-ins, moved dates, texts by allow-list"

MARKS: Attributes = {
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": METHOD,
    "LongitudinalTemporalInformationModified": "MODIFIED",
}
"""What says in the object itself that it was made anonymous (PS3.3 C.7.1.1, C.12.1)."""


class Rebuilder:
    """Builds one object anew; ``dropped`` counts what was left out, by keyword or tag."""

    def __init__(self, aliases: Aliases, texts: Texts) -> None:
        self._aliases = aliases
        self._texts = texts
        self._own = self._rules()
        self.dropped: Counter[str] = Counter()

    def instance(self, original: Elements, encodings: Sequence[str], *, is_phantom: bool) -> bytes:
        """Return the whole data set in Explicit VR Little Endian.

        Raises:
            UnreadableReportError: results in it cannot be read, and so not be built anew.
            EncodingError: an element is too long to be written.
        """
        rebuilt = self._data_set(original, encodings)
        marks = elements({"SpecificCharacterSet": "ISO_IR 192", **MARKS})
        if is_phantom:
            marks |= elements({"QualityControlSubject": "YES"})
        return encode(rebuilt, self._results_beside_pixels(original), self._black_pixel(original), marks)

    def _data_set(self, original: Elements, inherited: Sequence[str]) -> dict[int, bytes]:
        names = original.get(SPECIFIC_CHARACTER_SET)
        encodings = declared(decoded(names, ("ascii",)), inherited) if isinstance(names, bytes) else inherited
        coded = self._coded(original, encodings) if _CODE_VALUES & original.keys() else {}
        concept = _concept(original, encodings)
        kept = dict(coded)
        for tag, value in original.items():
            if tag in coded or tag == SPECIFIC_CHARACTER_SET:
                continue
            built = self._element(tag, value, encodings, concept)
            if built is not None:
                kept[tag] = built
            elif tag & 0xFFFF:  # a group length is no content
                self.dropped[keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"] += 1
        return kept

    def _element(self, tag: int, value: Value, encodings: Sequence[str], concept: Code | None) -> bytes | None:
        """Return an element as it may stay; ``None`` where it is dropped."""
        vr = _vr(tag)
        if isinstance(value, list):
            items = [encode(self._data_set(item, encodings)) for item in value]
            return sequence(tag, items) if vr == "SQ" else None
        rewrite = self._of_vr(tag, vr, concept)
        if rewrite is None:
            return None
        text = value if isinstance(value, str) else decoded(value, encodings)
        written = rewrite(text.rstrip(" \0"))
        return None if written is None else element(tag, vr, written.encode())

    def _of_vr(self, tag: int, vr: str, concept: Code | None) -> Callable[[str], str | None] | None:
        """Return what rewrites a text of this element; ``None`` where it is dropped."""
        keyword = keyword_for_tag(tag)
        if keyword in _KEPT:
            return lambda text: text if _KEPT[keyword].fullmatch(text) else None
        if keyword == "TextValue":
            return lambda text: self._texts.of_concept(concept, text)
        if keyword in self._own:
            return self._own[keyword]
        by_vr: Mapping[str, Callable[[str], str | None]] = {
            "PN": self._texts.names,
            "UI": lambda text: "\\".join(map(self._aliases.uid, text.split("\\"))),
            "DA": self._date,
            "DT": self._moment,
            "TM": lambda text: text if not text or read_time(text) else None,
            **dict.fromkeys(("SH", "LO", "ST", "LT", "UT", "UC", "AE"), self._texts.placeholder),
        }
        return by_vr.get(vr)

    def _rules(self) -> Mapping[str, Callable[[str], str | None]]:
        """Return what rewrites the elements that have a rule of their own."""
        texts = self._texts
        return {
            "PatientID": lambda text: texts.identity("patient id", text, "ANON-"),
            "PatientName": lambda text: f"Anonymous^{self._aliases.patient}" if text else "",
            "IssuerOfPatientID": lambda text: texts.identity("issuer", text, "ISSUER-"),
            "AccessionNumber": lambda text: texts.identity("accession number", text, "A-"),
            "StudyID": lambda text: texts.identity("study id", text, "S-"),
            "StationName": lambda text: texts.identity("station", text, "ST-"),
            "InstitutionName": lambda text: texts.identity("institution", text, "Institution "),
            "DeviceSerialNumber": texts.serial_number,
            "Manufacturer": texts.device,
            "ManufacturerModelName": texts.model,
            "SoftwareVersions": texts.device,
            "EthnicGroup": texts.worded,
            "NumericValue": texts.general,
            "PatientWeight": texts.general,
            "PatientSize": texts.general,
            "ImageComments": self._comments,
            "DeidentificationMethod": lambda text: text if text == METHOD else texts.placeholder(text),
        }

    def _coded(self, original: Elements, encodings: Sequence[str]) -> dict[int, bytes]:
        """Return the elements of a code (PS3.3 8.8)."""
        code = _read_code(original, encodings)
        kept = self._texts.code(code)
        values = {tag: kept.value for tag in _CODE_VALUES if tag in original}
        parts = {**values, CODE_SCHEME: kept.scheme, CODE_MEANING: kept.meaning}
        return {tag: element(tag, _vr(tag), text.encode()) for tag, text in parts.items() if tag in original}

    def _comments(self, text: str) -> str:
        if not lunar_xml.is_results(text):
            return self._texts.placeholder(text)
        return lunar_xml.rewritten(text, self._texts.vocabulary.knows, self._texts.of_name)

    def _results_beside_pixels(self, original: Elements) -> EncodedElements:
        """Return Hologic's private results document anew, and its private creator."""
        document = hologic_private.results_document(original)
        if not document:
            return {}
        hologic_private.read_document(document, Remarks())
        new = hologic_private.rewritten(document, self._texts.of_name)
        for rewritten in ("(0019,0010)", "(0019,1000)"):
            self.dropped.pop(rewritten, None)
        return {
            _CREATOR: element(_CREATOR, "LO", b"HOLOGIC"),
            _DOCUMENT: element(_DOCUMENT, "UN", new.encode() + b" " * (len(new.encode()) % 2)),
        }

    def _black_pixel(self, original: Elements) -> EncodedElements:
        """Return one black pixel where there are pixels: a picture may show a name."""
        if PIXEL_DATA not in original:
            return {}
        for keyword in _PIXEL:
            self.dropped.pop(keyword, None)
        return elements(_PIXEL)

    def _date(self, text: str) -> str | None:
        if not text.strip():
            return ""
        day = read_date(text)
        return None if day is None else self._texts.moved(day)

    def _moment(self, text: str) -> str | None:
        if not text.strip():
            return ""
        day = read_date(text[:8])
        return None if day is None or read_datetime(text) is None else self._texts.moved(day) + text[8:]


_CODE_VALUES = {CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE}
_CREATOR, _DOCUMENT = 0x00190010, 0x00191000

_PIXEL: Attributes = {
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": 1,
    "Columns": 1,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "BurnedInAnnotation": "NO",
    "PixelData": b"\0\0",
}

_KEPT = {
    keyword: re.compile(rf"(?:{terms})? *")
    for keyword, terms in {
        "Modality": "BMD|BD|BDUS|SR|OT|CR|DX|US|CT|KO|PR|SC|MR|RF|XA|MG|PT|NM|SEG|DOC|RWV|REG",
        "BodyPartExamined": "[LT]?SPINE|LUMBAR SPINE|HIP|FEMUR|FOREARM|RADIUS|PELVIS|WHOLEBODY|WHOLE BODY",
        "ConversionType": "DV|DI|DF|WSD|SD|SI|DRW|SYN",
        "PatientSex": "[FMOfmo]",
        "PatientAge": "[0-9]{1,3}[DWMYdwmy]",
        "Laterality": "[LRlr]",
        "ImageLaterality": "[LRUBlrub]",
        "QualityControlSubject": "YES|NO",
        "ValueType": "TEXT|NUM|CODE|DATETIME|DATE|TIME|UIDREF|PNAME|COMPOSITE|IMAGE|WAVEFORM|SCOORD|SCOORD3D|TCOORD"
        "|CONTAINER|TABLE",
        "RelationshipType": "CONTAINS|HAS OBS CONTEXT|HAS CONCEPT MOD|HAS PROPERTIES|HAS ACQ CONTEXT|INFERRED FROM"
        "|SELECTED FROM",
        "ContinuityOfContent": "SEPARATE|CONTINUOUS",
        "CompletionFlag": "PARTIAL|COMPLETE",
        "VerificationFlag": "UNVERIFIED|VERIFIED",
        "PreliminaryFlag": "PRELIMINARY|FINAL",
        "TemplateIdentifier": "[0-9]{1,5}",
        "MappingResource": "DCMR|SDM",
        "TimezoneOffsetFromUTC": "[+-][0-9]{4}",
        "SeriesNumber": "[0-9]{1,4}",
        "InstanceNumber": "[0-9]{1,4}",
    }.items()
}
"""The elements that stay as they are, and the values with which they do."""


@lru_cache(maxsize=4096)
def _vr(tag: int) -> str:
    """Return the value representation by the standard's dictionary; empty for a private or an unknown element."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


def _concept(item: Elements, encodings: Sequence[str]) -> Code | None:
    names = item.get(CONCEPT_NAME)
    return _read_code(names[0], encodings) if isinstance(names, list) and names else None


def _read_code(coded: Elements, encodings: Sequence[str]) -> Code:
    def text(tag: int) -> str:
        value = coded.get(tag, b"")
        return decoded(value, encodings).strip(" \0") if isinstance(value, bytes) else ""

    return Code(next(filter(None, map(text, sorted(_CODE_VALUES))), ""), text(CODE_SCHEME), text(CODE_MEANING))
