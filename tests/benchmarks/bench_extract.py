"""What does it cost to extract a six-region report, against pydicom reading and walking the same bytes?"""

import time
from collections.abc import Callable
from io import BytesIO

from pydicom import Dataset, dcmread

from pipeline.sr.encoding import read_elements, split_file
from pipeline.sr.extract import extract
from tests.make_service import SAMPLES
from tests.sr.make_report import shipped_dialects

REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
REGIONS = 6
ROUNDS = 40
BATCH = 10
MOST = 0.15


def main() -> None:
    """Print the best of many batches in milliseconds, and the ratio."""
    file = REPORT.read_bytes()
    ours, theirs = measure(file)
    print(f"extracting a report of {REGIONS} regions, {len(file)} bytes, best of {ROUNDS} batches of {BATCH}:")
    print(f"  dxatrend, from bytes to exam   {ours * 1000:6.2f} ms")
    print(f"  pydicom, dcmread and walk      {theirs * 1000:6.2f} ms")
    print(f"  ratio                          {ours / theirs:6.2f}   (at most {MOST})")


def measure(file: bytes) -> tuple[float, float]:
    """The seconds it takes to extract the report, and those pydicom takes to read it and walk its content."""
    dialects = shipped_dialects()
    assert len(extract(read_elements(*split_file(file)), dialects).exam.measurements) == REGIONS

    def ours() -> None:
        extract(read_elements(*split_file(file)), dialects)

    def theirs() -> None:
        walk(dcmread(BytesIO(file)))

    rounds = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    return min(ours for ours, _ in rounds), min(theirs for _, theirs in rounds)


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


def _seconds(do: Callable[[], None]) -> float:
    began = time.perf_counter()
    for _ in range(BATCH):
        do()
    return (time.perf_counter() - began) / BATCH
