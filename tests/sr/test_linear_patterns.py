"""No text of a stranger makes a regular expression slow: each pattern of the pipeline takes a megabyte in a second."""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

import pipeline

MEGABYTE = 2**20
PART = MEGABYTE // 64
SECONDS = 1.0

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
    """The longest it takes for a hostile text, and for which; what is slow for a small text is not tried with more."""
    worst = (0.0, "")
    for seed in SEEDS:
        for beginning in BEGINNINGS:
            for end in ENDS:
                worst = max(worst, _seconds(pattern, beginning, seed, end, from_the_beginning=from_the_beginning))
                if worst[0] > SECONDS:
                    return worst
    return worst


def _seconds(pattern: Pattern, beginning: str, seed: str, end: str, *, from_the_beginning: bool) -> tuple[float, str]:
    """What a megabyte takes, judged by a part of it: a pattern that is not linear takes too long for that already."""
    text = beginning + seed * (PART // len(seed)) + end
    given = text.encode() if isinstance(pattern.pattern, bytes) else text
    began = time.thread_time()
    pattern.fullmatch(given)  # type: ignore[arg-type] # of the pattern's own kind
    pattern.match(given)  # type: ignore[arg-type]
    for _ in () if from_the_beginning else pattern.finditer(given):  # type: ignore[arg-type]
        pass
    return (time.thread_time() - began) * MEGABYTE / PART, repr(f"{beginning}{seed}...{end}")


@pytest.mark.parametrize(
    ("where", "pattern", "from_the_beginning"), [pytest.param(*found, id=found[0]) for found in patterns()]
)
def test_a_megabyte_of_hostile_text_takes_less_than_a_second(
    where: str, pattern: Pattern, from_the_beginning: bool
) -> None:
    seconds, text = slowest(pattern, from_the_beginning=from_the_beginning)
    assert seconds < SECONDS, f"{where}: {text}"
