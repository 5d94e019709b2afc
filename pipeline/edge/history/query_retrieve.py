"""Query archives for a patient's earlier reports, and retrieve them: C-FIND, C-MOVE, C-GET (PS3.4 Annex C).

An archive is queried study by study and series by series for reports and images with results; only instances that are
not on file are retrieved, by C-MOVE to our own listener or by C-GET, or over DICOMweb. They are stored as history, like
imported files.
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from sqlalchemy import Connection, select

from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.configuration.destination_settings import DicomDestination, StowDestination
from pipeline.edge.dicom_net.client import associate, back_off, wait_for_pause
from pipeline.edge.dicom_net.statuses import OUT_OF_RESOURCES, PENDING, SUCCESS
from pipeline.edge.errors import UNEXPECTED, describe_error, require_fault_of_one
from pipeline.edge.history.archived_instance import MODALITIES, TAKEN, ArchivedInstance, is_of
from pipeline.edge.peer_problems import PeerUnavailableError, Problem
from pipeline.edge.store import audit_trail, erased_objects, history_queries, patients, receipts, work_queue
from pipeline.edge.store.audit_trail import Outcome
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import addendum, history_query, receipt
from pipeline.errors import DxatrendError

log = logging.getLogger(__name__)

_WILDCARDS = "*?\\"
"""Characters that in a Patient ID would match other patients as well (PS3.4 C.2.2.2.4)."""


class HistoryQueryError(DxatrendError):
    """An archive that cannot be queried about this patient alone."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many studies an archive has of a patient, and how many instances were retrieved that were not on file."""

    studies: int
    instances: int


Archive = DicomDestination | StowDestination
"""A destination that may be asked for history."""


def fetch(app: App, archive: Archive, who: Patient, *, by_hand: bool = False) -> Fetched:
    """Retrieve what an archive has of a patient and is not on file; the audit trail has the query.

    Raises:
        PeerUnavailableError: the archive did not respond, or did not send everything.
        HistoryQueryError: it cannot be queried about this patient alone.
        StoreError: the database could not be reached.
    """
    if not who.patient_id or any(character in who.patient_id for character in _WILDCARDS):
        raise HistoryQueryError("a PatientID (0010,0020) with a wildcard in it cannot be asked for")
    ae_title = app.settings.service.listener.ae_title
    with _asking(archive, ae_title) as search:
        try:
            with _readable_responses():
                studies, offered = search(who)
        except PeerUnavailableError as problem:
            _record_query(
                app.database, archive, who, {"problem": str(problem)}, by_hand=by_hand, outcome=Outcome.MINOR_FAILURE
            )
            raise
    _record_query(app.database, archive, who, {"studies": len(studies), "offered": len(offered)}, by_hand=by_hand)
    with app.database.read() as connection:
        wanted = _not_on_file(connection, offered)
    if wanted:
        with _readable_responses():
            if isinstance(archive, StowDestination):
                from pipeline.edge.history import dicomweb  # noqa: PLC0415 - httpx takes four megabytes

                dicomweb.retrieve(app.database, archive, wanted)
            elif archive.retrieve == "get":
                _get(app.database, ae_title, archive, wanted)
            else:
                _move(ae_title, archive, wanted)
    return Fetched(len(studies), len(wanted))


Search = Callable[[Patient], tuple[list[str], list[ArchivedInstance]]]
"""Asks an archive for the studies of a patient, and what may be reports in them."""


@contextmanager
def _asking(archive: Archive, ae_title: str) -> Iterator[Search]:
    """Be connected with an archive, and yield what asks it.

    Raises:
        PeerUnavailableError: there is no association.
    """
    if isinstance(archive, StowDestination):
        from pipeline.edge.history import dicomweb  # noqa: PLC0415 - as above

        yield partial(dicomweb.search, archive)
        return
    with associate(archive, ae_title, [StudyRootQueryRetrieveInformationModelFind]) as association:

        def search(who: Patient) -> tuple[list[str], list[ArchivedInstance]]:
            studies = _studies(association, who)
            return studies, [wanted for study in studies for wanted in _instances(association, study)]

        yield search


@contextmanager
def _readable_responses() -> Iterator[None]:
    """Treat a response that cannot be read like none.

    Raises:
        PeerUnavailableError: a response cannot be read.
    """
    try:
        yield
    except (PeerUnavailableError, StoreError):
        raise
    except Exception as error:  # noqa: BLE001 - pydicom and pynetdicom raise anything over a broken response
        require_fault_of_one(error)
        raise PeerUnavailableError(Problem.ANSWER_UNREADABLE, error=describe_error(error)) from None


def run_due_query(app: App, archive: Archive) -> bool:
    """Run the query to an archive that has been due longest, and return whether there was one."""
    with app.database.write() as connection:
        query = history_queries.claim(connection, archive.name, at=datetime.now(UTC))
    if query is None:
        return False
    try:
        fetched = fetch(app, archive, query.patient)
    except HistoryQueryError as problem:
        log.warning("no history", extra={"destination": archive.name, "detail": str(problem)})
        fetched = Fetched(0, 0)
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with one query, the others are run
        if not isinstance(problem, PeerUnavailableError):
            require_fault_of_one(problem)
            _hold(app.database, query.number, archive, describe_error(problem))
            return True
        wait = back_off(query.attempts, timedelta(seconds=archive.longest_wait_seconds))
        with app.database.write() as connection:
            reason, detail = problem.problem.key, str(problem)
            until = datetime.now(UTC) + wait
            work_queue.postpone(connection, history_query, query.number, until=until, reason=reason, detail=detail)
        log.warning("no history yet", extra={"destination": archive.name, "detail": str(problem)})
        return True
    with app.database.write() as connection:
        history_queries.record_response(connection, query.number, instances=fetched.instances, at=datetime.now(UTC))
    log.info("history", extra={"destination": archive.name, "count": fetched.instances})
    return True


def _hold(database: Database, number: int, archive: Archive, detail: str) -> None:
    with database.write() as connection:
        work_queue.hold(connection, history_query, number, reason=UNEXPECTED, detail=detail)
    log.error("held", extra={"destination": archive.name, "reason": UNEXPECTED, "detail": detail})


def _record_query(
    database: Database,
    archive: Archive,
    who: Patient,
    found: Mapping[str, int | str],
    *,
    by_hand: bool,
    outcome: Outcome = Outcome.SUCCESS,
) -> None:
    encoded = encode(_study_query(who), is_implicit_vr=False, is_little_endian=True)
    query = {
        "sop_class_uid": str(StudyRootQueryRetrieveInformationModelFind),
        "transfer_syntax_uid": str(ExplicitVRLittleEndian),
        "query": b64encode(encoded or b"").decode("ascii"),
    }
    with database.write() as connection:
        patient = patients.find(connection, who.patient_id, who.issuer)
        now = datetime.now(UTC)
        entry = events.archive_queried(archive, patient, query, found=found, by_hand=by_hand, at=now, outcome=outcome)
        audit_trail.record(connection, entry)


def _study_query(who: Patient) -> Dataset:
    return _query("STUDY", PatientID=who.patient_id, IssuerOfPatientID="", StudyInstanceUID="", ModalitiesInStudy="")


def _studies(association: Association, who: Patient) -> list[str]:
    found = []
    for match in _find(association, _study_query(who)):
        if is_of(who, str(match.get("PatientID", "")), str(match.get("IssuerOfPatientID", ""))):
            found.append(str(match.StudyInstanceUID))
    return found


def _instances(association: Association, study: str) -> Iterator[ArchivedInstance]:
    """Yield the instances of a study that may be reports, or images with results."""
    series = _query("SERIES", StudyInstanceUID=study, SeriesInstanceUID="", Modality="")
    uids = [
        str(match.SeriesInstanceUID)
        for match in _find(association, series)
        if str(match.get("Modality", "")) in MODALITIES
    ]
    for uid in uids:
        query = _query("IMAGE", StudyInstanceUID=study, SeriesInstanceUID=uid, SOPInstanceUID="", SOPClassUID="")
        for match in _find(association, query):
            if str(match.get("SOPClassUID", "")) in ("", *TAKEN):
                yield ArchivedInstance(study, uid, str(match.SOPInstanceUID))


def _not_on_file(connection: Connection, offered: Sequence[ArchivedInstance]) -> list[ArchivedInstance]:
    """Return the instances that are neither on file nor addenda of ours, and were not erased."""
    uids = [one.instance for one in offered]
    known = set(connection.scalars(select(receipt.c.sop_instance_uid).where(receipt.c.sop_instance_uid.in_(uids))))
    known |= set(connection.scalars(select(addendum.c.sop_instance_uid).where(addendum.c.sop_instance_uid.in_(uids))))
    known |= erased_objects.among(connection, uids).keys()
    return [one for one in offered if one.instance not in known]


def _move(ae_title: str, archive: DicomDestination, wanted: Sequence[ArchivedInstance]) -> None:
    model = StudyRootQueryRetrieveInformationModelMove
    with associate(archive, ae_title, [model]) as association:
        for one in wanted:
            wait_for_pause(association)
            try:
                _require_success("C-MOVE", association.send_c_move(_image_query(one), ae_title, model))
            except (ValueError, RuntimeError):
                raise PeerUnavailableError(Problem.NOT_OFFERED, request="C-MOVE") from None


def _get(database: Database, ae_title: str, archive: DicomDestination, wanted: Sequence[ArchivedInstance]) -> None:
    model = StudyRootQueryRetrieveInformationModelGet

    def store(event: evt.Event) -> int:
        instance = Instance(
            sop_class_uid=str(event.request.AffectedSOPClassUID),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
            data_set=event.request.DataSet.getvalue(),
        )
        try:
            with database.write() as connection:
                receipts.store(
                    connection, instance, calling_ae_title=archive.ae_title, at=datetime.now(UTC), historical=True
                )
        except StoreError as failure:
            log.error("could not keep an instance from %r: %s", archive.ae_title, failure)
            return OUT_OF_RESOURCES
        return SUCCESS

    handlers = [(evt.EVT_C_STORE, store)]
    with associate(archive, ae_title, [model], as_scp=TAKEN, handlers=handlers) as association:
        for one in wanted:
            wait_for_pause(association)
            try:
                _require_success("C-GET", association.send_c_get(_image_query(one), model))
            except (ValueError, RuntimeError):
                raise PeerUnavailableError(Problem.NOT_OFFERED, request="C-GET") from None


def _image_query(one: ArchivedInstance) -> Dataset:
    return _query("IMAGE", StudyInstanceUID=one.study, SeriesInstanceUID=one.series, SOPInstanceUID=one.instance)


def _query(level: str, **keys: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    if not all(value.isascii() for value in keys.values()):
        query.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    return query


def _find(association: Association, query: Dataset) -> Iterator[Dataset]:
    wait_for_pause(association)
    try:
        for status, match in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
            if "Status" not in status:
                raise PeerUnavailableError(Problem.NO_RESPONSE, request="C-FIND")
            if status.Status in PENDING and match is not None:
                yield match
            elif status.Status != SUCCESS:
                raise PeerUnavailableError(Problem.STATUS, request="C-FIND", status=f"0x{status.Status:04X}")
    except (ValueError, RuntimeError):
        raise PeerUnavailableError(Problem.NOT_OFFERED, request="C-FIND") from None


def _require_success(request: str, responses: Iterator[tuple[Dataset, Dataset | None]]) -> None:
    for status, _ in responses:
        if "Status" not in status:
            raise PeerUnavailableError(Problem.NO_RESPONSE, request=request)
        if status.Status not in (*PENDING, SUCCESS):
            problem = Problem.MOVE_REFUSED if request == "C-MOVE" else Problem.STATUS
            raise PeerUnavailableError(problem, request=request, status=f"0x{status.Status:04X}")
