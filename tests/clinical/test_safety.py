"""docs/safety.md has a row for every rule, and every row names the tests that cite it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAFETY = (HERE.parents[1] / "docs" / "safety.md").read_text(encoding="utf-8")

FAMILIES = {"R1.": 18, "R2.": 22, "R3.": 12, "R4.": 8, "R5.": 10, "R7.": 6, "C": 13, "F": 5, "N": 6, "A": 9}
"""How many rules each family of the specification has; R6 is its section on content, C to A."""

RULES = [f"{family}{number}" for family, count in FAMILIES.items() for number in range(1, count + 1)]
ROW = re.compile(r"^\| (?P<rule>[RCFNA]\d+(?:\.\d+)?) \| (?P<text>.+?) \| (?P<guard>.+) \|$", re.MULTILINE)
CITATION = re.compile(r"\b(R\d+\.\d+|[CFNA]\d+|V\d+b?)\b")


@cache
def rows() -> dict[str, str]:
    """What guards each rule, by the page."""
    found = [(match["rule"], match["guard"]) for match in ROW.finditer(SAFETY)]
    assert len(found) == len({rule for rule, _ in found}), "a rule has two rows"
    return dict(found)


@cache
def citations() -> dict[str, frozenset[str]]:
    """The rules and vectors that the docstrings of tests cite, by the tests' file."""
    return {file.stem: frozenset(_cited(file)) for file in HERE.glob("test_*.py") if file.stem != "test_safety"}


def _cited(file: Path) -> set[str]:
    functions = [
        node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    ]
    tests = [node for node in functions if node.name.startswith("test_")]
    return {rule for test in tests for rule in CITATION.findall(ast.get_docstring(test) or "")}


def test_every_rule_has_a_row() -> None:
    assert list(rows()) == RULES


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_guarded_by_the_tests_it_names_or_says_why_not(rule: str) -> None:
    guard = rows()[rule]
    citing = {file for file, cited in citations().items() if rule in cited}
    if guard.startswith("not guarded"):
        assert len(guard.split()) > 5, "a reason"
        assert citing == set()
    else:
        assert set(re.findall(r"`(\w+)`", guard)) == citing


SECOND_EDITION = re.compile(r"^\| (E\d+|new) \| .+? \| (.+) \|$", re.MULTILINE)


def test_every_row_of_the_second_edition_is_there_once_and_its_tests_are() -> None:
    found = SECOND_EDITION.findall(SAFETY)
    assert [row for row, _ in found] == [*(f"E{number}" for number in range(1, 25)), "new"]
    sources = [file.read_text(encoding="utf-8") for file in HERE.parent.rglob("test_*.py")]
    tests = set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.MULTILINE))
    for row, guard in found:
        named = set(re.findall(r"`(test_\w+)`", guard))
        assert named, row
        assert named <= tests, (row, named - tests)


VECTORS = [f"V{number}" for number in range(1, 31) if number != 15] + ["V1b", "V5b", "V14b"]
"""V15 and V15b are of standardised BMD, which nothing of ours computes (R4.7)."""


@pytest.mark.parametrize("vector", VECTORS)
def test_every_vector_has_a_test_of_its_name(vector: str) -> None:
    tree = ast.parse((HERE / "test_vectors.py").read_text(encoding="utf-8"))
    named = {node.name: ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert named[f"test_{vector.lower()}"].startswith(f"{vector}, ")


def test_every_rule_in_the_core_is_a_rule_of_the_specification() -> None:
    """A rule id that does not exist would look like authority."""
    core = HERE.parents[1] / "pipeline" / "clinical"
    cited = {
        rule for file in core.rglob("*.py") for rule in re.findall(r"\bR\d+\.\d+\b", file.read_text(encoding="utf-8"))
    }
    assert cited <= set(RULES)
