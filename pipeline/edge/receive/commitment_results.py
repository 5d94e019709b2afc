"""Results of scanners' storage commitment requests: claim one, read its objects back, report it, record that.

A request is claimed before its objects are read, so that one that ends its process is held after the third time. The
objects are read back one second at a time, and nothing is locked meanwhile.
"""

import logging
import time
from datetime import UTC, datetime

from pynetdicom.association import Association

from pipeline.edge.dicom_net.storage_commitment import send_result
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST, describe_error, require_fault_of_one
from pipeline.edge.store import commitment_requests, work_queue
from pipeline.edge.store.commitment_requests import CommitmentRequest, CommitmentResult
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import commitment_request as request_table

log = logging.getLogger(__name__)

SLICE_SECONDS = 1.0
"""How long objects are read back in one transaction."""


def claim_due(database: Database, calling_ae_title: str) -> tuple[CommitmentRequest, CommitmentResult] | None:
    """Claim a scanner's next due request, and work out our answer; hold any that cannot be answered, and go on."""
    while True:
        with database.write() as connection:
            number = commitment_requests.claim(connection, calling_ae_title, at=datetime.now(UTC))
        if number is None:
            return None
        try:
            with database.read() as connection:
                request = commitment_requests.load(connection, number)
            if request.worker_crashes < work_queue.MAX_WORKER_CRASHES:
                return request, _read_back(database, request)
            reason, detail = WORKER_LOST, f"its process ended {request.worker_crashes} times"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, the others are answered
            require_fault_of_one(error)
            reason, detail = UNEXPECTED, describe_error(error)
        hold(database, number, reason, detail)


def report(database: Database, association: Association, request: CommitmentRequest, answer: CommitmentResult) -> None:
    """Send a result over an association with the scanner, and record that the request is done.

    Raises:
        CommitmentNotReportedError: the scanner did not confirm it.
        StoreError: it could not be recorded.
    """
    send_result(association, request.transaction_uid, committed=answer.kept, failed=answer.failed)
    _record(database, request, answer)


def hold(database: Database, number: int, reason: str, detail: str) -> None:
    """Hold a request for a person."""
    with database.write() as connection:
        work_queue.hold(connection, request_table, number, reason=reason, detail=detail)
    log.error("held", extra={"commitment_request": number, "reason": reason, "detail": detail})


def _read_back(database: Database, request: CommitmentRequest) -> CommitmentResult:
    """Read each object back: what cannot be produced byte for byte is not committed."""
    reasons: list[int | None] = []
    while len(reasons) < len(request.requested):
        until = time.monotonic() + SLICE_SECONDS
        with database.read() as connection:
            for reference in request.requested[len(reasons) :]:
                reasons.append(commitment_requests.failure_reason_of(connection, *reference))
                if time.monotonic() > until:
                    break
        if len(reasons) < len(request.requested):
            with database.write() as connection:
                work_queue.keep_lease(connection, request_table, request.number, at=datetime.now(UTC))
    checked = list(zip(request.requested, reasons, strict=True))
    return CommitmentResult(
        kept=tuple(reference for reference, reason in checked if reason is None),
        failed=tuple((reference, reason) for reference, reason in checked if reason is not None),
    )


def _record(database: Database, request: CommitmentRequest, answer: CommitmentResult) -> None:
    with database.write() as connection:
        work_queue.done(connection, request_table, [request.number])
    names = {"commitment_request": request.number, "caller": request.calling_ae_title}
    log.info("committed ourselves", extra={**names, "count": len(answer.kept)})
    if answer.failed:
        log.warning("asked to commit ourselves to what we do not have", extra={**names, "count": len(answer.failed)})
