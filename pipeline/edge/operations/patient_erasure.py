"""Erase a patient from the store, for a reason, so that nothing of the patient is left in it."""

import logging
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, select

from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.operations import upgrade
from pipeline.edge.operations.patient_selection import select_patient
from pipeline.edge.operations.scheduled_backup import backups_in
from pipeline.edge.store import erasure, housekeeping_log, phantom_scans
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.patient_rows import LINKS, PatientRows
from pipeline.edge.store.qc_schema import phantom_scan
from pipeline.edge.store.register_schema import register_study
from pipeline.edge.store.schema import delivery
from pipeline.edge.store.schema_base import State
from pipeline.edge.store.unread_receipts import names_patient
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)


class PatientNotErasedError(DxatrendError):
    """A patient who cannot be erased now; the text says why, and names nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was erased, and where else the patient still is, which is not ours to erase."""

    ids: int
    receipts: int
    exams: int
    addenda: int
    delivered: Mapping[str, int]
    """By destination, how many addenda it has got."""
    studies: tuple[str, ...]
    """Files of precision studies that contain the id: on them an LSC rests, and they stay."""
    copies: tuple[Path, ...]
    """Earlier stores and backups of this machine, which still hold the patient."""
    is_rewritten: bool
    """Whether the files of the store were rewritten; else housekeeping does it."""
    damaged: tuple[int, ...]
    """Receipts without readable bytes, which belong to no exam and may be of the patient; they stay."""


def look_at(app: App, patient_id: str, issuer: str = "") -> PatientRows:
    """Return what would be erased.

    Raises:
        PatientNotFoundError: nothing is on file under the id, or it is of several issuers.
        PatientNotErasedError: work for the patient is under way.
    """
    with app.database.snapshot() as connection:
        found = select_patient(connection, patient_id, issuer)
        _require_rest(connection, found)
    return found


def erase_patient(app: App, patient_id: str, issuer: str, reason: str, *, found: PatientRows) -> Erasure:
    """Erase everything on file about a patient, and rewrite the store; the audit trail has who did it, and why.

    Raises:
        PatientNotFoundError: nothing is on file under the id, or it is of several issuers.
        PatientNotErasedError: work for the patient is under way, other ids belong to the patient than in ``found``, or
            the reason names the patient.
        StoreError: the database could not be reached; nothing was erased.
    """
    require_anonymous(reason, found)
    with app.database.write() as connection:
        erasure.lock(connection, found)
        now = select_patient(connection, patient_id, issuer, known=found)
        if now.identities != found.identities or now.patients != found.patients:
            raise PatientNotErasedError("the patient's ids were merged or separated meanwhile: look again")
        _require_rest(connection, now)
        delivered = _delivered(connection, now)
        studies = _precision_studies(connection, now)
        erase_rows(app, connection, now, reason)
    return Erasure(
        ids=len(now.patients),
        receipts=len(now.receipts),
        exams=len(now.exams),
        addenda=len(now.addenda),
        delivered=delivered,
        studies=studies,
        copies=tuple(copies_of(app)),
        is_rewritten=rewrite(app.database),
        damaged=tuple(sorted(now.damaged)),
    )


def erase_rows(app: App, connection: Connection, of: PatientRows, reason: str) -> None:
    """Erase patients within a transaction; the files of the store are still to be rewritten."""
    at = datetime.now(UTC)
    detail = {
        "reason": reason,
        "patients": sorted(of.patients),
        "receipts": sorted(of.receipts),
        "exams": sorted(of.exams),
        "addenda": len(of.addenda),
    }
    phantoms = _phantoms(app, connection, of)
    erasure.erase(connection, of, events.by_operator(Event.ERASED, at=at, detail=detail), phantoms, at=at)
    housekeeping_log.record_done(connection, housekeeping_log.TO_BE_REWRITTEN, at=at)


def rewrite(database: Database) -> bool:
    """Rewrite the files of the store where something was erased since, and return whether that was done whole."""
    with database.read() as connection:
        if housekeeping_log.last_done(connection, housekeeping_log.TO_BE_REWRITTEN) is None:
            return True
    try:
        done = database.rewrite()
    except StoreError as failure:
        log.warning("the store could not be rewritten after an erasure (%s); housekeeping does it", failure)
        return False
    if done:
        with database.write() as connection:
            housekeeping_log.forget(connection, housekeeping_log.TO_BE_REWRITTEN)
    return done


def copies_of(app: App) -> list[Path]:
    """Return the files of this machine that hold an earlier state of the store: backups, and stores replaced."""
    path = app.database.path
    replaced = path.parent.glob(f"{path.name}.replaced-*") if path else ()
    folder, data = app.settings.service.backup.folder, app.settings.service.store.folder
    folders = {one for one in (folder, data and data / upgrade.FOLDER) if one}
    upgrades = sorted(path for one in folders for path in one.glob(f"{upgrade.PREFIX}*.sqlite3"))
    return [*sorted(replaced), *upgrades, *(backups_in(folder) if folder else ())]


def require_anonymous(reason: str, of: PatientRows) -> None:
    """Require that a reason, which is kept, does not contain an id of the patient.

    Raises:
        PatientNotErasedError: it does.
    """
    said = reason.casefold().encode()
    if any(names_patient(said, patient_id.casefold()) for patient_id, _ in of.identities):
        raise PatientNotErasedError("the reason names the patient, and is kept: name a request or a file number")


def _require_rest(connection: Connection, of: PatientRows) -> None:
    if waiting := erasure.under_way(connection, of):
        raise PatientNotErasedError(
            f"work for the patient is under way: {'; '.join(waiting)}. Try again when it is done"
        )


def _delivered(connection: Connection, of: PatientRows) -> dict[str, int]:
    done = select(delivery.c.destination).where(LINKS[delivery](of), delivery.c.state == State.DONE)
    return dict(sorted(Counter(connection.scalars(done)).items()))


def _precision_studies(connection: Connection, of: PatientRows) -> tuple[str, ...]:
    """Return the names of the tables of precision studies that have an id of the patient in a cell."""
    ids = {patient_id for patient_id, _ in of.identities}
    found = []
    for row in connection.execute(select(register_study.c.file_name, register_study.c.content)):
        cells = _BETWEEN_CELLS.split(zlib.decompress(row.content).decode(errors="replace"))
        if not ids.isdisjoint(cells):
            found.append(row.file_name)
    return tuple(found)


def _phantoms(app: App, connection: Connection, of: PatientRows) -> dict[int, str]:
    """Return which phantom each scan is of that came under the patient's id, so that its values stay in the chart."""
    scanners = set(connection.scalars(select(phantom_scan.c.scanner_id).where(LINKS[phantom_scan](of))))
    known = app.reference_data.phantoms
    return {
        scan.number: scan.is_of(known) for number in scanners for scan in phantom_scans.of_scanner(connection, number)
    }


_BETWEEN_CELLS = re.compile(r'[\s,;"]+')
