"""Fonts of the pages: which letters can be drawn, how wide a text is, and which glyphs it is made of.

DejaVu Sans, in ``typefaces/``, has Latin, Greek, Cyrillic, Arabic, Hebrew and other letters. HarfBuzz joins letters and
sets marks; ``bidirectional`` orders those that run from right to left. For Chinese, Japanese and Korean, whose fonts
are large, a department may name a font of its own. No other font of the machine is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import uharfbuzz

from pipeline.errors import DxatrendError
from pipeline.sr.render import bidirectional

_BUNDLED = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}

UNKNOWN = "\N{WHITE SQUARE}"
"""Drawn in place of a letter that no font has."""

NAMELESS = "(the name is in letters that this page cannot show: see Patient ID)"


class UnusableFontError(DxatrendError, ValueError):
    """A file is not a font with outlines that HarfBuzz can read."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """One glyph of a text, at its place from left to right; lengths are shares of the size of the letters.

    ``moved`` shifts it to the right and up from where the glyph before ends. ``letters`` are those it stands for,
    empty where another glyph stands for them.
    """

    number: int
    advance: float
    moved: tuple[float, float]
    letters: str


@dataclass(frozen=True, slots=True, eq=False)
class Typeface:
    """One font file."""

    path: str
    face: uharfbuzz.Face
    font: uharfbuzz.Font = field(repr=False)

    @classmethod
    def of_file(cls, path: str) -> "Typeface":
        """Open a TrueType or OpenType file, of a collection the first font.

        Raises:
            UnusableFontError: there is no such font.
        """
        try:
            face = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(path))
        except uharfbuzz.HarfBuzzError as problem:
            raise UnusableFontError(f"{path} cannot be read as a font") from problem
        if not {"glyf", "CFF ", "CFF2"} & set(face.table_tags):
            raise UnusableFontError(f"{path} cannot be read as a font")
        return cls(path, face, uharfbuzz.Font(face))

    def covers(self, text: str) -> bool:
        """Return whether the font has every letter of a text."""
        return all(self.font.get_nominal_glyph(ord(letter)) is not None for letter in text)

    def glyphs(self, text: str, *, leftwards: bool) -> Iterator[Glyph]:
        """Yield the glyphs of a text that runs one way, from left to right."""
        buffer = uharfbuzz.Buffer()
        buffer.add_codepoints([ord(letter) for letter in text])
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if leftwards else "ltr"
        uharfbuzz.shape(self.font, buffer)
        scale = 1 / self.face.upem
        clusters = sorted({info.cluster for info in buffer.glyph_infos})
        letters = {begins: text[begins:ends] for begins, ends in zip(clusters, [*clusters[1:], len(text)], strict=True)}
        for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            yield Glyph(
                number=info.codepoint,
                advance=position.x_advance * scale,
                moved=(position.x_offset * scale, position.y_offset * scale),
                letters=letters.pop(info.cluster, ""),
            )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a line of text in one font, from left to right."""

    typeface: Typeface
    glyphs: tuple[Glyph, ...]


class Fonts:
    """DejaVu Sans, regular and bold, and the department's own font for letters that it lacks."""

    def __init__(self, own: str = "") -> None:
        """Open the fonts; ``own`` is the path of a TrueType or OpenType file, or empty.

        Raises:
            UnusableFontError: there is no such font.
        """
        self._lines: dict[tuple[str, bool], tuple[Part, ...]] = {}
        self._bundled = {bold: _bundled(name) for bold, name in _BUNDLED.items()}
        self._own = Typeface.of_file(own) if own else None

    def line(self, text: str, *, bold: bool) -> tuple[Part, ...]:
        """Return the parts of a line of text from left to right; a letter that no font has becomes a mark."""
        known = self._lines.get((text, bold))
        if known is None:
            known = self._lines[text, bold] = tuple(self._parts(self.legible(text), bold=bold))
        return known

    def width(self, text: str, size: float, bold: bool) -> float:
        """Return the width of a text as it is drawn; width and size are in points."""
        return sum(glyph.advance for part in self.line(text, bold=bold) for glyph in part.glyphs) * size

    def legible(self, text: str) -> str:
        """Return a text with ``UNKNOWN`` in place of each letter that cannot be drawn."""
        fonts = [self._bundled[False], *([self._own] if self._own else [])]
        return "".join(letter if any(font.covers(letter) for font in fonts) else UNKNOWN for letter in text)

    def patient_name(self, name: str) -> str:
        """Return those of the up to three spellings of a DICOM person name (PS3.5 6.2.1) that can be drawn."""
        spellings = [" ".join(part for part in group.split("^") if part) for group in name.split("=")]
        stated = list(dict.fromkeys(spelling for spelling in spellings if spelling.strip()))
        drawn = [spelling for spelling in stated if self.legible(spelling) == spelling]
        if not stated:
            return "(no name stated)"
        return "  ".join(drawn) if drawn else NAMELESS

    def _parts(self, text: str, *, bold: bool) -> Iterator[Part]:
        fonts = (self._bundled[bold], *([self._own] if self._own else []), self._bundled[False])
        whole = next((font for font in fonts[:-1] if font.covers(text)), None)
        for run in bidirectional.runs(text):
            letters = text[run.begins : run.ends]
            chosen = [whole or next(font for font in fonts if font.covers(letter)) for letter in letters]
            ends = [n for n in range(1, len(letters)) if chosen[n] is not chosen[n - 1]]
            parts = list(zip([0, *ends], [*ends, len(letters)], strict=True))
            for begins, end in reversed(parts) if run.leftwards else parts:
                font = chosen[begins]
                yield Part(font, tuple(font.glyphs(letters[begins:end], leftwards=run.leftwards)))


@cache
def _bundled(name: str) -> Typeface:
    return Typeface.of_file(str(files(__package__) / "typefaces" / name))
