"""Marks of charts: texts are escaped, labels do not overlap, and nothing has a style of its own."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxatrend.desk.charts import svg
from dxatrend.desk.charts.svg import Area, Box, Scale

AREA = Area(50, 20, 590, 250)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(NAMES)
def test_any_text_stays_a_text(text: str) -> None:
    drawn = svg.label(1, 2, text, "chart-name", title=text)
    root = ET.fromstring(drawn)
    assert [one.tag for one in root.iter()] in (["text", "title"], ["text"])
    assert "".join(root.itertext()).isprintable()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '" onload="x', "</svg><img>", "\u202eabc"])
def test_a_hostile_text_is_drawn_as_it_is_written(text: str) -> None:
    drawn = svg.chart("c", size=(10, 10), title=text, description=text, marks=[svg.label(0, 0, text, "a")])
    root = ET.fromstring(drawn)
    assert {one.tag for one in root.iter()} == {"svg", "title", "desc", "text"}
    assert root[2].text == text.replace("\u202e", " ")


def test_no_mark_has_a_style_a_colour_or_a_script() -> None:
    marks = [svg.mark(shape, 5, 5, "chart-scan", "tip") for shape in ("circle", "ring", *svg.SHAPES)]
    marks += [svg.value_axis(AREA, Scale(0, 1, 250, 20), [(0.5, "0.5")], "g"), svg.rectangle(0, 0, 1, 1, "a")]
    drawn = svg.chart("c", size=(600, 300), title="t", description="d", marks=marks)
    assert not re.search(r"style=|fill=|stroke|font|<script|on\w+=", drawn)


def test_a_chart_has_a_name_and_a_description() -> None:
    root = ET.fromstring(svg.chart("bmd", size=(10, 20), title="BMD", description="It fell.", marks=[]))
    assert root.get("role") == "img"
    named = {one.get("id"): one.text for one in root}
    assert [named[one] for one in str(root.get("aria-labelledby")).split()] == ["BMD", "It fell."]


@given(st.lists(st.tuples(st.floats(50, 590), st.text("abc ", min_size=1, max_size=60)), max_size=12))
def test_labels_of_rules_do_not_overlap_and_stay_in_the_area(labels: list[tuple[float, str]]) -> None:
    placed = svg.in_lanes(labels, AREA)
    assert len(placed) == len(labels)
    for number, one in enumerate(placed):
        assert AREA.left <= one.begins
        assert one.begins + svg.text_width(one.text) <= AREA.right + 0.001
        for other in placed[:number]:
            apart = (
                other.begins + svg.text_width(other.text) <= one.begins
                or one.begins + svg.text_width(one.text) <= other.begins
            )
            assert other.lane != one.lane or apart


def test_a_label_beside_a_mark_covers_nothing_that_is_taken() -> None:
    taken = [Box(100, 95, 300, 105)]
    x, y = svg.beside(95, 100, "prior", taken, AREA)
    own = taken[-1]
    assert not own.overlaps(taken[0])
    assert (own.left, own.bottom - svg.TEXT * 0.15) == (x, y)


def test_a_text_of_wide_letters_counts_as_wide() -> None:
    assert svg.text_width("漢" * 10) > svg.text_width("a" * 10)
    assert svg.text_width(svg.shortened("漢" * 64, 200)) <= 200


def test_a_value_outside_the_limits_is_at_the_nearer_end() -> None:
    scale = Scale(0, 10, 100, 0)
    assert (scale(5), scale.within(-3), scale.within(99)) == (50, 100, 0)
