"""Who may send us a report, and what do we answer?

Only configured callers may associate. An instance is answered with success when the commit that keeps it is durable,
and never before; what it says is judged later, so that no report, however broken, can hold up a scanner.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedSRStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ExtensibleSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from pipeline.edge.configuration.settings import CallerSettings, DestinationSettings, ListenerSettings
from pipeline.edge.dicom_net.association import Refusal
from pipeline.edge.dicom_net.host_addresses import Addresses
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.server import EventDrivenServer, Limits, RejectedCaller
from pipeline.edge.dicom_net.storage_commitment import CommitmentMessageError, read_result
from pipeline.edge.dicom_net.tls import TlsError, for_listener
from pipeline.edge.disk_space import disk_reserve_of
from pipeline.edge.receive.group_commit import GroupCommit
from pipeline.edge.receive.rejected_callers import RejectedCallers
from pipeline.edge.receive.storage_commitment_scp import StorageCommitmentScp
from pipeline.edge.store import outbox
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Arrival, Instance

log = logging.getLogger(__name__)

SR_STORAGE_CLASSES = (
    BasicTextSRStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    ExtensibleSRStorage,
    KeyObjectSelectionDocumentStorage,
)
"""The SOP classes in which a report may come (PS3.4 B.5), or a note that rejects one (IHE IOCM)."""

TRANSFER_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)

PICTURE_STORAGE_CLASSES = (
    SecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    GrayscaleSoftcopyPresentationStateStorage,
)
"""The SOP classes of what densitometers send beside reports: pictures with results in them, and how to show them.

They come in any transfer syntax, JPEG Lossless among them; their pixels are never looked at.
"""

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
"""PS3.4 Table B.2-1: the scanner keeps its copy and tries again."""

NOT_AUTHORISED = 0x0124
PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT = 0x0115
"""PS3.7 Annex C."""

MEGABYTE = 1_000_000

OBJECTS_IN_MEMORY = 3
"""So many of the largest objects fit into memory at once; of reports, thousands. No caller may have all of it."""

LONGEST_REFERENCE = 256
"""Bytes of one reference in a request for storage commitment; two UIDs of 64 and what is around them are 190."""

_NOT_CALLED: Refusal = (0x01, 0x01, 0x07)
_NOT_A_CALLER: Refusal = (0x01, 0x01, 0x03)
"""PS3.8 Table 9-21: permanent, by the service user; called or calling AE title not recognised."""

_TRANSFER_SYNTAXES_NOT_SUPPORTED = 0x04


class Listener:
    """Our side of the scanners' associations, open from construction until ``close``."""

    def __init__(
        self,
        settings: ListenerSettings,
        database: Database,
        archives: Sequence[DestinationSettings] = (),
        *,
        reserve_mb: int = 0,
    ) -> None:
        self._settings, self._database = settings, database
        self._refusals = RejectedCallers(database)
        self._room = disk_reserve_of(database, reserve_mb)
        self._archives = [archive for archive in archives if archive.proof == "commitment"]
        self._asked = [archive for archive in archives if archive.history and archive.retrieve == "move"]
        hosts = [caller.host for caller in settings.caller if caller.host]
        hosts += [to.host for to in (*self._archives, *self._asked)]
        self._addresses = Addresses(hosts)
        self._rate_limited = RateLimitedLog(log)
        ae = AE(ae_title=settings.ae_title)
        ae.add_supported_context(Verification)
        for sop_class in SR_STORAGE_CLASSES:
            ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        for sop_class in PICTURE_STORAGE_CLASSES if settings.pictures else ():
            ae.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
        # A scanner asks for ours as SCU; an archive tells of its own and proposes the role of SCP (PS3.4 J.3).
        # What it says comes as it is: deflated, a few kilobytes would become as many megabytes.
        plain = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
        ae.add_supported_context(StorageCommitmentPushModel, plain, scu_role=True, scp_role=True)
        self._commitment_scp = StorageCommitmentScp(database, settings.caller, settings.commitment_references)
        self._group_commit = GroupCommit(database)
        try:
            self._reactor = EventDrivenServer(
                ae,
                (settings.host, settings.port),
                {
                    evt.EVT_ACCEPTED: self._tell_refused_contexts,
                    evt.EVT_C_ECHO: lambda event: SUCCESS,
                    evt.EVT_C_STORE: self._store,
                    evt.EVT_N_EVENT_REPORT: self._hear_of_commitment,
                    evt.EVT_N_ACTION: self._answer_commitment_request,
                },
                Limits(
                    associations=settings.associations,
                    associations_per_caller=settings.associations_per_caller,
                    idle_seconds=settings.idle_seconds,
                    largest_object=settings.largest_object_mb * MEGABYTE,
                    largest_question=LONGEST_REFERENCE * (settings.commitment_references + 1),
                    memory=OBJECTS_IN_MEMORY * settings.largest_object_mb * MEGABYTE,
                ),
                tls=for_listener(settings.tls) if settings.tls else None,
                admit=self._admit,
            )
        except (OSError, TlsError):
            self._group_commit.close()
            self._commitment_scp.close()
            self._addresses.close()
            raise
        log.info("listening as %s on %s port %d", settings.ae_title, settings.host, settings.port)

    def close(self) -> None:
        """Take no more associations; those under way are aborted, and what was answered is kept."""
        self._reactor.close()
        self._commitment_scp.close()
        self._group_commit.close()
        self._refusals.close()
        self._addresses.close()
        self._rate_limited.close()

    def _admit(self, rejected_caller: RejectedCaller) -> Refusal | None:
        """Refuse a caller we do not know, in DICOM's own way, and say so to the administrator."""
        calling, host = rejected_caller.calling, rejected_caller.host
        if rejected_caller.called != self._settings.ae_title:
            refusal, reason = _NOT_CALLED, "it called another AE title than ours"
        elif self._archives_at(calling, host) or self._may_bring_history(calling, host):
            return None
        elif not (callers := self._callers_at(calling, host)):
            refusal, reason = _NOT_A_CALLER, "no listener.caller in service.toml has this AE title and host"
        elif not any(_fits(caller, rejected_caller.certificate) for caller in callers):
            refusal, reason = _NOT_A_CALLER, "its certificate is not made out to listener.caller.certificate"
        else:
            return None
        self._rate_limited.warning(
            f"{calling} {host}",
            "association of %r at %s to %r rejected: %s",
            calling,
            host,
            rejected_caller.called,
            reason,
        )
        self._refusals.note(calling, host, reason)
        return refusal

    def _archives_at(self, ae_title: str, host: str) -> list[str]:
        """The destinations from which a commitment may come: by AE title and address."""
        return [to.name for to in self._archives if to.ae_title == ae_title and host in self._addresses.of(to.host)]

    def _may_bring_history(self, ae_title: str, host: str) -> bool:
        """Whether an archive that we ask for history has this AE title and address."""
        return any(to.ae_title == ae_title and host in self._addresses.of(to.host) for to in self._asked)

    def _is_caller(self, association: Association) -> bool:
        """Whether it is that of a caller: by AE title, address and certificate."""
        callers = self._callers_at(association.requestor.ae_title, association.requestor.address)
        return any(_fits(caller, association.certificate) for caller in callers)

    def _callers_at(self, ae_title: str, host: str) -> list[CallerSettings]:
        return [
            caller
            for caller in self._settings.caller
            if caller.ae_title == ae_title and (caller.host is None or host in self._addresses.of(caller.host))
        ]

    def _tell_refused_contexts(self, event: evt.Event) -> None:
        caller = event.assoc.requestor.ae_title
        for context in event.assoc.rejected_contexts:
            name = UID(context.abstract_syntax).name
            encoded = context.result == _TRANSFER_SYNTAXES_NOT_SUPPORTED
            what = f"{name} in no transfer syntax that we take" if encoded else f"{name}, which we do not take"
            self._rate_limited.warning(f"{caller} {what}", "%r offered %s", caller, what)

    def _store(self, event: evt.Event) -> "int | Future[int]":
        request, caller = event.request, event.assoc.requestor.ae_title
        address = event.assoc.requestor.address
        ours = request.MoveOriginatorApplicationEntityTitle == self._settings.ae_title
        historical = ours and self._may_bring_history(caller, address)
        if not (historical or self._is_caller(event.assoc)):
            self._rate_limited.warning(f"{caller} sends", "%r may tell us of commitments, not send reports", caller)
            return NOT_AUTHORISED
        if self._room.is_short():
            self._rate_limited.warning("no room", "the disk is nearly full: nothing is taken until there is room again")
            return OUT_OF_RESOURCES
        instance = Instance(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data_set=request.DataSet.getvalue(),
        )
        request.DataSet = None  # it is in memory once, until its bytes have been made smaller
        now, host = datetime.now(UTC), address or ""
        kept = self._group_commit.keep(
            lambda: Arrival.of(instance, calling_ae_title=caller, host=host, at=now, historical=historical)
        )
        answer: Future[int] = Future()
        kept.add_done_callback(lambda done: self._answer(answer, done, caller))
        return answer

    def _answer(self, answer: "Future[int]", kept: "Future[tuple[int, bool]]", caller: str) -> None:
        failure = kept.exception()
        if failure is None:
            answer.set_result(SUCCESS)  # first of all, because the scanner waits for it
            number, new = kept.result()
            log.info("received", extra={"receipt": number, "caller": caller, "new": new})
            return
        answer.set_result(OUT_OF_RESOURCES)
        what = str(failure) if isinstance(failure, StoreError) else type(failure).__name__
        self._rate_limited.warning(f"{caller} {what}", "could not keep an instance from %r: %s", caller, what)

    def _answer_commitment_request(self, event: evt.Event) -> tuple[int, None]:
        caller = event.assoc.requestor.ae_title
        if not self._is_caller(event.assoc):
            self._rate_limited.warning(f"{caller} asks", "%r may tell us of commitments, not ask for ours", caller)
            return NOT_AUTHORISED, None
        return self._commitment_scp.asked(event)

    def _hear_of_commitment(self, event: evt.Event) -> tuple[int, None]:
        caller = event.assoc.requestor.ae_title
        names = self._archives_at(caller, event.assoc.requestor.address)
        if not names:
            self._rate_limited.warning(
                f"{caller} tells", "%r may not tell us of commitments: it is no destination", caller
            )
            return NOT_AUTHORISED, None
        information = event.request.EventInformation
        data_set = information.getvalue() if information else b""
        try:
            result = read_result(event.event_type, data_set, event.context.transfer_syntax)
        except CommitmentMessageError as bad:
            self._rate_limited.warning(f"{caller} told wrongly", "%r told of a commitment: %s", caller, bad)
            return INVALID_ARGUMENT, None
        now = datetime.now(UTC)
        try:
            with self._database.write() as connection:
                ended = outbox.committed(connection, names, result.committed, now)
                again = outbox.commitment_refused(connection, names, result.failed, now)
        except StoreError as failure:
            log.error("could not keep a commitment from %r: %s", caller, failure)
            return PROCESSING_FAILURE, None
        log.info("committed", extra={"caller": caller, "count": ended})
        if again:
            log.warning("not committed", extra={"caller": caller, "count": again})
        return SUCCESS, None


def _fits(caller: CallerSettings, names: frozenset[str]) -> bool:
    """Whether a certificate made out to these names is one that a caller may show."""
    return caller.certificate is None or caller.certificate.lower() in names
