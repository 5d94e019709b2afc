"""The pages and the README's picture show what the addenda of the sample patients say."""

import numpy as np
import pytest
from PIL import Image

from tests.factories import impressions, sample_exams
from tests.folders import ROOT

NARRATIVES = {name: case.interpretation.narrative for name, case in sample_exams.cases().items()}


def test_the_impressions_on_the_page_are_those_of_the_samples() -> None:
    shown = impressions.PAGE.read_text(encoding="utf-8")
    assert shown == impressions.page(), "run `make impressions`, and read what it changes in docs/impressions.md"


def test_the_readme_shows_an_impression() -> None:
    shown = impressions.README.read_text(encoding="utf-8")
    assert shown == impressions.readme(), "run `make impressions`, and read what it changes in README.md"


def test_the_readme_shows_the_page_of_that_addendum() -> None:
    """Machines may differ in the last bit of a pixel, not in a letter."""
    assert f"]({impressions.PICTURE.relative_to(ROOT)})" in impressions.README.read_text(encoding="utf-8")
    shown = np.asarray(Image.open(impressions.PICTURE), np.int16)
    difference = np.abs(shown - impressions.picture())
    assert difference.max() <= 2, "run `make impressions`, and look at what it changes in docs/addendum-page.png"


@pytest.mark.parametrize("name", NARRATIVES)
def test_every_sentence_of_a_sample_is_on_the_page(name: str) -> None:
    on_the_page = " ".join(impressions.page().split())
    for sentence in NARRATIVES[name].sentences:
        assert sentence in on_the_page
