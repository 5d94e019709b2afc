"""Do the pages show what the addenda of the sample patients say?"""

import pytest

from tests.factories import impressions, sample_exams

TOLD = {name: case.interpretation.narrative for name, case in sample_exams.cases().items()}


def test_the_impressions_on_the_page_are_those_of_the_samples() -> None:
    told = impressions.PAGE.read_text(encoding="utf-8")
    assert told == impressions.page(), "run `make impressions`, and read what it changes in docs/impressions.md"


def test_the_readme_shows_one_whole_impression() -> None:
    told = impressions.README.read_text(encoding="utf-8")
    assert told == impressions.readme(), "run `make impressions`, and read what it changes in README.md"


@pytest.mark.parametrize("name", TOLD)
def test_every_sentence_of_a_sample_is_on_the_page(name: str) -> None:
    on_the_page = " ".join(impressions.page().split())
    for sentence in TOLD[name].sentences:
        assert sentence in on_the_page
