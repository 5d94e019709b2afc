"""Fonts of the pages: which letters can be drawn, and how wide a text is.

matplotlib's own DejaVu Sans has Latin, Greek, Cyrillic, Arabic, Hebrew and other letters; it joins and orders those
that run from right to left. For Chinese, Japanese and Korean, whose fonts are large, a department may name a font of
its own. No other font of the machine is used.
"""

from functools import cache

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font, LoadFlags

from pipeline.errors import DxatrendError

_BUNDLED = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}

_MEASURED_AT = 64.0
"""Size in points at which widths are measured; without hinting they are proportional to the size."""

UNKNOWN = "\N{WHITE SQUARE}"
"""Drawn in place of a letter that no font has."""

NAMELESS = "(the name is in letters that this page cannot show: see Patient ID)"


class UnusableFontError(DxatrendError, ValueError):
    """A file is not a font that matplotlib can read."""


class Fonts:
    """DejaVu Sans, regular and bold, and the department's own font for letters that it lacks."""

    def __init__(self, own: str = "") -> None:
        """Open the fonts; ``own`` is the path of a TrueType or OpenType file, or empty.

        Raises:
            UnusableFontError: there is no such font.
        """
        self._widths: dict[tuple[str, bool], float] = {}
        self._bundled = {bold: _font(_path(name)) for bold, name in _BUNDLED.items()}
        try:
            self._own = _font(own) if own else None
        except (OSError, RuntimeError) as problem:
            raise UnusableFontError(f"{own} cannot be read as a font") from problem

    def properties(self, text: str, size: float, *, bold: bool) -> FontProperties:
        """Return the font that draws a text."""
        return FontProperties(fname=self._for(text, bold=bold).fname, size=size)  # type: ignore[arg-type] # a str, as given

    def width(self, text: str, size: float, bold: bool) -> float:
        """Return the width of a text as it is drawn; width and size are in points."""
        known = self._widths.get((text, bold))
        if known is None:
            legible = self.legible(text)
            font = self._for(legible, bold=bold)
            font.set_size(_MEASURED_AT, 72)
            font.set_text(legible, flags=LoadFlags.NO_HINTING)
            known = self._widths[text, bold] = font.get_width_height()[0] / 64 / _MEASURED_AT
        return known * size

    def legible(self, text: str) -> str:
        """Return a text with ``UNKNOWN`` in place of each letter that cannot be drawn."""
        if self._covers(self._bundled[False], text) or (self._own and self._covers(self._own, text)):
            return text
        return "".join(letter if self._covers(self._bundled[False], letter) else UNKNOWN for letter in text)

    def patient_name(self, name: str) -> str:
        """Return those of the up to three spellings of a DICOM person name (PS3.5 6.2.1) that can be drawn."""
        spellings = [" ".join(part for part in group.split("^") if part) for group in name.split("=")]
        stated = list(dict.fromkeys(spelling for spelling in spellings if spelling.strip()))
        drawn = [spelling for spelling in stated if self.legible(spelling) == spelling]
        if not stated:
            return "(no name stated)"
        return "  ".join(drawn) if drawn else NAMELESS

    def _for(self, text: str, *, bold: bool) -> FT2Font:
        usual = self._bundled[bold]
        return self._own if self._own and not self._covers(usual, text) else usual

    @staticmethod
    def _covers(font: FT2Font, text: str) -> bool:
        return all(font.get_char_index(ord(letter)) for letter in text)


@cache
def _path(name: str) -> str:
    return f"{matplotlib.get_data_path()}/fonts/ttf/{name}"


def _font(path: str) -> FT2Font:
    return FT2Font(path)
