"""The flow that sends what is due in the outbox of one destination."""

from prefect import State, flow

from flows.run_state import completed
from flows.runtime import current
from pipeline.edge.deliver.dispatcher import send_due


@flow(name="delivery", flow_run_name="outbox of {destination}", persist_result=False)
def delivery(destination: str) -> State[dict[str, int]]:
    """Send what is due to the destination of this name; the run ends with how many it got and how many wait again."""
    run = current()
    delivered, postponed = send_due(run.app, destination, run.stopped)
    return completed({"delivered": delivered, "postponed": postponed})
