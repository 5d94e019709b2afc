"""Audit events of this service: an exam compared, an addendum authored, an archive queried, a command given."""

import hashlib
import logging
import os
import pwd
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline import __version__
from pipeline.clinical.model import Change, Finding, Interpretation, Refusal
from pipeline.edge.app import App
from pipeline.edge.configuration.destination_settings import DicomDestination, StowDestination
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.database import StoreError
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.exams import ExamOnFile
from pipeline.edge.store.reprocessing_runs import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A person who does something, by name, and the machine this person works at."""

    name: str
    host: str


_OPERATOR: ContextVar[Operator | None] = ContextVar("who does what this thread is doing", default=None)


def compared(
    on_file: ExamOnFile, interpretation: Interpretation, reference_data: ReferenceData, *, issued: bool, at: datetime
) -> Entry:
    """Return the entry of an examined exam, whether or not an addendum was issued."""
    return Entry(
        event=Event.COMPARED,
        at=at,
        actor=f"dxatrend {__version__}",
        exam=on_file.number,
        detail={
            "revision": on_file.revision,
            "reports": [{"receipt": number, "dialect": report.dialect} for number, report in on_file.reports],
            "rules": interpretation.rules_version,
            "configuration": reference_data.digest,
            "overall": interpretation.overall.value,
            "issued": issued,
            "regions": [_region(finding) for finding in interpretation.findings],
        },
    )


def authored(number: int, exam: int, sop_instance_uid: str, data_set: bytes, *, at: datetime) -> Entry:
    """Return the entry of an addendum that was authored and stored."""
    return Entry(
        event=Event.AUTHORED,
        at=at,
        actor=f"dxatrend {__version__}",
        exam=exam,
        addendum=number,
        detail={"sop_instance_uid": sop_instance_uid, "digest": hashlib.sha256(data_set).hexdigest()},
    )


def archive_queried(
    archive: DicomDestination | StowDestination,
    patient: int | None,
    query: Mapping[str, str],
    *,
    found: Mapping[str, int | str],
    by_hand: bool,
    at: datetime,
    outcome: Outcome = Outcome.SUCCESS,
) -> Entry:
    """Return the entry of a query to an archive about a patient, sent by the service or ``by_hand``."""
    return Entry(
        event=Event.QUERIED,
        at=at,
        actor=archive.name,
        host=archive.host,
        outcome=outcome,
        patient=patient,
        detail={**query, **found, "by": operator().name if by_hand else f"dxatrend {__version__}"},
    )


def reprocessed(run: Run, counts: ExamCounts, *, at: datetime) -> Entry:
    """Return the entry of a run that the workers have finished for the person who had requested it."""
    return Entry(
        event=Event.REPROCESSED,
        at=at,
        actor=f"dxatrend {__version__}",
        detail={"run": run.number, "finished": True, "requested_by": run.requested_by, **asdict(counts)},
    )


@dataclass(slots=True)
class Lifetime:
    """The time for which a part of the service runs; it does not end where another process goes on."""

    goes_on: bool = False


@contextmanager
def service_lifetime(app: App, part: str, *, goes_on: bool = False) -> Iterator[Lifetime]:
    """Record that a part of the service runs as long as the block; one that is killed records its start alone.

    With ``goes_on`` it goes on in place of another process, and nothing is recorded of that.
    """
    detail = {"part": part, "version": __version__, "configuration": app.reference_data.digest}
    lifetime = Lifetime()
    if not goes_on:
        _record(app, Event.STARTED, detail)
    try:
        yield lifetime
    finally:
        if not lifetime.goes_on:
            _record(app, Event.STOPPED, detail)


@contextmanager
def acting(operator: Operator) -> Iterator[None]:
    """Name who does what this thread does in the block; a command without it is its user's."""
    before = _OPERATOR.set(operator)
    try:
        yield
    finally:
        _OPERATOR.reset(before)


def operator() -> Operator:
    """Return who is acting: whom ``acting`` names, or the user of this machine who has started the process."""
    return _OPERATOR.get() or Operator(name=_user_name(), host=socket.gethostname())


def by_operator(event: Event, *, at: datetime, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> Entry:
    """Return the entry of what a person did, under the name of that person."""
    who = operator()
    return Entry(event=event, at=at, outcome=outcome, actor=who.name, host=who.host, **fields)


def _record(app: App, event: Event, detail: Mapping[str, str]) -> None:
    try:
        with app.database.write() as connection:
            audit_trail.record(connection, by_operator(event, at=datetime.now(UTC), detail=detail))
    except StoreError as failure:  # the work begins, and ends, all the same
        log.error("the audit trail could not be written: %s", failure)


def _region(finding: Finding) -> dict[str, Any]:
    return {
        "region": finding.measurement.region.key,
        "bmd": str(finding.measurement.bmd),
        "result": finding.result.value,
        "since_prior": _change(finding.since_prior),
        "since_baseline": _change(finding.since_baseline),
        "refused": [_refusal(refusal) for refusal in finding.refusals],
    }


def _change(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    lsc = change.lsc
    return {
        "study": change.reference.study_instance_uid,
        "bmd": str(change.reference_bmd),
        "difference": str(change.difference),
        "result": change.result.value,
        "lsc": None
        if lsc is None
        else {"lsc": str(lsc.lsc), "valid_from": str(lsc.valid_from), "region": lsc.region.key, "source": lsc.source},
    }


def _refusal(refusal: Refusal) -> dict[str, str]:
    return {"study": refusal.exam.study_instance_uid, "obstacle": refusal.obstacle.value}


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # not by the environment, in which anybody may write another name
    except KeyError:  # a container may run under a number that has no name
        return "unknown"
