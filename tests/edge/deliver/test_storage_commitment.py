"""Delivered means that the archive has committed itself, where the destination asks for that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import Engine
from pipeline.edge.deliver.dispatcher import deliver_batch
from pipeline.edge.dicom_net.storage_commitment import ALL_COMMITTED, SOME_FAILED
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import outbox, receipts, service_status
from tests import peers
from tests.factories.instances import instance
from tests.factories.reports import encode, report, spine


@contextmanager
def _app(folder: Path, *, archive_port: int, listener_port: int, engine: Engine = "event-driven") -> Iterator[App]:
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [listener]
        port = {listener_port}
        engine = "{engine}"
        [[destination]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = {archive_port}
        proof = "commitment"
        """)
    with open_app(folder) as app:
        yield app


@contextmanager
def _listening(app: App) -> Iterator[None]:
    service = app.settings.service
    listener = Listener(service.listener, app.database, service.dicom_destinations)
    try:
        yield
    finally:
        listener.close()


def _issue_one(app: App) -> str:
    """Put one addendum into the outbox; its SOP Instance UID."""
    with app.database.write() as connection:
        sent = instance(encode(report(spine())), uid="2.25.1")
        receipts.store(connection, sent, calling_ae_title="SCANNER1", at=datetime(2026, 1, 1, tzinfo=UTC))
    extract_waiting(app)
    assert follow_up(app, claim_due(app.database, 1)).issued == 1
    with app.database.read() as connection:
        (issued,) = outbox.addenda(connection, 1)
    return issued.sop_instance_uid


def _backlog(app: App) -> int:
    with app.database.read() as connection:
        return service_status.status(connection, ["pacs"], datetime.now(UTC)).destinations[0].backlog


def test_orthanc_commits_itself_and_only_then_it_is_delivered(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listener_port = peers.free_port()
    (tmp_path / "orthanc").mkdir()
    (tmp_path / "app").mkdir()
    with (
        peers.orthanc(tmp_path / "orthanc", modalities={"DXATREND": listener_port}) as pacs,
        _app(tmp_path / "app", archive_port=pacs.dicom_port, listener_port=listener_port, engine=engine) as app,
        _listening(app),
    ):
        uid = _issue_one(app)
        delivered, postponed = deliver_batch(app, app.settings.service.destination[0])
        assert (delivered, postponed) == (0, 1), "stored is not committed"
        peers.wait_until(lambda: _backlog(app) == 0, what="the commitment has come")
        peers.wait_until_logged("delivered", caplog)
        told = [vars(record) for record in caplog.records if record.message == "delivered"]
        assert [(one["addendum"], one["destination"], one["proof"]) for one in told] == [(1, "pacs", "commitment")]
        assert len(pacs.find("Instance", SOPInstanceUID=uid)) == 1


@contextmanager
def _archive(answer: int = 0x0000, *, commits: bool = True) -> Iterator[int]:
    """A PACS that stores, and answers a request for commitment with a status and then nothing."""
    ae = AE(ae_title="ORTHANC")
    ae.add_supported_context(ComprehensiveSRStorage, ExplicitVRLittleEndian)
    if commits:
        ae.add_supported_context(StorageCommitmentPushModel)
    handlers: list[tuple[evt.EventType, Callable[[evt.Event], object]]] = [
        (evt.EVT_C_STORE, lambda event: 0x0000),
        (evt.EVT_N_ACTION, lambda event: (answer, None)),
    ]
    port = peers.free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    yield port
    server.shutdown()


@pytest.fixture
def awaiting(engine: Engine, tmp_path: Path) -> Iterator[tuple[App, str]]:
    """An application whose one addendum is stored and waits for the archive's commitment; and its UID."""
    with (
        _archive() as port,
        _app(tmp_path, archive_port=port, listener_port=peers.free_port(), engine=engine) as app,
        _listening(app),
    ):
        uid = _issue_one(app)
        assert deliver_batch(app, app.settings.service.destination[0]) == (0, 1)
        yield app, uid


def _report(app: App, event_type: int, *, calling: str = "ORTHANC", **sequences: str) -> int:
    """Tell the listener of a result, in the archive's role; the status that came back, or -1 without association."""
    result = Dataset()
    result.TransactionUID = "2.25.77"
    for keyword, uid in sequences.items():
        item = Dataset()
        item.ReferencedSOPClassUID = ComprehensiveSRStorage
        item.ReferencedSOPInstanceUID = uid
        item.FailureReason = 0x0112
        setattr(result, keyword, [item])
    ae = AE(ae_title=calling)
    ae.add_requested_context(StorageCommitmentPushModel)
    association = ae.associate(
        "127.0.0.1",
        app.settings.service.listener.port,
        ae_title="DXATREND",
        ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
    )
    if not association.is_established:
        return -1
    status, _ = association.send_n_event_report(
        result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    association.release()
    return int(status.Status)


def test_a_commitment_ends_the_delivery(awaiting: tuple[App, str]) -> None:
    app, uid = awaiting
    assert _backlog(app) == 1
    assert _report(app, ALL_COMMITTED, ReferencedSOPSequence=uid) == 0x0000
    assert _backlog(app) == 0


def test_a_failed_commitment_makes_it_due_again(awaiting: tuple[App, str]) -> None:
    app, uid = awaiting
    assert _report(app, SOME_FAILED, FailedSOPSequence=uid) == 0x0000
    assert _backlog(app) == 1
    assert deliver_batch(app, app.settings.service.destination[0]) == (0, 1), "it is sent again at once"


def test_a_commitment_to_something_else_ends_nothing(awaiting: tuple[App, str]) -> None:
    app, _ = awaiting
    assert _report(app, ALL_COMMITTED, ReferencedSOPSequence="2.25.4711") == 0x0000
    assert _backlog(app) == 1


def test_only_the_archive_itself_may_report_its_commitment(awaiting: tuple[App, str]) -> None:
    app, uid = awaiting
    assert _report(app, ALL_COMMITTED, calling="STRANGER", ReferencedSOPSequence=uid) == -1
    assert _backlog(app) == 1


def test_an_archive_that_may_report_commitments_may_not_send_reports(awaiting: tuple[App, str]) -> None:
    app, _ = awaiting
    ae = AE(ae_title="ORTHANC")
    ae.add_requested_context(EnhancedSRStorage)
    association = ae.associate("127.0.0.1", app.settings.service.listener.port, ae_title="DXATREND")
    foreign = report(spine())
    foreign.SOPInstanceUID = "2.25.5"
    foreign.SOPClassUID = EnhancedSRStorage
    foreign.ensure_file_meta()
    foreign.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert association.send_c_store(foreign).Status == 0x0124
    association.release()


@pytest.mark.parametrize(("answer", "commits"), [(0x0110, True), (0x0000, False)])
def test_an_archive_that_will_not_commit_itself_leaves_it_undelivered(
    tmp_path: Path, answer: int, commits: bool
) -> None:
    with (
        _archive(answer, commits=commits) as port,
        _app(tmp_path, archive_port=port, listener_port=peers.free_port()) as app,
    ):
        _issue_one(app)
        assert deliver_batch(app, app.settings.service.destination[0]) == (0, 1)
        with app.database.read() as connection:
            to = service_status.status(connection, ["pacs"], datetime.now(UTC)).destinations[0]
    assert to.backlog == 1
    assert "storage commitment" in str(to.last_problem)
