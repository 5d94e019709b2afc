"""Which identifier does a thing get, so that it gets the same one on any day and on any machine?

UIDs are UUID-derived (PS3.5 B.2): the root 2.25 followed by a version 5 UUID of what they identify, so that none is
ever drawn at random and two different things do not meet by chance.
"""

from uuid import UUID, uuid5

_OURS = UUID("5f0b3b6e-92a4-5c0d-9d35-0d0f4a1f7c11")


def derived_uid(*parts: str) -> str:
    """The UID of what these parts name; other parts, or another order of them, give another UID."""
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return f"2.25.{uuid5(_OURS, name).int}"


DEVICE_UID = derived_uid("device", "dxatrend")
"""Who made the observation: this software, wherever it runs. A report that names it as observer is one of ours."""

IMPLEMENTATION_CLASS_UID = derived_uid("implementation", "dxatrend")
