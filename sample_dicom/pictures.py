"""Pictures that scanners without an SR licence send, with the results beside the pixels.

GE writes XML into Image Comments (0020,4000), Hologic a document of XML and script into private (0019,xx00); both
layouts are as public programs and masked copies of real objects show them.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree

from patients import COMPUTED_RADIOGRAPHY, Patient, Row, Scan, Visit
from pydicom.dataset import Dataset
from scores import age, one_decimal, scores


def add_picture(ds: Dataset, patient: Patient, visit: Visit, scans: Sequence[Scan]) -> None:
    """Put a picture of one scan, and its results beside it, on a header that names patient and study."""
    (scan,) = scans
    if patient.sop_class == COMPUTED_RADIOGRAPHY:
        ds.Modality, ds.ProtocolName = "CR", scan.name
        ds.ImageComments = lunar_comments(patient, visit, scan)
    else:
        ds.Modality, ds.ConversionType = "OT", "WSD"
        del ds.DeviceSerialNumber  # the document's alone
        ds.add_new(0x00190010, "LO", "HOLOGIC")
        ds.add_new(0x00191000, "UN", _even(hologic_document(patient, visit, scan).encode()))
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = SIDE, SIDE, 8, 8, 7
    ds.PixelRepresentation = 0
    ds.PixelData = bytes(8 * (row + column) for row in range(SIDE) for column in range(SIDE))


SIDE = 16
"""Pixels by pixels: small, as nobody looks at these pictures."""


def _even(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


# GE Lunar: XML, each element with the number that enCORE gives it


def lunar_comments(patient: Patient, visit: Visit, scan: Scan) -> str:
    """Return the results of one scan, and its trend with the latest exam first."""
    root = ElementTree.Element("DXA_RESULTS")
    told_at = f"{visit.at[:2]}:{visit.at[2:4]}:{visit.at[4:6]}"
    ElementTree.SubElement(root, "EXAM_DATE", time=told_at, id="82").text = _lunar_date(visit)
    scanned = ElementTree.SubElement(root, "SCAN", type=scan.name, id="1")
    for region in scan.rows:
        score = scores(patient, visit, region)
        roi = ElementTree.SubElement(scanned, "ROI", region=region.printed, id="0")
        for name, number, unit, value in (
            ("BMD", "3", " g/cm2", region.bmd),
            ("BMC", "5", " g", region.bmc),
            ("AREA", "2", " cm2", region.area),
            ("BMD_TSCORE", "6", "", score.t),
            ("BMD_ZSCORE", "8", "", score.z),
            ("BMD_PYA", "7", " %", score.young_adult),
            ("BMD_PAM", "9", " %", score.age_matched),
        ):
            units = {"units": unit} if unit else {}
            ElementTree.SubElement(roi, name, units, id=number).text = value
    trended = scan.rows[-1]
    trend = ElementTree.SubElement(scanned, "TREND", region=trended.printed)
    for then, earlier in _history(patient, visit, scan, trended):
        exam = ElementTree.SubElement(trend, "EXAM", date=_lunar_date(then))
        ElementTree.SubElement(exam, "BMD", units=" g/cm2", id="3").text = earlier.bmd
    return ElementTree.tostring(root, encoding="unicode")


def _lunar_date(visit: Visit) -> str:
    return f"{date.fromisoformat(visit.on):%d-%b-%Y}"


# Hologic: a line of script for each fact and each cell


HOLOGIC_MODES = {"Lumbar Spine": "a Lumbar Spine", "Left Hip": "f Left Hip", "Right Hip": "f Right Hip"}

HEADS = (
    "Region",
    "Area[cm<sup><small>2</small></sup>]",
    "BMC[(g)]",
    "BMD[g/cm&sup2;]",
    "T-score",
    "PR(%)",
    "Z-score",
    "AM(%)",
)
HISTORY_HEADS = ("Scan Date", "Age", "BMD[g/cm&sup2;]", "BMD Change vs Baseline", "BMD Change vs Previous")


def hologic_document(patient: Patient, visit: Visit, scan: Scan) -> str:
    """Return the results of one scan; only the title of its history says of which vertebrae the "Total" is."""
    on, total = date.fromisoformat(visit.on), scan.rows[-1]
    lines = {
        "Scan": f"{on:%B %d, %Y} - A{on:%m%d%y}0{visit.scans.index(scan) + 1}",
        "ScanMode": HOLOGIC_MODES[scan.name],
        "AnalDate": f"{on:%m/%d/%Y} {visit.at[:2]}:{visit.at[2:4]}",
        "AnalProtocol": scan.name.rpartition(" ")[2],
        "Model": f"{visit.scanner.model} (S/N {visit.scanner.serial_number})",
        "HologicSoftwareVer": visit.scanner.software,
        "DOB": f"{date.fromisoformat(patient.born):%m/%d/%Y}",
        "Age": str(age(patient, visit)),
        "TableTitle1": "Results Summary:",
        "TableTitle2": f"Results History: {total.key if scan.name == 'Lumbar Spine' else total.printed}",
    }
    script = [f'{name} = "{text}";' for name, text in lines.items()]
    script += _table(1, [HEADS, *(_cells(patient, visit, region) for region in scan.rows)])
    script += _table(2, [HISTORY_HEADS, *_history_cells(patient, visit, scan, total)])
    inner = "\r\n".join(script)
    return f"<HologicHeader1>\r\n<JavaScriptFile>\r\n{inner}\r\n</JavaScriptFile>\r\n</HologicHeader1>\r\n"


def _table(number: int, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            yield f'ResultsTable{number}[{row:2}][{column:2}] = "{cell}";'


def _cells(patient: Patient, visit: Visit, region: Row) -> tuple[str, ...]:
    score = scores(patient, visit, region)
    values = region.area, region.bmc, region.bmd, score.t, score.young_adult, score.z, score.age_matched
    return (region.printed, *values)


def _history_cells(patient: Patient, visit: Visit, scan: Scan, region: Row) -> Iterator[tuple[str, ...]]:
    visits = list(_history(patient, visit, scan, region))
    _, first = visits[-1]
    for at, (then, told) in enumerate(visits):
        before = visits[at + 1][1] if at + 1 < len(visits) else None
        changes = (_change(told, first), _change(told, before)) if before else (" ", " ")
        yield f"{date.fromisoformat(then.on):%m/%d/%Y}", str(age(patient, then)), told.bmd, *changes


def _change(now: Row, before: Row) -> str:
    """Return the difference as printed, with the percentage in brackets."""
    difference = Decimal(now.bmd) - Decimal(before.bmd)
    return f"{difference} ({one_decimal(100 * difference / Decimal(before.bmd))}%)"


def _history(patient: Patient, visit: Visit, scan: Scan, region: Row) -> Iterator[tuple[Visit, Row]]:
    """Return the measurements of a region in this and each earlier visit, the latest first."""
    for then in reversed([one for one in patient.visits if one.on <= visit.on]):
        for other in then.scans:
            for told in other.rows:
                if (other.name, told.printed) == (scan.name, region.printed):
                    yield then, told
