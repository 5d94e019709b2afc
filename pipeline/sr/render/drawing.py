"""Draw laid-out pages as one PDF (ISO 32000-1): its text can be selected, and it holds no date."""

from collections.abc import Iterable, Iterator, Sequence

from pipeline.sr.render.fonts import Fonts, Glyph
from pipeline.sr.render.page_marks import (
    HEIGHT,
    RULE_THICKNESS,
    WIDTH,
    Box,
    Chart,
    Disc,
    Line,
    Mark,
    Page,
    Polygon,
    Text,
    Tone,
)
from pipeline.sr.render.pdf_file import PdfFile, dictionary, string
from pipeline.sr.render.pdf_fonts import PdfFont
from pipeline.sr.render.plot_marks import chart_marks

_ACCENT = "0.071 0.259 0.431"
"""The blue of the scans that are compared, in red, green and blue."""


def pdf(pages: Sequence[Page], fonts: Fonts, *, title: str) -> bytes:
    """Return all pages as one PDF; the same pages make the same bytes."""
    file, shown = PdfFile(), _ShownFonts(fonts)
    folder = file.reserve()
    contents = [file.add_stream(_content(page, fonts, shown)) for page in pages]
    resources = file.add(dictionary({"Font": shown.add_to(file)}))
    size = f"[0 0 {WIDTH:g} {HEIGHT:g}]"
    page_of = {"Type": "/Page", "Parent": folder, "MediaBox": size, "Resources": resources}
    kids = " ".join(file.add(dictionary({**page_of, "Contents": content})) for content in contents)
    file.put(folder, dictionary({"Type": "/Pages", "Kids": f"[{kids}]", "Count": len(contents)}))
    catalogue = {"Type": "/Catalog", "Pages": folder, "Lang": "(en)", "ViewerPreferences": "<</DisplayDocTitle true>>"}
    properties = {"Title": string(title), "Creator": string("dxatrend")}
    return file.written(catalogue=file.add(dictionary(catalogue)), information=file.add(dictionary(properties)))


class _ShownFonts:
    """The fonts that a file shows texts in."""

    def __init__(self, fonts: Fonts) -> None:
        self._fonts = fonts
        self._shown: dict[str, PdfFont] = {}

    def line(self, text: str, *, bold: bool) -> Iterator[tuple[PdfFont, tuple[Glyph, ...]]]:
        for part in self._fonts.line(text, bold=bold):
            font = self._shown.setdefault(part.typeface.path, PdfFont(part.typeface, f"F{len(self._shown) + 1}"))
            font.use(part.glyphs)
            yield font, part.glyphs

    def add_to(self, file: PdfFile) -> bytes:
        return dictionary({font.name: font.add_to(file) for font in self._shown.values()})


def _content(page: Page, fonts: Fonts, shown: _ShownFonts) -> bytes:
    """Return the operators that draw a page; the filled boxes of a page lie behind everything else."""
    behind = [mark for mark in page if isinstance(mark, Box)]
    others = [mark for mark in page if not isinstance(mark, Box)]
    drawn = (operator for mark in (*behind, *_plain(others, fonts)) for operator in _operators(mark, fonts, shown))
    return "\n".join(("1 j", *drawn)).encode()


def _plain(marks: Iterable[Mark | Chart], fonts: Fonts) -> Iterator[Mark]:
    for mark in marks:
        if isinstance(mark, Chart):
            yield from chart_marks(mark, fonts.width)
        else:
            yield mark


def _operators(mark: Mark, fonts: Fonts, shown: _ShownFonts) -> Iterator[str]:
    match mark:
        case Text():
            yield from _text(mark, fonts, shown)
        case Box():
            height = mark.height or RULE_THICKNESS
            yield f"{_colour(mark.tone)} {mark.x:.2f} {HEIGHT - mark.y - height:.2f} {mark.width:.2f} {height:.2f} re f"
        case Line():
            dashes = " ".join(f"{length:g}" for length in mark.dashes)
            path = _path(mark.places)
            yield f"{_colour(mark.tone, stroked=True)} {mark.thickness:g} w [{dashes}] 0 d {path} S"
        case Polygon():
            yield f"{_filled_and_edged(mark.fill, mark.tone, mark.edge)} {_path(mark.places)} b"
        case Disc():
            yield f"{_filled_and_edged(mark.fill, mark.tone, mark.edge)} {_circle(mark)} b"


def _text(text: Text, fonts: Fonts, shown: _ShownFonts) -> Iterator[str]:
    back = fonts.width(text.text, text.size, text.bold) if text.end else 0.0
    if text.upright:
        matrix = f"0 1 -1 0 {text.x:.2f} {HEIGHT - text.y - back:.2f}"
    else:
        matrix = f"1 0 0 1 {text.x - back:.2f} {HEIGHT - text.y:.2f}"
    yield f"{_colour(text.tone)} BT {matrix} Tm"
    for font, glyphs in shown.line(text.text, bold=text.bold):
        yield f"/{font.name} {text.size:g} Tf"
        yield from _glyphs(font, glyphs, text.size)
    yield "ET"


def _glyphs(font: PdfFont, glyphs: Sequence[Glyph], size: float) -> Iterator[str]:
    """Yield the operators that show glyphs where HarfBuzz has put them; a reader alone would go on by their widths."""
    parts: list[str] = []
    raised, reached, pen = 0.0, 0.0, 0.0
    for glyph in glyphs:
        across, up = glyph.moved
        if up != raised:
            yield f"[{''.join(parts)}] TJ {up * size:.3f} Ts"
            parts, raised = [], up
        back = round((reached - pen - across) * 1000, 1)
        if back:
            parts.append(f" {back:g} ")
        parts.append(f"<{glyph.number:04X}>")
        reached += font.width(glyph.number) / 1000 - back / 1000
        pen += glyph.advance
    back = round((reached - pen) * 1000, 1)
    yield f"[{''.join(parts)}{f' {back:g}' if back else ''}] TJ" + (" 0 Ts" if raised else "")


def _colour(tone: Tone, *, stroked: bool = False) -> str:
    operators = ("RG", "G") if stroked else ("rg", "g")
    return f"{_ACCENT} {operators[0]}" if tone is Tone.ACCENT else f"{tone.value:g} {operators[1]}"


def _filled_and_edged(fill: Tone, tone: Tone, edge: float) -> str:
    return f"{_colour(fill)} {_colour(tone, stroked=True)} {edge:g} w [] 0 d"


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f} {HEIGHT - y:.2f} {'l' if number else 'm'}" for number, (x, y) in enumerate(places))


_ARC = 0.5523
"""Distance of the control points of a Bézier curve that is nearly a quarter of a circle, as a share of the radius."""


def _circle(disc: Disc) -> str:
    (x, y), r = (disc.place[0], HEIGHT - disc.place[1]), disc.radius
    k = _ARC * r
    quarters = (
        (x + r, y + k, x + k, y + r, x, y + r),
        (x - k, y + r, x - r, y + k, x - r, y),
        (x - r, y - k, x - k, y - r, x, y - r),
        (x + k, y - r, x + r, y - k, x + r, y),
    )
    curves = " ".join(f"{' '.join(f'{length:.3f}' for length in quarter)} c" for quarter in quarters)
    return f"{x + r:.3f} {y:.3f} m {curves}"
