"""Years of phantom scans over DICOM to the whole service, whose clock moves with them (R7, E24)."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import UTC, timedelta

import pytest

from pipeline.edge.app import App
from tests import peers
from tests.factories.moved_clock import MovedClock
from tests.factories.phantom_years import (
    PhantomYears,
    changed,
    date_of,
    delays_of,
    in_control,
    table,
    taken_for_a_patient,
    worked_on,
)
from tests.factories.phantoms import WORKING_DAYS_A_YEAR
from tests.factories.service import Service
from tests.folders import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SCANNERS = (3, 3, 2)
"""How many of each kind: in control, with a step or a drift, and with a new tube or another phantom."""


WITHOUT_PREFECT = {"DXATREND_SERVICE__PREFECT__API_URL": f"http://127.0.0.1:{peers.free_port()}/api"}
"""The Prefect server is somewhere else, and down: it has no part in phantom scans, and the worker does the nights."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The years that have passed, and a look into the store of the service."""

    years: PhantomYears
    app: App


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passed]:
    """Let the whole service live through the years of all scanners, side by side."""
    folder = tmp_path_factory.mktemp("years")
    clock = MovedClock(folder)
    clock.move_to((date_of(0) - timedelta(days=1)).replace(tzinfo=UTC))
    service = Service(folder / "service", destination_port=peers.free_port())
    control, change, work = SCANNERS
    years = PhantomYears(
        service, clock, [*in_control(control), *changed(change), *worked_on(work), taken_for_a_patient()]
    )
    environment = {**clock.environment, **WITHOUT_PREFECT}
    worker = copy(service)
    service.begin("listen", environment=environment)
    worker.begin("work", environment=environment)
    peers.wait_until(service.answers, seconds=60, what="the listener answers")
    try:
        with service.app() as app:
            years.run(app)
            yield Passed(years, app)
    finally:
        service.kill()
        worker.kill()


def test_the_service_judges_every_scan_as_the_rules_alone_do(passed: Passed) -> None:
    """So what thousands of simulated scanners show of the rules holds of the service."""
    scans = 0
    judged = [course for course in passed.years.courses if not course.as_a_patient]
    for course in judged:
        of_service = passed.years.chart_of(passed.app, course).scans
        alone = course.scanner.judging.judged
        assert [(one.scan.bmd, one.outcome, one.rules, one.cusum) for one in of_service] == [
            (one.scan.bmd, one.outcome, one.rules, one.cusum) for one in alone
        ]
        scans += len(of_service)
    assert scans > 10_000


def test_a_scanner_in_control_is_stopped_less_than_once_in_three_years(passed: Passed) -> None:
    """E24: below 0.3 false stops a year."""
    healthy = [course for course in passed.years.courses if course.most_days == 4 * WORKING_DAYS_A_YEAR]
    assert len(healthy) == 2 * SCANNERS[0]
    stops = sum(len(passed.years.stops_of(passed.app, course)) for course in healthy)
    assert stops / (4 * len(healthy)) < 0.3


@pytest.mark.parametrize(("size", "within"), [(1.0, 20), (1.5, 6)])
def test_a_step_stops_the_scanner_within_days(passed: Passed, size: float, within: int) -> None:
    stepped = [course for course in passed.years.courses if course.what == f"step of {size} %"]
    assert len(stepped) == 2 * SCANNERS[1]
    for course in stepped:
        stopped, noticed = delays_of(passed.years, passed.app, course)
        assert stopped is not None
        assert noticed is not None
        assert noticed <= stopped <= within


def test_a_drift_is_noticed_within_a_year_and_a_half(passed: Passed) -> None:
    """R7.4"""
    drifting = [course for course in passed.years.courses if course.what.startswith("drift")]
    for course in drifting:
        _, noticed = delays_of(passed.years, passed.app, course)
        assert noticed is not None
        assert noticed <= 1.5 * WORKING_DAYS_A_YEAR


def test_a_phantom_that_is_scanned_as_a_patient_is_told_on_the_seventh_day(passed: Passed) -> None:
    (course,) = [course for course in passed.years.courses if course.as_a_patient]
    assert passed.years.scan_as_a_patient(passed.app, course) == 7


def test_the_documentation_has_what_came_of_it(passed: Passed) -> None:
    documented = (ROOT / "docs" / "safety.md").read_text()
    for line in table(passed.years, passed.app):
        assert line in documented
