"""Find where an object has its results: in its content tree, or in private or comment elements beside an image.

A scanner without a licence for structured reports sends images that carry the results.
"""

from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from functools import partial

from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import has_content_tree, header_text, read_tree
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.extract.hologic_private import read_document, results_document
from pipeline.sr.extract.lunar_xml import is_results, read_comments
from pipeline.sr.extract.remarks import Remarks


class ResultLocation(StrEnum):
    """Where results were found."""

    CONTENT_TREE = "the content tree"
    IMAGE_COMMENTS = "Image Comments (0020,4000)"
    PRIVATE = "Hologic's private element (0019,xx00)"


def result_locations(
    report: Elements, performed_on: Callable[[], date | None]
) -> Iterator[tuple[ResultLocation, Callable[[Remarks], Item]]]:
    """Yield each location with results, the best first, and a function that reads them as content items.

    That function raises UnreadableReportError where the results are broken or cut short.
    """
    if has_content_tree(report):
        yield ResultLocation.CONTENT_TREE, lambda _: read_tree(report)
    comments = header_text(report, "ImageComments")
    if is_results(comments):
        yield ResultLocation.IMAGE_COMMENTS, lambda _: read_comments(comments, performed_on())
    document = results_document(report)
    if document:
        yield ResultLocation.PRIVATE, partial(read_document, document)
