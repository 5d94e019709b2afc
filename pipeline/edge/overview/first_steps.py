"""How far an installation has come, from the first start to the first addendum in a PACS."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.store import first_steps as on_file
from pipeline.edge.store import processes


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
    delivered_at = on_file.first_delivery_at(connection, [to.name for to in service.destination])
    begun = delivered_at is None
    return FirstSteps(
        listener_runs="listener" in running,
        worker_runs="worker" in running,
        has_caller=bool(service.listener.caller),
        has_destination=bool(service.destination),
        received_at=on_file.first_report_at(connection) if begun else delivered_at,
        has_exam=not begun or on_file.has_exam(connection),
        is_held=begun and on_file.has_held_report(connection),
        has_lsc=has_lsc,
        authored_at=on_file.first_addendum_at(connection) if begun else delivered_at,
        delivered_at=delivered_at,
    )
