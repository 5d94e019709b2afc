"""Short fingerprints of configuration values and of what addenda rest on, the same on any day and any machine.

A fingerprint is a BLAKE2 digest of field values as canonical JSON, never of ``repr()``: neither the name of a class nor
the order of its fields has a part in it. A field that has its default is left out, so that a new field whose default
means "as before" changes no fingerprint on file. Where a default is itself a decision, as in ``Rules``, hand over
``dataclasses.asdict``, which holds every field.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from hashlib import blake2s
from typing import Any
from zoneinfo import ZoneInfo


def fingerprint_of(*values: object) -> str:
    """Return sixteen hexadecimal digits of dataclasses, sequences, mappings, texts, numbers, dates and time zones.

    Raises:
        TypeError: a value of another kind is among them, as a set, which has no order.
    """
    return blake2s(_ENCODER.encode(values).encode("ascii"), digest_size=8).hexdigest()


def _plain(value: object) -> object:
    """Return what stands in JSON for a value that JSON does not know."""
    if isinstance(value, Decimal | ZoneInfo):
        return str(value)
    if isinstance(value, date):  # or a datetime
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            name: given
            for name, default in _defaults(type(value)).items()
            if (given := getattr(value, name)) != default
        }
    raise TypeError(f"no fingerprint can be made of a {type(value).__name__}")


@cache
def _defaults(kind: Any) -> Mapping[str, object]:
    """Return the default of each field that the constructor takes; what it derives from them says nothing more."""
    return {field.name: _default(field) for field in dataclasses.fields(kind) if field.init}


def _default(field: "dataclasses.Field[Any]") -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
