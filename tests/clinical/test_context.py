from dataclasses import fields
from datetime import date
from decimal import Decimal

import pytest

from pipeline.clinical.context import NUMBERS, ClinicalContext, ImpossibleContext, context_on


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_nobody_has_is_refused_and_not_repeated(name: str) -> None:
    for value in ("NaN", "-1", "Infinity", "9999"):
        with pytest.raises(ImpossibleContext, match=rf"^{name} is not a number from 0 to below {NUMBERS[name]}$"):
            ClinicalContext(recorded_on=date(2020, 1, 1), **{name: Decimal(value)})  # type: ignore[arg-type] # numbers only


def test_unknown_is_the_default_of_everything() -> None:
    """Section 5.1: never "no"."""
    blank = ClinicalContext(recorded_on=date(2020, 1, 1))
    assert {getattr(blank, field.name) for field in fields(blank)[1:]} == {None, ""}


def test_without_records_nothing_is_known() -> None:
    assert context_on([], date(2020, 1, 1)) is None
