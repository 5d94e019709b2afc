"""How does a scanner hear that we keep its objects? (PS3.4 Annex J, we as SCP)

A request is answered at once and kept; the result follows. A scanner for which a port is configured hears it on an
association of ours, tried again until it succeeds. Any other hears it on an association of its own on which it asks,
while that lasts; what it did not hear then it hears when it asks the next time.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.edge.commitment import ALL_COMMITTED, REQUEST, SOME_FAILED
from pipeline.edge.deliver import ANSWER_SECONDS, CONNECTION_SECONDS, wait_after
from pipeline.edge.house import House
from pipeline.edge.settings import CallerSettings
from pipeline.edge.store import promises, work
from pipeline.edge.store.database import Database, StoreFailed
from pipeline.edge.store.promises import Answer, Promise, Reference
from pipeline.edge.store.schema import promise as promise_table
from pipeline.edge.tls import TlsUnusable, for_calling

log = logging.getLogger(__name__)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
NO_SUCH_ACTION = 0x0123
"""Statuses of an N-ACTION (PS3.7 10.1.4.1.10)."""

MOMENT = 0.3
"""Seconds between the answer to a request and the result on the same association, so that the one comes first."""

BATCH = 20
LONGEST_WAIT = timedelta(hours=1)


class Untold(Exception):
    """The scanner did not hear it, as far as we know."""


class Promises:
    """The listener's part: takes requests, and tells the results to scanners that cannot be called."""

    def __init__(self, database: Database, callers: Sequence[CallerSettings]) -> None:
        self._database = database
        self._called = {caller.ae_title for caller in callers if caller.port is not None}
        self._tellers = ThreadPoolExecutor(2, thread_name_prefix="promises")

    def close(self) -> None:
        """Take up nothing more; what is not told is kept."""
        self._tellers.shutdown(wait=False, cancel_futures=True)

    def asked(self, event: evt.Event) -> tuple[int, None]:
        """Keep a scanner's request; the status of the answer to it."""
        caller = event.assoc.requestor.ae_title
        if event.request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return NO_SUCH_SOP_INSTANCE, None
        if event.action_type != REQUEST:
            return NO_SUCH_ACTION, None
        try:
            transaction_uid, asked_for = read_request(event.action_information)
        except ValueError as missing:
            log.warning("%r asked for a commitment without saying %s", caller, missing)
            return INVALID_ARGUMENT, None
        try:
            with self._database.write() as connection:
                number = promises.keep(
                    connection,
                    calling_ae_title=caller,
                    transaction_uid=transaction_uid,
                    asked_for=asked_for,
                    at=datetime.now(UTC),
                )
        except StoreFailed as failure:
            log.error("could not keep a request for commitment from %r: %s", caller, failure)
            return PROCESSING_FAILURE, None
        log.info("asked for commitment", extra={"promise": number, "caller": caller, "count": len(asked_for)})
        if caller not in self._called:
            self._tellers.submit(self._tell_here, event.assoc)
        return SUCCESS, None

    def _tell_here(self, association: Association) -> None:
        """Tell a scanner on its own association all that it has not heard yet."""
        time.sleep(MOMENT)
        caller = association.requestor.ae_title
        try:
            with self._database.read() as connection:
                waiting = [(one, promises.answer(connection, one)) for one in promises.waiting(connection, caller)]
            for one, answer in waiting:
                _tell(association, one, answer)
                _told(self._database, one, answer)
        except (StoreFailed, Untold) as trouble:
            log.warning("%r did not hear what we keep of its objects: %s", caller, trouble)


def read_request(told: Dataset) -> tuple[str, list[Reference]]:
    """The Transaction UID of a request, and the objects it names.

    Raises:
        ValueError: it lacks something; the text names what.
    """
    transaction_uid = str(told.get("TransactionUID") or "")
    items = told.get("ReferencedSOPSequence") or ()
    asked_for = [
        (str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or ""))
        for item in items
    ]
    if not transaction_uid:
        raise ValueError("Transaction UID (0008,1195)")
    if not asked_for or not all(instance for _, instance in asked_for):
        raise ValueError("Referenced SOP Instance UID (0008,1155)")
    return transaction_uid, asked_for


def callers_to_be_called(callers: Sequence[CallerSettings]) -> list[CallerSettings]:
    """The scanners that hear our results on an association of ours."""
    return [caller for caller in callers if caller.port is not None]


def next_due(house: House, caller: CallerSettings) -> datetime | None:
    """When a scanner is to be called next; ``None`` when there is nothing to tell it."""
    with house.database.read() as connection:
        theirs = promise_table.c.calling_ae_title == caller.ae_title
        return work.next_due(connection, promise_table, where=theirs)


def tell_due(house: House, caller: CallerSettings) -> None:
    """Call a scanner and tell it what is due; what it does not hear is told again later."""
    with house.database.write() as connection:
        due = promises.claim(connection, caller.ae_title, limit=BATCH, at=datetime.now(UTC))
        answers = [(one, promises.answer(connection, one)) for one in due]
    if not answers:
        return
    untold = list(answers)
    try:
        with closing(_Call(house.settings.service.listener.ae_title, caller)) as call:
            for one, answer in answers:
                _tell(call.association, one, answer)
                _told(house.database, one, answer)
                untold.remove((one, answer))
    except Untold as problem:
        log.warning("%r did not hear what we keep of its objects: %s", caller.ae_title, problem)
        with house.database.write() as connection:
            for one, _ in untold:
                until = datetime.now(UTC) + wait_after(one.attempts, LONGEST_WAIT)
                work.postpone(connection, promise_table, one.number, until=until, reason="Untold", detail=str(problem))


class _Call:
    """An association of ours to a scanner, in which we are the SCP (PS3.4 J.3.3: by role selection)."""

    def __init__(self, ae_title: str, caller: CallerSettings) -> None:
        ae = AE(ae_title=ae_title)
        ae.connection_timeout = CONNECTION_SECONDS
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
        ae.add_requested_context(StorageCommitmentPushModel)
        try:
            tls = (for_calling(caller.tls), caller.host) if caller.tls else None
        except TlsUnusable as unusable:
            raise Untold(str(unusable)) from None
        self.association = ae.associate(
            caller.host,
            caller.port,
            ae_title=caller.ae_title,
            tls_args=tls,
            ext_neg=[build_role(StorageCommitmentPushModel, scp_role=True)],
        )
        if self.association.is_rejected:
            raise Untold("the scanner rejected the association; does it know our AE title?")
        if not self.association.is_established:
            raise Untold("no association" + ("; does the TLS of both sides fit?" if caller.tls else ""))

    def close(self) -> None:
        """Release it."""
        if self.association.is_established:
            self.association.release()


def _tell(association: Association, one: Promise, answer: Answer) -> None:
    if not association.is_established:
        raise Untold("the association has ended")
    event_type = SOME_FAILED if answer.failed else ALL_COMMITTED
    try:
        status, _ = association.send_n_event_report(
            _result(one, answer), event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except ValueError:
        raise Untold("the scanner does not take storage commitment in the role of SCU") from None
    except RuntimeError:
        raise Untold("the association has ended") from None
    if "Status" not in status:
        raise Untold("no answer to the N-EVENT-REPORT")
    if status.Status != SUCCESS:
        raise Untold(f"the N-EVENT-REPORT was answered with status 0x{status.Status:04X}")


def _told(database: Database, one: Promise, answer: Answer) -> None:
    with database.write() as connection:
        work.done(connection, promise_table, [one.number])
    names = {"promise": one.number, "caller": one.calling_ae_title}
    log.info("committed ourselves", extra={**names, "count": len(answer.kept)})
    if answer.failed:
        log.warning("asked to commit ourselves to what we do not have", extra={**names, "count": len(answer.failed)})


def _result(one: Promise, answer: Answer) -> Dataset:
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
