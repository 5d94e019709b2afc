"""Turn the pages of a PDF into grey images, with PDFium."""

import threading
from collections.abc import Iterator

import pypdfium2
from PIL import Image
from pypdfium2 import raw

from pipeline.sr.render.page_marks import HEIGHT, WIDTH

COLUMNS = 1024
"""Width of an image in pixels."""

ROWS = round(COLUMNS * HEIGHT / WIDTH)
"""Height of an image in pixels."""

_FINER = 3
"""Columns drawn for each of an image: PDFium sets letters to whole ones, and words would be spaced unevenly."""

_PDFIUM = threading.Lock()
"""PDFium serves one thread at a time."""


def images(document: bytes) -> list[bytes]:
    """Return the pixels of each page of a PDF: ``ROWS`` times ``COLUMNS`` bytes, 0 is black and 255 white."""
    with _PDFIUM, pypdfium2.PdfDocument(document) as opened:
        return list(_drawn(opened))


def _drawn(document: pypdfium2.PdfDocument) -> Iterator[bytes]:
    columns = COLUMNS * _FINER
    for page in document:
        bitmap = pypdfium2.PdfBitmap.new_native(columns, ROWS, raw.FPDFBitmap_Gray)
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, columns, ROWS)
        raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, columns, ROWS, 0, raw.FPDF_GRAYSCALE)
        drawn = Image.frombuffer("L", (columns, ROWS), bitmap.buffer, "raw", "L", 0, 1)
        yield drawn.reduce((_FINER, 1)).tobytes()
        page.close()
