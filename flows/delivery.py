"""When the outbox of a destination is not empty: one run sends what is due."""

from prefect import flow

from flows.wiring import house
from pipeline.edge.dispatch import deliver_due
from pipeline.edge.settings import DestinationSettings


@flow(name="delivery", flow_run_name="outbox of {destination}", persist_result=False)
def delivery(destination: str) -> dict[str, int]:
    """Send what is due to one destination, by its name; how many it has now, how many will be tried again."""
    delivered, postponed = empty(destination)
    return {"delivered": delivered, "postponed": postponed}


def empty(destination: str) -> tuple[int, int]:
    """The same without Prefect."""
    to = _named(destination)
    delivered = postponed = 0
    while (more := deliver_due(house(), to)) != (0, 0):
        delivered, postponed = delivered + more[0], postponed + more[1]
    return delivered, postponed


def _named(name: str) -> DestinationSettings:
    return next(destination for destination in house().settings.service.destination if destination.name == name)
