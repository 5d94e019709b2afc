"""The scanner's own trend is compared with ours, and no result rests on it."""

from collections.abc import Collection
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.interpret import HistoryDoubts, interpret
from pipeline.clinical.model import Caution, Flag, Interpretation
from pipeline.clinical.regions import parse_region
from pipeline.clinical.vendor_trend import TrendPoint
from tests.factories.exams import HOLOGIC, REFERENCE, day, exam

D = Decimal

THEN, NOW = "2022-03-01", "2024-03-01"


def point(on: str, bmd: str | None = None, *, region: str = "L1-L4", **more: Any) -> TrendPoint:
    """What a scanner lists of one day, or of either of two."""
    days = tuple(map(day, on.split(" or ")))
    printed: dict[str, Any] = {name: D(value) for name, value in more.items()}
    return TrendPoint(region=parse_region(region), printed_date=on, days=days, bmd=D(bmd) if bmd else None, **printed)


def followed_up(
    *trend: TrendPoint, now: str = "0.872", then: str = "0.900", held: Collection[date] = ()
) -> Interpretation:
    """A spine of 0.900 and, two years later, of 0.872 g/cm2: -0.028 g/cm2, -3.1 %, with an LSC of 0.0223."""
    earlier = exam(THEN, regions={"L1-L4": then})
    doubts = HistoryDoubts(held=held)
    return interpret(exam(NOW, regions={"L1-L4": now}), [earlier], REFERENCE, vendor_trend=trend, doubts=doubts)


def cautions(interpretation: Interpretation, flag: Flag) -> list[Caution]:
    return [caution for caution in interpretation.cautions if caution.flag is flag]


@pytest.mark.parametrize(
    ("printed", "agrees"),
    [
        ({"since_previous": "-0.028"}, True),
        ({"since_previous": "-0.029"}, True),
        ({"since_previous": "-0.030"}, False),
        ({"since_previous_percent": "-3.1"}, True),
        ({"since_previous_percent": "-3.2"}, True),
        ({"since_previous_percent": "-2.1"}, False),
        ({"since_previous_percent": "-3"}, True),
        ({"since_previous_percent": "-4"}, False),
        ({"since_previous": "-0.028", "since_previous_percent": "-2.1"}, False),
        ({"since_baseline": "-0.100"}, True),
        ({"bmd": "0.872"}, True),
        ({"bmd": "0.860"}, False),
    ],
)
def test_another_change_than_ours_is_flagged_and_one_within_rounding_is_not(
    printed: dict[str, str], agrees: bool
) -> None:
    """Section 5.1: a vendor's trend is only compared, and a mismatch reported."""
    interpretation = followed_up(point(THEN, "0.900"), point(NOW, printed.pop("bmd", None), **printed))
    assert (cautions(interpretation, Flag.VENDOR_DISAGREES) == []) is agrees


def test_both_numbers_stand_beside_each_other_and_the_result_stays() -> None:
    """F3, A6: what the scanner says and what we say, in one sentence."""
    interpretation = followed_up(point(THEN, "0.900"), point(NOW, "0.872", since_previous_percent="-2.1"))
    (caution,) = cautions(interpretation, Flag.VENDOR_DISAGREES)
    assert "-2.1 %, here it is -0.028 g/cm2 (-3.1 %)" in caution.text
    assert caution.text in interpretation.conclusions
    without = followed_up()
    assert (interpretation.overall, interpretation.findings) == (without.overall, without.findings)


def test_a_change_that_is_not_significant_stays_without_numbers() -> None:
    """N6: also where the scanner prints one."""
    interpretation = followed_up(point(THEN, "0.900"), point(NOW, "0.890", since_previous_percent="-3.1"), now="0.890")
    (caution,) = cautions(interpretation, Flag.VENDOR_DISAGREES)
    assert "%" not in caution.text
    assert "g/cm2" not in caution.text


@pytest.mark.parametrize(
    "trend",
    [
        (point("2023-03-01", "0.880"), point(THEN, "0.900"), point(NOW, since_previous="-0.008")),
        (point(f"{THEN} or 2022-01-03"), point("2022-06-04 or 2022-04-06"), point(NOW, since_previous="-0.5")),
        (point("2021-03-01", "0.900"), point(NOW, since_previous="-0.5")),
        (point(THEN, "0.900", region="L2-L4"), point(NOW, region="L2-L4", since_previous="-0.5")),
        (point(THEN, "0.900"), point("2024-03-02", since_previous="-0.5")),
    ],
)
def test_a_change_since_another_exam_than_our_prior_is_no_mismatch(trend: tuple[TrendPoint, ...]) -> None:
    assert cautions(followed_up(*trend), Flag.VENDOR_DISAGREES) == []


def test_an_ambiguous_date_that_may_be_our_priors_is_taken_for_it() -> None:
    ambiguous = point("2022-03-01 or 2022-01-03", "0.900")
    interpretation = followed_up(ambiguous, point(NOW, since_previous="-0.010"))
    assert len(cautions(interpretation, Flag.VENDOR_DISAGREES)) == 1
    assert cautions(interpretation, Flag.NOT_ON_FILE) == []


def test_across_two_scanners_nothing_is_checked() -> None:
    """R2.10: what a cross-calibration foretells is no number of the scanner's."""
    other = exam(THEN, regions={"L1-L4": "0.900"}, scanner=HOLOGIC)
    trend = (point(THEN, "0.900"), point(NOW, since_previous="-0.5"))
    interpretation = interpret(exam(NOW, regions={"L1-L4": "0.872"}), [other], REFERENCE, vendor_trend=trend)
    assert cautions(interpretation, Flag.VENDOR_DISAGREES) == []


def test_exams_in_the_scanners_trend_that_are_not_on_file_are_flagged() -> None:
    """F4: an exam made on another scanner, or before ours, may be the prior a reader has in mind."""
    years = [point(f"{year}-03-01", "0.950") for year in range(2010, 2022)]
    interpretation = followed_up(
        *years, point(THEN, "0.900"), point(NOW, "0.872"), point("2009-01-01", region="total hip left")
    )
    (caution,) = cautions(interpretation, Flag.NOT_ON_FILE)
    assert "2021-03-01, 2020-03-01, 2019-03-01, 2018-03-01, 2017-03-01 and 7 more" in caution.text


def test_an_earlier_exam_that_is_held_is_flagged_and_not_listed_as_missing() -> None:
    """R2.19: a held exam is not compared with, and a caution says so."""
    held = (date(2023, 1, 1), date(2025, 1, 1), date(2023, 1, 1))
    interpretation = followed_up(point("2023-01-01", "0.9"), point(THEN, "0.9"), point(NOW, "0.872"), held=held)
    (caution,) = cautions(interpretation, Flag.EARLIER_HELD)
    assert "2023-01-01" in caution.text
    assert "2025" not in caution.text
    assert cautions(interpretation, Flag.NOT_ON_FILE) == []
