"""What of an archive of files is history we can use, and what of it could not be read?

Files come in by the same way as what scanners send, marked as historical: they are priors for others, and get no
addendum. The same bytes are kept once, so that a load that was broken off is simply begun again, and may run beside the
service.
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
from pipeline.edge.store.readings import REPEATED
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import State, receipt
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import read_header
from pipeline.sr.dicom.reader import split_file
from pipeline.sr.dicom.unreadable import IGNORED_REASONS, Reason, UnreadableReportError

BATCH = 50
"""Files in one transaction."""

BATCH_BYTES = 64_000_000
"""What the files of one transaction may have together, but for the last of them: memory stays flat."""

CALLER = "LOAD"
"""Whom we say these came from."""

_TAKEN = frozenset(map(str, (*SR_STORAGE_CLASSES, *IMAGE_STORAGE_CLASSES)))
_NO_ERROR = frozenset({*IGNORED_REASONS, REPEATED})


class Fate(StrEnum):
    """What became of one file."""

    NEW = "new"
    KNOWN = "known before"
    NOT_DICOM = "no DICOM"
    OTHER_OBJECT = "no report or picture"
    UNREADABLE = "unreadable"
    LEFT_OUT = "left out"


@dataclass(slots=True)
class Loaded:
    """What became of the files of an archive; ``errors`` by path, with the reason."""

    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    errors: dict[str, str] = field(default_factory=dict)

    def count(self, fate: Fate) -> None:
        """One more file."""
        self.fates[fate] += 1


def files(folder: Path, unlisted: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Every file below a folder, always in the same order; ``unlisted`` hears of each folder that shows nothing."""
    for place, folders, names in os.walk(folder, onerror=unlisted):
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
    """Keep and read every file below a folder, as ``load`` does; the audit trail has how many, and who did it.

    A folder that cannot be listed is among the ``errors``.

    Raises:
        StoreError: the database could not be asked; what was kept is kept.
    """
    unlisted: list[OSError] = []
    loaded = load(app, files(folder, unlisted.append), deliver=deliver, advance=advance, stopped=stopped)
    loaded.errors |= {str(error.filename): error.strerror or "cannot be listed" for error in unlisted}
    fates = {fate.value: count for fate, count in loaded.fates.items()}
    with app.database.write() as connection:
        detail = {"fates": fates, "errors": len(loaded.errors), "deliver": deliver}
        audit_trail.record(connection, events.by_operator(Event.LOADED, at=datetime.now(UTC), detail=detail))
    return loaded


def load(
    app: App,
    paths: Iterator[Path],
    *,
    deliver: bool = False,
    advance: Callable[[int], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Loaded:
    """Keep and read files, batch by batch, each batch durable before the next; ``deliver`` answers them as well.

    Raises:
        StoreError: the database could not be asked; what was kept is kept.
    """
    loaded = Loaded()
    waiting: dict[int, str] = {}
    for batch in _batches(paths):
        waiting |= _take_in(app, batch, loaded, historical=not deliver)
        waiting = _judged(app, waiting, loaded)
        advance(len(batch))
        if stopped():
            return loaded
    while waiting and extract_waiting(app):
        pass
    _judged(app, waiting, loaded)
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
    except OSError:  # whoever reads it will be told
        return 0


def _take_in(app: App, paths: Sequence[Path], loaded: Loaded, *, historical: bool) -> dict[int, str]:
    """Keep what is worth it; which file is which receipt."""
    found: list[tuple[Path, Instance]] = []
    for path in paths:
        try:
            instance = _instance(path, app.settings.service.listener.largest_object_mb)
        except OSError as error:
            loaded.count(Fate.UNREADABLE)
            loaded.errors[str(path)] = error.strerror or "cannot be read"
        except FileLeftOutError as left_out:
            loaded.count(Fate.LEFT_OUT)
            loaded.errors[str(path)] = str(left_out)
        except UnreadableReportError as unreadable:
            if unreadable.reason is Reason.NOT_DICOM:
                loaded.count(Fate.NOT_DICOM)
            else:
                loaded.count(Fate.UNREADABLE)
                loaded.errors[str(path)] = str(unreadable)
        else:
            if instance.sop_class_uid in _TAKEN:
                found.append((path, instance))
            else:
                loaded.count(Fate.OTHER_OBJECT)
    kept: dict[int, str] = {}
    if found:
        with app.database.write() as connection:
            for path, instance in found:
                number, new = receipts.store(
                    connection, instance, calling_ae_title=CALLER, at=datetime.now(UTC), historical=historical
                )
                kept[number] = str(path)
                loaded.count(Fate.NEW if new else Fate.KNOWN)
        extract_waiting(app)
    return kept


def _instance(path: Path, most_mb: int) -> Instance:
    data_set, transfer_syntax_uid = split_file(read_dicom_file(path, most_mb=most_mb))
    header = read_header(data_set, transfer_syntax_uid)
    return Instance(
        sop_class_uid=header_text(header, "SOPClassUID"),
        sop_instance_uid=header_text(header, "SOPInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
        data_set=data_set,
    )


def _judged(app: App, waiting: dict[int, str], loaded: Loaded) -> dict[int, str]:
    """Note what could not be read; what a worker of the service still has is asked for later."""
    with app.database.read() as connection:
        query = select(receipt.c.id, receipt.c.state, receipt.c.reason, receipt.c.detail)
        rows = connection.execute(query.where(receipt.c.id.in_(list(waiting)))).all()
    left: dict[int, str] = {}
    for number, state, reason, detail in rows:
        if state == State.WAITING:
            left[number] = waiting[number]
        elif state != State.DONE and reason not in _NO_ERROR:
            loaded.errors[waiting[number]] = detail or reason
    return left
