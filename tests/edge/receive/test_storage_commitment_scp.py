"""A scanner that asks hears what we keep of its objects, sooner or later, and never more than is so."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from sqlalchemy import Connection, select, update

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import CallerSettings, Engine
from pipeline.edge.deliver.commitment_reporter import report_due
from pipeline.edge.dicom_net.tls import for_listener
from pipeline.edge.operations import housekeeping
from pipeline.edge.receive.commitment_results import _read_back, claim_due
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import commitment_requests, receipts, service_status
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import State, commitment_request, receipt
from tests import peers
from tests.factories import fast_scanner
from tests.factories.certificates import Authority
from tests.factories.instances import NOW, instance, lose_the_worker

KEPT = "2.25.1"


@dataclass
class Scanner:
    """A scanner that asks for our commitment, and hears it on an association of its own or of ours."""

    listener_port: int
    port: int = field(default_factory=peers.free_port)
    ae_title: str = "SCANNER1"
    answer: int = 0x0000
    heard: list[tuple[int, Dataset]] = field(default_factory=list)

    def ask(self, *objects: tuple[str, str], transaction: str = "2.25.77", stay_for: int = 0) -> int:
        association = self.call()
        status = _ask(association, *objects, transaction=transaction)
        peers.wait_until(lambda: len(self.heard) >= stay_for, what="it has heard the results")
        association.release()
        return status

    def call(self, calling: str = "SCANNER1") -> Association:
        ae = AE(ae_title=calling)
        ae.add_requested_context(StorageCommitmentPushModel)
        handlers: list[tuple[evt.EventType, Callable[[evt.Event], object]]] = [(evt.EVT_N_EVENT_REPORT, self._hear)]
        return ae.associate("127.0.0.1", self.listener_port, ae_title="DXATREND", evt_handlers=handlers)

    @contextmanager
    def listening(self, tls: ssl.SSLContext | None = None) -> Iterator[None]:
        """It can be called."""
        ae = AE(ae_title="SCANNER1")
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._hear)],
            ssl_context=tls,
        )
        try:
            yield
        finally:
            server.shutdown()

    def _hear(self, event: evt.Event) -> tuple[int, None]:
        self.heard.append((event.event_type, event.event_information))
        return self.answer, None


def _ask(association: Association, *objects: tuple[str, str], transaction: str) -> int:
    question = Dataset()
    if transaction:
        question.TransactionUID = transaction
    question.ReferencedSOPSequence = []
    for sop_class, uid in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        question.ReferencedSOPSequence.append(item)
    status, _ = association.send_n_action(question, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    return int(status.Status)


@contextmanager
def _app(engine: Engine, folder: Path, scanner: Scanner, *, called: bool) -> Iterator[App]:
    port = f"port = {scanner.port}" if called else ""
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [listener]
        port = {scanner.listener_port}
        engine = "{engine}"
        [[listener.caller]]
        ae_title = "{scanner.ae_title}"
        host = "127.0.0.1"
        {port}
        """)
    with open_app(folder) as app:
        with app.database.write() as connection:
            receipts.store(connection, instance(uid=KEPT), calling_ae_title="SCANNER1", at=NOW)
        service = app.settings.service
        listener = Listener(service.listener, app.database, service.destination)
        try:
            yield app
        finally:
            listener.close()


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(peers.free_port())


@pytest.fixture
def app(engine: Engine, tmp_path: Path, scanner: Scanner) -> Iterator[App]:
    """An application that can call the scanner, and keeps one object."""
    with _app(engine, tmp_path, scanner, called=True) as app:
        yield app


def _caller(app: App) -> CallerSettings:
    return app.settings.service.listener.caller[0]


def _waiting(app: App) -> list[int]:
    """How often each request that waits was tried."""
    with app.database.read() as connection:
        return list(
            connection.scalars(select(commitment_request.c.attempts).where(commitment_request.c.state == State.WAITING))
        )


def _uids(result: Dataset, sequence: str) -> list[str]:
    return [item.ReferencedSOPInstanceUID for item in result.get(sequence, [])]


def test_a_scanner_with_a_port_hears_the_result_on_an_association_of_ours(app: App, scanner: Scanner) -> None:
    assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    with scanner.listening():
        report_due(app, _caller(app))
    ((event_type, result),) = scanner.heard
    assert (event_type, result.TransactionUID, _uids(result, "ReferencedSOPSequence")) == (1, "2.25.77", [KEPT])
    assert _waiting(app) == []


def test_a_scanner_that_speaks_tls_alone_is_called_over_tls(
    app: App, scanner: Scanner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours = for_listener(authority.sign("scanner").settings), authority.sign("ours").settings
    assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    with scanner.listening(theirs):
        report_due(app, _caller(app))
        assert scanner.heard == []
        scanner.ask((EnhancedSRStorage, KEPT))
        report_due(app, _caller(app).model_copy(update={"tls": ours}))
    assert [event_type for event_type, _ in scanner.heard] == [1]
    with scanner.listening(for_listener(Authority(tmp_path / "another").sign("scanner").settings)):
        scanner.ask((EnhancedSRStorage, KEPT))
        report_due(app, _caller(app).model_copy(update={"tls": ours}))
    assert len(scanner.heard) == 1
    assert "does the TLS of both sides fit?" in caplog.text


def test_a_scanner_without_a_port_hears_it_on_its_own_association(
    engine: Engine, tmp_path: Path, scanner: Scanner
) -> None:
    with _app(engine, tmp_path, scanner, called=False) as app:
        assert scanner.ask((EnhancedSRStorage, KEPT), stay_for=1) == 0x0000
        peers.wait_until(lambda: not _waiting(app), what="the result is confirmed")
    assert [event_type for event_type, _ in scanner.heard] == [1]


def test_what_a_scanner_did_not_stay_for_it_hears_when_it_asks_again(
    engine: Engine, tmp_path: Path, scanner: Scanner
) -> None:
    with _app(engine, tmp_path, scanner, called=False) as app:
        assert scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.70") == 0x0000
        assert scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.71", stay_for=2) == 0x0000
        peers.wait_until(lambda: not _waiting(app), what="the result is confirmed")
    assert [result.TransactionUID for _, result in scanner.heard] == ["2.25.70", "2.25.71"]


def test_only_what_is_kept_is_committed_and_the_rest_has_its_reason(app: App, scanner: Scanner) -> None:
    requested = [(EnhancedSRStorage, KEPT), (EnhancedSRStorage, "2.25.404"), (ComprehensiveSRStorage, KEPT)]
    scanner.ask(*requested)
    with scanner.listening():
        report_due(app, _caller(app))
    ((event_type, result),) = scanner.heard
    assert event_type == 2
    assert _uids(result, "ReferencedSOPSequence") == [KEPT]
    failed = [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in result.FailedSOPSequence]
    assert failed == [("2.25.404", 0x0112), (KEPT, 0x0119)]


def test_an_object_whose_bytes_are_no_longer_what_was_sent_is_not_committed(app: App, scanner: Scanner) -> None:
    """Each is read back: its pixels may have been dropped, or the disk may have lied."""
    with app.database.write() as connection:
        connection.execute(update(receipt).values(digest="0" * 64))
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, _caller(app))
    assert [event_type for event_type, _ in scanner.heard] == [2]


def test_a_scanner_that_cannot_be_reached_hears_the_result_later_even_after_a_restart(
    app: App, scanner: Scanner, tmp_path: Path
) -> None:
    scanner.ask((EnhancedSRStorage, KEPT))
    report_due(app, _caller(app))
    assert _waiting(app) == [1]
    with open_app(tmp_path) as restarted:
        with restarted.database.write() as connection:
            connection.execute(update(commitment_request).values(due_at=NOW))
        with scanner.listening():
            report_due(restarted, _caller(restarted))
    assert len(scanner.heard) == 1
    assert _waiting(app) == []


def test_a_result_that_a_scanner_answers_with_a_failure_is_reported_again(app: App, scanner: Scanner) -> None:
    scanner.answer = 0x0110
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, _caller(app))
    assert len(_waiting(app)) == 1


def test_the_same_request_again_is_kept_once_and_answered_again(app: App, scanner: Scanner) -> None:
    for _ in range(2):
        assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    assert len(_waiting(app)) == 1
    with scanner.listening():
        report_due(app, _caller(app))
        assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
        report_due(app, _caller(app))
    assert len(scanner.heard) == 2


def test_an_object_named_again_and_again_is_read_back_once(app: App, scanner: Scanner) -> None:
    assert scanner.ask(*[(EnhancedSRStorage, KEPT)] * 500) == 0x0000
    with scanner.listening():
        report_due(app, _caller(app))
    ((_, result),) = scanner.heard
    assert _uids(result, "ReferencedSOPSequence") == [KEPT]


def test_more_references_than_allowed_are_refused_and_the_log_says_whose(
    app: App, scanner: Scanner, caplog: pytest.LogCaptureFixture
) -> None:
    limit = app.settings.service.listener.commitment_references
    most = [(EnhancedSRStorage, f"2.25.{number}") for number in range(limit + 1)]
    assert scanner.ask(*most) == 0x0213
    assert _waiting(app) == []
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
        (held,) = service_status.held(connection)
    assert (held.number, held.reason) == ("C1", "worker_lost")


def test_a_request_over_which_we_fail_is_held_alone(app: App, scanner: Scanner) -> None:
    scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.71")
    scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.72")
    with app.database.write() as connection:
        connection.execute(update(commitment_request).where(commitment_request.c.id == 1).values(requested="[damaged"))
    with scanner.listening():
        report_due(app, _caller(app))
    assert [result.TransactionUID for _, result in scanner.heard] == ["2.25.72"]
    with app.database.read() as connection:
        (held,) = service_status.held(connection)
    assert (held.number, held.reason) == ("C1", "unexpected")


def test_an_object_whose_bytes_cannot_be_read_back_at_all_is_not_committed(app: App, scanner: Scanner) -> None:
    with app.database.write() as connection:
        connection.execute(update(receipt).values(content=b"damaged"))
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, _caller(app))
    assert [event_type for event_type, _ in scanner.heard] == [2]


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
    assert _waiting(app) == []


def test_an_unknown_caller_may_not_request_commitment(app: App, scanner: Scanner) -> None:
    assert scanner.call("STRANGER").is_rejected


def test_a_result_that_could_not_be_reported_for_a_week_is_held_for_a_person(app: App, scanner: Scanner) -> None:
    scanner.ask((EnhancedSRStorage, KEPT))
    housekeeping.run_housekeeping(app)
    assert len(_waiting(app)) == 1
    with app.database.write() as connection:
        connection.execute(update(commitment_request).values(requested_at=datetime.now(UTC) - timedelta(days=8)))
    housekeeping.run_housekeeping(app)
    with app.database.read() as connection:
        (held,) = service_status.held(connection)
    assert (held.number, held.reason) == ("C1", "not_reported")


def test_orthanc_as_the_scanner_hears_what_we_keep(
    engine: Engine, tmp_path: Path, sample: Callable[[str], Path]
) -> None:
    """It sends one report, and asks for our commitment to that and to one we never got."""
    sent, unsent = sorted(sample(".").glob("*/*.dcm"))[:2]
    scanner = Scanner(peers.free_port(), ae_title="ORTHANC")
    for name in ("orthanc", "app"):
        (tmp_path / name).mkdir()
    with peers.orthanc(tmp_path / "orthanc", modalities={"DXATREND": scanner.listener_port}) as pacs:
        scanner.port = pacs.dicom_port
        for report in (sent, unsent):
            assert peers.storescu([report], port=pacs.dicom_port, called="ORTHANC").returncode == 0
        uids = {path: dcmread(path).SOPInstanceUID for path in (sent, unsent)}
        (known,) = pacs.find("Instance", SOPInstanceUID=uids[sent])
        both = pacs.find("Instance")
        with _app(engine, tmp_path / "app", scanner, called=True) as app:
            pacs.post("modalities/DXATREND/store", [known])
            asked = [pacs.post("modalities/DXATREND/storage-commitment", {"Resources": ids}) for ids in ([known], both)]
            report_due(app, _caller(app))
            peers.wait_until(
                lambda: all(pacs.rest(f"storage-commitment/{one['ID']}")["Status"] != "Pending" for one in asked),
                what="Orthanc has heard",
            )
            whole, part = [pacs.rest(f"storage-commitment/{one['ID']}") for one in asked]
            assert whole["Status"] == "Success"
            assert part["Status"] == "Failure"
            assert [one["SOPInstanceUID"] for one in part["Success"]] == [uids[sent]]
            assert [one["SOPInstanceUID"] for one in part["Failures"]] == [uids[unsent]]


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
