"""The listener: receive reports and images from scanners (Storage SCP), and storage commitment from archives.

An instance is answered with success when the commit that stores it is durable, and never before. Its content is judged
later, so that no report, however broken, can hold up a scanner.
"""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime

from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import MEGABYTE, Engine, ListenerSettings
from pipeline.edge.dicom_net.admission import Rejection, Requestor
from pipeline.edge.dicom_net.limits import Limits
from pipeline.edge.dicom_net.pynetdicom_server import PynetdicomServer
from pipeline.edge.dicom_net.rate_limited_log import Novelty, RateLimitedLog
from pipeline.edge.dicom_net.server import EventDrivenServer
from pipeline.edge.dicom_net.sop_classes import (
    IMAGE_STORAGE_CLASSES,
    SR_STORAGE_CLASSES,
    SR_TRANSFER_SYNTAXES,
    UNCOMPRESSED_TRANSFER_SYNTAXES,
)
from pipeline.edge.dicom_net.statuses import (
    INVALID_ARGUMENT,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SUCCESS,
)
from pipeline.edge.dicom_net.storage_commitment import CommitmentMessageError, read_result
from pipeline.edge.dicom_net.tls import TlsError, for_listener
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.peer_problems import Problem
from pipeline.edge.receive.access_control import AccessControl, Role
from pipeline.edge.receive.caller_certificates import CallerCertificates
from pipeline.edge.receive.group_commit import GroupCommit, Stored
from pipeline.edge.receive.refused_objects import RefusedObjectsLog
from pipeline.edge.receive.rejected_callers import RejectedCallers
from pipeline.edge.receive.storage_commitment_scp import StorageCommitmentScp
from pipeline.edge.store import outbox
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.senders import Sender

log = logging.getLogger(__name__)

OBJECTS_IN_MEMORY = 3
"""How many of the largest objects fit into memory at once; of reports, thousands. No caller may have all of it."""

LONGEST_REFERENCE = 256
"""Bytes of one reference in a request for storage commitment: two UIDs of 64 and what is around them are 190."""

_TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x04
"""Result of a presentation context (PS3.8 Table 9-18)."""

_SERVERS: dict[Engine, type[EventDrivenServer] | type[PynetdicomServer]] = {
    "event-driven": EventDrivenServer,
    "pynetdicom": PynetdicomServer,
}


class Listener:
    """Accepts the associations of scanners and archives, from construction until ``close``.

    Raises:
        OSError: the port cannot be bound.
        TlsError: ``listener.tls`` cannot be used.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        database: Database,
        destinations: Sequence[DicomDestination] = (),
        *,
        reserve_mb: int = 0,
    ) -> None:
        self._settings, self._database = settings, database
        self._rejected_callers = RejectedCallers(database)
        self._refused_objects = RefusedObjectsLog(database)
        self._caller_certificates = CallerCertificates(database)
        self._access_control = AccessControl(settings, destinations, self._rejected_callers)
        self._disk_reserve = disk_reserve_of(database, reserve_mb)
        self._rate_limited = RateLimitedLog(log)
        self._offers = Novelty()
        self._commitment_scp = StorageCommitmentScp(database, settings.caller, settings.commitment_references)
        self._received: deque[tuple[int, str, bool]] = deque()
        self._group_commit = GroupCommit(database, report=self._report)
        try:
            self._server = _SERVERS[settings.engine](
                _application_entity(settings),
                (settings.host, settings.port),
                {
                    evt.EVT_ACCEPTED: self._log_rejected_contexts,
                    evt.EVT_C_ECHO: lambda event: SUCCESS,
                    evt.EVT_C_STORE: self._store,
                    evt.EVT_N_EVENT_REPORT: self._take_commitment_result,
                    evt.EVT_N_ACTION: self._take_commitment_request,
                },
                Limits(
                    associations=settings.associations,
                    associations_per_caller=settings.associations_per_caller,
                    idle_seconds=settings.idle_seconds,
                    largest_object=settings.largest_object_mb * MEGABYTE,
                    largest_request=LONGEST_REFERENCE * (settings.commitment_references + 1),
                    memory=OBJECTS_IN_MEMORY * settings.largest_object_mb * MEGABYTE,
                ),
                tls=for_listener(settings.tls) if settings.tls else None,
                admit=self._admit,
                blocking_work=self._group_commit,
            )
        except (OSError, TlsError):
            self._group_commit.close()
            self._commitment_scp.close()
            self._access_control.close()
            raise
        log.info("listening as %s on %s port %d", settings.ae_title, settings.host, settings.port)

    def close(self) -> None:
        """Accept no more associations and abort those that are open; what was answered with success is stored."""
        self._server.close()
        self._commitment_scp.close()
        self._group_commit.close()
        self._rejected_callers.close()
        self._refused_objects.close()
        self._caller_certificates.close()
        self._access_control.close()
        self._rate_limited.close()

    @property
    def is_alive(self) -> bool:
        """Whether it serves its associations and stores what it receives."""
        return self._server.is_alive and self._group_commit.is_alive

    def _admit(self, requestor: Requestor) -> Rejection | None:
        rejection = self._access_control.admit(requestor)
        if rejection is None and requestor.certificate_ends is not None:
            self._caller_certificates.note(requestor.calling, requestor.host, requestor.certificate_ends)
        return rejection

    def _role_of(self, association: Association) -> Role:
        requestor = association.requestor
        return self._access_control.role_of(requestor.ae_title, requestor.address, association.certificate)

    def _log_rejected_contexts(self, event: evt.Event) -> None:
        """Log what a caller offered and we do not take, each class once: scanners offer all they have every time."""
        caller = event.assoc.requestor.ae_title
        for encoding in (False, True):
            names = [
                UID(context.abstract_syntax).name
                for context in event.assoc.rejected_contexts
                if (context.result == _TRANSFER_SYNTAXES_NOT_SUPPORTED) is encoding
                and self._offers.is_new((caller, context.abstract_syntax, encoding))
            ]
            if names:
                what = " in no transfer syntax that we take" if encoding else ", which we do not take"
                log.info("%r offered %s%s", caller, ", ".join(names), what)

    def _store(self, event: evt.Event) -> "int | Future[int]":
        """Store the instance of a C-STORE request; return its status, or the future of it."""
        request, caller = event.request, event.assoc.requestor.ae_title
        role = self._role_of(event.assoc)
        is_ours = request.MoveOriginatorApplicationEntityTitle == self._settings.ae_title
        historical = is_ours and role.sends_history
        if not (historical or role.sends_reports):
            self._rate_limited.warning(f"{caller} sends", "%r may not send reports: %s", caller, _what_it_may(role))
            return NOT_AUTHORISED
        if self._disk_reserve.is_short():
            self._rate_limited.warning("no room", "the disk is nearly full: nothing is taken until there is room again")
            self._refused_objects.note(caller, event.assoc.requestor.address or "", "the disk is nearly full")
            return OUT_OF_RESOURCES
        instance = Instance(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data_set=request.DataSet.getvalue(),
        )
        request.DataSet = None  # the bytes are in memory once, until they are compressed
        sender = Sender(ae_title=caller, host=event.assoc.requestor.address or "")
        status: Future[int] = Future()
        stored = self._group_commit.defer(instance, sender, at=datetime.now(UTC), historical=historical)
        stored.add_done_callback(lambda done: self._answer(status, done, sender))
        return status

    def _answer(self, status: "Future[int]", stored: "Future[Stored]", sender: Sender) -> None:
        failure, caller = stored.exception(), sender.ae_title
        if failure is None:
            status.set_result(SUCCESS)  # before anything else: the scanner waits for it
            number, new = stored.result()
            self._received.append((number, caller, new))
            return
        status.set_result(OUT_OF_RESOURCES)
        what = str(failure) if isinstance(failure, StoreError) else type(failure).__name__
        self._rate_limited.warning(f"{caller} {what}", "could not keep an instance from %r: %s", caller, what)
        self._refused_objects.note(caller, sender.host, what)

    def _report(self) -> None:
        """Log what was received and answered."""
        with suppress(IndexError):  # there is no more: another thread may report at the same time
            while True:
                number, caller, new = self._received.popleft()
                log.info("received", extra={"receipt": number, "caller": caller, "new": new})

    def _take_commitment_request(self, event: evt.Event) -> tuple[int, None]:
        """Take a scanner's request for our storage commitment (N-ACTION); return the status of the response."""
        caller = event.assoc.requestor.ae_title
        role = self._role_of(event.assoc)
        if not role.sends_reports:
            self._rate_limited.warning(
                f"{caller} asks", "%r may not ask for commitments: %s", caller, _what_it_may(role)
            )
            return NOT_AUTHORISED, None
        return self._commitment_scp.handle_request(event)

    def _take_commitment_result(self, event: evt.Event) -> tuple[int, None]:
        """Take an archive's storage commitment result (N-EVENT-REPORT); return the status of the response."""
        caller = event.assoc.requestor.ae_title
        destinations = self._role_of(event.assoc).commits_for
        if not destinations:
            self._rate_limited.warning(
                f"{caller} reports", "%r may not report commitments: it is no destination", caller
            )
            return NOT_AUTHORISED, None
        information = event.request.EventInformation
        data_set = information.getvalue() if information else b""
        try:
            result = read_result(event.event_type, data_set, event.context.transfer_syntax)
        except CommitmentMessageError as bad:
            self._rate_limited.warning(f"{caller} reports wrongly", "%r reported a commitment: %s", caller, bad)
            return INVALID_ARGUMENT, None
        now = datetime.now(UTC)
        try:
            with self._database.write() as connection:
                delivered = outbox.record_commitment(connection, destinations, result.committed, now)
                refused = outbox.record_commitment_failure(connection, destinations, result.failed, now)
        except StoreError as failure:
            log.error("a commitment reported by %r could not be stored: %s", caller, failure)
            return PROCESSING_FAILURE, None
        for addendum, destination in delivered:
            log.info("delivered", extra={"addendum": addendum, "destination": destination, "proof": "commitment"})
        problem = Problem.COMMITMENT_REFUSED
        for addendum, destination in refused:
            names = {"addendum": addendum, "destination": destination}
            log.warning("not delivered yet", extra={**names, "reason": problem.key, "detail": problem.describe()})
        return SUCCESS, None


def _what_it_may(role: Role) -> str:
    return "it is a destination" if role.commits_for or role.sends_history else "echo_only is set for it"


def _application_entity(settings: ListenerSettings) -> AE:
    """Return our application entity with the presentation contexts that it accepts."""
    ae = AE(ae_title=settings.ae_title)
    ae.add_supported_context(Verification)
    for sop_class in SR_STORAGE_CLASSES:
        ae.add_supported_context(sop_class, list(SR_TRANSFER_SYNTAXES))
    for sop_class in IMAGE_STORAGE_CLASSES if settings.pictures else ():
        ae.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
    # A scanner requests our commitment as SCU; an archive reports its own and proposes the role of SCP (PS3.4 J.3).
    ae.add_supported_context(
        StorageCommitmentPushModel, list(UNCOMPRESSED_TRANSFER_SYNTAXES), scu_role=True, scp_role=True
    )
    return ae
