"""Draw laid-out pages with matplotlib, as grey images and as one PDF."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from pipeline.sr.render.drawing_marks import draw_box, draw_text
from pipeline.sr.render.drawing_plots import draw_chart
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_marks import HEIGHT, WIDTH, Box, Chart, Page, Text

COLUMNS = 1024
"""Width of an image in pixels."""

ROWS = round(COLUMNS * HEIGHT / WIDTH)
"""Height of an image in pixels."""


def images(pages: Sequence[Page], fonts: Fonts) -> Iterator[bytes]:
    """Yield the pixels of each page: ``ROWS`` times ``COLUMNS`` bytes, 0 is black and 255 white."""
    for page in pages:
        figure = _figure(page, fonts, accent="0.15", dpi=COLUMNS * 72 / WIDTH)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        yield bytes(canvas.buffer_rgba())[::4]  # red, green and blue are equal


def pdf(pages: Sequence[Page], fonts: Fonts, *, title: str) -> bytes:
    """Return all pages as one PDF; its text can be selected, and it holds no date."""
    stream = BytesIO()
    properties = {"Title": title, "Creator": "dxatrend", "CreationDate": None}
    with PdfPages(stream, metadata=properties) as document:
        for page in pages:
            document.savefig(_figure(page, fonts, accent="#12426e", dpi=72))
    return stream.getvalue()


def _figure(page: Page, fonts: Fonts, *, accent: str, dpi: float) -> Figure:
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=dpi, facecolor="white")
    for mark in page:
        match mark:
            case Text():
                draw_text(figure, mark, fonts)
            case Box():
                draw_box(figure, mark)
            case Chart():
                draw_chart(figure, mark, fonts, accent)
    return figure
