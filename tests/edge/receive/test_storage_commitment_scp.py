"""A scanner's request for storage commitment is stored at once, and answered on its own association in the end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage
from pynetdicom.sop_class import StorageCommitmentPushModel
from sqlalchemy import Connection, update

from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import Engine
from pipeline.edge.operations import housekeeping
from pipeline.edge.receive.commitment_results import _read_back, claim_due
from pipeline.edge.store import commitment_requests, held_work, receipts
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import commitment_request, receipt
from tests import peers
from tests.factories import fast_scanner
from tests.factories.commitment_scanner import KEPT, Scanner, app_with_scanner, waiting_requests
from tests.factories.instances import NOW, instance, lose_the_worker


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(peers.free_port())


@pytest.fixture
def app(engine: Engine, tmp_path: Path, scanner: Scanner) -> Iterator[App]:
    """An application that can call the scanner, and keeps one object."""
    with app_with_scanner(engine, tmp_path, scanner, called=True) as app:
        yield app


def test_a_scanner_without_a_port_hears_it_on_its_own_association(
    engine: Engine, tmp_path: Path, scanner: Scanner
) -> None:
    with app_with_scanner(engine, tmp_path, scanner, called=False) as app:
        assert scanner.ask((EnhancedSRStorage, KEPT), stay_for=1) == 0x0000
        peers.wait_until(lambda: not waiting_requests(app), what="the result is confirmed")
    assert [event_type for event_type, _ in scanner.heard] == [1]


def test_what_a_scanner_did_not_stay_for_it_hears_when_it_asks_again(
    engine: Engine, tmp_path: Path, scanner: Scanner
) -> None:
    with app_with_scanner(engine, tmp_path, scanner, called=False) as app:
        assert scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.70") == 0x0000
        assert scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.71", stay_for=2) == 0x0000
        peers.wait_until(lambda: not waiting_requests(app), what="the result is confirmed")
    assert [result.TransactionUID for _, result in scanner.heard] == ["2.25.70", "2.25.71"]


def test_more_references_than_allowed_are_refused_and_the_log_says_whose(
    app: App, scanner: Scanner, caplog: pytest.LogCaptureFixture
) -> None:
    limit = app.settings.service.listener.commitment_references
    most = [(EnhancedSRStorage, f"2.25.{number}") for number in range(limit + 1)]
    assert scanner.ask(*most) == 0x0213
    assert waiting_requests(app) == []
    peers.wait_until_logged("'SCANNER1' asked for a commitment to more than 2000 objects", caplog)
    assert scanner.ask(*most[:-1]) == 0x0000


def test_more_requests_than_may_wait_are_refused(app: App, scanner: Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.edge.receive.storage_commitment_scp.MOST_WAITING", 3)
    answers = [scanner.ask((EnhancedSRStorage, KEPT), transaction=f"2.25.7{number}") for number in range(5)]
    assert answers == [0x0000] * 3 + [0x0213] * 2


def test_objects_are_read_back_while_somebody_else_writes(database: Database) -> None:
    """One that named a large object again and again kept every scanner from sending, for as long as that took."""
    with database.write() as connection:
        receipts.store(connection, instance(uid=KEPT), calling_ae_title="SCANNER1", at=NOW)
        _keep(connection)
    with database.write() as somebody_else:
        receipts.store(somebody_else, instance(uid="2.25.2"), calling_ae_title="SCANNER2", at=NOW)
        with database.read() as connection:
            answer = _read_back(database, commitment_requests.load(connection, 1))
    assert answer.kept == ((EnhancedSRStorage, KEPT),)


def test_a_request_that_ends_its_process_is_held_after_the_third_time(database: Database) -> None:
    """It is claimed durably before its objects are looked at, and nothing that waits behind it is lost."""
    with database.write() as connection:
        receipts.store(connection, instance(uid=KEPT), calling_ae_title="SCANNER1", at=NOW)
        for transaction in ("2.25.7", "2.25.8"):
            _keep(connection, transaction=transaction)
    for _ in range(3):
        due = claim_due(database, "SCANNER1")
        assert due is not None
        assert due[0].transaction_uid == "2.25.7"
        with database.write() as connection:
            lose_the_worker(connection, commitment_request)
    due = claim_due(database, "SCANNER1")
    assert due is not None
    assert due[0].transaction_uid == "2.25.8"
    with database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("C1", "worker_lost")


@pytest.mark.parametrize("encoded", [b"", b"\x08\x00", bytes(300), b"\x08\x00\x99\x11SQ\0\0\xff\xff\xff\xff" * 60])
def test_a_request_that_cannot_be_read_is_an_invalid_argument(
    app: App, scanner: Scanner, encoded: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with fast_scanner.Scanner(
        scanner.listener_port, called="DXATREND", sop_classes=(StorageCommitmentPushModel,)
    ) as broken:
        broken.socket.sendall(fast_scanner.action_request(encoded))
        assert broken.answer() == 0x0115
    peers.wait_until_logged("'SCANNER1' asked for a commitment: ", caplog)


@pytest.mark.parametrize(("objects", "transaction"), [((), "2.25.1"), (((EnhancedSRStorage, KEPT),), "")])
def test_a_request_that_lacks_something_is_an_invalid_argument(
    app: App, scanner: Scanner, objects: tuple[tuple[str, str], ...], transaction: str
) -> None:
    assert scanner.ask(*objects, transaction=transaction) == 0x0115
    assert waiting_requests(app) == []


def test_an_unknown_caller_may_not_request_commitment(app: App, scanner: Scanner) -> None:
    assert scanner.call("STRANGER").is_rejected


def test_a_result_that_could_not_be_reported_for_a_week_is_held_for_a_person(app: App, scanner: Scanner) -> None:
    scanner.ask((EnhancedSRStorage, KEPT))
    housekeeping.run_housekeeping(app)
    assert len(waiting_requests(app)) == 1
    with app.database.write() as connection:
        connection.execute(update(commitment_request).values(requested_at=datetime.now(UTC) - timedelta(days=8)))
    housekeeping.run_housekeeping(app)
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("C1", "not_reported")


def test_the_store_reads_back_what_it_commits_itself_to(database: Database) -> None:
    """Of several objects under one UID, any that is whole and of the class will do."""
    with database.write() as connection:
        receipts.store(connection, instance(uid=KEPT), calling_ae_title="SCANNER1", at=NOW)
        receipts.store(connection, instance(b"something else", uid=KEPT), calling_ae_title="SCANNER1", at=NOW)
        connection.execute(update(receipt).where(receipt.c.id == 1).values(digest="0" * 64))
        assert commitment_requests.failure_reason_of(connection, EnhancedSRStorage, KEPT) is None
        assert commitment_requests.failure_reason_of(connection, ComprehensiveSRStorage, KEPT) == 0x0119
        connection.execute(update(receipt).where(receipt.c.id == 2).values(digest="1" * 64))
        assert commitment_requests.failure_reason_of(connection, EnhancedSRStorage, KEPT) == 0x0112


def _keep(connection: Connection, *, transaction: str = "2.25.7") -> None:
    requested = [(EnhancedSRStorage, KEPT)]
    commitment_requests.record(
        connection, calling_ae_title="SCANNER1", transaction_uid=transaction, requested=requested, at=NOW
    )
