"""No text of a stranger makes a regular expression slow: each pattern of the pipeline takes a megabyte in a second."""

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import TypeGuard

import pytest

import pipeline
from pipeline.sr.dialects.concepts import Pattern as NamePattern

MEGABYTE = 2**20
PART = MEGABYTE // 64
SECONDS = 1.0
WORST = 4
"""Texts of each pattern that are tried whole."""

SEEDS = (
    *(
        "a",
        "1",
        " ",
        "\t",
        "(",
        ")",
        "[",
        "]",
        "<",
        "*",
        "*a",
        "-",
        ".",
        ",",
        "\\",
        '"',
        "=",
        "/",
        "^",
        "\x1b",
        "\n",
        "\0",
    ),
    *(
        "1.",
        "1 ",
        "a ",
        "a(",
        "(a",
        "([",
        "[(",
        "a[",
        '="',
        'a="',
        "a = ",
        "L1-",
        "L1 , ",
        "T12-L1 ",
        "12/",
        "1 a ",
        "+1",
    ),
    *(
        "(S/N",
        "(S/N ",
        "S/N:",
        "ResultsTable1[1][1] ",
        "ResultsTable1[",
        '\\"',
        "female ",
        "0.1 (1%)",
        "1(",
        "e1",
        "ISO ",
    ),
    *("$(B", "é", "ß", "İ", "\u2010", "_", ";", "x", "0", "male", "change_vs_", "1% ", "12:3", "12 mar 20", "A=\t"),
)
"""What these patterns look for, and repeat without end where they are not careful."""

BEGINNINGS = ("", "a(", '="')
ENDS = ("", "\x01")


Pattern = re.Pattern[str] | re.Pattern[bytes]


def patterns() -> Iterator[tuple[str, Pattern, bool]]:
    """Every compiled pattern of the pipeline: where it stands, and whether it is only asked where a text begins."""
    for found in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if ".migrations" in found.name:
            continue
        module = importlib.import_module(found.name)
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                asked = set(re.findall(rf"\b{name}\.(\w+)", source))
                yield f"{found.name}:{name}", value, asked <= {"fullmatch", "match"}


def slowest(pattern: Pattern, *, from_the_beginning: bool) -> tuple[float, str]:
    """The longest it takes for a megabyte of hostile text, and for which.

    Which text is worst is found out with a part of each: what is slow for a part is not tried with more.
    """
    texts = list(itertools.product(BEGINNINGS, SEEDS, ENDS))
    parts = []
    for hostile in texts:
        seconds = _seconds(pattern, *hostile, size=PART, from_the_beginning=from_the_beginning)
        if seconds > SECONDS:
            return seconds, repr(hostile)
        parts.append((seconds, hostile))
    worst = [hostile for _, hostile in sorted(parts)[-WORST:]]
    whole = [_seconds(pattern, *one, size=MEGABYTE, from_the_beginning=from_the_beginning) for one in worst]
    return max(zip(whole, map(repr, worst), strict=True))


def _seconds(pattern: Pattern, beginning: str, seed: str, end: str, *, size: int, from_the_beginning: bool) -> float:
    text = beginning + seed * (size // len(seed)) + end
    given = text.encode() if isinstance(pattern.pattern, bytes) else text
    began = time.thread_time()
    pattern.fullmatch(given)  # type: ignore[arg-type] # of the pattern's own kind
    pattern.match(given)  # type: ignore[arg-type]
    for _ in () if from_the_beginning else pattern.finditer(given):  # type: ignore[arg-type]
        pass
    return time.thread_time() - began


@pytest.mark.parametrize(
    ("where", "pattern", "from_the_beginning"), [pytest.param(*found, id=found[0]) for found in patterns()]
)
def test_a_megabyte_of_hostile_text_takes_less_than_a_second(
    where: str, pattern: Pattern, from_the_beginning: bool
) -> None:
    seconds, text = slowest(pattern, from_the_beginning=from_the_beginning)
    assert seconds < SECONDS, f"{where}: {text}"


def test_every_pattern_has_a_name_in_its_module() -> None:
    """So that the test above finds it; what is made around a value, which is escaped, cannot have one."""
    made = []
    for found in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        tree = ast.parse(inspect.getsource(importlib.import_module(found.name)))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)):
            made += [f"{found.name}:{call.lineno}" for call in ast.walk(function) if _is_of_re(call)]
    assert made == []


def _is_of_re(node: ast.AST) -> TypeGuard[ast.Call]:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=called)):
            return called != "escape" and isinstance(node.args[0], ast.Constant)
    return False


def test_a_name_with_many_stars_is_compared_in_one_go() -> None:
    name = NamePattern.of("*a" * 30 + "*b")
    began = time.thread_time()
    assert not name.fits("a" * MEGABYTE)
    assert time.thread_time() - began < SECONDS


@pytest.mark.parametrize("stars", ["*", "a*", "*a", "a*a", "a*b*c", "*a*", "*ab*", "**", "a**b", "*a*a*", "ab*ba"])
def test_a_name_with_stars_fits_as_a_regular_expression_does(stars: str) -> None:
    expression = re.compile("(.*)".join(map(re.escape, stars.split("*"))), re.DOTALL)
    for size in range(7):
        for name in map("".join, itertools.product("abc", repeat=size)):
            expected = expression.fullmatch(name)
            assert NamePattern.of(stars).rest(name) == (expected[1] if expected else None), name
