"""Printed dates are read as every day they can mean."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sr.dialects.model import DateOrder
from pipeline.sr.extract.ambiguous_dates import possible_days, possible_moments


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20240301", date(2024, 3, 1)),
        ("2024-03-01", date(2024, 3, 1)),
        ("2024/03/01 10:30", date(2024, 3, 1)),
        ("06-Apr-2026", date(2026, 4, 6)),
        ("6 April 2026", date(2026, 4, 6)),
        ("April 6, 2026", date(2026, 4, 6)),
        ("6. März 2024", date(2024, 3, 6)),
        ("06-Mai-2024", date(2024, 5, 6)),
        ("6 août 2023", date(2023, 8, 6)),
        ("06-ene-2024", date(2024, 1, 6)),
        ("12-Dez-2021", date(2021, 12, 12)),
        ("13/03/2022", date(2022, 3, 13)),
        ("03/13/2022", date(2022, 3, 13)),
        ("3/13/2022", date(2022, 3, 13)),
        ("05/05/2022", date(2022, 5, 5)),
        ("04.06.2022", date(2022, 6, 4)),
    ],
)
def test_a_date_that_can_mean_one_day_is_read(text, day):
    assert possible_days(text) == (day,)


@pytest.mark.parametrize("text", ["04/06/2026", "4-6-2026", "04 06 2026"])
def test_an_ambiguous_date_is_never_guessed_and_the_site_may_state_the_order(text):
    assert set(possible_days(text)) == {date(2026, 4, 6), date(2026, 6, 4)}
    assert possible_days(text, DateOrder.MONTH_FIRST) == (date(2026, 4, 6),)
    assert possible_days(text, DateOrder.DAY_FIRST) == (date(2026, 6, 4),)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "31/02/2024", "2024-13-01", "00/00/2024", "12/2024", "6 Foo 2024", "4/6/26", "٣/٣/٢٠٢٤", "9" * 500],
)
def test_what_is_no_date_means_no_day(text):
    assert possible_days(text) == ()


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_every_day_is_among_those_its_figures_can_mean(day):
    for text in (f"{day:%m/%d/%Y}", f"{day:%d/%m/%Y}", f"{day:%Y%m%d}", f"{day:%d.%m.%Y}", f"{day:%d-%b-%Y}"):
        assert day in possible_days(text)


@given(st.text(max_size=80))
def test_no_text_raises(text):
    possible_moments(text)


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("20240301103000", [datetime(2024, 3, 1, 10, 30)]),
        ("03/13/2024 14:16", [datetime(2024, 3, 13, 14, 16)]),
        ("13-Mar-2024 2:16:05 PM", [datetime(2024, 3, 13, 14, 16, 5)]),
        ("13-Mar-2024 12:16 AM", [datetime(2024, 3, 13, 0, 16)]),
        ("13-Mar-2024", [datetime(2024, 3, 13)]),
        ("04/06/2026 10:00", [datetime(2026, 6, 4, 10), datetime(2026, 4, 6, 10)]),
        ("at noon", []),
    ],
)
def test_a_moment_is_a_day_and_its_time_at_midnight_without_one(text, moments):
    assert list(possible_moments(text)) == moments


def test_of_two_readings_only_those_between_the_days_are_meant_and_a_single_one_stands():
    def between(earliest, latest, text="04/06/2026"):
        return [moment.date() for moment in possible_moments(text, earliest=earliest, latest=latest)]

    april, june = date(2026, 4, 6), date(2026, 6, 4)
    assert between(april, june) == [june, april]
    assert between(date(2026, 4, 7), june) == [june]
    assert between(april, date(2026, 6, 3)) == [april]
    assert between(june, june, "23/06/2026") == [date(2026, 6, 23)]
