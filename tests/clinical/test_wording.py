"""The sentences of an addendum, by section (section 6)."""

import ast
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical import wording
from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Interpretation, Result
from pipeline.clinical.wording import comparison_basis
from tests.factories.exams import HOLOGIC, REFERENCE, ROOM_1, exam, measurement

D = Decimal
THEN = {"L1-L4": "0.900", "total hip left": "0.800", "femoral neck left": "0.710"}
SOURCES = [path.read_text() for path in sorted(Path(wording.__path__[0]).glob("*.py"))]
TREES = [ast.parse(source) for source in SOURCES]
RULE = re.compile(r"\b(?:R\d+(?:\.\d+)?|[ACEFN]\d+|section \d)")


def follow_up() -> Interpretation:
    """A visit with everything in it: gain, loss, no change, another scanner, scores, context."""
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
    return interpret(now, history, REFERENCE, contexts=[context])


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


def test_a_follow_up_has_what_iscd_requires_impression_first() -> None:
    """A2, F3, C9, then C6, C7, C8, then C4, F1, F2, F4, A4, then C13, F5, then A7: impression first (E17)."""
    sentences = follow_up().conclusions
    parts = [
        "preliminary until verified by a radiologist",
        "Discordant: significant loss since 2018-01-01 (spine -4.0 %); significant gain since 2018-01-01 (",
        "Diagnostic category: osteoporosis, lowest T-score -2.6 (spine L1-L4)",
        "Spine L1-L4: BMD 0.864 g/cm2; T-score -2.6; significant loss since prior -0.036 g/cm2",
        "Left total hip: BMD 0.850 g/cm2; T-score -1.2; significant gain since prior +0.050 g/cm2",
        "Left femoral neck (not counted): BMD 0.700 g/cm2; T-score -1.5; no significant change",
        "Left 33% radius: BMD 0.600 g/cm2; not compared",
        "Compared with 2018-01-01 (prior; accession number A7) on the same scanner, GE Healthcare Lunar Prodigy",
        "LSC (g/cm2, 95 % confidence): spine 0.023, total hip 0.027, femoral neck 0.029 (in vivo study)",
        "The exam of 2019-01-01 was made on Hologic Horizon A (serial number 302081M)",
        "Suggestion: next DXA in",
        "Not supplied:",
    ]
    places = [next((place for place, text in enumerate(sentences) if part in text), -1) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_the_instrument_is_named_even_when_it_does_not_tell_everything() -> None:
    """C4"""
    assert comparison_basis.instrument(exam("2020-01-01", software="")) == str(ROOM_1)


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
def test_what_iscd_forbids_is_never_written(forbidden: str) -> None:
    """N1, N2, N4: no loss without a prior, no degrees of severity, no bones of an old woman."""
    texts = [*follow_up().conclusions, *SOURCES]
    said = [text for text in texts if re.search(forbidden, text.casefold().replace("rapid bone loss", ""))]
    assert said == []


def test_one_category_for_the_exam_and_none_for_a_region() -> None:
    """N3: no separate diagnoses."""
    text = "\n".join(follow_up().conclusions)
    assert text.count("osteoporosis, lowest") == 1
    assert text.count("Diagnostic category") == 1


def test_a_region_that_was_not_compared_gets_no_number_of_change() -> None:
    """N5, N6"""
    interpretation = follow_up()
    radius = next(f for f in interpretation.findings if str(f.measurement.region) == "33% radius left")
    assert radius.result is Result.NOT_COMPARABLE
    assert "0.610" not in "\n".join(interpretation.conclusions)


def test_every_sentence_is_plain_text_that_a_report_can_hold() -> None:
    """PS3.3: a text value is not empty; ours is one line of ASCII."""
    for text in follow_up().conclusions:
        assert text
        assert text.isascii()
        assert text.isprintable()
        assert text[0].isupper()
        assert text[-1] == "."
