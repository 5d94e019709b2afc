"""The stages of one exam: receive, extract, match, compare, interpret, author, deliver, each with state and time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.clinical.regions import parse_region
from pipeline.edge.store.audit_trail import SealedEntry
from pipeline.edge.store.patient_file import AddendumRow, DeliveryRow, ExamRow, ReportRow
from pipeline.edge.store.schema_base import State
from pipeline.sr import codes


class StageState(StrEnum):
    """What a stage has come to."""

    DONE = "done"
    WAITING = "waiting"
    HELD = "held"
    NOT_YET = "not yet"
    """A stage before it has not come to its end."""
    NOT_NEEDED = "not needed"
    """Nothing is to be done, for a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: its word, its state, when it came to it, and what there is to say, as sentences."""

    word: str
    state: StageState
    at: datetime | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSources:
    """What the stages of one exam are read from.

    ``compared`` is the latest entry of the audit trail on its comparison. ``addenda`` and ``deliveries`` are all of the
    exam, with renderings.
    """

    exam: ExamRow
    reports: Sequence[ReportRow]
    compared: SealedEntry | None
    addenda: Sequence[AddendumRow]
    deliveries: Sequence[DeliveryRow]


def stages_of(sources: StageSources) -> tuple[Stage, ...]:
    """Return the stages of an exam in their order."""
    examined = _examination(sources)
    return (_received(sources), _extracted(sources), *examined, _authored(sources), *_delivered(sources))


def _received(sources: StageSources) -> Stage:
    senders = dict.fromkeys(f"{one.caller} at {one.host}" if one.host else one.caller for one in sources.reports)
    return Stage(
        word="receive",
        state=StageState.DONE,
        at=max((one.received_at for one in sources.reports), default=None),
        facts=(f"{_counted(len(sources.reports), 'report')} from {', '.join(senders)}",),
    )


def _extracted(sources: StageSources) -> Stage:
    rejected = [one for one in sources.reports if one.rejected]
    facts = [f"receipt {one.receipt} does not count: {one.rejected}" for one in rejected]
    return Stage(word="extract", state=StageState.DONE, facts=tuple(facts))


_EXAMINATION = ("match", "compare", "interpret")


def _examination(sources: StageSources) -> tuple[Stage, ...]:
    exam = sources.exam
    if exam.withdrawn:
        return _together(StageState.NOT_NEEDED, f"the exam was withdrawn: {exam.withdrawn}")
    if exam.state == State.HELD:
        why = f"{exam.reason}: {exam.detail}" if exam.detail else exam.reason
        return _first(StageState.HELD, why, at=exam.due_at)
    if exam.state == State.WAITING:
        why = exam.detail or "waits a little, as further reports of this exam may come"
        return _first(StageState.WAITING, why, at=exam.due_at)
    if exam.historical:
        return _together(StageState.NOT_NEEDED, "it came as history: others are compared with it")
    if sources.compared is None:
        return _together(StageState.DONE)
    return _compared(sources.compared, exam.study_instance_uid)


def _together(state: StageState, why: str = "") -> tuple[Stage, ...]:
    facts = (why,) if why else ()
    return tuple(Stage(word=word, state=state, facts=facts if word == _EXAMINATION[0] else ()) for word in _EXAMINATION)


def _first(state: StageState, why: str, *, at: datetime) -> tuple[Stage, ...]:
    """Return the three stages of an exam that has not got beyond the first of them."""
    match, *others = _EXAMINATION
    return (
        Stage(word=match, state=state, at=at, facts=(why,)),
        *(Stage(word=word, state=StageState.NOT_YET) for word in others),
    )


def _compared(compared: SealedEntry, study: str) -> tuple[Stage, ...]:
    """Return the three stages of an exam that was examined, with what the audit trail has of it."""
    detail, at = compared.entry.detail, compared.entry.at
    regions = [one for one in detail.get("regions", ()) if parse_region(one["region"]).monitorable]
    matched = sum(1 for one in regions if one.get("since_prior"))
    refused = {refusal["study"] for one in regions for refusal in one.get("refused", ())} - {study}
    match = [f"{_counted(matched, 'region')} of {len(regions)} with an earlier exam to compare with"]
    match += [f"{_counted(len(refused), 'exam')} not comparable, wholly or in part"] if refused else []
    results = tuple(f"{one['region']}: {codes.words(one['result'])}" for one in regions if one.get("since_prior"))
    rules = f"overall {codes.words(str(detail.get('overall', '')))}, rules {detail.get('rules', '')}"
    return (
        Stage(word="match", state=StageState.DONE, at=at, facts=tuple(match)),
        Stage(word="compare", state=StageState.DONE, at=at, facts=results),
        Stage(word="interpret", state=StageState.DONE, at=at, facts=(rules,)),
    )


def _authored(sources: StageSources) -> Stage:
    own = [one for one in sources.addenda if one.rendering_of is None]
    exam = sources.exam
    if own:
        earlier = f"it replaces {_counted(len(own) - 1, 'earlier one')}" if len(own) > 1 else ""
        facts = (f"addendum {own[-1].number}", *([earlier] if earlier else ()))
        if exam.state == State.HELD:
            facts = (*facts, "it was written before the exam was held")
        elif exam.state != State.DONE:
            facts = (*facts, "the exam is examined again, and it may be replaced")
        return Stage(word="author", state=StageState.DONE, at=own[-1].authored_at, facts=facts)
    if exam.historical or exam.withdrawn:
        return Stage(word="author", state=StageState.NOT_NEEDED, facts=("no addendum is written to it",))
    return Stage(word="author", state=StageState.NOT_YET)


def _delivered(sources: StageSources) -> Iterator[Stage]:
    """Yield one stage for all destinations of the latest addendum and its renderings."""
    own = [one for one in sources.addenda if one.rendering_of is None]
    if not own:
        needed = not (sources.exam.historical or sources.exam.withdrawn)
        yield Stage(word="deliver", state=StageState.NOT_YET if needed else StageState.NOT_NEEDED)
        return
    latest = {own[-1].number, *(one.number for one in sources.addenda if one.rendering_of == own[-1].number)}
    deliveries = [one for one in sources.deliveries if one.addendum in latest]
    if not deliveries:
        yield Stage(word="deliver", state=StageState.NOT_NEEDED, facts=("no destination is configured for it",))
        return
    states = {one.state for one in deliveries}
    worst = next((one for one in (State.HELD, State.WAITING) if one in states), State.DONE)
    times = [one.done_at if worst == State.DONE else one.due_at for one in deliveries if one.state == worst]
    yield Stage(
        word="deliver",
        state=_OF_STATE[worst],
        at=max((at for at in times if at is not None), default=None),
        facts=tuple(dict.fromkeys(map(_delivery, deliveries))),
    )


_OF_STATE = {State.HELD: StageState.HELD, State.WAITING: StageState.WAITING, State.DONE: StageState.DONE}


def _delivery(one: DeliveryRow) -> str:
    match one.state:
        case State.DONE:
            return f"{one.destination} has it"
        case State.HELD:
            return f"{one.destination}: held, {one.reason}" + (f": {one.detail}" if one.detail else "")
        case _:
            tries = f", {_counted(one.attempts, 'attempt')} so far" if one.attempts else ""
            return f"{one.destination}: waiting{tries}" + (f": {one.detail}" if one.detail else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
