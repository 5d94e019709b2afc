"""The outline of a structured report has one line per content item."""

from html.parser import HTMLParser
from textwrap import dedent

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.outline import outline, outline_html
from tests.factories.elements import elements_of
from tests.factories.reports import (
    LATERALITY,
    code_item,
    container,
    finding_site,
    group,
    measurements,
    num,
    report,
    text,
)


def test_an_outline_reads_as_the_report_does():
    left = code_item(LATERALITY, ("7771000", "SCT", "Left"))
    femoral_neck = group("femoral neck left", finding_site(("29627003", "SCT", "Neck of femur"), left), bmd="0.700")
    t_score = num("T-score", "-1.3", ("1", "UCUM", "no units"))
    sent = report(measurements(femoral_neck), t_score, text("Comment", "two\nlines"), root="Imaging Measurement Report")
    assert outline(read_tree(elements_of(sent))) == dedent(
        """\
        CONTAINER Imaging Measurement Report
          CONTAINER Imaging Measurements
            CONTAINER Measurement Group
              TEXT Tracking Identifier = femoral neck left
              CODE Finding Site = Neck of femur
                CODE Laterality = Left
              NUM  DXA Lumbar spine [Mass/Area] Bone density = 0.700 g/cm2
          NUM  T-score = -1.3
          TEXT Comment = two lines"""
    )


def test_references_are_shown_by_their_uid():
    source = text("Source of Measurement", "")
    source.ValueType = "COMPOSITE"
    sop = Dataset()
    sop.ReferencedSOPClassUID, sop.ReferencedSOPInstanceUID = "1.2.3", "4.5.6"
    source.ReferencedSOPSequence = Sequence([sop])
    assert (
        outline(read_tree(elements_of(report(source)))).splitlines()[1] == "  COMPOSITE Source of Measurement = 4.5.6"
    )


def test_what_is_missing_or_broken_is_visible():
    nameless, typeless, codeless = num("BMD", "0.9"), num("BMD", "0.9"), code_item("Side", ("1", "99X", ""))
    del nameless.ConceptNameCodeSequence
    del typeless.ValueType
    assert outline(read_tree(elements_of(report(nameless, typeless, codeless)))).splitlines()[1:] == [
        "  NUM  0.9 g/cm2",
        "  ITEM BMD [it has no Value Type (0040,A040)]",
        "  CODE Side = (1, 99X)",
    ]


def test_the_patient_in_the_header_is_not_part_of_an_outline():
    assert "Marked" not in outline(read_tree(elements_of(report(container("DXA Report")))))


def test_a_report_cannot_send_commands_to_a_terminal():
    assert "\x1b" not in outline(read_tree(elements_of(report(text("Comment", "\x1b[2J\x07")))))


class Browser(HTMLParser):
    """What a browser makes of a page: its tags, with what they carry, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert attrs == []
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.tags.append("a comment")


HOSTILE = (
    "<script>alert(1)</script>",
    "</li></ul><img src=x onerror=alert(1)>",
    "\"'><a href='javascript:alert(1)'>",
    "<!-- not seen",
    "&lt;b&gt; &amp; &#60;",
    "<style>*{display:none}</style>\x00\x1b[2J",
    "\u202e<plaintext>",
)


@pytest.mark.parametrize("words", HOSTILE)
def test_what_a_report_says_is_only_text_on_a_web_page(words: str):
    sent = report(container(words, text(words, words), code_item(words, (words[:16], "99X", words)), num(words, "0.9")))
    page = Browser(outline_html(read_tree(elements_of(sent))))
    assert set(page.tags) == {"ul", "li"}
    assert page.open == []
    assert page.texts == [line.strip() for line in outline(read_tree(elements_of(sent))).splitlines()]


def test_on_a_web_page_each_level_is_a_list_in_a_list():
    page = outline_html(read_tree(elements_of(report(container("DXA Report", text("Comment", "well"))))))
    root = "CONTAINER DXA Report"
    assert page.count("<ul><li>") == page.count("</li></ul>") == 3
    assert page.endswith(f"<ul><li>{root}<ul><li>TEXT Comment = well</li></ul></li></ul></li></ul>")
