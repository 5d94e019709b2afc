"""Images of densitometers with results beside the pixel data: functions with a default for every field."""

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.factories.reports import HEADER, put

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"


def picture(
    *,
    comments: str | None = None,
    document: str | None = None,
    creator: str = "HOLOGIC",
    block: int = 0x10,
    **header: str | None,
) -> Dataset:
    """A picture with two pixels; a header field given as ``None`` is left out."""
    ds = Dataset()
    own = {"SOPClassUID": SECONDARY_CAPTURE, "Modality": "OT"}
    for keyword, value in (HEADER | own | header).items():
        if value is not None:
            put(ds, keyword, value)
    if comments is not None:
        _put(ds, 0x00204000, "LT", comments.encode("latin-1"))
    if document is not None:
        _put(ds, 0x00190000 | block, "LO", creator.encode("latin-1"))
        _put(ds, 0x00190000 | block << 8, "UN", document.encode("utf-8"))
    _put(ds, 0x7FE00010, "OB", b"\1\2")
    return ds


def hologic_picture(
    document: str | None, creator: str = "HOLOGIC", *, block: int = 0x10, **header: str | None
) -> Dataset:
    """A picture from a Hologic console."""
    own = {"Manufacturer": "HOLOGIC, Inc.", "ManufacturerModelName": "Horizon W", "DeviceSerialNumber": None}
    return picture(document=document, creator=creator, block=block, **(own | header))


def dxa_results(*scans: str, date: str = "01-Mar-2024") -> str:
    """GE's XML in its newer form."""
    return f'<DXA_RESULTS><EXAM_DATE time="10:11:12" id="82">{date}</EXAM_DATE>{"".join(scans)}</DXA_RESULTS>'


def scan(kind: str, *content: str) -> str:
    """One scan of it."""
    return f'<SCAN type="{kind}" id="19">{"".join(content)}</SCAN>'


def roi(name: str, bmd: str, more: str = "", unit: str = ' units=" g/cm2"') -> str:
    """One region of a scan."""
    return f'<ROI region="{name}" id="0"><BMD{unit} id="3">{bmd}</BMD>{more}</ROI>'


def apex(
    table: list[list[str]],
    *more_tables: list[list[str]],
    titles: tuple[str, ...] = ("Results Summary:",),
    end: str = "</HologicHeader1>",
    **lines: str,
) -> str:
    """Hologic's results document: lines of script, and tables cell by cell."""
    attributes = {
        "Scan": "March 01, 2024 - A0301240C",
        "ScanMode": "a Lumbar Spine",
        "AnalDate": "03/01/2024 10:30",
        "Model": "Horizon W (S/N 300001M)",
    } | lines
    script = [f'{name} = "{text}";' for name, text in attributes.items() if text]
    script += [f'TableTitle{number} = "{title}";' for number, title in enumerate(titles, start=1)]
    for number, rows in enumerate((table, *more_tables), start=1):
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                script.append(f'ResultsTable{number}[{row:2}][{column:2}] = "{cell}";')
    return "<HologicHeader1>\r\n<JavaScriptFile>\r\n" + "\r\n".join(script) + f"\r\n</JavaScriptFile>\r\n{end}"


HEADS = ["Region", "Area[cm<sup><small>2</small></sup>]", "BMC[(g)]", "BMD[g/cm&sup2;]", "T-score", "PR(%)", "Z-score"]
"""The head of Hologic's table of results."""


def _put(ds: Dataset, number: int, vr: str, value: bytes) -> None:
    tag = Tag(number)
    value += (b" " if vr != "OB" else b"\0") * (len(value) % 2)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
