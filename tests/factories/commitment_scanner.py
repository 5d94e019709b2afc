"""A scanner that requests our storage commitment, and an application with a listener that it can call."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from sqlalchemy import select

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import CallerSettings, Engine
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import receipts
from pipeline.edge.store.schema import commitment_request
from pipeline.edge.store.schema_base import State
from tests import peers
from tests.factories.instances import NOW, instance

KEPT = "2.25.1"
"""The SOP Instance UID of the one object that the application has stored."""


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
        status = request_commitment(association, *objects, transaction=transaction)
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


def request_commitment(association: Association, *objects: tuple[str, str], transaction: str) -> int:
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
def app_with_scanner(engine: Engine, folder: Path, scanner: Scanner, *, called: bool) -> Iterator[App]:
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
        listener = Listener(service.listener, app.database, service.dicom_destinations)
        try:
            yield app
        finally:
            listener.close()


def caller_of(app: App) -> CallerSettings:
    return app.settings.service.listener.caller[0]


def waiting_requests(app: App) -> list[int]:
    """How often each request that waits was tried."""
    with app.database.read() as connection:
        return list(
            connection.scalars(select(commitment_request.c.attempts).where(commitment_request.c.state == State.WAITING))
        )


def uids_in(result: Dataset, sequence: str) -> list[str]:
    return [item.ReferencedSOPInstanceUID for item in result.get(sequence, [])]
