"""The requestor of an association, and the rejections with which it may be answered (A-ASSOCIATE-RJ, PS3.8 9.3.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Requestor:
    """Who asks for an association: both AE titles, its address, and the certificate that it has shown.

    ``certificate`` are the names in it, in lower case, and ``certificate_ends`` is its last day.
    """

    called: str
    calling: str
    host: str
    certificate: frozenset[str]
    certificate_ends: date | None = None


class Rejection(NamedTuple):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    result: int
    source: int
    reason: int


Admit = Callable[[Requestor], Rejection | None]
"""Decides on an association: ``None`` admits its requestor."""

CALLING_AE_TITLE_NOT_RECOGNISED = Rejection(1, 1, 3)
CALLED_AE_TITLE_NOT_RECOGNISED = Rejection(1, 1, 7)
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)
"""Transient: the requestor may try again later."""
