"""Whatever one receipt, exam, delivery or destination raises, it fails alone: the others go on at once."""

import functools
import importlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind
from sqlalchemy import func, select

from dxatrend.service.worker import Ending, run_worker
from flows.shutdown import Stop
from pipeline.edge.app import App, open_app
from pipeline.edge.audit import syslog_sender
from pipeline.edge.configuration.destination_settings import DestinationSettings, DicomDestination
from pipeline.edge.configuration.service_settings import AuditSettings, CallerSettings
from pipeline.edge.deliver.commitment_reporter import report_due
from pipeline.edge.dicom_net.client import associate, echo
from pipeline.edge.extract import extraction
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.history.query_retrieve import run_due_query
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.store import commitment_requests, held_work, receipts
from pipeline.edge.store.schema import addendum, delivery, exam, history_query, reading, receipt
from pipeline.edge.store.schema_base import State
from tests import peers
from tests.edge.test_letters import put_text
from tests.factories.commitment_scanner import Scanner as AskingScanner
from tests.factories.instances import instance
from tests.factories.reports import encode, region, report, spine, text

SECONDS = 10

READING = "read_elements _require_one_identity extract read"
EXTRACTING = (
    "is_key_object_selection result_locations _is_our_own _choose other_device read_performed_at find_containers"
    " is_phantom _patient read_results patient_characteristics same_patient read_scanner supply_serial_number"
    " read_trends"
)
RECORDING = (
    "readings:record patient_identity:patient_of patients:number_of scanners:number_of readings:_find"
    " readings:_record_exam readings:_without_microseconds patient_identity:hold_conflicts"
)
FOLLOWING_UP = (
    "due_exams:examine examination:_provenance examination:interpret examination:_headers examination:read_header"
    " examination:draft due_exams:author due_exams:_put_into_outbox"
)
INTERPRETING = "match compare_matches add_cautions diagnose advise trend cross_check"
DELIVERING = "deliver.storage_scu:_store deliver.storage_scu:_data_set"
ONE_DESTINATION = (
    "deliver.storage_scu:deliver",
    "store.destination_outages:current",
    "store.outbox:claim",
    "deliver.storage_scu:associate",
)

PLACES = (
    *(f"pipeline.edge.extract.extraction:{name}" for name in READING.split()),
    *(f"pipeline.sr.extract.report:{name}" for name in EXTRACTING.split()),
    "pipeline.edge.extract.extraction:_record",
    *(f"pipeline.edge.store.{name}" for name in RECORDING.split()),
    *(f"pipeline.edge.follow_up.{name}" for name in FOLLOWING_UP.split()),
    *(f"pipeline.clinical.interpret:{name}" for name in INTERPRETING.split()),
    "pipeline.edge.audit.events:compared",
    *(f"pipeline.edge.{name}" for name in DELIVERING.split()),
    *(f"pipeline.edge.{name}" for name in ONE_DESTINATION),
)
"""Where a fault is injected; at the last four, one of two destinations has it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """An app with two destinations at one archive, and a store of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    with peers.storescp(tmp_path / "archive") as port:
        ends = "".join(
            f'[[destination]]\nname = "{name}"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\nproof = "none"\n'
            for name in ("sound", "MARKED")
        )
        settings = f'[store]\nurl = "{url}"\n[exam]\nsettle_seconds = 0\n[prefect]\nport = {peers.free_port()}\n{ends}'
        (tmp_path / "service.toml").write_text(settings)
        with open_app(tmp_path) as app:
            yield app


@contextmanager
def faulty(place: str) -> Iterator[None]:
    """Have a function raise whenever it is given something of what is marked."""
    name, _, function = place.partition(":")
    module = importlib.import_module(name)
    sound: Callable[..., Any] = getattr(module, function)

    @functools.wraps(sound)
    def raising(*arguments: Any, **named: Any) -> Any:
        if any(map(_is_marked, (*arguments, *named.values()))):
            raise KeyError("injected")
        return sound(*arguments, **named)

    setattr(module, function, raising)
    try:
        yield
    finally:
        setattr(module, function, sound)


def _is_marked(argument: object) -> bool:
    if isinstance(argument, App) or _are_destinations(argument):  # of which one is marked
        return False
    instance_of = getattr(argument, "instance", argument)
    return "MARKED" in repr(argument) or b"MARKED" in getattr(instance_of, "data_set", b"")


def _are_destinations(argument: object) -> bool:
    return isinstance(argument, tuple) and all(isinstance(part, DestinationSettings) for part in argument)


def send(app: App, who: str) -> str:
    """Have a report received, marked where the patient is; its study."""
    study = f"2.25.{time.monotonic_ns()}"
    named = {"PatientID": who, "StudyInstanceUID": study, "InstitutionName": who, "StationName": who}
    sent = report(spine(region("L1-L4", "0.912"), text("Comment", who)), SOPInstanceUID=f"{study}.1", **named)
    with app.database.write() as connection:
        kept = instance(encode(sent), uid=f"{study}.1")
        receipts.store(connection, kept, calling_ae_title="SCANNER1", at=datetime.now(UTC) - timedelta(seconds=1))
    return study


def delivered(app: App, studies: list[str]) -> int:
    """How many of these studies' addenda the sound destination has."""
    query = (
        select(func.count(delivery.c.id))
        .join(addendum, addendum.c.id == delivery.c.addendum_id)
        .join(exam, exam.c.id == addendum.c.exam_id)
        .where(exam.c.study_instance_uid.in_(studies), delivery.c.state == State.DONE)
        .where(delivery.c.destination == "sound")
    )
    with app.database.read() as connection:
        return connection.execute(query).scalar_one()


@pytest.mark.parametrize("place", PLACES)
def test_every_place_of_a_fault_is_a_function(place: str) -> None:
    module, _, function = place.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fault_anywhere_concerns_nobody_else(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    stop, ended = Stop(), []
    worker = threading.Thread(target=lambda: ended.append(run_worker(lambda: app, stop)))
    worker.start()
    rows, known = [], 0
    try:
        for number, place in enumerate(PLACES):
            with faulty(place):
                began = time.monotonic()
                send(app, f"MARKED{number}")
                studies = [send(app, f"P{number}.{one}") for one in range(2)]
                peers.wait_until(partial(_are_delivered, app, studies), seconds=60, what=place)
                seconds = time.monotonic() - began
                if not place.endswith(ONE_DESTINATION):
                    expected = known + (2 if place.endswith(tuple(DELIVERING.split())) else 1)  # to each destination
                    peers.wait_until(partial(_so_many_are_held, app, expected), what=f"{place}: it is held")
            held = _held(app)
            rows.append((place, seconds, ", ".join(held[known:]) or "tried again"))
            known = len(held)
    finally:
        stop.set()
        worker.join()
    with capsys.disabled():
        print(f"\n{len(PLACES)} places; {'the place of the fault':52} others out after  what became of the one")
        for place, seconds, became in rows:
            print(f"  {place:58} {seconds:5.1f} s  {became}")
    assert ended == [Ending.STOPPED]
    assert max(seconds for _, seconds, _ in rows) < SECONDS
    assert len(PLACES) >= 50
    each_of_two = len(DELIVERING.split())  # a delivery to each destination
    alone = len(PLACES) - len(ONE_DESTINATION) + each_of_two
    peers.wait_until(lambda: len(_held(app)) == alone, what="each is held, and no other")


def _are_delivered(app: App, studies: list[str]) -> bool:
    return delivered(app, studies) == len(studies)


def _so_many_are_held(app: App, number: int) -> bool:
    return len(_held(app)) >= number


def _held(app: App) -> list[str]:
    with app.database.read() as connection:
        return [f"{one.number} {one.reason} {one.detail}" for one in held_work.held(connection)]


def test_what_cannot_be_recorded_is_held_with_its_place_and_the_batch_goes_on(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty("pipeline.edge.store.readings:_record_exam"):
        for who in ("P1", "MARKED", "P2"):
            send(app, who)
        assert extract_waiting(app) == 3
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
        assert connection.execute(select(func.count(reading.c.receipt_id))).scalar_one() == 2
    assert (held.number, held.reason) == ("2", "unexpected")
    assert held.detail.startswith("KeyError at test_faults.py:")


def test_a_text_too_long_for_an_index_holds_its_receipt_alone(app: App) -> None:
    """PostgreSQL has no room for it in an index; SQLite takes it, and nothing is wrong with it."""
    long = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=8000)))
    sent = report(spine(), ManufacturerModelName=None, SOPInstanceUID="2.25.7")
    sent.SpecificCharacterSet = "ISO_IR 192"
    put_text(sent, "ManufacturerModelName", long, "ISO_IR 192")
    with app.database.write() as connection:
        kept = instance(encode(sent), uid="2.25.7")
        receipts.store(connection, kept, calling_ae_title="SCANNER1", at=datetime.now(UTC) - timedelta(seconds=1))
    send(app, "P2")
    assert extract_waiting(app) == 2
    with app.database.read() as connection:
        states = connection.execute(select(receipt.c.state).order_by(receipt.c.id)).scalars().all()
    assert states[1] == State.DONE
    assert states[0] in (State.DONE, State.HELD)


def test_reading_that_takes_too_long_is_held_and_the_others_are_read(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = extraction.read

    def slow(of: App, kept: receipts.Receipt) -> object:
        while b"MARKED" in kept.instance.data_set:
            sum(range(1000))
        return reads(of, kept)

    monkeypatch.setattr(extraction, "read", slow)
    monkeypatch.setattr(extraction, "MAX_READING_SECONDS", 0.5)
    for who in ("P1", "MARKED", "P2"):
        send(app, who)
    assert extract_waiting(app) == 3
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("2", "too_slow")


def test_a_worker_that_reads_stops_within_two_seconds_and_gives_back_what_it_has(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object) -> None:
        while True:
            sum(range(1000))

    monkeypatch.setattr(extraction, "read", endless)
    send(app, "P1")
    stop, ended = Stop(), []
    worker = threading.Thread(target=lambda: ended.append(run_worker(lambda: app, stop)))
    worker.start()
    peers.wait_until(lambda: _leased(app) == 1, what="it reads")
    stop.set()
    began = time.monotonic()
    worker.join(30)
    assert (ended, _leased(app)) == ([Ending.STOPPED], 0)
    assert time.monotonic() - began < 2


def _leased(app: App) -> int:
    query = select(func.count(receipt.c.id)).where(receipt.c.lease_owner.is_not(None), receipt.c.attempts > 0)
    with app.database.read() as connection:
        return connection.execute(query).scalar_one()


def test_receipts_are_read_in_batches_of_bearable_size(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "BATCH_BYTES", 2500)
    for who in ("P1", "P2", "P3"):
        send(app, who)
    with app.database.read() as connection:
        assert 833 < min(connection.scalars(select(receipt.c.size))) < 1250
    assert [extract_waiting(app), extract_waiting(app)] == [2, 1]
    monkeypatch.setattr(extraction, "BATCH_BYTES", 1)
    send(app, "P4")
    assert extract_waiting(app) == 1


def test_a_suspected_receipt_that_is_not_read_when_it_is_time_to_stop_is_given_back(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = report(spine(region("L1-L4", "0.912")), SOPInstanceUID="2.25.7")
    corrected = report(spine(region("L1-L4", "0.912")), SOPInstanceUID="2.25.7", AccessionNumber="A2")
    reads = extraction.read

    def endless(*_: object) -> None:
        while True:
            sum(range(1000))

    for one, reading_it, stopped in ((sent, reads, False), (corrected, endless, True)):
        with app.database.write() as connection:
            kept = instance(encode(one), uid="2.25.7")
            receipts.store(connection, kept, calling_ae_title="SCANNER1", at=datetime.now(UTC) - timedelta(seconds=1))
        monkeypatch.setattr(extraction, "read", reading_it)
        assert extract_waiting(app, stopped=partial(bool, stopped)) == 1
    assert len(_held(app)) == 1
    monkeypatch.setattr(extraction, "read", reads)
    assert extract_waiting(app) == 1
    assert _held(app) == []


def test_what_else_keeps_a_host_from_being_called_is_not_told_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(PeerUnavailableError, match="Too many open files"):
        echo(DicomDestination(name="pacs", host="pacs.invalid", port=104, ae_title="PACS"), "DXATREND")


@pytest.mark.parametrize("fault", [socket.gaierror(-3, "Temporary failure in name resolution"), UnicodeError("label")])
def test_a_host_whose_name_has_no_address_is_away(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    where: dict[str, Any] = {"host": "pacs.invalid", "port": 104, "ae_title": "PACS"}
    with pytest.raises(PeerUnavailableError, match=r"the name pacs\.invalid has no address"):
        echo(DicomDestination(name="pacs", **where), "DXATREND")
    with (
        pytest.raises(PeerUnavailableError, match=r"the name pacs\.invalid has no address"),
        associate(CallerSettings(**where), "DXATREND", as_scp=[StorageCommitmentPushModel]),
    ):
        pass
    line = syslog_sender.Line(datetime.now(UTC), 5, b"")
    with pytest.raises(syslog_sender.SyslogUnreachableError):
        syslog_sender.send([line], AuditSettings(syslog="udp://syslog.invalid:514"), "here")


AT_REQUESTS = [
    *(f"pipeline.edge.receive.commitment_results:{name}" for name in ("_read_back", "_record", "send_result")),
    "pipeline.edge.dicom_net.storage_commitment:_item",
    "pipeline.edge.store.commitment_requests:failure_reason_of",
]
AT_QUESTIONS = [
    f"pipeline.edge.history.query_retrieve:{name}" for name in ("fetch", "_study_query", "_studies", "_record_query")
]


@pytest.fixture(params=["sqlite", "postgresql"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[App, AskingScanner]]:
    """An application whose scanner asks for storage commitment and can be called, and a store of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    scanner = AskingScanner(peers.free_port())
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "{url}"
        [[listener.caller]]
        ae_title = "SCANNER1"
        host = "127.0.0.1"
        port = {scanner.port}
        """)
    with open_app(tmp_path) as app, scanner.listening():
        yield app, scanner


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # the mark is no UID
@pytest.mark.parametrize("place", AT_REQUESTS)
def test_a_fault_over_one_request_for_commitment_concerns_no_other(
    asked: tuple[App, AskingScanner], place: str
) -> None:
    app, scanner = asked
    (caller,) = app.settings.service.listener.caller
    for number, uid in enumerate(("2.25.1", "MARKED", "2.25.2")):
        with app.database.write() as connection:
            commitment_requests.record(
                connection,
                calling_ae_title="SCANNER1",
                transaction_uid=f"2.25.7{number}",
                requested=[("1.2", uid)],
                at=datetime.now(UTC) - timedelta(seconds=9 - number),
            )
    with faulty(place):
        for _ in range(3):
            report_due(app, caller)
    assert {str(result.TransactionUID) for _, result in scanner.heard} >= {"2.25.70", "2.25.72"}
    (held,) = _held(app)
    assert held.startswith("C2 unexpected KeyError at test_faults.py")


@contextmanager
def archive_of_nothing() -> Iterator[int]:
    """The port of an archive that answers every C-FIND, and has nothing."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    port = peers.free_port()
    answers: list[Any] = [(evt.EVT_C_FIND, lambda _: iter([(0x0000, None)]))]
    server = ae.start_server((peers.LOOPBACK, port), block=False, evt_handlers=answers)
    try:
        yield port
    finally:
        server.shutdown()


@pytest.mark.parametrize("place", AT_QUESTIONS)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_fault_over_one_question_to_an_archive_concerns_no_other(
    tmp_path: Path, request: pytest.FixtureRequest, store: str, place: str
) -> None:
    url = request.getfixturevalue("postgresql_url") if store == "postgresql" else f"sqlite:///{tmp_path}/store.sqlite3"
    with archive_of_nothing() as port:
        archive = f'name = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\nhistory = true\n'
        (tmp_path / "service.toml").write_text(f'[store]\nurl = "{url}"\n[[destination]]\n{archive}')
        with open_app(tmp_path) as app:
            for who in ("P1", "MARKED", "P2"):
                send(app, who)
            assert extract_waiting(app) == 3
            with faulty(place):
                while run_due_query(app, app.settings.service.archives[0]):
                    pass
            with app.database.read() as connection:
                states = connection.scalars(select(history_query.c.state).order_by(history_query.c.id)).all()
    assert (states[0], states[2]) == (State.DONE, State.DONE)
    assert states[1] in (State.WAITING, State.HELD)
