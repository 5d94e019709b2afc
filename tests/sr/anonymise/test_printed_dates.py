"""Printed dates move in the notation in which they are printed."""

from datetime import date, timedelta

import pytest

from pipeline.sr.anonymise.printed_dates import PrintedDates, notations, printed_dates
from pipeline.sr.dialects.model import DateOrder
from pipeline.sr.extract.ambiguous_dates import possible_days

ORIGINAL = date(2024, 3, 17)
BACK = timedelta(days=1000)
MOVED = ORIGINAL - BACK


def _moved(text: str, *, known: tuple[date, ...] = (), order: DateOrder | None = None) -> str:
    return "".join(part for part, _ in PrintedDates(lambda day: day - BACK, known, order).parts(text))


@pytest.mark.parametrize(
    ("printed", "moved"),
    [
        ("20240317", "20210621"),
        ("2024-03-17", "2021-06-21"),
        ("20240317101112", "20210621101112"),
        ("17.03.2024", "21.06.2021"),
        ("03/17/2024 10:30", "06/21/2021 10:30"),
        ("17-Mar-2024", "21-Jun-2021"),
        ("17-MAR-2024", "21-JUN-2021"),
        ("March 17, 2024 - A1", "June 21, 2021 - A1"),
        ("17 March 2024", "21 June 2021"),
        ("between 2024-03-17 and 2024-03-18", "between 2021-06-21 and 2021-06-22"),
        ("L1-L4, 0.912", "L1-L4, 0.912"),
    ],
)
def test_a_date_keeps_its_notation(printed: str, moved: str) -> None:
    assert _moved(printed) == moved


def test_every_notation_that_is_read_moves_and_leaves_no_trace() -> None:
    for printed in notations(ORIGINAL):
        if possible_days(printed):
            moved = _moved(printed)
            assert MOVED in possible_days(moved), printed
            assert not set(notations(ORIGINAL)) & {moved}, printed


def test_of_two_readings_the_one_that_the_report_knows_counts() -> None:
    assert _moved("03/04/2024", known=(date(2024, 3, 4),)) == f"{date(2024, 3, 4) - BACK:%m/%d/%Y}"
    assert _moved("03/04/2024", known=(date(2024, 4, 3),)) == f"{date(2024, 4, 3) - BACK:%d/%m/%Y}"
    assert _moved("03/04/2024", order=DateOrder.MONTH_FIRST) == f"{date(2024, 3, 4) - BACK:%m/%d/%Y}"


def test_a_date_with_one_reading_never_gets_two() -> None:
    for days in range(366):
        printed = f"{date(2024, 1, 1) + timedelta(days=days):%m/%d/%Y}"
        if len(possible_days(printed)) == 1:
            assert len(possible_days(_moved(printed))) == 1


def test_what_only_looks_like_a_date_is_none() -> None:
    assert list(printed_dates("1.2.840.10008.5.1.4 and 12345678901234567890")) == []
    assert _moved("99/99/2024") == "99/99/2024"
