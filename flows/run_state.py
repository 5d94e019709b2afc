"""The final state of a flow run, with its counts as the message that Prefect shows."""

from collections.abc import Mapping

from prefect import State
from prefect.states import Completed


def completed(counts: Mapping[str, int]) -> State[dict[str, int]]:
    """Return the state of a run that has succeeded; its counts are the message, which costs no further request."""
    message = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
    state: State[dict[str, int]] = Completed(message=message, data=dict(counts))
    return state
