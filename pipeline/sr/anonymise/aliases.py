"""Stand-ins for identity: the same original always gets the same one within an installation (HMAC-SHA-256).

All dates of one patient id move back by one number of days, so that intervals and ages stay. Without the installation's
secret no stand-in leads back to its original.
"""

import hmac
from collections import Counter
from datetime import date, timedelta
from uuid import UUID

from pydicom._uid_dict import UID_dictionary

FEWEST_DAYS, MOST_DAYS = 366, 3650
"""By how many days dates move: never by none, and never into the future."""

NAMES = ("Anonymous", "Person")
"""The stand-ins for the names of the patient and of others, before their digits; every anonymous report has them."""


class Aliases:
    """The stand-ins for one patient's reports; ``replaced`` counts them by what they stand for."""

    def __init__(self, secret: bytes, patient_id: str) -> None:
        self._secret = secret
        self.patient = self._number("patient", patient_id)
        span = MOST_DAYS - FEWEST_DAYS + 1
        self._back = timedelta(days=FEWEST_DAYS + int(self._number("days", patient_id)) % span)
        self.replaced: Counter[str] = Counter()

    def of(self, kind: str, original: str, *, prefix: str) -> str:
        """Return the stand-in for a text, of its prefix and ten digits; an empty text stays empty."""
        if not original.strip():
            return ""
        self.replaced[kind] += 1
        return f"{prefix}{self._number(kind, ' '.join(original.split()))}"

    def uid(self, original: str) -> str:
        """Return the stand-in for a UID (PS3.5 B.2); one of the standard itself stays."""
        stripped = original.strip(" \0")
        if not stripped or stripped in UID_dictionary:
            return stripped
        self.replaced["UIDs"] += 1
        return f"2.25.{UUID(bytes=self._digest('uid', stripped)[:16], version=5).int}"

    def day(self, original: date) -> date:
        """Return the day to which a date moves.

        Raises:
            OverflowError: it would be before the first year of the calendar.
        """
        self.replaced["dates"] += 1
        return original - self._back

    def _number(self, kind: str, original: str) -> str:
        return f"{int.from_bytes(self._digest(kind, original)[:8]) % 10**10:010}"

    def _digest(self, kind: str, original: str) -> bytes:
        return hmac.digest(self._secret, f"{len(kind)}:{kind}{original}".encode(), "sha256")
