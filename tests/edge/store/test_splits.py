"""Two visits for which a scanner has used one study are two exams once somebody says so."""

from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset

from pipeline.edge.app import App, open_app
from pipeline.edge.store import splits
from pipeline.edge.store.exam_counts import ExamCounts
from tests.factories.answered_exams import (
    addenda,
    follow_all,
    held,
    in_both_databases,
    l1_l4,
    latest,
    latest_readback,
    lsc,
    receive,
    run,
)
from tests.factories.instances import NOW
from tests.factories.reports import container, region, report


def hip(bmd: str, day: str, **header: str) -> Dataset:
    return report(container("Left Femur", region("Total", bmd)), StudyInstanceUID="2.25.10", StudyDate=day, **header)


def two_visits(app: App) -> None:
    """Spines of 2022 and 2024, and the hip of 2024, all under one study."""
    receive(app, l1_l4("0.950", date="20220101"), "2.25.1")
    follow_all(app)
    receive(app, l1_l4("0.912", date="20240101"), "2.25.2")
    receive(app, hip("0.800", "20240101"), "2.25.3")
    follow_all(app)


def split(app: App, number: int = 1) -> list[tuple[int, date]]:
    with app.database.write() as connection:
        found = splits.split(connection, number, at=NOW)
    follow_all(app)
    return found


@in_both_databases
def test_each_visit_gets_an_addendum_and_the_later_one_is_compared_with_the_earlier_one(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        two_visits(app)
        assert held(app) == [("E1", "contradictory")]
        (first, day), (second, later) = split(app)
        assert (first, day, later) == (1, date(2022, 1, 1), date(2024, 1, 1))
        assert held(app) == []
        assert set(latest_readback(app, 1).regions) == {"L1-L4"}
        assert set(latest_readback(app, second).regions) == {"L1-L4", "total hip left"}
        assert latest_readback(app, second).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert latest_readback(app, second).regions["L1-L4"]["PRIOR_DATE"] == ("20220101",)
        assert addenda(app)[0] == 1, "what was said of the first visit still holds"
        assert latest(app, 1).StudyInstanceUID == latest(app, second).StudyInstanceUID
        assert latest(app, 1).SOPInstanceUID != latest(app, second).SOPInstanceUID
        assert run(app) == ExamCounts(examined=2)


@in_both_databases
def test_what_comes_later_goes_to_the_visit_it_lies_nearest(folder: Path) -> None:
    with open_app(folder) as app:
        two_visits(app)
        _, (second, _) = split(app)
        receive(app, hip("0.830", "20220101"), "2.25.4")
        follow_all(app)
        assert latest_readback(app, 1).regions["total hip left"]["BMD"] == ("0.830",)
        assert latest_readback(app, second).regions["total hip left"]["BMD"] == ("0.800",)
        receive(app, l1_l4("0.900", date="20250101"), "2.25.5")
        follow_all(app)
        assert held(app) == [(f"E{second}", "contradictory")]
        assert [day for _, day in split(app, second)] == [date(2024, 1, 1), date(2025, 1, 1)]
        assert held(app) == []


def test_the_visit_that_came_first_keeps_the_exam_and_its_addendum(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", date="20240101"), "2.25.1")
        follow_all(app)
        receive(app, l1_l4("0.950", date="20220101"), "2.25.2")
        follow_all(app)
        assert split(app) == [(1, date(2024, 1, 1)), (2, date(2022, 1, 1))]
        assert latest_readback(app, 1).regions["L1-L4"]["PRIOR_DATE"] == ("20220101",)


def test_parts_of_one_visit_are_not_told_apart_even_over_midnight(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.912", date="20240101", StudyTime="235500"), "2.25.1")
        receive(app, hip("0.800", "20240102", StudyTime="000500"), "2.25.2")
        assert split(app) == []
