"""Structured reports to read: functions with a default for every field, which also write invalid values."""

import struct
import zlib
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.extract.report import Report, extract

Concept = str | tuple[str, str, str]
"""A meaning, or value, scheme and meaning."""

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
G_PER_CM2 = ("g/cm2", "UCUM", "g/cm2")
UNDEFINED = 0xFFFFFFFF
TID1500 = ("126000", "DCM", "Imaging Measurement Report")
GROUP = ("125007", "DCM", "Measurement Group")
TRACKING = ("112039", "DCM", "Tracking Identifier")
FINDING_SITE = ("363698007", "SCT", "Finding Site")
LATERALITY = ("272741003", "SCT", "Laterality")
SPINE_BMD = ("24966-4", "LN", "DXA Lumbar spine [Mass/Area] Bone density")

HEADER = {
    "SOPClassUID": ENHANCED_SR,
    "SOPInstanceUID": "2.25.1",
    "StudyInstanceUID": "2.25.2",
    "SeriesInstanceUID": "2.25.3",
    "StudyDate": "20240301",
    "StudyTime": "101112",
    "Modality": "SR",
    "Manufacturer": "GE Healthcare",
    "ManufacturerModelName": "Lunar Prodigy",
    "DeviceSerialNumber": "DF+1",
    "PatientID": "P1",
    "PatientName": "Marked^Patient",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
}


def report(*content: Dataset, root: Concept = "DXA Report", **header: str | None) -> Dataset:
    """A report with this content; a header field given as ``None`` is left out."""
    ds = container(root, *content, relationship="")
    for keyword, value in (HEADER | header).items():
        if value is not None:
            put(ds, keyword, value)
    return ds


def spine(*regions: Dataset) -> Dataset:
    """Lunar's container for a spine scan; L1-L4 with 0.912 g/cm2 by default."""
    return container("AP Spine", *(regions or (region("L1-L4", "0.912"),)))


def region(name: Concept, bmd: str, *more: Dataset, unit: Concept = G_PER_CM2) -> Dataset:
    """A container named for a region, with its BMD."""
    return container(name, num("BMD", bmd, unit), *more)


def measurements(*groups: Dataset) -> Dataset:
    """TID 1500's container for measurement groups."""
    return container(("126010", "DCM", "Imaging Measurements"), *groups)


def group(tracking: str, *content: Dataset, bmd: str = "0.912") -> Dataset:
    """A TID 1500 measurement group with a BMD."""
    named = [text(TRACKING, tracking)] if tracking else []
    return container(GROUP, *named, *content, num(SPINE_BMD, bmd))


def container(concept: Concept, *children: Dataset, relationship: str = "CONTAINS") -> Dataset:
    """A CONTAINER."""
    item = _item("CONTAINER", concept, relationship)
    item.ContinuityOfContent = "SEPARATE"
    if children:
        item.ContentSequence = Sequence(children)
    return item


def num(concept: Concept, value: str, unit: Concept | None = G_PER_CM2) -> Dataset:
    """A NUM with any text for its value; without a unit when that is ``None``."""
    measured = Dataset()
    put(measured, "NumericValue", value)
    if unit is not None:
        measured.MeasurementUnitsCodeSequence = Sequence([coded(unit)])
    item = _item("NUM", concept, "CONTAINS")
    item.MeasuredValueSequence = Sequence([measured])
    return item


def text(concept: Concept, value: str) -> Dataset:
    """A TEXT."""
    item = _item("TEXT", concept, "CONTAINS")
    item.TextValue = value
    return item


def code_item(concept: Concept, code: Concept, *children: Dataset) -> Dataset:
    """A CODE."""
    item = _item("CODE", concept, "HAS CONCEPT MOD")
    item.ConceptCodeSequence = Sequence([coded(code)])
    if children:
        item.ContentSequence = Sequence(children)
    return item


def finding_site(code: Concept, *children: Dataset) -> Dataset:
    """A finding site."""
    return code_item(FINDING_SITE, code, *children)


def coded(concept: Concept) -> Dataset:
    """The item of a code sequence; a bare meaning gets an invented value."""
    value, scheme, meaning = ("1", "99TEST", concept) if isinstance(concept, str) else concept
    item = Dataset()
    for keyword, part in (("CodeValue", value), ("CodingSchemeDesignator", scheme), ("CodeMeaning", meaning)):
        put(item, keyword, part)
    return item


def put(ds: Dataset, keyword: str, value: str) -> None:
    """Set an element to a text as its bytes would have it, however wrong."""
    raw = value.encode("latin-1", "replace")
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, dictionary_VR(keyword), len(raw), raw, 0, False, True)


def encode(ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian, *, undefined_lengths: bool = False) -> bytes:
    """The bytes of a data set as they come over DICOM, without pydicom's checks of values."""
    syntax = UID(transfer_syntax)
    endian = "<" if syntax.is_little_endian else ">"
    data = _encoded(ds, endian, implicit=syntax.is_implicit_VR, undefined=undefined_lengths)
    return deflate(data) if syntax.is_deflated else data


def deflate(data: bytes) -> bytes:
    """A raw deflated stream (PS3.5 A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def read(data_set: bytes, transfer_syntax: str = ExplicitVRLittleEndian, zone: tzinfo | None = None) -> Report:
    """Extract a report by the shipped dialects, in a department of this time zone."""
    return extract(read_elements(data_set, transfer_syntax), shipped_dialects(), zone=zone)


def seen(ds: Dataset, *, zone: tzinfo | None = None) -> Report:
    """What is read of a report that came over DICOM."""
    return read(encode(ds), zone=zone)


def held(ds: Dataset) -> UnreadableReportError:
    """Why a report that came over DICOM is held; the test fails where it is not."""
    with pytest.raises(UnreadableReportError) as error:
        seen(ds)
    return error.value


def values(read_report: Report) -> dict[str, str]:
    """The BMD of each region, as text."""
    return {m.region.key: str(m.bmd) for m in read_report.exam.measurements}


def each_item(ds: Dataset, do: Callable[[Dataset], None]) -> None:
    """Do something to a data set and to every item below it."""
    do(ds)
    for element in list(ds.values()):
        if isinstance(element.value, Sequence):
            for item in element.value:
                each_item(item, do)


def _encoded(ds: Dataset, endian: str, *, implicit: bool, undefined: bool) -> bytes:
    return b"".join(_element(ds, tag, endian, implicit=implicit, undefined=undefined) for tag in sorted(ds.keys()))


def _element(ds: Dataset, tag: BaseTag, endian: str, *, implicit: bool, undefined: bool) -> bytes:
    element = ds.get_item(tag)
    if element.VR == "SQ" and not isinstance(element, RawDataElement):
        items = [_encoded(item, endian, implicit=implicit, undefined=undefined) for item in element.value]
        value = b"".join(_framed(item, 0xE000, 0xE00D, endian, undefined=undefined) for item in items)
        length = UNDEFINED if undefined else len(value)
        value += struct.pack(f"{endian}HHL", 0xFFFE, 0xE0DD, 0) if undefined else b""
    else:
        value = _value(element.VR, element.value, endian)
        length = len(value)
    if implicit:
        return struct.pack(f"{endian}HHL", tag.group, tag.element, length) + value
    vr = str(element.VR).encode()
    layout, spare = ("HH2sHL", (0,)) if vr in (b"SQ", b"UC", b"UT", b"UN", b"OB") else ("HH2sH", ())
    return struct.pack(f"{endian}{layout}", tag.group, tag.element, vr, *spare, length) + value


def _framed(item: bytes, start: int, end: int, endian: str, *, undefined: bool) -> bytes:
    if undefined:
        item += struct.pack(f"{endian}HHL", 0xFFFE, end, 0)
        return struct.pack(f"{endian}HHL", 0xFFFE, start, UNDEFINED) + item
    return struct.pack(f"{endian}HHL", 0xFFFE, start, len(item)) + item


def _value(vr: str, value: Any, endian: str) -> bytes:
    if vr == "UL":
        return struct.pack(f"{endian}{len(value)}L", *value)
    raw = value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")
    return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def _item(value_type: str, concept: Concept, relationship: str) -> Dataset:
    item = Dataset()
    if relationship:
        item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = Sequence([coded(concept)])
    return item
