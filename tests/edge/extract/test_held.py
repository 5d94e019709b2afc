"""Whatever cannot be used is received, kept, held with its reason and listed; the next report is read all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import held_work, receipts, service_status, work_queue
from pipeline.edge.store.schema import receipt
from tests.factories.instances import NOW, instance, lose_the_worker
from tests.factories.reports import encode, measurements, num, region, report, spine

GOOD = encode(report(spine()))

BAD: dict[str, tuple[bytes, str]] = {
    "not DICOM": (b"\x00\x01 this is not a data set at all", "not_dicom"),
    "truncated": (GOOD[: len(GOOD) * 2 // 3], "truncated"),
    "no patient id": (encode(report(spine(), PatientID=None)), "no_patient_id"),
    "blank patient id": (encode(report(spine(), PatientID="  ")), "no_patient_id"),
    "no study date": (encode(report(spine(), StudyDate=None)), "no_study_date"),
    "unknown dialect": (encode(report(spine(), root="Thyroid Report")), "unknown_dialect"),
    "no BMD inside": (encode(report(measurements())), "no_bmd"),
    "unknown unit": (encode(report(spine(region("L1-L4", "0.912", unit="furlong")))), "unknown_unit"),
    "no unit": (encode(report(spine(region("L1-L4", "", num("BMD", "0.912", None))))), "unknown_unit"),
    "a density no bone has": (encode(report(spine(region("L1-L4", "9.12")))), "implausible"),
    "two values for one region": (
        encode(report(spine(region("L1-L4", "0.912"), region("L1-L4", "0.913")))),
        "contradictory",
    ),
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app with the shipped dialects and an empty store."""
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with open_app(tmp_path) as app:
        yield app


def _receive(app: App, data_set: bytes, uid: str = "2.25.1") -> int:
    with app.database.write() as connection:
        return receipts.store(connection, instance(data_set, uid=uid), calling_ae_title="SCANNER1", at=NOW)[0]


@pytest.mark.parametrize(("data_set", "reason"), BAD.values(), ids=BAD)
def test_what_cannot_be_used_is_held_with_its_reason(app: App, data_set: bytes, reason: str) -> None:
    number = _receive(app, data_set)
    assert extract_waiting(app) == 1
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
        (kept,) = receipts.load(connection, [number])
    assert (held.number, held.reason) == (str(number), reason)
    assert held.detail
    assert kept.instance.data_set == data_set


def test_one_bad_report_does_not_keep_the_others_from_being_read(app: App) -> None:
    for position, (data_set, _) in enumerate(BAD.values()):
        _receive(app, data_set, uid=f"2.25.1.{position}")
    good = _receive(app, GOOD)
    while extract_waiting(app):
        pass
    with app.database.read() as connection:
        held = {one.number for one in held_work.held(connection)}
        assert service_status.status(connection, [], NOW).exams_waiting == 1
    assert len(held) == len(BAD)
    assert str(good) not in held


def test_a_report_that_ends_its_reader_is_held_after_three_times(app: App) -> None:
    """A worker that dies leaves its lease; whoever takes over must not die of the same report for ever."""
    number = _receive(app, GOOD)
    for _ in range(3):
        with app.database.write() as connection:
            assert work_queue.claim(connection, receipt, limit=1, at=NOW) == [number]
            assert lose_the_worker(connection, receipt) == 1
    assert extract_waiting(app) == 1
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert held.reason == "worker_lost"


def test_an_error_nobody_foresaw_is_held_by_its_kind_and_place_alone(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprised(*_: object) -> None:
        raise RuntimeError("ZZMARKED")

    monkeypatch.setattr("pipeline.edge.extract.extraction.read", surprised)
    _receive(app, GOOD)
    extract_waiting(app)
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert held.reason == "unexpected"
    assert held.detail.startswith("RuntimeError at test_held.py:")
    assert "ZZMARKED" not in held.detail
