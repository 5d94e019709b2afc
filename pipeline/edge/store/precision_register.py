"""The precision register: studies, the LSCs and cross-calibrations proposed from them, and every decision (R1.12).

Rows are only added. What a record counts for follows from the decisions (``pipeline/clinical/precision_register.py``).
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row, func, insert, select

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision_register import Registered, Standing, StudyFacts
from pipeline.edge.store.change_notification import notify
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.inserts import insert_if_absent
from pipeline.edge.store.register_schema import register_decision, register_record, register_study


class Kind(StrEnum):
    """What a record, or the study behind it, is about."""

    LSC = "lsc"
    CROSS_CALIBRATION = "cross_calibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOnFile:
    """A study as it was handed in: the name and SHA-256 of its file, its content, and who recorded it when."""

    number: int
    kind: Kind
    file_name: str
    digest: str
    content: bytes
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """What is proposed: the record, the facts of its study, where it comes from, and why."""

    value: LeastSignificantChange | CrossCalibration
    origin: str
    reason: str
    facts: StudyFacts | None = None
    study: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided about a record, when, and why."""

    number: int
    standing: Standing
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOnFile:
    """A record of the register: who proposed it, when and why, the study behind it, and its decisions in order."""

    number: int
    value: LeastSignificantChange | CrossCalibration
    facts: StudyFacts | None
    study: int | None
    file_name: str
    origin: str
    proposed_at: datetime
    proposed_by: str
    reason: str
    decisions: tuple[Decision, ...]

    @property
    def standing(self) -> Standing:
        """What was decided last."""
        return self.decisions[-1].standing if self.decisions else Standing.PROPOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredRecords:
    """All records of the register by kind, and the number of decisions, with which alone they change."""

    version: int = 0
    lscs: tuple[Registered[LeastSignificantChange], ...] = field(default=(), compare=False)
    cross_calibrations: tuple[Registered[CrossCalibration], ...] = field(default=(), compare=False)


_LOCK = 7_311_016

_LSC = TypeAdapter(LeastSignificantChange)
_CROSS_CALIBRATION = TypeAdapter(CrossCalibration)
_FACTS = TypeAdapter(StudyFacts)


def add_study(connection: Connection, kind: Kind, file_name: str, content: bytes, *, at: datetime, by: str) -> int:
    """Store the table of a study unless it is on file already, and return its number."""
    digest = hashlib.sha256(content).hexdigest()
    values = {"file_name": file_name, "content": zlib.compress(content), "recorded_at": at, "recorded_by": by}
    number = insert_if_absent(connection, register_study, kind=kind.value, digest=digest, **values)
    if number is not None:
        return number
    same = (register_study.c.kind == kind.value) & (register_study.c.digest == digest)
    known: int = connection.execute(select(register_study.c.id).where(same)).scalar_one()
    return known


def study(connection: Connection, number: int) -> StudyOnFile | None:
    """Return a study; ``None`` where no study has the number."""
    row = connection.execute(select(register_study).where(register_study.c.id == number)).one_or_none()
    if row is None:
        return None
    return StudyOnFile(
        number=row.id,
        kind=Kind(row.kind),
        file_name=row.file_name,
        digest=row.digest,
        content=zlib.decompress(row.content),
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
    )


def propose(connection: Connection, new: NewRecord, *, at: datetime, by: str) -> int:
    """Add a record that counts nowhere until it is accepted, and return its number."""
    if isinstance(new.value, LeastSignificantChange):
        kind, dumped = Kind.LSC, _LSC.dump_json(new.value)
    else:
        kind, dumped = Kind.CROSS_CALIBRATION, _CROSS_CALIBRATION.dump_json(new.value)
    values = {
        "kind": kind.value,
        "record": dumped.decode(),
        "facts": None if new.facts is None else _FACTS.dump_json(new.facts).decode(),
        "study_id": new.study,
        "origin": new.origin,
        "proposed_at": at,
        "proposed_by": by,
        "reason": new.reason,
    }
    number: int = connection.execute(
        insert(register_record).values(values).returning(register_record.c.id)
    ).scalar_one()
    return number


def decide(connection: Connection, number: int, standing: Standing, *, at: datetime, by: str, reason: str) -> None:
    """Add a decision on a record, and tell the processes that wait for a change."""
    values = {"standing": standing.value, "decided_at": at, "decided_by": by, "reason": reason}
    connection.execute(insert(register_decision).values(record_id=number, **values))
    notify(connection)


def lock(connection: Connection, number: int) -> RecordOnFile | None:
    """Return a record, and let no other transaction decide on it before this one ends."""
    connection.execute(select(register_record.c.id).where(register_record.c.id == number).with_for_update())
    found = records(connection, [number])
    return found[0] if found else None


def lock_all(connection: Connection) -> None:
    """Let no other transaction import records before this one ends."""
    if connection.dialect.name == "postgresql":  # on SQLite a writer excludes others already
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def records(connection: Connection, numbers: Sequence[int] | None = None) -> list[RecordOnFile]:
    """Return the records of these numbers, or all, in the order in which they were proposed."""
    query = (
        select(register_record, func.coalesce(register_study.c.file_name, "").label("file_name"))
        .outerjoin(register_study, register_study.c.id == register_record.c.study_id)
        .order_by(register_record.c.id)
    )
    decided = select(register_decision).order_by(register_decision.c.id)
    if numbers is not None:
        query = query.where(register_record.c.id.in_(numbers))
        decided = decided.where(register_decision.c.record_id.in_(numbers))
    decisions: dict[int, list[Decision]] = {}
    for row in connection.execute(decided):
        decisions.setdefault(row.record_id, []).append(_decision(row))
    return [_record(row, decisions.get(row.id, ())) for row in connection.execute(query)]


def version(connection: Connection) -> int:
    """Return how many decisions there are: what counts changes only with one more.

    The highest number would not do: of two transactions the one with the lower number may be committed later.
    """
    decisions: int = _VERSION.scalar(connection, {})
    return decisions


def registered(connection: Connection) -> RegisteredRecords:
    """Return every record with its standing, as comparisons need it."""
    lscs: list[Registered[LeastSignificantChange]] = []
    cross_calibrations: list[Registered[CrossCalibration]] = []
    for one in records(connection):
        standing, decision = one.standing, one.decisions[-1].number if one.decisions else 0
        if isinstance(one.value, LeastSignificantChange):
            lscs.append(Registered(number=one.number, value=one.value, standing=standing, decision=decision))
        else:
            cross_calibrations.append(
                Registered(number=one.number, value=one.value, standing=standing, decision=decision)
            )
    return RegisteredRecords(
        lscs=tuple(lscs), cross_calibrations=tuple(cross_calibrations), version=version(connection)
    )


_VERSION = CompiledStatement(select(func.count()).select_from(register_decision))


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        number=row.id, standing=Standing(row.standing), at=row.decided_at, by=row.decided_by, reason=row.reason
    )


def _record(row: Row[Any], decisions: Sequence[Decision]) -> RecordOnFile:
    adapter = _LSC if row.kind == Kind.LSC else _CROSS_CALIBRATION
    return RecordOnFile(
        number=row.id,
        value=adapter.validate_json(row.record),
        facts=None if row.facts is None else _FACTS.validate_json(row.facts),
        study=row.study_id,
        file_name=row.file_name,
        origin=row.origin,
        proposed_at=row.proposed_at,
        proposed_by=row.proposed_by,
        reason=row.reason,
        decisions=tuple(decisions),
    )
