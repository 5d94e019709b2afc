"""Call scanners to report the results of their storage commitment requests (N-EVENT-REPORT, PS3.4 J.3.3).

Only scanners with ``listener.caller.port`` are called. What a scanner does not confirm is reported again, after waits
that grow up to an hour.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel

from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.dicom_net.client import associate, back_off
from pipeline.edge.dicom_net.storage_commitment import CommitmentNotReportedError
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.receive import commitment_results
from pipeline.edge.store import commitment_requests, work_queue
from pipeline.edge.store.commitment_requests import CommitmentRequest
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import commitment_request as request_table

log = logging.getLogger(__name__)

BATCH = 20
"""Results that are reported on one association."""

LONGEST_WAIT = timedelta(hours=1)


def callers_to_be_called(callers: Sequence[CallerSettings]) -> list[CallerSettings]:
    """Return the scanners that hear our results on an association of ours."""
    return [caller for caller in callers if caller.port is not None]


def next_due(app: App, caller: CallerSettings) -> datetime | None:
    """Return when a scanner is to be called next; ``None`` when there is nothing to report to it."""
    with app.database.read() as connection:
        return work_queue.next_due(connection, request_table, calling_ae_title=caller.ae_title)


def report_due(app: App, caller: CallerSettings) -> None:
    """Call a scanner and report the results that are due; postpone them where it does not confirm one."""
    ae_title = app.settings.service.listener.ae_title
    association: Association | None = None
    with ExitStack() as until_reported:
        for _ in range(BATCH):
            due = commitment_results.claim_due(app.database, caller.ae_title)
            if due is None:
                return
            request, answer = due
            try:
                if association is None:
                    called = associate(caller, ae_title, as_scp=[StorageCommitmentPushModel])
                    association = until_reported.enter_context(called)
                commitment_results.report(app.database, association, request, answer)
            except (PeerUnavailableError, CommitmentNotReportedError) as problem:
                log.warning("%r did not confirm a result of storage commitment: %s", caller.ae_title, problem)
                _postpone(app.database, request, problem)
                return
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one request, the others are answered
                require_fault_of_one(error)
                commitment_results.hold(app.database, request.number, UNEXPECTED, describe_error(error))
                return


def _postpone(database: Database, request: CommitmentRequest, problem: Exception) -> None:
    """Report this request, and what else is due to the same scanner, later."""
    now = datetime.now(UTC)
    until = now + back_off(request.attempts, LONGEST_WAIT)
    reason, detail = type(problem).__name__, str(problem)
    with database.write() as connection:
        work_queue.postpone(connection, request_table, request.number, until=until, reason=reason, detail=detail)
        commitment_requests.postpone_due(connection, request.calling_ae_title, at=now, until=until)
