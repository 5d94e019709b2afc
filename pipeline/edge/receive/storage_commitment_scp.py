"""Answer the requests of scanners for our storage commitment (PS3.4 Annex J, we as SCP).

A request is answered at once and kept; the result follows. A scanner for which a port is configured hears it on an
association of ours, tried again until it succeeds. Any other hears it on an association of its own on which it asks,
while that lasts; what it did not hear then it hears when it asks the next time.

Each request is claimed before its objects are read back, so that one that ends its process is held after the third
time; they are read back a second at a time, and nothing is locked meanwhile.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.app import App
from pipeline.edge.configuration.settings import CallerSettings
from pipeline.edge.deliver.storage_scu import ANSWER_SECONDS, CONNECTION_SECONDS, UNREACHABLE, unreachable, wait_after
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.dicom_net.storage_commitment import (
    ALL_COMMITTED,
    REQUEST,
    SOME_FAILED,
    CommitmentMessageError,
    Request,
    read_request,
)
from pipeline.edge.dicom_net.tls import TlsError, for_calling
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.store import commitment_requests, work_queue
from pipeline.edge.store.commitment_requests import Answer, CommitmentRequest
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.schema import commitment_request as promise_table
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
NO_SUCH_ACTION = 0x0123
RESOURCE_LIMITATION = 0x0213
"""Statuses of an N-ACTION (PS3.7 10.1.4.1.10, Annex C)."""

MOMENT = 0.3
"""Seconds between the answer to a request and the result on the same association, so that the one comes first."""

BATCH = 20
"""So many requests are answered on one association of ours."""

LONGEST_WAIT = timedelta(hours=1)

MOST_WAITING = 1_000
"""Requests of one scanner that may wait for their answer."""

SLICE_SECONDS = 1.0
"""So long objects are read back at a time."""

MOST_REPORTERS = 16
"""Scanners that are told on their own associations at once."""


class CommitmentNotReportedError(DxatrendError):
    """The scanner did not hear it, as far as we know."""


class StorageCommitmentScp:
    """The listener's part: takes requests, and tells the results to scanners that cannot be called."""

    def __init__(self, database: Database, callers: Sequence[CallerSettings], most_references: int) -> None:
        self._database, self._most_references = database, most_references
        self._called = {caller.ae_title for caller in callers if caller.port is not None}
        self._reporters = ThreadPoolExecutor(MOST_REPORTERS, thread_name_prefix="promises")
        self._lock = threading.Lock()
        self._telling: dict[str, Association | None] = {}
        """By the scanner that is being told, on which association it asked meanwhile."""
        self._rate_limited = RateLimitedLog(log)

    def close(self) -> None:
        """Take up nothing more; what is not told is kept."""
        self._reporters.shutdown(wait=False, cancel_futures=True)
        self._rate_limited.close()

    def asked(self, event: evt.Event) -> tuple[int, None]:
        """Keep a scanner's request; the status of the answer to it."""
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
        if len(request.asked_for) > self._most_references:
            what = f"more than {self._most_references} objects at once (listener.commitment_references)"
            self._rate_limited.warning(f"{caller} asked for too much", "%r asked for a commitment to %s", caller, what)
            return RESOURCE_LIMITATION, None
        try:
            number = self._keep(caller, request)
        except StoreError as failure:
            log.error("could not keep a request for commitment from %r: %s", caller, failure)
            return PROCESSING_FAILURE, None
        if number is None:
            what = f"{MOST_WAITING} of its requests for commitment wait already"
            self._rate_limited.warning(f"{caller} asked too often", "a request of %r is refused: %s", caller, what)
            return RESOURCE_LIMITATION, None
        names = {"commitment_request": number, "caller": caller}
        log.info("asked for commitment", extra={**names, "count": len(request.asked_for)})
        if caller not in self._called:
            self._report_soon(event.assoc)
        return SUCCESS, None

    def _keep(self, caller: str, request: Request) -> int | None:
        with self._database.write() as connection:
            if commitment_requests.count_waiting(connection, caller) >= MOST_WAITING:
                return None
            return commitment_requests.keep(
                connection,
                calling_ae_title=caller,
                transaction_uid=request.transaction_uid,
                asked_for=request.asked_for,
                at=datetime.now(UTC),
            )

    def _report_soon(self, association: Association) -> None:
        """Have a scanner told on this association, once what it is being told is at an end.

        Each is told by one thread at a time: one that never answers makes nobody else wait.
        """
        caller = association.requestor.ae_title
        with self._lock:
            if caller in self._telling:
                self._telling[caller] = association
            else:
                self._telling[caller] = None
                self._reporters.submit(self._report_here, association)

    def _report_here(self, association: Association) -> None:
        """Tell a scanner on its own association all that it has not heard yet."""
        caller = association.requestor.ae_title
        time.sleep(MOMENT)
        try:
            while (due := _next_due(self._database, caller)) is not None:
                one, answer = due
                try:
                    _tell(association, one, answer)
                    _told(self._database, one, answer)
                except CommitmentNotReportedError as problem:
                    what = "%r did not hear what we keep of its objects: %s"
                    self._rate_limited.warning(f"{caller} did not hear", what, caller, problem)
                    with self._database.write() as connection:  # it is the first again when the scanner asks again
                        work_queue.requeue(connection, promise_table, where=promise_table.c.id == one.number)
                    break
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, others are answered
                    require_fault_of_one(error)
                    _hold(self._database, one.number, UNEXPECTED, describe_error(error))
        except StoreError as failure:
            log.error("%r could not be told what we keep of its objects: %s", caller, failure)
        finally:
            with self._lock:
                following = self._telling.pop(caller)
            if following is not None:
                self._report_soon(following)


def callers_to_be_called(callers: Sequence[CallerSettings]) -> list[CallerSettings]:
    """The scanners that hear our results on an association of ours."""
    return [caller for caller in callers if caller.port is not None]


def next_due(app: App, caller: CallerSettings) -> datetime | None:
    """When a scanner is to be called next; ``None`` when there is nothing to tell it."""
    with app.database.read() as connection:
        theirs = promise_table.c.calling_ae_title == caller.ae_title
        return work_queue.next_due(connection, promise_table, where=theirs)


def report_due(app: App, caller: CallerSettings) -> None:
    """Call a scanner and tell it what is due; what it does not hear is told again later."""
    ours = app.settings.service.listener.ae_title
    call: _Call | None = None
    with ExitStack() as until_told:
        for _ in range(BATCH):
            due = _next_due(app.database, caller.ae_title)
            if due is None:
                return
            one, answer = due
            try:
                call = call or until_told.enter_context(closing(_Call(ours, caller)))
                _tell(call.association, one, answer)
                _told(app.database, one, answer)
            except CommitmentNotReportedError as problem:
                log.warning("%r did not hear what we keep of its objects: %s", caller.ae_title, problem)
                _postpone(app.database, one, problem)
                return
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, the others are answered
                require_fault_of_one(error)
                _hold(app.database, one.number, UNEXPECTED, describe_error(error))
                return


def _next_due(database: Database, caller: str) -> tuple[CommitmentRequest, Answer] | None:
    """The next request that is due, and our answer; one that we cannot answer is held, and the one after it is next."""
    while True:
        with database.write() as connection:
            number = commitment_requests.claim(connection, caller, at=datetime.now(UTC))
        if number is None:
            return None
        try:
            with database.read() as connection:
                one = commitment_requests.load(connection, number)
            if one.worker_crashes < work_queue.MOST_WORKER_CRASHES:
                return one, _read_back(database, one)
            reason, detail = WORKER_LOST, f"its process ended {one.worker_crashes} times"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, the others are answered
            require_fault_of_one(error)
            reason, detail = UNEXPECTED, describe_error(error)
        _hold(database, number, reason, detail)


def _hold(database: Database, number: int, reason: str, detail: str) -> None:
    with database.write() as connection:
        work_queue.hold(connection, promise_table, number, reason=reason, detail=detail)
    log.error("held", extra={"commitment_request": number, "reason": reason, "detail": detail})


def _read_back(database: Database, one: CommitmentRequest) -> Answer:
    """Look up each object and read it back, a slice at a time: what cannot be produced byte for byte is not kept."""
    reasons: list[int | None] = []
    while len(reasons) < len(one.asked_for):
        until = time.monotonic() + SLICE_SECONDS
        with database.read() as connection:
            for reference in one.asked_for[len(reasons) :]:
                reasons.append(commitment_requests.failure_of(connection, *reference))
                if time.monotonic() > until:
                    break
        if len(reasons) < len(one.asked_for):
            with database.write() as connection:
                work_queue.keep_lease(connection, promise_table, one.number, at=datetime.now(UTC))
    judged = list(zip(one.asked_for, reasons, strict=True))
    return Answer(
        kept=tuple(reference for reference, reason in judged if reason is None),
        failed=tuple((reference, reason) for reference, reason in judged if reason is not None),
    )


def _postpone(database: Database, one: CommitmentRequest, problem: CommitmentNotReportedError) -> None:
    """Tell this request, and what else is due to the same scanner, later."""
    now = datetime.now(UTC)
    until = now + wait_after(one.attempts, LONGEST_WAIT)
    with database.write() as connection:
        work_queue.postpone(connection, promise_table, one.number, until=until, reason="Untold", detail=str(problem))
        commitment_requests.postpone_due(connection, one.calling_ae_title, at=now, until=until)


class _Call:
    """An association of ours to a scanner, in which we are the SCP (PS3.4 J.3.3: by role selection)."""

    def __init__(self, ae_title: str, caller: CallerSettings) -> None:
        ae = AE(ae_title=ae_title)
        ae.connection_timeout = CONNECTION_SECONDS
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
        ae.add_requested_context(StorageCommitmentPushModel)
        try:
            tls = (for_calling(caller.tls), caller.host) if caller.tls else None
        except TlsError as unusable:
            raise CommitmentNotReportedError(str(unusable)) from None
        try:
            self.association = ae.associate(
                caller.host,
                caller.port,
                ae_title=caller.ae_title,
                tls_args=tls,
                ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
            )
        except UNREACHABLE as error:
            raise CommitmentNotReportedError(unreachable(error)) from None
        if self.association.is_rejected:
            raise CommitmentNotReportedError("the scanner rejected the association; does it know our AE title?")
        if not self.association.is_established:
            raise CommitmentNotReportedError(
                "no association" + ("; does the TLS of both sides fit?" if caller.tls else "")
            )

    def close(self) -> None:
        """Release it."""
        if self.association.is_established:
            self.association.release()


def _tell(association: Association, one: CommitmentRequest, answer: Answer) -> None:
    if not association.is_established:
        raise CommitmentNotReportedError("the association has ended")
    event_type = SOME_FAILED if answer.failed else ALL_COMMITTED
    try:
        status, _ = association.send_n_event_report(
            _result(one, answer), event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except ValueError:
        raise CommitmentNotReportedError("the scanner does not take storage commitment in the role of SCU") from None
    except RuntimeError:
        raise CommitmentNotReportedError("the association has ended") from None
    if "Status" not in status:
        raise CommitmentNotReportedError("no answer to the N-EVENT-REPORT")
    if status.Status != SUCCESS:
        raise CommitmentNotReportedError(f"the N-EVENT-REPORT was answered with status 0x{status.Status:04X}")


def _told(database: Database, one: CommitmentRequest, answer: Answer) -> None:
    with database.write() as connection:
        work_queue.done(connection, promise_table, [one.number])
    names = {"commitment_request": one.number, "caller": one.calling_ae_title}
    log.info("committed ourselves", extra={**names, "count": len(answer.kept)})
    if answer.failed:
        log.warning("asked to commit ourselves to what we do not have", extra={**names, "count": len(answer.failed)})


def _result(one: CommitmentRequest, answer: Answer) -> Dataset:
    result = Dataset()
    result.TransactionUID = one.transaction_uid
    if answer.kept:
        result.ReferencedSOPSequence = [_item(*reference) for reference in answer.kept]
    if answer.failed:
        result.FailedSOPSequence = [_item(*reference, reason) for reference, reason in answer.failed]
    return result


def _item(sop_class_uid: str, sop_instance_uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    if reason is not None:
        item.FailureReason = reason
    return item
