"""The rules in words cover every code and every sentence, and are those that docs/safety.md lists."""

from collections.abc import Iterator
from random import Random

import pytest

from pipeline.clinical.explanation import explain
from pipeline.clinical.model import Flag, Interpretation, Obstacle, Result
from pipeline.clinical.rule_book import OF_FLAG, OF_OBSTACLE, OF_RESULT, RULES
from pipeline.clinical.withdrawal import withdrawn
from tests.clinical.test_safety import RULES as RULES_OF_THE_PAGE
from tests.factories.adults import adult
from tests.factories.exams import exam
from tests.factories.patients import case


def test_each_rule_is_one_of_the_safety_page() -> None:
    assert set(RULES) <= set(RULES_OF_THE_PAGE)


def test_each_rule_has_a_statement_and_a_source() -> None:
    for rule in RULES.values():
        assert rule.statement.endswith(".")
        assert rule.source


def test_each_code_of_an_addendum_has_its_rules() -> None:
    assert set(OF_FLAG) == set(Flag)
    assert set(OF_OBSTACLE) == set(Obstacle)
    assert set(OF_RESULT) == set(Result)
    named = {rule for table in (OF_FLAG, OF_OBSTACLE, OF_RESULT) for rules in table.values() for rule in rules}
    assert named <= set(RULES)


def _adults() -> Iterator[Interpretation]:
    return (adult(number) for number in range(400))


def test_every_sentence_of_an_adult_is_explained_by_rules_of_the_book() -> None:
    seen: set[str] = set()
    for interpretation in _adults():
        explained = explain(interpretation)
        assert tuple(one.text for one in explained) == interpretation.conclusions
        for one in explained:
            assert one.rules, one.text
            assert set(one.rules) <= set(RULES), one.text
            seen.update(one.rules)
    assert {"R1.8", "R2.4", "R3.9", "R4.3", "R5.1", "F1", "F2", "F4"} <= seen, "the adults have every kind of sentence"


def test_every_sentence_of_any_patient_is_explained() -> None:
    """Any regions, scanners, software, scan modes, dates, contexts and LSCs."""
    for number in range(150):
        interpretation = case(Random(number)).interpretation
        explained = explain(interpretation)
        assert tuple(one.text for one in explained) == interpretation.conclusions
        assert [one.text for one in explained if not one.rules or not set(one.rules) <= set(RULES)] == []


def test_a_region_is_explained_by_its_own_numbers() -> None:
    for interpretation in _adults():
        for one in explain(interpretation):
            if one.section == "Regions" and one.text.startswith("Spine"):
                assert {finding.measurement.region.part for finding in one.findings} == {"spine"}


def test_a_suggestion_keeps_its_published_source_and_facts() -> None:
    for interpretation in _adults():
        given = {item.rule: item for item in interpretation.suggestions}
        for one in explain(interpretation):
            if one.section == "Suggestions":
                assert one.source == given[one.rules[0]].source or len(interpretation.suggestions) > len(given)
                assert one.source


@pytest.mark.parametrize("reason", ["wrong patient", "artefact"])
def test_a_withdrawn_exam_is_explained_by_the_identity_rule(reason: str) -> None:
    explained = explain(withdrawn(exam("2025-01-01", regions={"L1-L4": "0.9"}), reason))
    assert [one.rules for one in explained if one.section == "Impression"] == [("R2.19",)]
