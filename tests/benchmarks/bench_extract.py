"""Measure extracting a six-region report, against pydicom reading and walking the same bytes."""

from collections.abc import Iterator
from io import BytesIO

from pydicom import Dataset, dcmread

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.extract.report import extract
from tests.benchmarks.table import Row, at_most, processor_milliseconds
from tests.folders import SAMPLES

REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
REGIONS = 6
ROUNDS = 200
MOST = 0.15


def rows() -> Iterator[Row]:
    """From bytes to exam, and pydicom's read and walk."""
    file = REPORT.read_bytes()
    dialects = shipped_dialects()
    assert len(extract(read_elements(*split_file(file)), dialects).exam.measurements) == REGIONS
    ours, theirs = processor_milliseconds(
        lambda: extract(read_elements(*split_file(file)), dialects), lambda: walk(dcmread(BytesIO(file))), ROUNDS
    )
    yield Row(
        what=f"extract a report of {REGIONS} regions, {len(file):,} bytes",
        ours=ours,
        unit="ms",
        peer="pydicom, read and walk",
        theirs=theirs,
        target=at_most(MOST, times=True),
    )


def walk(item: Dataset) -> None:
    """Look at what a reader of structured reports looks at, item by item."""
    for sequence in (item.get("ConceptNameCodeSequence"), item.get("ConceptCodeSequence")):
        for code in sequence or ():
            _ = code.get("CodeValue"), code.get("CodingSchemeDesignator"), code.get("CodeMeaning")
    for measured in item.get("MeasuredValueSequence") or ():
        _ = measured.get("NumericValue")
        for unit in measured.get("MeasurementUnitsCodeSequence") or ():
            _ = unit.get("CodeValue"), unit.get("CodingSchemeDesignator"), unit.get("CodeMeaning")
    _ = item.get("RelationshipType"), item.get("ValueType"), item.get("TextValue")
    for child in item.get("ContentSequence") or ():
        walk(child)
