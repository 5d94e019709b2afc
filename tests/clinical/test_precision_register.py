"""Which record of the precision register counts on a day (R1.11, R1.12)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pipeline.clinical.cross_calibration import cross_calibration_for
from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision import in_force
from pipeline.clinical.precision_register import (
    Registered,
    Standing,
    counting_cross_calibrations,
    counting_lscs,
    without_effect,
)
from pipeline.clinical.regions import parse_region
from tests.factories.exams import ROOM_1, ROOM_2

FIRST = LeastSignificantChange(
    scanner=ROOM_1,
    region=parse_region("L1-L4"),
    lsc=Decimal("0.030"),
    valid_from=date(2019, 1, 1),
    valid_until=date(2030, 1, 1),
    source="study of 2019",
)
SECOND = replace(FIRST, lsc=Decimal("0.025"), valid_from=date(2024, 3, 1), valid_until=date(2027, 1, 1), source="2024")


def held(
    *values: LeastSignificantChange, standing: Standing = Standing.ACCEPTED
) -> tuple[Registered[LeastSignificantChange], ...]:
    return tuple(
        Registered(number=at, value=value, standing=standing, decision=at) for at, value in enumerate(values, 1)
    )


def days(lscs: Sequence[LeastSignificantChange]) -> list[tuple[str, date, date]]:
    return [(lsc.source, lsc.valid_from, lsc.valid_until) for lsc in lscs]


def test_a_newer_record_supersedes_from_its_first_day_on_and_leaves_the_days_before() -> None:
    assert days(counting_lscs((), held(FIRST, SECOND))) == [
        ("study of 2019", date(2019, 1, 1), date(2024, 2, 29)),
        ("2024", date(2024, 3, 1), date(2027, 1, 1)),
    ]


def test_a_record_that_was_followed_does_not_come_back_when_its_successor_has_ended() -> None:
    """R1.11: the newer study showed that the older one no longer holds."""
    assert in_force(counting_lscs((), held(FIRST, SECOND)), ROOM_1, date(2028, 1, 1)) == {}


def test_the_order_of_decisions_matters_only_between_two_records_of_one_first_day() -> None:
    assert counting_lscs((), held(SECOND, FIRST)) == counting_lscs((), held(FIRST, SECOND))
    corrected = replace(FIRST, lsc=Decimal("0.041"), source="corrected")
    assert days(counting_lscs((), held(FIRST, corrected))) == [("corrected", FIRST.valid_from, FIRST.valid_until)]
    assert days(counting_lscs((), held(corrected, FIRST))) == [("study of 2019", FIRST.valid_from, FIRST.valid_until)]


def test_only_what_was_accepted_counts() -> None:
    for standing in (Standing.PROPOSED, Standing.DECLINED, Standing.WITHDRAWN):
        assert counting_lscs((), held(FIRST, standing=standing)) == ()


def test_an_entry_of_the_file_counts_beside_the_register_by_the_same_rule() -> None:
    assert counting_lscs((FIRST,), ()) == (FIRST,)
    assert counting_lscs((SECOND,), held(FIRST)) == counting_lscs((), held(FIRST, SECOND))
    assert counting_lscs((FIRST,), held(SECOND)) == counting_lscs((), held(FIRST, SECOND))


def test_an_entry_that_the_register_holds_word_for_word_is_the_registers() -> None:
    """R1.12: withdrawn there, it counts no more, although it still stands in the file."""
    assert counting_lscs((FIRST,), held(FIRST)) == (FIRST,)
    assert counting_lscs((FIRST,), held(FIRST, standing=Standing.WITHDRAWN)) == ()
    assert counting_lscs((FIRST,), held(FIRST, standing=Standing.DECLINED)) == ()


def test_a_proposal_takes_nothing_away_from_the_file() -> None:
    assert counting_lscs((FIRST,), held(FIRST, standing=Standing.PROPOSED)) == (FIRST,)


def test_an_entry_edited_in_the_file_has_no_effect_against_the_register_and_is_named() -> None:
    edited = replace(FIRST, lsc=Decimal("0.050"))
    assert counting_lscs((edited,), held(FIRST)) == (FIRST,)
    assert without_effect((edited, SECOND), held(FIRST)) == (edited,)
    assert without_effect((FIRST,), held(FIRST)) == ()


def test_scanners_and_regions_do_not_supersede_each_other() -> None:
    other = replace(SECOND, scanner=ROOM_2)
    hip = replace(SECOND, region=parse_region("total hip"))
    assert set(days(counting_lscs((), held(FIRST, other, hip)))) >= set(days([FIRST, other, hip]))


@st.composite
def records(draw: st.DrawFn) -> LeastSignificantChange:
    begins = date(2020, 1, 1) + timedelta(days=draw(st.integers(0, 60)))
    return replace(
        FIRST,
        region=parse_region(draw(st.sampled_from(["L1-L4", "total hip"]))),
        lsc=Decimal(draw(st.integers(10, 60))) / 1000,
        valid_from=begins,
        valid_until=begins + timedelta(days=draw(st.integers(0, 60))),
        source=draw(st.sampled_from("abcdef")),
    )


@given(
    st.lists(records(), max_size=4),
    st.lists(st.tuples(records(), st.sampled_from(list(Standing))), max_size=6),
)
def test_on_each_day_at_most_one_record_counts_and_it_is_the_accepted_one_that_began_last(
    configured: list[LeastSignificantChange], register: list[tuple[LeastSignificantChange, Standing]]
) -> None:
    """Against a day-by-day search that knows nothing of spans."""
    registered = tuple(
        Registered(number=at, value=value, standing=standing, decision=at)
        for at, (value, standing) in enumerate(register, 1)
    )
    counting = counting_lscs(configured, registered)
    decided = [value for value, standing in register if standing is not Standing.PROPOSED]
    candidates = [entry for entry in configured if entry not in decided]
    candidates += [value for value, standing in register if standing is Standing.ACCEPTED]
    for offset in range(130):
        day = date(2020, 1, 1) + timedelta(days=offset)
        for region in ("L1-L4", "total hip"):
            begun = [one for one in candidates if one.region.key == region and one.valid_from <= day]
            latest = max((one.valid_from for one in begun), default=None)
            expected = [one for one in begun if one.valid_from == latest][-1:]
            expected = [one for one in expected if day <= one.valid_until]
            now = [one for one in counting if one.region.key == region and one.valid_from <= day <= one.valid_until]
            assert [(one.lsc, one.source) for one in now] == [(one.lsc, one.source) for one in expected]


def test_of_two_cross_calibrations_the_latest_counts_and_one_of_a_day_replaces_the_other() -> None:
    """R2.10"""
    first = CrossCalibration(
        old=ROOM_2,
        new=ROOM_1,
        region=parse_region("L1-L4"),
        intercept=Decimal("0.010"),
        slope=Decimal("1.02"),
        residual_sd=Decimal("0.015"),
        precision_error_old=Decimal("0.010"),
        precision_error_new=Decimal("0.010"),
        patients=30,
        scans_on_new=2,
        valid_from=date(2019, 1, 1),
        source="first",
    )
    again = replace(first, slope=Decimal("1.03"), source="aa, corrected")
    later = replace(first, valid_from=date(2021, 1, 1), source="later")

    def slope_on(day: date, *values: CrossCalibration) -> Decimal | None:
        registered = tuple(
            Registered(number=at, value=value, standing=Standing.ACCEPTED, decision=at)
            for at, value in enumerate(values, 1)
        )
        counting = counting_cross_calibrations((), registered)
        found = cross_calibration_for(counting, ROOM_2, ROOM_1, parse_region("L1-L4"), day)
        return found.slope if found else None

    assert slope_on(date(2020, 1, 1), first, again, later) == Decimal("1.03")
    assert slope_on(date(2022, 1, 1), first, again, replace(later, slope=Decimal("1.04"))) == Decimal("1.04")
    assert slope_on(date(2018, 1, 1), first) is None
