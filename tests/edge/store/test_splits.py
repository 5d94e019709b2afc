"""Two visits for which a scanner has used one study are two exams once somebody says so."""

from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset

from pipeline.edge.app import House, opened
from pipeline.edge.store import splits
from pipeline.edge.store.reprocessing_runs import Counts
from tests.edge.reprocess.test_reprocessing import (
    addenda,
    folder,
    follow_all,
    in_both_databases,
    l1_l4,
    lsc,
    receive,
    run,
    said,
)
from tests.edge.store.test_withdrawals import held, latest
from tests.factories.instances import NOW
from tests.factories.reports import container, region, report

__all__ = ["folder"]


def hip(bmd: str, day: str, **header: str) -> Dataset:
    return report(container("Left Femur", region("Total", bmd)), StudyInstanceUID="2.25.10", StudyDate=day, **header)


def two_visits(house: House) -> None:
    """Spines of 2022 and 2024, and the hip of 2024, all under one study."""
    receive(house, l1_l4("0.950", date="20220101"), "2.25.1")
    follow_all(house)
    receive(house, l1_l4("0.912", date="20240101"), "2.25.2")
    receive(house, hip("0.800", "20240101"), "2.25.3")
    follow_all(house)


def split(house: House, number: int = 1) -> list[tuple[int, date]]:
    with house.database.write() as connection:
        found = splits.split(connection, number, at=NOW)
    follow_all(house)
    return found


@in_both_databases
def test_each_visit_gets_an_addendum_and_the_later_one_is_compared_with_the_earlier_one(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with opened(folder) as house:
        two_visits(house)
        assert held(house) == [("E1", "contradictory")]
        (first, day), (second, later) = split(house)
        assert (first, day, later) == (1, date(2022, 1, 1), date(2024, 1, 1))
        assert held(house) == []
        assert set(said(house, 1).regions) == {"L1-L4"}
        assert set(said(house, second).regions) == {"L1-L4", "total hip left"}
        assert said(house, second).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert said(house, second).regions["L1-L4"]["PRIOR_DATE"] == ("20220101",)
        assert addenda(house)[0] == 1, "what was said of the first visit still holds"
        assert latest(house, 1).StudyInstanceUID == latest(house, second).StudyInstanceUID
        assert latest(house, 1).SOPInstanceUID != latest(house, second).SOPInstanceUID
        assert run(house) == Counts(looked_at=2)


@in_both_databases
def test_what_comes_later_goes_to_the_visit_it_lies_nearest(folder: Path) -> None:
    with opened(folder) as house:
        two_visits(house)
        _, (second, _) = split(house)
        receive(house, hip("0.830", "20220101"), "2.25.4")
        follow_all(house)
        assert said(house, 1).regions["total hip left"]["BMD"] == ("0.830",)
        assert said(house, second).regions["total hip left"]["BMD"] == ("0.800",)
        receive(house, l1_l4("0.900", date="20250101"), "2.25.5")
        follow_all(house)
        assert held(house) == [(f"E{second}", "contradictory")]
        assert [day for _, day in split(house, second)] == [date(2024, 1, 1), date(2025, 1, 1)]
        assert held(house) == []


def test_the_visit_that_came_first_keeps_the_exam_and_its_addendum(folder: Path) -> None:
    with opened(folder) as house:
        receive(house, l1_l4("0.912", date="20240101"), "2.25.1")
        follow_all(house)
        receive(house, l1_l4("0.950", date="20220101"), "2.25.2")
        follow_all(house)
        assert split(house) == [(1, date(2024, 1, 1)), (2, date(2022, 1, 1))]
        assert said(house, 1).regions["L1-L4"]["PRIOR_DATE"] == ("20220101",)


def test_parts_of_one_visit_are_not_told_apart_even_over_midnight(folder: Path) -> None:
    with opened(folder) as house:
        receive(house, l1_l4("0.912", date="20240101", StudyTime="235500"), "2.25.1")
        receive(house, hip("0.800", "20240102", StudyTime="000500"), "2.25.2")
        assert split(house) == []
