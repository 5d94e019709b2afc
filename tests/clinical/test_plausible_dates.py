"""Dates that cannot be true, and those that can."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clinical.model import Exam
from pipeline.clinical.plausible_dates import implausible_date
from tests.factories.exams import exam

TODAY = date(2026, 3, 2)


def dated(performed: str, *, born: str | None = "1950-01-01", age: str | None = None) -> Exam:
    made = exam("2024-03-01")
    return replace(
        made,
        patient=replace(made.patient, birth_date=date.fromisoformat(born) if born else None),
        performed_at=datetime.fromisoformat(performed),
        age=Decimal(age) if age else None,
    )


@pytest.mark.parametrize(
    ("performed", "born", "age"),
    [
        ("2024-03-01", "1950-01-01", None),
        ("2024-03-01", None, None),
        ("2024-03-01", None, "74"),
        ("2024-03-01", "1950-01-01", "74"),
        ("2024-03-01", "1950-01-01", "75"),
        ("2024-03-01", "1950-01-01", "73"),
        ("2024-02-28", "1950-03-01", "74"),
        ("2024-03-01", "2023-12-01", "0.3"),
        ("2024-03-01", "2024-03-01", None),
        ("1987-01-01", "1950-01-01", None),
        ("2026-03-03T23:59", "1950-01-01", None),
        ("2024-03-01", "1895-01-01", None),
    ],
)
def test_dates_that_can_be_true_are_believed(performed, born, age):
    """An exam of another zone's tomorrow, and an age that was rounded, are among them."""
    assert implausible_date(dated(performed, born=born, age=age), received_on=TODAY) == ""


@pytest.mark.parametrize(
    ("performed", "born", "age"),
    [
        ("2024-02-29", "2024-03-01", None),
        ("2024-03-01", "2031-01-01", None),
        ("2026-03-04", "1950-01-01", None),
        ("2099-01-01", "1950-01-01", None),
        ("9999-12-31", None, None),
        ("1900-01-01", "1850-01-01", None),
        ("1980-01-01", "1950-01-01", None),
        ("1970-01-01", None, None),
        ("2024-03-01", "1893-01-01", None),
        ("2024-03-01", "0001-01-02", None),
        ("2024-03-01", "1950-01-01", "72"),
        ("2024-03-01", "1950-01-01", "76"),
        ("2000-01-01", "1950-01-01", "74"),
        ("2024-03-01", "2022-01-01", "74"),
    ],
)
def test_dates_that_cannot_be_true_are_named_and_never_quoted(performed, born, age):
    why = implausible_date(dated(performed, born=born, age=age), received_on=TODAY)
    assert why
    assert not any(part in why for part in (performed, *filter(None, (born, age))))


@given(st.dates(date(1990, 1, 1), TODAY), st.integers(0, 110 * 365))
def test_an_exam_with_the_age_that_its_dates_have_is_believed(performed, days):
    born = performed - timedelta(days=days)
    made = dated(str(performed), born=str(born), age=str(max(1, days // 366)))
    assert implausible_date(made, received_on=TODAY) == ""


@given(st.dates(), st.dates(), st.integers(1, 999), st.dates(date(1990, 1, 1)))
def test_any_dates_at_all_are_judged(performed, born, age, received):
    implausible_date(dated(str(performed), born=str(born), age=str(age)), received_on=received)
