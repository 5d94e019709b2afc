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
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from pipeline.edge.commitment import read_result
from pipeline.edge.keeper import Keeper
from pipeline.edge.network.addresses import Addresses
from pipeline.edge.network.quiet import QuietLog
from pipeline.edge.network.reactor import Limits, Reactor
from pipeline.edge.promise import Promises
from pipeline.edge.refusals import Refusals
from pipeline.edge.room import room_of
from pipeline.edge.settings import DestinationSettings, ListenerSettings
from pipeline.edge.store import outbox
from pipeline.edge.store.database import Database, StoreFailed
from pipeline.edge.store.receipts import Arrival, Instance
from pipeline.edge.tls import TlsUnusable, for_listener

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
"""PS3.7 Annex C."""

MEGABYTE = 1_000_000

OBJECTS_IN_MEMORY = 4
"""So many of the largest objects may be received at once; of reports, thousands."""

_PERMANENT = 0x01
_SERVICE_USER = 0x01
_CALLING_AE_TITLE_NOT_RECOGNISED = 0x03
_CALLED_AE_TITLE_NOT_RECOGNISED = 0x07
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
        self._refusals = Refusals(database)
        self._room = room_of(database, reserve_mb)
        self._archives = [archive for archive in archives if archive.proof == "commitment"]
        self._asked = [archive for archive in archives if archive.history and archive.retrieve == "move"]
        hosts = [caller.host for caller in settings.caller if caller.host]
        hosts += [to.host for to in (*self._archives, *self._asked)]
        self._addresses = Addresses(hosts)
        self._quiet = QuietLog(log)
        ae = AE(ae_title=settings.ae_title)
        ae.add_supported_context(Verification)
        for sop_class in SR_STORAGE_CLASSES:
            ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        for sop_class in PICTURE_STORAGE_CLASSES if settings.pictures else ():
            ae.add_supported_context(sop_class, ALL_TRANSFER_SYNTAXES)
        # A scanner asks for ours as SCU; an archive tells of its own and proposes the role of SCP (PS3.4 J.3).
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        self._promises = Promises(database, settings.caller)
        self._keeper = Keeper(database)
        try:
            self._reactor = Reactor(
                ae,
                (settings.host, settings.port),
                {
                    evt.EVT_REQUESTED: self._admit,
                    evt.EVT_ACCEPTED: self._tell_refused_contexts,
                    evt.EVT_C_ECHO: lambda event: SUCCESS,
                    evt.EVT_C_STORE: self._store,
                    evt.EVT_N_EVENT_REPORT: self._hear_of_commitment,
                    evt.EVT_N_ACTION: self._promise,
                },
                Limits(
                    associations=settings.associations,
                    associations_per_caller=settings.associations_per_caller,
                    idle_seconds=settings.idle_seconds,
                    largest_object=settings.largest_object_mb * MEGABYTE,
                    memory=OBJECTS_IN_MEMORY * settings.largest_object_mb * MEGABYTE,
                ),
                tls=for_listener(settings.tls) if settings.tls else None,
            )
        except (OSError, TlsUnusable):
            self._keeper.close()
            self._promises.close()
            self._addresses.close()
            raise
        log.info("listening as %s on %s port %d", settings.ae_title, settings.host, settings.port)

    def close(self) -> None:
        """Take no more associations; those under way are aborted, and what was answered is kept."""
        self._reactor.close()
        self._promises.close()
        self._keeper.close()
        self._refusals.close()
        self._addresses.close()
        self._quiet.close()

    def _admit(self, event: evt.Event) -> None:
        """Refuse a caller we do not know, in DICOM's own way, and say so to the administrator."""
        request = event.assoc.requestor.primitive
        calling, called = request.calling_ae_title, request.called_ae_title
        host = event.assoc.requestor.address
        if called != self._settings.ae_title:
            diagnostic = _CALLED_AE_TITLE_NOT_RECOGNISED
            reason = "it called another AE title than ours"
        elif not (
            self._is_caller(calling, host) or self._archives_at(calling, host) or self._may_bring_history(calling, host)
        ):
            diagnostic = _CALLING_AE_TITLE_NOT_RECOGNISED
            reason = "no listener.caller in service.toml has this AE title and host"
        else:
            return
        self._quiet.warning(
            f"{calling} {host}", "association of %r at %s to %r rejected: %s", calling, host, called, reason
        )
        self._refusals.note(calling, host, reason)
        event.assoc.acse.send_reject(_PERMANENT, _SERVICE_USER, diagnostic)
        event.assoc.kill()

    def _archives_at(self, ae_title: str, host: str) -> list[str]:
        """The destinations from which a commitment may come: by AE title and address."""
        return [to.name for to in self._archives if to.ae_title == ae_title and host in self._addresses.of(to.host)]

    def _may_bring_history(self, ae_title: str, host: str) -> bool:
        """Whether an archive that we ask for history has this AE title and address."""
        return any(to.ae_title == ae_title and host in self._addresses.of(to.host) for to in self._asked)

    def _is_caller(self, ae_title: str, host: str) -> bool:
        """Whether a caller with this AE title may come from this address."""
        return any(
            caller.ae_title == ae_title and (caller.host is None or host in self._addresses.of(caller.host))
            for caller in self._settings.caller
        )

    def _tell_refused_contexts(self, event: evt.Event) -> None:
        caller = event.assoc.requestor.ae_title
        for context in event.assoc.rejected_contexts:
            name = UID(context.abstract_syntax).name
            encoded = context.result == _TRANSFER_SYNTAXES_NOT_SUPPORTED
            what = f"{name} in no transfer syntax that we take" if encoded else f"{name}, which we do not take"
            self._quiet.warning(f"{caller} {what}", "%r offered %s", caller, what)

    def _store(self, event: evt.Event) -> "int | Future[int]":
        request, caller = event.request, event.assoc.requestor.ae_title
        address = event.assoc.requestor.address
        ours = request.MoveOriginatorApplicationEntityTitle == self._settings.ae_title
        historical = ours and self._may_bring_history(caller, address)
        if not (historical or self._is_caller(caller, address)):
            self._quiet.warning(f"{caller} sends", "%r may tell us of commitments, not send reports", caller)
            return NOT_AUTHORISED
        if self._room.is_short():
            self._quiet.warning("no room", "the disk is nearly full: nothing is taken until there is room again")
            return OUT_OF_RESOURCES
        instance = Instance(
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data_set=request.DataSet.getvalue(),
        )
        now, host = datetime.now(UTC), address or ""
        kept = self._keeper.keep(
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
        what = str(failure) if isinstance(failure, StoreFailed) else type(failure).__name__
        self._quiet.warning(f"{caller} {what}", "could not keep an instance from %r: %s", caller, what)

    def _promise(self, event: evt.Event) -> tuple[int, None]:
        caller = event.assoc.requestor.ae_title
        if not self._is_caller(caller, event.assoc.requestor.address):
            self._quiet.warning(f"{caller} asks", "%r may tell us of commitments, not ask for ours", caller)
            return NOT_AUTHORISED, None
        return self._promises.asked(event)

    def _hear_of_commitment(self, event: evt.Event) -> tuple[int, None]:
        caller = event.assoc.requestor.ae_title
        names = self._archives_at(caller, event.assoc.requestor.address)
        result = read_result(event.event_type, event.event_information)
        now = datetime.now(UTC)
        try:
            with self._database.write() as connection:
                ended = outbox.committed(connection, names, result.committed, now)
                again = outbox.commitment_refused(connection, names, result.failed, now)
        except StoreFailed as failure:
            log.error("could not keep a commitment from %r: %s", caller, failure)
            return PROCESSING_FAILURE, None
        log.info("committed", extra={"caller": caller, "count": ended})
        if again:
            log.warning("not committed", extra={"caller": caller, "count": again})
        return SUCCESS, None
