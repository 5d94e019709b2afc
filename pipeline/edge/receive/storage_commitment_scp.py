"""Serve scanners' requests for our storage commitment (Storage Commitment SCP, PS3.4 Annex J).

A request is stored and answered at once; its result follows. A scanner with a configured port is called by the worker
(``pipeline.edge.deliver.commitment_reporter``), again until it confirms. Any other hears the result on its own
association, as long as that is open; what it missed is reported when it requests again.
"""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModelInstance

from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.response_order import ResponseOrder
from pipeline.edge.dicom_net.statuses import (
    INVALID_ARGUMENT,
    NO_SUCH_ACTION,
    NO_SUCH_SOP_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
)
from pipeline.edge.dicom_net.storage_commitment import (
    REQUEST,
    CommitmentMessageError,
    CommitmentNotReportedError,
    Request,
    read_request,
)
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.receive import commitment_results
from pipeline.edge.store import commitment_requests, work_queue
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.schema import commitment_request as request_table

log = logging.getLogger(__name__)

MOST_WAITING = 1_000
"""Requests of one scanner that may wait for their result."""

MOST_REPORTERS = 16
"""Scanners that hear results on their own associations at the same time."""


class StorageCommitmentScp:
    """Takes the listener's requests, and reports results to scanners that cannot be called, until ``close``."""

    def __init__(self, database: Database, callers: Sequence[CallerSettings], most_references: int) -> None:
        self._database, self._most_references = database, most_references
        self._called = {caller.ae_title for caller in callers if caller.port is not None}
        self._reporters = ThreadPoolExecutor(MOST_REPORTERS, thread_name_prefix="commitment-results")
        self._response_order = ResponseOrder()
        self._lock = threading.Lock()
        self._reporting: dict[str, Association | None] = {}
        """By the scanner that results are reported to, the association on which it has made a request meanwhile."""
        self._rate_limited = RateLimitedLog(log)

    def close(self) -> None:
        """Report nothing more; what was not reported stays in the store."""
        self._reporters.shutdown(wait=False, cancel_futures=True)
        self._rate_limited.close()

    def handle_request(self, event: evt.Event) -> tuple[int, None]:
        """Store the request of an N-ACTION; return the status of the response (PS3.7 10.1.4.1.10)."""
        caller = event.assoc.requestor.ae_title
        if event.request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return NO_SUCH_SOP_INSTANCE, None
        if event.action_type != REQUEST:
            return NO_SUCH_ACTION, None
        information = event.request.ActionInformation
        try:
            request = read_request(information.getvalue() if information else b"", event.context.transfer_syntax)
        except CommitmentMessageError as bad:
            self._rate_limited.warning(f"{caller} asked wrongly", "%r asked for a commitment: %s", caller, bad)
            return INVALID_ARGUMENT, None
        if len(request.requested) > self._most_references:
            what = f"more than {self._most_references} objects at once (listener.commitment_references)"
            self._rate_limited.warning(f"{caller} asked for too much", "%r asked for a commitment to %s", caller, what)
            return RESOURCE_LIMITATION, None
        try:
            number = self._store(caller, request)
        except StoreError as failure:
            log.error("a request for commitment of %r could not be stored: %s", caller, failure)
            return PROCESSING_FAILURE, None
        if number is None:
            what = f"{MOST_WAITING} of its requests for commitment wait already"
            self._rate_limited.warning(f"{caller} asked too often", "a request of %r is refused: %s", caller, what)
            return RESOURCE_LIMITATION, None
        names = {"commitment_request": number, "caller": caller}
        log.info("asked for commitment", extra={**names, "count": len(request.requested)})
        if caller not in self._called:
            self._response_order.begin(event.assoc)
            self._report_soon(event.assoc)
        return SUCCESS, None

    def _store(self, caller: str, request: Request) -> int | None:
        with self._database.write() as connection:
            if commitment_requests.count_waiting(connection, caller) >= MOST_WAITING:
                return None
            return commitment_requests.record(
                connection,
                calling_ae_title=caller,
                transaction_uid=request.transaction_uid,
                requested=request.requested,
                at=datetime.now(UTC),
            )

    def _report_soon(self, association: Association) -> None:
        """Have results reported on this association, once those that are being reported are through.

        Each scanner has one thread at a time: one that never responds delays nobody else.
        """
        caller = association.requestor.ae_title
        with self._lock:
            if caller in self._reporting:
                self._reporting[caller] = association
            else:
                self._reporting[caller] = None
                self._reporters.submit(self._report_on, association)

    def _report_on(self, association: Association) -> None:
        """Report to a scanner on its own association all results that it has not confirmed yet."""
        caller = association.requestor.ae_title
        try:
            while (due := commitment_results.claim_due(self._database, caller)) is not None:
                request, answer = due
                self._response_order.wait(association)
                try:
                    commitment_results.report(self._database, association, request, answer)
                except CommitmentNotReportedError as problem:
                    what = "%r did not confirm a result of storage commitment: %s"
                    self._rate_limited.warning(f"{caller} did not hear", what, caller, problem)
                    with self._database.write() as connection:  # it is the first again when the scanner requests again
                        work_queue.requeue(connection, request_table, where=request_table.c.id == request.number)
                    break
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, others are answered
                    require_fault_of_one(error)
                    commitment_results.hold(self._database, request.number, UNEXPECTED, describe_error(error))
        except StoreError as failure:
            log.error("results of storage commitment could not be reported to %r: %s", caller, failure)
        finally:
            with self._lock:
                following = self._reporting.pop(caller)
            if following is not None:
                self._report_soon(following)
