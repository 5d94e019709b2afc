"""Audit forwarder: seal new entries of the audit trail, and send them to the syslog receiver."""

import logging
import socket
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, select

from pipeline.edge.app import App
from pipeline.edge.audit import dicom_message, syslog_sender
from pipeline.edge.audit.dicom_message import Source, Subject
from pipeline.edge.audit.syslog_sender import Line, SyslogUnreachableError
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.store import audit_chain, receipts
from pipeline.edge.store.audit_trail import Entry, SealedEntry
from pipeline.edge.store.schema import addendum, exam, patient
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header

log = logging.getLogger(__name__)

RECEIVER = "syslog"
"""The name under which the store remembers how far the audit trail was sent."""

EVERY = timedelta(seconds=1)
"""How soon an entry is sealed and sent."""

LONGEST_WAIT = timedelta(minutes=5)
"""The longest wait before a receiver that was unreachable is tried again."""

_SEVERITY = {0: 5, 4: 4, 8: 3, 12: 2}
"""Syslog severity by Event Outcome Indicator."""


class AuditForwarder:
    """Seals the audit trail and sends it, once a second while entries come; an unreachable receiver delays nothing."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = app.settings.service.audit
        self._source = Source(ae_title=app.settings.service.listener.ae_title, host=socket.gethostname())
        self._due = self._due_to_send = time.monotonic()
        self._wait = EVERY
        if self._settings.syslog:
            with app.database.write() as connection:
                audit_chain.add_receiver(connection, RECEIVER, at=datetime.now(UTC))

    def poll(self) -> datetime | None:
        """Seal and send what was added; return when to poll again; ``None``: at the next entry, which wakes us.

        Raises:
            StoreError: the database failed.
        """
        now = time.monotonic()
        postponed = []
        if now < self._due:  # any commit wakes us
            postponed.append(self._due)
        else:
            self._due = now + EVERY.total_seconds()
            while self._seal():
                pass
        if self._settings.syslog and (now < self._due_to_send or not self._send_all()):
            postponed.append(self._due_to_send)
        return datetime.now(UTC) + timedelta(seconds=min(postponed) - now) if postponed else None

    def _seal(self) -> int:
        with self._app.database.read() as connection:
            if not audit_chain.has_unsealed(connection):
                return 0
        with self._app.database.write() as connection:
            return audit_chain.seal(connection)

    def _send_all(self) -> bool:
        """Send what is sealed and unsent, and return whether the receiver could be reached."""
        try:
            while self._send():
                pass
        except SyslogUnreachableError as away:
            if self._wait == EVERY:
                log.warning("the syslog receiver takes no audit messages (%s); they are kept and sent later", away)
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        else:
            if self._wait != EVERY:
                log.info("the syslog receiver takes audit messages again")
            self._wait = EVERY
        self._due_to_send = time.monotonic() + self._wait.total_seconds()
        return self._wait == EVERY

    def _send(self) -> bool:
        with self._app.database.read() as connection:
            unsent = audit_chain.unsent(connection, RECEIVER)
            lines = [line for entry in unsent if (line := self._line(connection, entry)) is not None]
        if not unsent or not self._is_ours():
            return False
        if lines:
            syslog_sender.send(lines, self._settings, self._source.host)
        position = unsent[-1].position
        assert position is not None  # unsent entries are sealed
        with self._app.database.write() as connection:
            audit_chain.record_sent(connection, RECEIVER, position, at=datetime.now(UTC))
        return True

    def _is_ours(self) -> bool:
        """Whether this worker, of several, sends to the receiver."""
        with self._app.database.write() as connection:
            return audit_chain.lease_receiver(connection, RECEIVER, at=datetime.now(UTC))

    def _line(self, connection: Connection, sealed: SealedEntry) -> Line | None:
        """Return the message of an entry, if it has one; one that cannot be rendered stays in the audit trail alone."""
        entry = sealed.entry
        if not dicom_message.has_message(entry.event):
            return None
        try:
            message = dicom_message.message(entry, _subject(connection, entry), self._source)
        except Exception as error:  # noqa: BLE001 - as above
            require_fault_of_one(error)
            log.error("entry %s of the audit trail has no message: %s", sealed.number, describe_error(error))
            return None
        return Line(entry.at, _SEVERITY[entry.outcome], message)


def _subject(connection: Connection, entry: Entry) -> Subject:
    """Return what an entry is about, looked up by its numbers."""
    instance_uids = {
        name: str(entry.detail.get(name, "")) for name in ("sop_class_uid", "sop_instance_uid") if entry.detail
    }
    if entry.receipt is not None:
        return _subject_of_receipt(connection, entry.receipt, instance_uids)
    if entry.patient is not None:
        known = connection.scalar(select(patient.c.patient_id).where(patient.c.id == entry.patient))
        return Subject(patient_id=known or "")
    if entry.exam is None:
        return Subject()
    row = connection.execute(
        select(exam.c.study_instance_uid, patient.c.patient_id)
        .join(patient, patient.c.id == exam.c.patient_id)
        .where(exam.c.id == entry.exam)
    ).one_or_none()
    if row is None:
        return Subject()
    if entry.addendum is not None and not instance_uids.get("sop_class_uid"):
        kind = connection.scalar(select(addendum.c.sop_class_uid).where(addendum.c.id == entry.addendum))
        instance_uids["sop_class_uid"] = kind or ""
    return Subject(patient_id=row.patient_id, study_instance_uid=row.study_instance_uid, **instance_uids)


def _subject_of_receipt(connection: Connection, number: int, instance_uids: dict[str, str]) -> Subject:
    """Return what the received bytes say of themselves, whatever became of them since."""
    try:
        found = receipts.load(connection, [number])
        header = read_header(found[0].instance.data_set, found[0].instance.transfer_syntax_uid)
        return Subject(
            patient_id=header_text(header, "PatientID"),
            study_instance_uid=header_text(header, "StudyInstanceUID"),
            accession_number=header_text(header, "AccessionNumber"),
            **instance_uids,
        )
    except Exception:  # noqa: BLE001 - whatever was received, the message that it was is sent
        return Subject(**instance_uids)
