"""Where in an object do its results stand: in the content tree, or beside one that the scanner had no licence for?"""

from collections.abc import Callable, Iterator
from datetime import date
from enum import StrEnum
from functools import partial

from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import has_content_tree, header_text, read_tree
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.extract.hologic_private import read_document, results_document
from pipeline.sr.extract.lunar_xml import is_results, read_comments
from pipeline.sr.extract.remarks import Notes


class Place(StrEnum):
    """Where results were found."""

    CONTENT_TREE = "the content tree"
    IMAGE_COMMENTS = "Image Comments (0020,4000)"
    PRIVATE = "Hologic's private element (0019,xx00)"


def places(
    report: Elements, performed_on: Callable[[], date | None]
) -> Iterator[tuple[Place, Callable[[Notes], Item]]]:
    """Each place that holds results, the best first, and how to read them there as content items.

    Reading raises UnreadableReportError where they cannot be read to their end.
    """
    if has_content_tree(report):
        yield Place.CONTENT_TREE, lambda _: read_tree(report)
    comments = header_text(report, "ImageComments")
    if is_results(comments):
        yield Place.IMAGE_COMMENTS, lambda _: read_comments(comments, performed_on())
    document = results_document(report)
    if document:
        yield Place.PRIVATE, partial(read_document, document)
