"""Whatever is taken away and given back, nothing is lost, and the log says what happened."""

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from dxatrend.demo import Expected
from tests import peers
from tests.expected import exams_of, study_addenda
from tests.factories.service import Service

CRASH_INJECTION = Path(__file__).parent / "crash_injection"


class Clock:
    """The clock that a service sees, and that can be set while it runs."""

    def __init__(self, folder: Path) -> None:
        self._setting = folder / "clock"
        self.environment = {"CLOCK": str(self._setting), "PYTHONPATH": str(CRASH_INJECTION)}
        self.go_wrong(0)

    def go_wrong(self, seconds: int) -> None:
        """Be so many seconds off from now on."""
        self._setting.write_text(str(seconds))


def _is_answered(orthanc: peers.Orthanc, exam: Expected) -> None:
    peers.wait_until(lambda: study_addenda(orthanc, exam), seconds=60, what="the addendum is in the archive")


@pytest.mark.usefixtures("without_prefect")
def test_a_postgresql_that_is_stopped_or_read_only_for_a_while_loses_nothing(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    first, second, third = (exams_of(name)[-1] for name in ("09-first-visit", "10-partial-reports", "01-stable"))
    with peers.postgres() as postgres, ExitStack() as stack:
        url = postgres.fresh_database()
        listener, worker = (
            Service(tmp_path / name, destination_port=orthanc.dicom_port, url=url) for name in ("listen", "work")
        )
        for half, command in ((listener, "listen"), (worker, "work")):
            stack.callback(half.kill)
            half.begin(command)
        peers.wait_until(listener.answers, seconds=60, what="the listener answers")
        listener.send(first.reports)
        _is_answered(orthanc, first)
        postgres.stop()
        refused = peers.storescu(second.reports, port=listener.port, called="DXATREND")
        assert "OutOfResources" in refused.stdout + refused.stderr
        asked_in_vain = "the database could not be queried"
        peers.wait_until(lambda: asked_in_vain in worker.log.read_text(), what="the worker has looked as well")
        postgres.start()
        listener.send(second.reports)
        postgres.refuse_to_write(True)
        refused = peers.storescu(third.reports, port=listener.port, called="DXATREND")
        assert "OutOfResources" in refused.stdout + refused.stderr
        postgres.refuse_to_write(False)
        listener.send(third.reports)
        for exam in (first, second, third):
            _is_answered(orthanc, exam)
        worker.come_to_rest()
        assert "could not keep an instance from 'SCANNER1': " in listener.log.read_text()
        # Whichever of its loops was the one that looked in vain, it looks again after a pause.
        peers.wait_until(lambda: ": works again" in worker.log.read_text(), seconds=60, what="the loop works again")


@pytest.mark.usefixtures("without_prefect")
def test_a_clock_that_goes_back_an_hour_makes_nothing_wait_for_an_hour(
    tmp_path: Path, service: Service, orthanc: peers.Orthanc
) -> None:
    exam, later = exams_of("09-first-visit")[0], exams_of("10-partial-reports")[-1]
    clock = Clock(tmp_path)
    service.destination(orthanc.dicom_port)
    orthanc.stop()
    service.start(environment=clock.environment)
    service.send(exam.reports)
    with service.app() as app:
        peers.wait_until(lambda: service.status(app).destinations[0].away_since, what="a delivery failed")
    clock.go_wrong(-3600)
    service.send(later.reports)
    orthanc.start()
    for one in (exam, later):
        _is_answered(orthanc, one)
    service.come_to_rest()
    assert "the clock went back; what waits was brought forward" in service.log.read_text()


def test_a_prefect_server_that_is_killed_under_load_and_left_dead_loses_nothing(
    tmp_path: Path, service: Service, orthanc: peers.Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    exams = [exams_of(name)[-1] for name in ("09-first-visit", "10-partial-reports", "01-stable")]
    service.destination(orthanc.dicom_port)
    (tmp_path / "prefect").mkdir()
    with peers.prefect_server(tmp_path / "prefect", end=signal.SIGKILL) as prefect:
        for name, value in prefect.for_ours.items():
            monkeypatch.setenv(name, value)
        service.start()
        service.send(exams[0].reports)
        _is_answered(orthanc, exams[0])
        assert "the Prefect server answers" in service.log.read_text()
        service.send(exams[1].reports)
    service.send(exams[2].reports)
    for exam in exams[1:]:
        _is_answered(orthanc, exam)
    service.come_to_rest()
    assert "the Prefect server does not answer; the work goes on without it" in service.log.read_text()
