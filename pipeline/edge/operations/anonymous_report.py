"""Write a received report without identity into a file for support, and record who did it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.dicom_files import read_dicom_file
from pipeline.edge.extract.time_limit import TimeLimitError, run_with_time_limit
from pipeline.edge.operations.exam_corrections import find_exam
from pipeline.edge.operations.private_file import create_private_file
from pipeline.edge.store import audit_trail, exams, installation_secrets, receipts
from pipeline.edge.store.audit_trail import Event
from pipeline.errors import DxatrendError
from pipeline.sr.anonymise.report import AnonymousReport, NotAnonymousError, anonymise
from pipeline.sr.dicom.reader import split_file
from pipeline.sr.dicom.unreadable import Reason

LONGEST_SECONDS = 30.0
"""Processor time that one report may take."""


class AnonymousFileError(DxatrendError):
    """An anonymous report that was not written; the text says why, and names nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One report to write without identity: its receipt, ``None`` for a file, and its bytes."""

    receipt: int | None
    data_set: bytes
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An anonymous report and its file."""

    path: Path
    report: AnonymousReport


def find_reports(app: App, named: str) -> tuple[Source, ...]:
    """Return the report of a receipt (``12``) or a file, or those of an exam (``E12``).

    Raises:
        AnonymousFileError: there is no such receipt, or it has no data any more.
        ExamNotFoundError: there is no such exam.
        FileLeftOutError: the file is none that is read.
        UnreadableReportError: the file is no DICOM file.
        OSError: the file cannot be read.
    """
    if not (named.isdecimal() or (named[:1] in "Ee" and named[1:].isdecimal())):
        file = read_dicom_file(Path(named), most_mb=app.settings.service.listener.largest_object_mb)
        data_set, transfer_syntax_uid = split_file(file)
        return (Source(receipt=None, data_set=data_set, transfer_syntax_uid=transfer_syntax_uid),)
    with app.database.read() as connection:
        numbers = [int(named)] if named.isdecimal() else []
        if not numbers:
            (exam,) = exams.load(connection, [find_exam(app.database, named)])
            numbers = [number for number, _ in (*exam.reports, *exam.rejected)]
        found = receipts.load(connection, numbers)
    if not found or not all(receipt.instance.data_set for receipt in found):
        raise AnonymousFileError(f"there is no report {named}, or it was erased")
    return tuple(
        Source(
            receipt=receipt.number,
            data_set=receipt.instance.data_set,
            transfer_syntax_uid=receipt.instance.transfer_syntax_uid,
        )
        for receipt in found
    )


def write_anonymous(app: App, source: Source, *, to: Path) -> Written:
    """Write a report without identity into a new file for its owner alone; a folder gets one with a name of its own.

    Raises:
        NotAnonymousError: the report cannot be made anonymous; nothing was written.
        AnonymousFileError: the file exists, or cannot be written.
        StoreError: the database could not be queried.
    """
    with app.database.write() as connection:
        secret = installation_secrets.secret(connection, installation_secrets.ANONYMITY)
    report = _within_time(app, source, secret)
    path = to / f"anonymous-{source.receipt or report.sop_instance_uid[-10:]}.dcm" if to.is_dir() else to
    try:
        created = create_private_file(path)
    except FileExistsError:
        raise AnonymousFileError(f"{path} is there already and is not overwritten") from None
    except OSError as error:
        raise AnonymousFileError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with created as file:
            file.write(report.file)
        _record(app, source, report)
    except BaseException as error:  # half a file, or one that the trail does not tell of
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise AnonymousFileError(f"{path} cannot be written: {error.strerror}") from None
        raise
    return Written(path=path, report=report)


def _within_time(app: App, source: Source, secret: bytes) -> AnonymousReport:
    def work() -> AnonymousReport:
        return anonymise(
            source.data_set,
            source.transfer_syntax_uid,
            secret=secret,
            dialects=app.dialects,
            phantoms=app.reference_data.phantoms,
        )

    try:
        return run_with_time_limit(LONGEST_SECONDS, work, lambda: False)
    except TimeLimitError:
        raise NotAnonymousError(Reason.TOO_SLOW.sentence) from None


def _record(app: App, source: Source, report: AnonymousReport) -> None:
    about = {"sop_instance_uid": report.sop_instance_uid, "of": "a receipt" if source.receipt else "a file"}
    with app.database.write() as connection:
        entry = events.by_operator(Event.ANONYMISED, at=datetime.now(UTC), receipt=source.receipt, detail=about)
        audit_trail.record(connection, entry)
