"""Import DICOM files of an archive as history: priors for later exams, which get no addendum.

Files take the same way as instances that scanners send, marked as historical. The same bytes are stored once, so that
an import that was interrupted is simply repeated, and may run beside the service.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import select

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.dicom_files import FileLeftOutError, read_dicom_file
from pipeline.edge.dicom_net.sop_classes import IMAGE_STORAGE_CLASSES, SR_STORAGE_CLASSES
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.store import audit_trail, receipts
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.edge.store.readings import REPEATED
from pipeline.edge.store.receipts import Arrival, Instance
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header
from pipeline.sr.dicom.reader import split_file
from pipeline.sr.dicom.unreadable import IGNORED_REASONS, Reason, UnreadableReportError

BATCH = 20
"""Files in one transaction, during which no scanner's report is stored on SQLite."""

BATCH_BYTES = 64_000_000
"""Bytes in one transaction, but for its last file: memory stays flat."""

CALLER = "LOAD"
"""The calling AE title that imported instances are stored with."""

_TAKEN = frozenset(map(str, (*SR_STORAGE_CLASSES, *IMAGE_STORAGE_CLASSES)))
_NO_ERROR = frozenset({*IGNORED_REASONS, REPEATED})


class FileOutcome(StrEnum):
    """What became of one file."""

    NEW = "new"
    KNOWN = "known before"
    NOT_DICOM = "no DICOM"
    OTHER_OBJECT = "no report or image"
    UNREADABLE = "unreadable"
    LEFT_OUT = "left out"


@dataclass(slots=True)
class Loaded:
    """How many files had which outcome, and by path why some could not be used."""

    outcomes: dict[FileOutcome, int] = field(default_factory=lambda: dict.fromkeys(FileOutcome, 0))
    errors: dict[str, str] = field(default_factory=dict)

    def count(self, outcome: FileOutcome) -> None:
        """Count one more file."""
        self.outcomes[outcome] += 1


def files(folder: Path, on_error: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Yield every file below a folder, always in the same order; ``on_error`` gets folders that cannot be listed."""
    for place, folders, names in os.walk(folder, onerror=on_error):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def import_folder(
    app: App,
    folder: Path,
    *,
    deliver: bool = False,
    advance: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Loaded:
    """Import every file below a folder, as ``import_paths`` does; the audit trail has how many, and who did it.

    A folder that cannot be listed is among the ``errors``.

    Raises:
        StoreError: the database could not be reached; what was stored stays.
    """
    unlisted: list[OSError] = []
    loaded = import_paths(app, files(folder, unlisted.append), deliver=deliver, advance=advance, stopped=stopped)
    loaded.errors |= {str(error.filename): error.strerror or "cannot be listed" for error in unlisted}
    outcomes = {outcome.value: count for outcome, count in loaded.outcomes.items()}
    with app.database.write() as connection:
        detail = {"fates": outcomes, "errors": len(loaded.errors), "deliver": deliver}
        audit_trail.record(connection, events.by_operator(Event.LOADED, at=datetime.now(UTC), detail=detail))
    return loaded


def import_paths(
    app: App,
    paths: Iterator[Path],
    *,
    deliver: bool = False,
    advance: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Loaded:
    """Store and extract files batch by batch, each committed before the next; ``deliver`` has addenda sent for them.

    Raises:
        StoreError: the database could not be reached; what was stored stays.
    """
    loaded = Loaded()
    waiting: dict[int, str] = {}
    for batch in _batches(paths):
        waiting |= _store(app, batch, loaded, historical=not deliver)
        waiting = _still_waiting(app.database, waiting, loaded)
        advance(len(batch))
        if stopped():
            return loaded
    while waiting and extract_waiting(app):
        pass
    _still_waiting(app.database, waiting, loaded)
    return loaded


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += _size(path)
        if len(batch) == BATCH or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it will report the error
        return 0


def _store(app: App, paths: Sequence[Path], loaded: Loaded, *, historical: bool) -> dict[int, str]:
    """Store the reports and images among some files, extract them, and return the path of each receipt."""
    found: list[tuple[Path, Instance]] = []
    for path in paths:
        try:
            instance = _instance(path, app.settings.service.listener.largest_object_mb)
        except OSError as error:
            loaded.count(FileOutcome.UNREADABLE)
            loaded.errors[str(path)] = error.strerror or "cannot be read"
        except FileLeftOutError as left_out:
            loaded.count(FileOutcome.LEFT_OUT)
            loaded.errors[str(path)] = str(left_out)
        except UnreadableReportError as unreadable:
            if unreadable.reason is Reason.NOT_DICOM:
                loaded.count(FileOutcome.NOT_DICOM)
            else:
                loaded.count(FileOutcome.UNREADABLE)
                loaded.errors[str(path)] = str(unreadable)
        else:
            if instance.sop_class_uid in _TAKEN:
                found.append((path, instance))
            else:
                loaded.count(FileOutcome.OTHER_OBJECT)
    stored: dict[int, str] = {}
    if found:
        arrivals = [
            Arrival.of(instance, calling_ae_title=CALLER, at=datetime.now(UTC), historical=historical)
            for _, instance in found
        ]
        with app.database.write() as connection:
            results = receipts.store_all(connection, arrivals)
        for (path, _), (number, new) in zip(found, results, strict=True):
            stored[number] = str(path)
            loaded.count(FileOutcome.NEW if new else FileOutcome.KNOWN)
        extract_waiting(app)
    return stored


def _instance(path: Path, max_mb: int) -> Instance:
    data_set, transfer_syntax_uid = split_file(read_dicom_file(path, most_mb=max_mb))
    header = read_header(data_set, transfer_syntax_uid)
    return Instance(
        sop_class_uid=header_text(header, "SOPClassUID"),
        sop_instance_uid=header_text(header, "SOPInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
        data_set=data_set,
    )


def _still_waiting(database: Database, waiting: dict[int, str], loaded: Loaded) -> dict[int, str]:
    """Note what could not be read, and return what waits, as a worker of the service has claimed it."""
    with database.read() as connection:
        query = select(receipt.c.id, receipt.c.state, receipt.c.reason, receipt.c.detail)
        rows = connection.execute(query.where(receipt.c.id.in_(list(waiting)))).all()
    still_waiting: dict[int, str] = {}
    for number, state, reason, detail in rows:
        if state == State.WAITING:
            still_waiting[number] = waiting[number]
        elif state != State.DONE and reason not in _NO_ERROR:
            loaded.errors[waiting[number]] = detail or reason
    return still_waiting
