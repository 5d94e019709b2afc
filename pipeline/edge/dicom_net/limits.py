"""Limits of the listening side: what an administrator may set, and what both servers ask of a peer."""

from dataclasses import dataclass

NEGOTIATION_SECONDS = 10
"""How long a peer may take until its A-ASSOCIATE-RQ is complete."""

MAXIMUM_PDU_SIZE = 1 << 16
"""The longest P-DATA-TF PDU, in bytes, that we ask peers to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an administrator may set; sizes in bytes."""

    associations: int
    associations_per_caller: int
    idle_seconds: float
    largest_object: int
    largest_request: int
    """The data set of any request other than a C-STORE."""
    memory: int
    """What was received by all associations together and is not stored yet."""
