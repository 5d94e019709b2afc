"""Who chains what was added to the audit trail, and who has to be told of it?"""

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
from pipeline.edge.store import audit_trail, receipts
from pipeline.edge.store.audit_trail import Entry, SealedEntry
from pipeline.edge.store.schema import addendum, exam, patient
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header

log = logging.getLogger(__name__)

RECEIVER = "syslog"
"""The name under which the trail remembers how far it was sent."""

EVERY = timedelta(seconds=1)
"""How soon an entry is chained and sent."""

LONGEST_WAIT = timedelta(minutes=5)
"""How long we wait at most before a receiver that was away is tried again."""

_SEVERITY = {0: 5, 4: 4, 8: 3, 12: 2}
"""From Event Outcome Indicator to the severity of syslog."""


class AuditForwarder:
    """Seals the trail once a second, and sends it on; a receiver that is away holds up nothing but itself."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = app.settings.service.audit
        self._source = Source(ae_title=app.settings.service.listener.ae_title, host=socket.gethostname())
        self._due = self._due_to_send = time.monotonic()
        self._wait = EVERY
        if self._settings.syslog:
            with app.database.write() as connection:
                audit_trail.add_receiver(connection, RECEIVER, at=datetime.now(UTC))

    def look(self) -> datetime:
        """Chain what was added, and send it; when there will be more to do.

        Raises:
            StoreError: the database could not be asked.
        """
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY.total_seconds()
            while self._seal():
                pass
        if self._settings.syslog and now >= self._due_to_send:
            self._send_all()
        return datetime.now(UTC) + EVERY

    def _seal(self) -> int:
        with self._app.database.read() as connection:
            if not audit_trail.has_unsealed(connection):
                return 0
        with self._app.database.write() as connection:
            return audit_trail.seal(connection)

    def _send_all(self) -> None:
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

    def _send(self) -> bool:
        with self._app.database.read() as connection:
            unsent = audit_trail.unsent(connection, RECEIVER)
            lines = [line for one in unsent if (line := self._line(connection, one)) is not None]
        if not unsent or not self._is_ours():
            return False
        if lines:
            syslog_sender.send(lines, self._settings, self._source.host)
        position = unsent[-1].position
        assert position is not None  # unsent entries are sealed
        with self._app.database.write() as connection:
            audit_trail.record_sent(connection, RECEIVER, position, at=datetime.now(UTC))
        return True

    def _is_ours(self) -> bool:
        """Of several workers one tells the receiver."""
        with self._app.database.write() as connection:
            return audit_trail.lease_receiver(connection, RECEIVER, at=datetime.now(UTC))

    def _line(self, connection: Connection, one: SealedEntry) -> Line | None:
        """The message of an entry, if it has one; what cannot be written holds up no other, and stays in the trail."""
        entry = one.entry
        if not dicom_message.has_message(entry.event):
            return None
        try:
            message = dicom_message.message(entry, _subject(connection, entry), self._source)
        except Exception as error:  # noqa: BLE001 - as above
            require_fault_of_one(error)
            log.error("entry %s of the audit trail has no message: %s", one.number, describe_error(error))
            return None
        return Line(entry.at, _SEVERITY[entry.outcome], message)


def _subject(connection: Connection, entry: Entry) -> Subject:
    """What an entry is about, looked up by its numbers."""
    of_the_instance = {
        name: str(entry.detail.get(name, "")) for name in ("sop_class_uid", "sop_instance_uid") if entry.detail
    }
    if entry.receipt is not None:
        return _subject_of_receipt(connection, entry.receipt, of_the_instance)
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
    if entry.addendum is not None and not of_the_instance.get("sop_class_uid"):
        kind = connection.scalar(select(addendum.c.sop_class_uid).where(addendum.c.id == entry.addendum))
        of_the_instance["sop_class_uid"] = kind or ""
    return Subject(patient_id=row.patient_id, study_instance_uid=row.study_instance_uid, **of_the_instance)


def _subject_of_receipt(connection: Connection, number: int, of_the_instance: dict[str, str]) -> Subject:
    """What the received bytes say of themselves, however they were read since."""
    found = receipts.load(connection, [number])
    try:
        header = read_header(found[0].instance.data_set, found[0].instance.transfer_syntax_uid)
        return Subject(
            patient_id=header_text(header, "PatientID"),
            study_instance_uid=header_text(header, "StudyInstanceUID"),
            accession_number=header_text(header, "AccessionNumber"),
            **of_the_instance,
        )
    except Exception:  # noqa: BLE001 - whatever was received, the message that it was is sent
        return Subject(**of_the_instance)
