"""FHIR resources as JSON text: decimals keep their digits, and whatever is empty is left out."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal

Json = str | int | bool | Decimal | Mapping[str, "Json"] | list["Json"] | None
"""A value of a resource."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def to_json(value: Json) -> str:
    """Return the JSON text of a value; an element without a value is left out, as FHIR has no empty ones."""
    return _text(_without_empty(value))


def _without_empty(value: Json) -> Json:
    if isinstance(value, Mapping):
        kept = {key: inner for key, raw in value.items() if not _is_empty(inner := _without_empty(raw))}
        return kept or None
    if isinstance(value, list):
        return [inner for raw in value if not _is_empty(inner := _without_empty(raw))] or None
    if isinstance(value, str):
        return _CONTROLS.sub("", value).strip() or None
    return value


def _is_empty(value: Json) -> bool:
    return value is None


def _text(value: Json) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"  # a float would lose the zeros at the end, and with them the precision of the scanner
    return json.dumps(value, ensure_ascii=False)
