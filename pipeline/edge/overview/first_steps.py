"""How far an installation has come, from the first start to the first addendum in a PACS."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, false, func, select

from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.store import processes
from pipeline.edge.store.schema import State, addendum, delivery, exam, receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """What has been reached on the way to the first delivered addendum; each step rests on those before it."""

    listener_runs: bool
    worker_runs: bool
    has_caller: bool
    has_destination: bool
    received_at: datetime | None
    """When the first report came from a scanner."""
    has_exam: bool
    """A report was read; where none was and something is held, a person has to look at it."""
    is_held: bool
    has_lsc: bool
    authored_at: datetime | None
    delivered_at: datetime | None
    """When a PACS first had an addendum."""

    @property
    def are_done(self) -> bool:
        """Whether the first addendum is in a PACS."""
        return self.delivered_at is not None


def first_steps(connection: Connection, service: ServiceSettings, *, has_lsc: bool, at: datetime) -> FirstSteps:
    """Return how far the installation has come; cheap however much is on file, once the first addendum is delivered."""
    running = {one.part for one in processes.live(connection, at=at)}
    delivered_at = _first_delivery(connection, [to.name for to in service.destination])
    begun = delivered_at is None
    return FirstSteps(
        listener_runs="listener" in running,
        worker_runs="worker" in running,
        has_caller=bool(service.listener.caller),
        has_destination=bool(service.destination),
        received_at=_first_receipt(connection) if begun else delivered_at,
        has_exam=not begun or _is_any(connection, select(exam.c.id).where(exam.c.historical == false())),
        is_held=begun and _is_any(connection, select(receipt.c.id).where(receipt.c.state == State.HELD)),
        has_lsc=has_lsc,
        authored_at=connection.scalar(select(func.min(addendum.c.authored_at))) if begun else delivered_at,
        delivered_at=delivered_at,
    )


def _first_delivery(connection: Connection, destinations: Sequence[str]) -> datetime | None:
    """Return when the first of these destinations had its first addendum."""
    found = [
        connection.scalar(select(func.min(delivery.c.done_at)).where(delivery.c.destination == name))
        for name in destinations
    ]
    return min((moment for moment in found if moment is not None), default=None)


def _first_receipt(connection: Connection) -> datetime | None:
    first = select(func.min(receipt.c.received_at)).where(receipt.c.historical == false())
    moment: datetime | None = connection.scalar(first)
    return moment


def _is_any(connection: Connection, query: Select[tuple[int]]) -> bool:
    return connection.scalar(query.limit(1)) is not None
