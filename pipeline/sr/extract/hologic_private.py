"""Read Hologic's results document in private element (0019,xx00) into content items.

APEX writes into its images a document of XML and script, from which its report is drawn: a line for each attribute, and
tables cell by cell. The lines are read as text; nothing is ever executed. A column is identified by its head, never by
its position. The document becomes the content items that APEX's structured report would have.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape, unescape

from pipeline.clinical.regions import Side, UnknownRegionError, parse_vertebrae, vertebrae_key
from pipeline.sr.dicom.content_item import Code, Item, folded
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.values import NoNumberError, read_number
from pipeline.sr.extract.remarks import Remarks

ROOT = "HologicHeader1"
CREATORS = frozenset({"hologic", "hologic, inc."})
"""Private creators of Hologic's densitometers; its mammographs use one of them as well."""

MOST_BYTES = 2**20


def results_document(report: Elements) -> str:
    """Return the document in a data set, found by private creator and root element; empty when there is none.

    A complete document without a table has no results and does not count: APEX puts such a stub into many images.
    """
    for block in sorted(tag & 0xFF for tag in report if 0x00190010 <= tag <= 0x001900FF):
        creator = report.get(0x00190000 | block)
        if isinstance(creator, bytes | str) and folded(_decoded(creator).strip(" \0")) in CREATORS:
            document = report.get(0x00190000 | block << 8)
            if isinstance(document, bytes | str) and f"<{ROOT}" in (text := _decoded(document))[:_HEAD]:
                return "" if _END in text and _TABLE not in text else text
    return ""


def read_document(text: str, remarks: Remarks) -> Item:
    """Read the document into content items.

    Raises:
        UnreadableReportError: it is larger than ``MOST_BYTES``, cut short, or contradicts itself.
    """
    if len(text) > MOST_BYTES:
        raise UnreadableReportError(Reason.TOO_LARGE, "Hologic's results document")
    if _END not in text:
        raise UnreadableReportError(Reason.BROKEN_RESULTS, "Hologic's results document has no end")
    lines = _unique((match["name"], _clean(match["text"])) for match in _LINE.finditer(text))
    tables = _tables(text)
    day, _, scan_id = lines.get("Scan", "").partition(" - ")  # as in "March 01, 2024 - A0301240C"
    lines |= {"Scan": scan_id.strip(), "Scanned": day.strip()}
    observation_context = [_text(name, lines[name]) for name in (*_FACTS, "Scanned") if lines.get(name)]
    titles = {number: lines.get(f"TableTitle{number}", "") for number in tables}
    stated = _stated_vertebrae(titles.values())
    modes = _modes_of_sides(lines)
    sets = [
        _data_set(number, titles[number], table, stated, modes, remarks) for number, table in sorted(tables.items())
    ]
    return _container(ROOT, _container("Scan Information", *observation_context), *sets)


def rewritten(text: str, rewrite: Callable[[str, str], str]) -> str:
    """Return a document of only the attributes and cells that are read, each text replaced by ``rewrite``.

    It gets the name of the attribute, of a cell that of its table, and the text as it would be displayed.
    """
    script = [
        f"{match['name']} = {_quoted(rewrite(match['name'], _clean(match['text'])))};"
        for match in _LINE.finditer(text)
        if match["name"] in _FACTS or _TITLE.fullmatch(match["name"])
    ]
    for match in _CELL.finditer(text):
        table = f"{_TABLE}{match['table']}"
        cell = _quoted(rewrite(table, _clean(match["text"])))
        script.append(f"{table}[{match['row']}][{match['column']}] = {cell};")
    inner = "\r\n".join(script)
    return f"<{ROOT}>\r\n<JavaScriptFile>\r\n{inner}\r\n</JavaScriptFile>\r\n{_END}\r\n"


_END = f"</{ROOT}>"
_TABLE = "ResultsTable"
_HEAD = 4096
_MOST_CELLS = 10_000
_MOST_ROWS = 100

_FACTS = (
    "Scan",
    "ScanMode",
    "ScanMode2",
    "AnalDate",
    "AnalProtocol",
    "Model",
    "HologicSoftwareVer",
    "Operator",
    "Height",
    "Weight",
    "Age",
    "MenopauseAge",
    "Ethnicity",
    "DOB",
    "PatientSex",
    "TableNote1",
    "FractureRiskStr",
)
"""The attributes that are read; date of birth and sex are only compared with the header's."""

_QUOTED = r'"(?P<text>(?:[^"\\\r\n]|\\.){0,4000})"'
_LINE = re.compile(rf"(?P<name>\b[A-Za-z]\w{{0,40}})[ \t]*=[ \t]*{_QUOTED}")
_CELL = re.compile(
    rf"\bResultsTable(?P<table>\d)[ \t]*\[[ \t]*(?P<row>\d{{1,3}})[ \t]*\][ \t]*\[[ \t]*(?P<column>\d{{1,3}})[ \t]*\]"
    rf"[ \t]*=[ \t]*{_QUOTED}"
)
_TITLE = re.compile(r"TableTitle\d")
_TAG = re.compile(r"<[^<>]{0,200}>")
_HEADED = re.compile(
    r"(?P<name>[^\[\]()]++)(?:\[\(?(?P<square>[^\])]*+)\)?\]|\((?P<round>[^()]*+)\))?(?P<rest>[^\[\]()]*+)"
)
"""A head and the unit in it: ``BMC[(g)]``, ``PR(%)``, ``BMD Change (g/cm²) vs Baseline``."""
_LEVELS = re.compile(r"\b[TL]\d{1,2}(?:\s*[-,]\s*[TL]\d{1,2})*", re.IGNORECASE)
_LEFT_AND_RIGHT = (Side.LEFT, Side.RIGHT)
_SIDES = frozenset({"left", "right", "mean", "|diff.|", "|diff|", "diff.", "diff"})


@dataclass(frozen=True, slots=True)
class _Table:
    """A table: its heads, each a name and a unit, and for each row the cell under each head."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> int | None:
        """Return the index of the column of this name, whatever its unit."""
        return next((at for at, (head, _) in enumerate(self.heads) if folded(head) == name), None)


def _unique(assignments: Iterator[tuple[str, str]]) -> dict[str, str]:
    """Return the value assigned to each name.

    Raises:
        UnreadableReportError: an attribute that is read is assigned two different values.
    """
    found: dict[str, str] = {}
    for name, text in assignments:
        if found.setdefault(name, text) != text and name in _FACTS:
            raise UnreadableReportError(Reason.CONTRADICTORY, f"{name} in Hologic's results document")
    return found


def _tables(text: str) -> Mapping[int, _Table]:
    """Return the tables by number that have a head with a region or a date in it."""
    cells: dict[int, dict[tuple[int, int], str]] = {}
    for count, match in enumerate(_CELL.finditer(text)):
        if count >= _MOST_CELLS:
            raise UnreadableReportError(Reason.TOO_LARGE, "Hologic's results document")
        at = int(match["row"]), int(match["column"])
        cell = _clean(match["text"])
        if max(at) < _MOST_ROWS and cells.setdefault(int(match["table"]), {}).setdefault(at, cell) != cell:
            raise UnreadableReportError(
                Reason.CONTRADICTORY, f"ResultsTable{match['table']} in Hologic's results document"
            )
    tables = {number: _table(found) for number, found in cells.items()}
    return {number: table for number, table in tables.items() if table.rows}


def _table(cells: Mapping[tuple[int, int], str]) -> _Table:
    numbers = sorted({row for row, _ in cells})
    width = max(column for _, column in cells) + 1
    rows = [tuple(cells.get((row, column), "") for column in range(width)) for row in numbers]
    for at, row in enumerate(rows):
        if {folded(cell) for cell in row} & {"region", "scan date"}:
            return _Table(tuple(map(_name_and_unit, row)), tuple(rows[at + 1 :]))
    return _Table((), ())


def _modes_of_sides(lines: Mapping[str, str]) -> Mapping[str, str]:
    """Return the scan mode of each side, where a document has two scans; of their mean both."""
    modes = [lines.get("ScanMode", ""), lines.get("ScanMode2", "")]
    of_sides = {str(side): mode for side in _LEFT_AND_RIGHT for mode in modes if side in folded(mode).split()}
    return {**of_sides, str(Side.MEAN): ", ".join(of_sides.values())} if len(of_sides) > 1 else {}


def _data_set(
    number: int, title: str, table: _Table, stated: tuple[str, ...], modes: Mapping[str, str], remarks: Remarks
) -> Item:
    """Return a table as a container, as a history where it has dates: its title may be another table's."""
    if table.column("scan date") is not None:
        return _container(f"History {number}", _text("Data Set Title", title), *_history(table, stated))
    return _container(f"Data Set {number}", _text("Data Set Title", title), *_regions(table, stated, modes, remarks))


def _regions(table: _Table, stated: tuple[str, ...], modes: Mapping[str, str], remarks: Remarks) -> Iterator[Item]:
    """Yield a container for each row; rows for sides belong to the part named in the row above them."""
    at = table.column("region")
    assert at is not None
    part = ""
    levels = [row for row in table.rows if _LEVELS.fullmatch(row[at].strip())]
    for row in table.rows:
        name = row[at].strip()
        content = tuple(_content(table, row, at))
        if folded(name) in _SIDES:
            mode = [_text("ScanMode", modes[folded(name)])] if folded(name) in modes else []
            yield _container(f"{part} {name}".strip(), *mode, *content)
            continue
        part = name
        if levels and folded(name) == "total":
            name = _total_of(row, levels, table, stated, remarks)
        if content and name:
            yield _container(name, *content)


def _total_of(
    row: Sequence[str], levels: Sequence[Sequence[str]], table: _Table, stated: tuple[str, ...], remarks: Remarks
) -> str:
    """Return the vertebrae of a spine's "Total": those a title states, if their BMC adds up to it."""
    if not stated:
        remarks.add("the vertebrae of the spine's Total are stated nowhere")
        return "Total"
    at, bmc = table.column("region"), table.column("bmc")
    assert at is not None
    if not set(stated) <= {other[at].strip().upper() for other in levels}:
        remarks.add("a vertebra stated of the spine's Total is not in the table")
        return "Total"
    if bmc is None:
        return vertebrae_key(stated)
    contents = {other[at].strip().upper(): _decimal(other[bmc]) for other in levels}
    total, parts = _decimal(row[bmc]), [contents.get(level) for level in stated]
    known = [part for part in parts if part is not None]
    if total is not None and len(known) == len(parts) and abs(sum(known) - total) > _ROUNDING * (len(known) + 1):
        remarks.add("the content of the stated vertebrae does not add up to the spine's Total")
        return "Total"
    return vertebrae_key(stated)


_ROUNDING = Decimal("0.005")
"""In g: BMC is printed with two decimals."""


def _history(table: _Table, stated: tuple[str, ...]) -> Iterator[Item]:
    """Yield a container for each earlier exam, named for the vertebrae that the titles state."""
    for row in table.rows:
        content = tuple(_content(table, row, None))
        if content and stated:
            yield _container(vertebrae_key(stated), *content)


def _content(table: _Table, row: Sequence[str], region: int | None) -> Iterator[Item]:
    for at, ((name, unit), cell) in enumerate(zip(table.heads, row, strict=True)):
        if at == region or not name or not cell.strip():
            continue
        if unit:
            yield Item(value_type="NUM", concept=_named(name), value=cell, unit=Code("", "", unit))
        else:
            yield _text(name, cell)


def _name_and_unit(head: str) -> tuple[str, str]:
    """Split the head of a column into name and unit."""
    match = _HEADED.fullmatch(head)
    if match is None:
        return "", ""
    return " ".join(f"{match['name']} {match['rest']}".split()), (match["square"] or match["round"] or "").strip()


def _stated_vertebrae(titles: Iterable[str]) -> tuple[str, ...]:
    """Return the one set of vertebrae that the titles state; none when they state none, or several."""
    stated: set[tuple[str, ...]] = set()
    for match in (match for title in titles for match in _LEVELS.finditer(title)):
        try:
            stated.add(parse_vertebrae(match[0]))
        except UnknownRegionError:
            return ()
    return stated.pop() if len(stated) == 1 else ()


def _decimal(text: str) -> Decimal | None:
    try:
        return read_number(text).value
    except NoNumberError:
        return None


def _clean(text: str) -> str:
    """Return a text of the script as it would be displayed, without escapes and tags."""
    return unescape(_TAG.sub("", text.replace('\\"', '"'))).replace("\xa0", " ").strip()


def _quoted(text: str) -> str:
    """Write a text as it stands in the script, with what ``_clean`` undoes."""
    quotes = escape(text, quote=False).replace('"', '\\"')
    return f'"{quotes}"'


def _decoded(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _text(name: str, value: str) -> Item:
    return Item(value_type="TEXT", concept=_named(name), value=value)


def _container(name: str, *children: Item) -> Item:
    return Item(value_type="CONTAINER", concept=_named(name), children=children)


def _named(name: str) -> Code:
    return Code("", "", name)
