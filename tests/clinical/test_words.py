import ast
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical import wording
from pipeline.clinical.context import ClinicalContext
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Interpretation, Result
from pipeline.clinical.wording import comparison_basis
from tests.clinical.build import HOLOGIC, LSCS, ROOM_1, exam, measurement

D = Decimal
THEN = {"L1-L4": "0.900", "total hip left": "0.800", "femoral neck left": "0.710"}
SOURCES = [path.read_text() for path in sorted(Path(wording.__path__[0]).glob("*.py"))]
TREES = [ast.parse(source) for source in SOURCES]
RULE = re.compile(r"\b(?:R\d+(?:\.\d+)?|[CFAN]\d+|section \d)")


def follow_up() -> Interpretation:
    """A visit with everything in it: gain, loss, no change, another machine, scores, context."""
    now = exam(
        "2020-01-01",
        measurement("L1-L4", "0.864", t_score="-2.6", z_score="-1.0"),
        measurement("total hip left", "0.850", t_score="-1.2", z_score="-0.2"),
        measurement("femoral neck left", "0.700", t_score="-1.5", z_score="-0.4"),
        measurement("33% radius left", "0.600"),
    )
    history = [
        exam("2018-01-01", regions=THEN, accession_number="A7"),
        exam("2019-01-01", regions={"33% radius left": "0.610"}, scanner=HOLOGIC),
    ]
    context = ClinicalContext(recorded_on=date(2019, 1, 1), frax_hip_percent=D(2), frax_major_percent=D(11))
    return interpret(now, history, lscs=LSCS, contexts=[context])


def test_every_sentence_names_its_rule() -> None:
    """Each function and each constant of the wording names the rule behind its sentence."""
    functions = [
        node for tree in TREES for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"
    ]
    assert len(functions) > 50
    assert [f.name for f in functions if not RULE.search(ast.get_docstring(f) or "")] == []
    constants = re.findall(r"(.*)\n([A-Z_]+) = (.*)", "\n".join(SOURCES))
    assert len(constants) > 8
    assert [name for above, name, beside in constants if not RULE.search(above + beside)] == []


def test_a_follow_up_has_what_iscd_requires_in_its_order() -> None:
    """C4, C6, C7, C8, C9, F1, F2, F3, F4, C13, F5, A2, A4, A7, in the order of section 6."""
    told = follow_up().conclusions
    parts = [
        "preliminary until verified by a radiologist",
        "Scanner: GE Healthcare Lunar Prodigy (serial number DF+500475), software 16.0",
        "Spine L1-L4: BMD 0.864 g/cm2, T-score -2.6",
        "Left total hip: BMD 0.850 g/cm2, T-score -1.2",
        "Diagnostic category: osteoporosis, from the lowest T-score -2.6 (spine L1-L4)",
        "Compared with the prior exam of 2018-01-01 (accession number A7) on the same scanner",
        "Spine L1-L4: significant loss since 2018-01-01 of -0.036 g/cm2 (-4.0 %",
        "Left total hip: significant gain since 2018-01-01 of +0.050 g/cm2 (+6.3 %",
        "Left femoral neck: no significant change since 2018-01-01. LSC 0.0288 g/cm2 at 95 % confidence",
        "Left 33% radius: not compared",
        "Left 33% radius: The exam of 2019-01-01 was made on Hologic Horizon A (serial number 302081M)",
        "Overall: discordant",
        "Suggestion (R5.1",
        "Not evaluated:",
    ]
    places = [next((place for place, text in enumerate(told) if part in text), -1) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_the_instrument_is_named_even_when_it_does_not_tell_everything() -> None:
    """C4"""
    assert comparison_basis.instrument(exam("2020-01-01", software="")) == f"Scanner: {ROOM_1}."


@pytest.mark.parametrize(
    "forbidden",
    [
        r"\bmild",
        r"\bmoderate",
        r"\bmarked",
        r"bones of",
        r"year-old",
        r"bone loss",
        r"\bfemur\b",
    ],
)
def test_what_iscd_forbids_is_never_said(forbidden: str) -> None:
    """N1, N2, N4: no loss without a prior, no degrees of severity, no bones of an old woman."""
    texts = [*follow_up().conclusions, *SOURCES]
    said = [text for text in texts if re.search(forbidden, text.casefold().replace("rapid bone loss", ""))]
    assert said == []


def test_one_category_for_the_exam_and_none_for_a_region() -> None:
    """N3: no separate diagnoses."""
    told = "\n".join(follow_up().conclusions)
    assert told.count("osteoporosis, from") == 1
    assert told.count("Diagnostic category") == 1


def test_a_region_that_was_not_compared_gets_no_number_of_change() -> None:
    """N5, N6"""
    told = follow_up()
    radius = next(f for f in told.findings if str(f.measurement.region) == "33% radius left")
    assert radius.result is Result.NOT_COMPARABLE
    assert "0.610" not in "\n".join(told.conclusions)


def test_every_sentence_is_plain_text_that_a_report_can_hold() -> None:
    """PS3.3: a text value is not empty; ours is one line of ASCII."""
    for text in follow_up().conclusions:
        assert text
        assert text.isascii()
        assert text.isprintable()
        assert text[0].isupper()
        assert text[-1] == "."
