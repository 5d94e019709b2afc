"""Draw texts and boxes on a matplotlib figure.

matplotlib draws with settings of our own: neither a ``matplotlibrc`` file nor a locale changes a pixel.
"""

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_marks import HEIGHT, RULE_THICKNESS, WIDTH, Box, Text

matplotlib.rcdefaults()  # without the settings of a matplotlibrc
matplotlib.rcParams.update({
    "text.hinting": "no_hinting",  # so a text is as wide as it was measured
    "pdf.fonttype": 42,  # TrueType, so that text can be selected
})  # fmt: skip


def draw_text(figure: Figure, text: Text, fonts: Fonts) -> None:
    """Draw a line of text; a letter that no font has becomes a mark."""
    legible = fonts.legible(text.text)
    figure.text(
        text.x / WIDTH,
        1 - text.y / HEIGHT,
        legible,
        fontproperties=fonts.properties(legible, text.size, bold=text.bold),
        color=str(text.tone.value),
        ha="right" if text.end else "left",
        va="baseline",
        parse_math=False,  # a dollar sign does not begin a formula
    )


def draw_box(figure: Figure, box: Box) -> None:
    """Draw a filled rectangle behind everything else."""
    height = box.height or RULE_THICKNESS
    corner = box.x / WIDTH, 1 - (box.y + height) / HEIGHT
    figure.add_artist(
        Rectangle(
            corner,
            box.width / WIDTH,
            height / HEIGHT,
            transform=figure.transFigure,
            facecolor=str(box.tone.value),
            edgecolor="none",
            zorder=0,
        )
    )
