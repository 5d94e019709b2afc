"""How does a run tell in Prefect what it has done?"""

from collections.abc import Mapping

from prefect import State
from prefect.states import Completed


def completed(counts: Mapping[str, int]) -> State[dict[str, int]]:
    """The end of a run, with its counts as the message that Prefect shows beside it, which costs no request."""
    told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
    state: State[dict[str, int]] = Completed(message=told, data=dict(counts))
    return state
