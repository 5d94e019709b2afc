"""Derive UIDs from what they identify, so that they are the same on any day and any computer (PS3.5 B.2).

A UID is the root 2.25 followed by a version 5 UUID of the parts that name the thing; nothing is random.
"""

from uuid import UUID, uuid5

_OURS = UUID("5f0b3b6e-92a4-5c0d-9d35-0d0f4a1f7c11")


def derived_uid(*parts: str) -> str:
    """Return the UID for these parts; other parts, or another order of them, give another UID."""
    name = "".join(f"{len(part)}:{part}" for part in parts)
    return f"2.25.{uuid5(_OURS, name).int}"


DEVICE_UID = derived_uid("device", "dxatrend")
"""The device observer of addenda: this software, wherever it runs. A report with this observer is one of ours."""

IMPLEMENTATION_CLASS_UID = derived_uid("implementation", "dxatrend")
