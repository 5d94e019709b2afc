"""Cut the power anywhere: nothing is lost, and nothing is issued twice."""

import os
from pathlib import Path

import pytest

from pipeline.sr.author.readback import read_back
from pipeline.sr.dicom.content_tree import read_tree
from tests import peers
from tests.expected import exams_of, study_addenda
from tests.factories.elements import elements_of
from tests.factories.service import Service

CRASH_INJECTION = Path(__file__).parent / "crash_injection"

BEFORE_THE_ANSWER = ["pipeline.edge.store.receipts:store_all:after"]  # received, not committed
AFTER_THE_ANSWER = [
    "pipeline.edge.store.outbox:issue:after",  # authored and kept, not committed
    "pipeline.edge.deliver.storage_scu:_store:after",  # sent, not proven
]


def _crashing_at(place: str) -> dict[str, str]:
    return {
        "CRASH_AT": place,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CRASH_INJECTION), os.environ.get("PYTHONPATH")])),
    }


@pytest.mark.slow
@pytest.mark.usefixtures("without_prefect")
@pytest.mark.parametrize("place", BEFORE_THE_ANSWER + AFTER_THE_ANSWER)
def test_killed_between_any_two_stages_the_exam_still_ends_with_one_addendum(
    service: Service, orthanc: peers.Orthanc, place: str
) -> None:
    """All that ``serve`` starts dies at once; the crash matrix has many more places, under load.

    A scanner that got no answer sends again; for whatever was answered nobody has to do anything.
    """
    exam = exams_of("09-first-visit")[0]
    service.destination(orthanc.dicom_port)
    service.start(environment=_crashing_at(place))
    sent = peers.storescu(exam.reports, port=service.port, called="DXATREND")
    service.wait_for_death()
    if place in AFTER_THE_ANSWER:
        assert sent.returncode == 0, sent.stderr
    service.start()
    if sent.returncode != 0:
        service.send(exam.reports)
    peers.wait_until(lambda: study_addenda(orthanc, exam), what="the addendum is in the archive")
    service.come_to_rest()
    (addendum,) = study_addenda(orthanc, exam)
    assert exam.differences(read_back(read_tree(elements_of(addendum)))) == []


@pytest.mark.usefixtures("without_prefect")
def test_an_archive_that_is_down_gets_everything_when_it_is_back(service: Service, orthanc: peers.Orthanc) -> None:
    exam = exams_of("09-first-visit")[0]
    service.destination(orthanc.dicom_port)
    orthanc.stop()
    service.start()
    service.send(exam.reports)
    with service.app() as app:
        peers.wait_until(lambda: service.status(app).destinations[0].last_problem, what="a delivery failed")
        assert service.status(app).destinations[0].backlog == 1
    orthanc.start()
    peers.wait_until(lambda: study_addenda(orthanc, exam), what="the addendum is in the archive")
    service.come_to_rest()
    assert len(study_addenda(orthanc, exam)) == 1


@pytest.mark.usefixtures("without_prefect")
def test_a_report_that_comes_late_supersedes_and_one_that_comes_again_changes_nothing(
    service: Service, orthanc: peers.Orthanc
) -> None:
    exam = exams_of("10-partial-reports")[-1]
    service.destination(orthanc.dicom_port)
    service.start()
    service.send(exam.reports[:1])
    peers.wait_until(lambda: len(study_addenda(orthanc, exam)) == 1, what="the first addendum is in the archive")
    service.send(exam.reports)
    peers.wait_until(lambda: len(study_addenda(orthanc, exam)) == 2, what="the second addendum is in the archive")
    service.send(exam.reports)
    service.come_to_rest()
    first, second = sorted(study_addenda(orthanc, exam), key=lambda addendum: addendum.SeriesNumber)
    (series,) = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    regions_first, regions_second = (read_back(read_tree(elements_of(one))).regions for one in (first, second))
    assert len(regions_second) > len(regions_first)


@pytest.mark.usefixtures("without_prefect")
def test_the_two_halves_on_one_postgresql_do_what_one_machine_does(
    tmp_path: Path, orthanc: peers.Orthanc, postgresql_url: str
) -> None:
    """``listen`` and ``work`` alone, for several machines on one PostgreSQL."""
    exam = exams_of("10-partial-reports")[-1]
    halves = [
        Service(tmp_path / name, destination_port=orthanc.dicom_port, url=postgresql_url) for name in ("listen", "work")
    ]
    listener, worker = halves
    try:
        listener.begin("listen")
        worker.begin("work")
        peers.wait_until(listener.answers, seconds=60, what="the listener answers")
        listener.send(exam.reports)
        peers.wait_until(lambda: study_addenda(orthanc, exam), what="the addendum is in the archive")
        worker.come_to_rest()
        assert listener.stop() == worker.stop() == 0
    finally:
        for half in halves:
            half.kill()
    assert len(study_addenda(orthanc, exam)) == 1


def test_the_places_of_doom_are_real() -> None:
    """A name that no longer exists would make its test wait for a death that never comes."""
    for place in BEFORE_THE_ANSWER + AFTER_THE_ANSWER:
        module, function, _ = place.split(":")
        holder = __import__(module, fromlist=["_"])
        for name in function.split("."):
            holder = getattr(holder, name)
        assert callable(holder)
