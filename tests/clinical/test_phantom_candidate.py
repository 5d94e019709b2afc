"""A phantom that is scanned as a patient is told from patients (R7.1)."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest

from pipeline.clinical.phantom_candidate import likeness_to_phantom

SEVEN = ("1.177", "1.180", "1.174", "1.178", "1.175", "1.179", "1.176")


def exams(*bmds: str, apart: int = 1, regions: Sequence[str] = ("L1-L4",)) -> list[tuple[date, dict[str, Decimal]]]:
    first = date(2026, 3, 2)
    return [
        (first + timedelta(days=apart * number), dict.fromkeys(regions, Decimal(bmd)))
        for number, bmd in enumerate(bmds)
    ]


def test_seven_exams_in_a_month_that_all_measure_the_same_are_a_phantoms() -> None:
    found = likeness_to_phantom(exams(*SEVEN))
    assert found is not None
    assert (found.exams, found.region) == (7, "L1-L4")
    assert found.spread_percent < 1


@pytest.mark.parametrize(
    "measured",
    [
        exams(*SEVEN[:6]),
        exams(*SEVEN, apart=6),
        exams(*SEVEN[:6], "1.200"),
        [*exams(*SEVEN[:6]), (date(2026, 3, 20), {"total hip left": Decimal("1.177")})],
        [],
    ],
    ids=["six", "seven in six weeks", "a spread of 2.2 %", "another region", "none"],
)
def test_fewer_exams_or_other_results_are_a_patients(measured: list[tuple[date, dict[str, Decimal]]]) -> None:
    assert likeness_to_phantom(measured) is None


def test_a_month_within_years_is_found() -> None:
    early = [(date(2020, 1, 1), {"L1-L4": Decimal("0.9")})]
    assert likeness_to_phantom([*early, *exams(*SEVEN)]) is not None
