"""When the outbox of a destination is not empty: one run sends what is due."""

from prefect import State, flow

from flows.run_state import completed
from flows.runtime import app, stop
from pipeline.edge.deliver.dispatcher import empty


@flow(name="delivery", flow_run_name="outbox of {destination}", persist_result=False)
def delivery(destination: str) -> State[dict[str, int]]:
    """Send what is due to one destination, by its name; how many it has now, how many will be tried again."""
    delivered, postponed = empty(app(), destination, stop().is_set)
    return completed({"delivered": delivered, "postponed": postponed})
