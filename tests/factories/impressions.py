"""Impressions of the sample patients: docs/impressions.md, and one addendum in the README, as text and as a page.

``make impressions`` writes them; ``tests/test_impressions.py`` holds them.
"""

import math
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.model import Narrative
from pipeline.sr.author.addendum import author
from pipeline.sr.dicom.content_tree import read_instance
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.instances import author_renderings
from tests.factories import sample_exams
from tests.factories.elements import elements_of
from tests.folders import ROOT, SAMPLES

PAGE = ROOT / "docs" / "impressions.md"
PICTURE = ROOT / "docs" / "addendum-page.png"
README = ROOT / "README.md"
SHOWN_IN_README = "02-spine-loss 2023-12-06"

BEGIN, END = "<!-- impression: from sample_dicom -->\n", "<!-- end of impression -->\n"

HEAD = """\
# What the addenda of the sample patients say

For a clinician to review without installing anything: each text is what an addendum to a sample
patient's exam says, from the preliminary mark to the inputs not supplied. The patients are invented
([sample_dicom](../sample_dicom)), and so are their least significant changes. Nothing is known of
them but their reports, so there is no clinical history. The addendum itself has no headings.
`make impressions` writes this page.
"""

SECTIONS = {
    "Regions": "findings",
    "Comparison": "basis",
    "Cautions": "cautions",
    "Suggestions": "suggestions",
}


def page() -> str:
    """The whole of docs/impressions.md."""
    shows = _what_samples_show()
    narratives = {name: case.interpretation.narrative for name, case in sample_exams.cases().items()}
    parts = [HEAD]
    for folder, names in groupby(narratives, key=lambda name: name.partition(" ")[0]):
        parts.append(f"## {folder}\n\n{_filled(shows[folder])}\n")
        parts += [f"### {folder}, exam of {name.partition(' ')[2]}\n\n{as_text(narratives[name])}" for name in names]
    return "\n".join(parts)


def readme() -> str:
    """Return the README with the impression of one addendum in its place."""
    before, begin, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, "the README has no place for an impression"
    narrative = sample_exams.cases()[SHOWN_IN_README].interpretation.narrative
    return f"{before}{begin}\n{_filled(' '.join(narrative.impression), '> ')}\n\n{end}{after}"


def picture() -> NDArray[np.uint8]:
    """Draw the first page of the README's addendum: grey levels, rows by columns."""
    case = sample_exams.cases()[SHOWN_IN_README]
    addendum = author(
        case.interpretation,
        sources=[*map(elements_of, case.sources)],
        priors=[*map(elements_of, case.priors)],
    )
    image, *_ = author_renderings(addendum, case.interpretation, case.history, ["image"], Fonts())
    rendering = read_instance(image.data_set, ExplicitVRLittleEndian)
    shape = rendering.Rows, rendering.Columns
    return np.frombuffer(rendering.PixelData, np.uint8, count=math.prod(shape)).reshape(shape)


def as_text(narrative: Narrative) -> str:
    """One addendum's text with a heading before each section."""
    return "\n".join([_filled(" ".join(narrative.status), "> "), *_sections(narrative)])


def _sections(narrative: Narrative) -> Iterator[str]:
    yield f"\n**Impression**\n\n{_filled(' '.join(narrative.impression))}"
    for title, name in SECTIONS.items():
        if texts := getattr(narrative, name):
            yield "\n".join([f"\n**{title}**\n", *(_filled(text, "- ") for text in texts)])
    yield "".join(f"\n{_filled(text)}\n" for text in narrative.not_supplied)


def _filled(text: str, mark: str = "") -> str:
    """Lines of at most 100 columns."""
    following = mark if mark == "> " else " " * len(mark)
    return textwrap.fill(
        text, 100, initial_indent=mark, subsequent_indent=following, break_on_hyphens=False, break_long_words=False
    )


def _what_samples_show() -> dict[str, str]:
    """What each folder shows, from the table in their README."""
    table = (SAMPLES / "README.md").read_text(encoding="utf-8")
    return {folder: shows for folder, shows in re.findall(r"^\| `([\w-]+)` \| [^|]* \| (.*) \|$", table, re.MULTILINE)}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
    Image.fromarray(picture()).save(PICTURE, optimize=True)
