"""Read the XML of GE Lunar enCORE in Image Comments (0020,4000) into content items.

enCORE writes the results of an exam into its images and structured reports: under the newer root ``DXA_RESULTS``, where
each ROI is of this exam, and under the older ``DENSITOMETRY_RESULTS``, where this exam is one of those in a trend.
Either becomes the content items that enCORE's structured report would have.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring, tostring

from pipeline.sr.dialects.model import DateOrder
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.ambiguous_dates import order_of, possible_days

ROOTS = ("DXA_RESULTS", "DENSITOMETRY_RESULTS")

MOST_BYTES = 2**20
"""A Long Text (LT) has 10,240 characters; scanners exceed that, but not a hundredfold."""


def is_results(text: str) -> bool:
    """Whether a text is such a document; a complete one without a region has no results and does not count."""
    if not text.lstrip(_BLANK).startswith("<") or not any(f"<{root}" in text[:_HEAD] for root in ROOTS):
        return False
    whole = text.rstrip(_BLANK).endswith(tuple(f"</{root}>" for root in ROOTS))
    return not whole or any(tag in text for tag in _REGIONS)


def read_comments(text: str, performed_on: date | None) -> Item:
    """Read the document into content items; of the older root only if one exam in it is of ``performed_on``.

    Raises:
        UnreadableReportError: it is cut short, no XML, defines entities, or is larger than ``MOST_BYTES``.
    """
    root = _parsed(text)
    exam = root.find("CURRENT_EXAM")
    content = root if exam is None else exam
    order = order_of(_date(exam) for exam in content.iter("EXAM"))
    scans = [_scan(scan, performed_on, order) for scan in content.findall("SCAN")]
    return _container(str(root.tag), *_leaves(content), *scans)


def rewritten(text: str, is_known: Callable[[str], bool], rewrite: Callable[[str, str], str]) -> str:
    """Return the document anew, from the elements of known names, with each text replaced by ``rewrite``.

    It gets the name of the element or attribute, and the text.

    Raises:
        UnreadableReportError: as for ``read_comments``.
    """
    return str(tostring(_copy(_parsed(text), is_known, rewrite), encoding="unicode"))


_REGIONS = ("<ROI", "<COMP_ROI", "<TREND")
_HEAD = 1024
_BLANK = "\0 \t\r\n\ufeff"


_ATTRIBUTES = ("region", "type", "date", "time", "units", "id")


def _parsed(text: str) -> Any:
    document = text.strip(_BLANK)
    if len(document) > MOST_BYTES:
        raise UnreadableReportError(Reason.TOO_LARGE, "Image Comments (0020,4000)")
    try:
        return fromstring(document, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as broken:  # its text may quote the patient
        raise UnreadableReportError(Reason.BROKEN_RESULTS, f"Image Comments: {type(broken).__name__}") from None


def _copy(element: Any, is_known: Callable[[str], bool], rewrite: Callable[[str, str], str]) -> Any:
    copy = element.makeelement(element.tag, {})
    for name in _ATTRIBUTES:
        if name in element.attrib:
            copy.set(name, rewrite(name, element.attrib[name]))
    copy.text = rewrite(element.tag, element.text or "")
    copy.extend(
        _copy(child, is_known, rewrite) for child in element if isinstance(child.tag, str) and is_known(child.tag)
    )
    return copy


def _scan(scan: Any, performed_on: date | None, order: DateOrder | None) -> Item:
    regions: list[Item] = []
    trends: list[Item] = []
    for child in scan:
        if child.tag in ("ROI", "COMP_ROI"):
            name = child.get("region", "")
            regions.append(_container(name if child.tag == "ROI" else f"{child.tag} {name}", *_leaves(child)))
        elif child.tag == "TREND":
            name = child.get("region") or (child.findtext("TREND_ROI") or "").strip()
            trends.append(_trend(name, child))
            if child.find("TREND_ROI") is not None and not any(True for _ in scan.iterfind("ROI")):
                regions.extend(_today(name, child, performed_on, order))
    return _container(scan.get("type", ""), *_leaves(scan), *regions, *trends)


def _trend(name: str, trend: Any) -> Item:
    return _container(f"Trend {name}", *(_exam(_date(exam), exam) for exam in trend.findall("EXAM")))


def _today(name: str, trend: Any, performed_on: date | None, order: DateOrder | None) -> Iterator[Item]:
    """Yield the one exam of a trend that can be of ``performed_on``, as a region."""
    exams = [exam for exam in trend.findall("EXAM") if performed_on in possible_days(_date(exam), order)]
    if performed_on is not None and len(exams) == 1:
        yield _container(name, *_leaves(exams[0]))


def _exam(printed: str, exam: Any) -> Item:
    changes: list[Item] = []
    for change in exam.findall("CHANGE"):
        changes.append(_container(change.get("type", ""), *_leaves(change)))
    for change in exam.findall("BMD_CHANGE"):
        value = change.find("VALUE")
        if value is not None:
            changes.append(_leaf((change.findtext("TYPE") or "").strip(), value))
    return _container(printed, *_leaves(exam), *changes)


def _date(exam: Any) -> str:
    return (exam.get("date") or exam.findtext("EXAM_DATE") or "").strip()


def _leaves(element: Any) -> Iterator[Item]:
    """Yield the children of an element that hold only text."""
    for child in element:
        if len(child) == 0 and isinstance(child.tag, str):
            yield _leaf(child.tag, child)


def _leaf(name: str, element: Any) -> Item:
    """Return a number where there is a unit, else a text; a date is joined with the time beside it."""
    text, unit = (element.text or "").strip(), (element.get("units") or "").strip()
    if moment := (element.get("time") or "").strip():
        text = f"{text} {moment}"
    if unit:
        return Item(value_type="NUM", concept=_named(name), value=text, unit=Code("", "", unit))
    return Item(value_type="TEXT", concept=_named(name), value=text)


def _container(name: str, *children: Item) -> Item:
    return Item(value_type="CONTAINER", concept=_named(name), children=children)


def _named(name: str) -> Code:
    return Code("", "", name.strip())
