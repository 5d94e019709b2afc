"""Embed fonts in a PDF file, each cut down to the glyphs that the file shows (ISO 32000-1, 9.7 to 9.9).

A text is shown by the numbers of its glyphs; a table says which letters they stand for, so that it can be selected.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import uharfbuzz

from pipeline.sr.render.fonts import Glyph, Typeface, UnusableFontError
from pipeline.sr.render.pdf_file import PdfFile, dictionary

_UNUSED_TABLES = b"GSUB GPOS GDEF MATH BASE cmap name post OS/2 gasp kern FFTM DSIG".split()
"""Tables of a font file that a PDF does not use, as it names glyphs by their numbers (ISO 32000-1, 9.9)."""


@dataclass(slots=True)
class PdfFont:
    """A font of a file, and the glyphs used of it."""

    typeface: Typeface
    name: str
    """Of the font in the resources of a page."""
    letters: dict[int, str] = field(default_factory=dict)

    def use(self, glyphs: Iterable[Glyph]) -> None:
        """Note that the file shows these glyphs."""
        for glyph in glyphs:
            if not self.letters.get(glyph.number):
                self.letters[glyph.number] = glyph.letters

    def width(self, number: int) -> float:
        """Return the width of a glyph as the file states it, in thousandths of the size of the letters."""
        advance: float = self.typeface.font.get_glyph_h_advance(number) * 1000 / self.typeface.face.upem
        return round(advance, 1)

    def add_to(self, file: PdfFile) -> str:
        """Add the font to a file, and return its reference."""
        has_cubic_outlines = "glyf" not in self.typeface.face.table_tags
        name = f"/{_tag(self.letters)}+{_base_name(self.typeface.face)}"
        widths = " ".join(f"{number} [{self.width(number):g}]" for number in sorted(self.letters))
        descendant = {
            "Type": "/Font",
            "Subtype": "/CIDFontType0" if has_cubic_outlines else "/CIDFontType2",
            "BaseFont": name,
            "CIDSystemInfo": "<</Registry (Adobe)/Ordering (Identity)/Supplement 0>>",
            "FontDescriptor": self._add_descriptor(file, name, has_cubic_outlines=has_cubic_outlines),
            "DW": 0,
            "W": f"[{widths}]",
            **({} if has_cubic_outlines else {"CIDToGIDMap": "/Identity"}),
        }
        return file.add(
            dictionary(
                {
                    "Type": "/Font",
                    "Subtype": "/Type0",
                    "BaseFont": name,
                    "Encoding": "/Identity-H",
                    "DescendantFonts": f"[{file.add(dictionary(descendant))}]",
                    "ToUnicode": file.add_stream(_letters_of_glyphs(self.letters)),
                }
            )
        )

    def _add_descriptor(self, file: PdfFile, name: str, *, has_cubic_outlines: bool) -> str:
        face = _subset(self.typeface.face, self.letters)
        per_thousand = 1000 / face.upem
        box = struct.unpack(">4h", face.reference_table("head").data[36:44])
        extents = self.typeface.font.get_font_extents("ltr")
        outlines = face.reference_table("CFF ").data if has_cubic_outlines else face.blob.data
        if not outlines:
            raise UnusableFontError(f"{self.typeface.path} has outlines of a kind that a PDF cannot hold")
        if has_cubic_outlines:
            program = {"FontFile3": file.add_stream(outlines, {"Subtype": "/CIDFontType0C"})}
        else:
            program = {"FontFile2": file.add_stream(outlines, {"Length1": len(outlines)})}
        values = {
            "Type": "/FontDescriptor",
            "FontName": name,
            "Flags": 4,  # glyphs beyond the standard Latin ones
            "FontBBox": f"[{' '.join(f'{length * per_thousand:.0f}' for length in box)}]",
            "ItalicAngle": 0,
            "Ascent": round(extents.ascender * per_thousand),
            "Descent": round(extents.descender * per_thousand),
            "CapHeight": round(extents.ascender * per_thousand),
            "StemV": 80,
        }
        return file.add(dictionary({**values, **program}))


def _subset(face: uharfbuzz.Face, letters: Mapping[int, str]) -> uharfbuzz.Face:
    """Return a font with the outlines of these glyphs alone, under the numbers that they have."""
    wanted = uharfbuzz.SubsetInput()
    wanted.glyph_set.update(letters)
    wanted.flags = (
        uharfbuzz.SubsetFlags.RETAIN_GIDS
        | uharfbuzz.SubsetFlags.NO_HINTING
        | uharfbuzz.SubsetFlags.NO_LAYOUT_CLOSURE
        | uharfbuzz.SubsetFlags.CFF_IDENTITY_CHARSET
        | uharfbuzz.SubsetFlags.DOWNGRADE_CFF2
    )
    wanted.drop_table_tag_set.update(int.from_bytes(tag) for tag in _UNUSED_TABLES)
    wanted.pin_all_axes_to_default(face)
    try:
        return wanted.subset(face)
    except RuntimeError as problem:
        raise UnusableFontError("a font cannot be cut down to the letters that are shown") from problem


def _tag(letters: Mapping[int, str]) -> str:
    """Return the six letters that mark a font as cut down, from the glyphs that it has."""
    number = sum((place + 1) * glyph for place, glyph in enumerate(sorted(letters)))
    return "".join(chr(65 + number // 26**place % 26) for place in range(6))


def _base_name(face: uharfbuzz.Face) -> str:
    return _NOT_IN_A_NAME.sub("", face.get_name(uharfbuzz.OTNameIdPredefined.POSTSCRIPT_NAME) or "") or "Font"


def _letters_of_glyphs(letters: Mapping[int, str]) -> bytes:
    """Return the table of the letters that glyphs stand for (ISO 32000-1, 9.10.3)."""
    known = [(number, text) for number, text in sorted(letters.items()) if text]
    lines = [f"<{number:04X}> <{text.encode('utf-16-be').hex().upper()}>" for number, text in known]
    blocks = [lines[start : start + 100] for start in range(0, len(lines), 100)]
    mapped = "\n".join(f"{len(block)} beginbfchar\n{chr(10).join(block)}\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo <</Registry (Adobe)/Ordering (UCS)/Supplement 0>> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n{mapped}\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()


_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9-]")
