"""Text in Hebrew and Arabic stands in the order in which GNU FriBidi puts it, too."""

import subprocess
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.sr.render import bidirectional
from tests.peers import program

MARK = "\u0301"
"""HarfBuzz sets a mark on its letter; FriBidi moves it behind."""

LETTERS = (*"aZé1 27-+.,:/()[]%$&'אבגدرقم٣٤", f"א{MARK}", f"a{MARK}")
"""Of each class that the rules know: strong, weak and neutral ones, numbers, marks, brackets."""


LINES = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=24).map("".join)

MIRRORED = str.maketrans("()[]", ")(][")


def ordered(text: str) -> str:
    """The letters from left to right, with brackets turned as HarfBuzz turns them."""
    parts = ((text[run.begins : run.ends], run.leftwards) for run in bidirectional.runs(text))
    return "".join(part.translate(MIRRORED)[::-1] if leftwards else part for part, leftwards in parts)


def ordered_by_fribidi(texts: list[str]) -> list[str]:
    command = [program("fribidi"), "--nopad", "--nobreak"]
    ran = subprocess.run(command, input="\n".join(texts).encode(), capture_output=True, check=True)
    return ran.stdout.decode().split("\n")[: len(texts)]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("Doe Jane 12", "Doe Jane 12"),
        ("קבני", "ינבק"),
        ("Doe (קבני) 12-3", "Doe (ינבק) 12-3"),
        ("קבני 12.5 x", "x 12.5 ינבק"),
        ("", ""),
    ],
)
def test_what_runs_from_right_to_left_is_turned_and_a_number_in_it_is_not(text: str, drawn: str) -> None:
    assert ordered(text) == drawn


@settings(deadline=None, max_examples=30)
@given(st.lists(LINES, min_size=20, max_size=60))
@example(["(א) a", "a (א 1) ב", "א (a) 1", "[(א]) b", "א\u0301 1,2", "٣,1 a", "1% א", "א %1", "א-1", " א ", "א a  "])
def test_the_order_is_that_of_fribidi(texts: list[str]) -> None:
    texts = [text for text in texts if text.strip()]
    drawn, expected = map(ordered, texts), ordered_by_fribidi(texts)
    assert [one.replace(MARK, "") for one in drawn] == [
        normalize("NFKC", one.replace(MARK, ""))
        for one in expected  # FriBidi gives joined letters codes of their own
    ]
