r"""Encode texts as HL7 version 2 fields: escape sequences, person names, moments (HL7 v2.5.1 chapter 2.7, 2.A).

The delimiters are ``|^~\&`` as in every message; a delimiter within a text is escaped, a line break becomes ``\.br\``
in formatted text and a space elsewhere, and other control characters are left out.
"""

import re
from collections.abc import Sequence
from datetime import datetime

DELIMITERS = "^~\\&"
"""MSH-2: component, repetition, escape, subcomponent; the field separator is ``|``."""

SEGMENT_END = "\r"

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def escape(text: str) -> str:
    """Return a text in which nothing is a delimiter, in one line."""
    return _without_controls(_LINE_BREAK.sub(" ", text)).translate(_ESCAPES)


def escape_formatted(text: str) -> str:
    """Return a text for the data type FT: its line breaks become ``.br`` commands."""
    lines = _LINE_BREAK.split(text)
    return "\\.br\\".join(_without_controls(line).translate(_ESCAPES) for line in lines)


def segment(name: str, fields: Sequence[str]) -> str:
    """Return a segment without the empty fields at its end; fields are encoded already, and count from one."""
    if name == "MSH":
        return "|".join(["MSH", *fields[1:]]).rstrip("|")
    return "|".join([name, *fields]).rstrip("|")


def moment(at: datetime) -> str:
    """Return a moment with its offset from UTC (TS)."""
    return f"{at:%Y%m%d%H%M%S%z}"


def person_name(name: str) -> str:
    """Return a DICOM person name (PS3.5 6.2.1) as XPN: a repetition for each of its groups.

    PID-5 may not be empty: a patient without a name has one of the type U, unspecified (HL7 table 0200).
    """
    groups = name.split("=")
    named = [(group, letter) for group, letter in zip(groups, "AIP", strict=False) if group.strip("^ ")]
    forms = ["^".join([*_parts(group), "", "L", letter if len(named) > 1 else ""]) for group, letter in named]
    return "~".join(form.rstrip("^") for form in forms) or "^^^^^^U"


def physician(name: str) -> str:
    """Return a DICOM person name as XCN without an identifier, from its first group."""
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    return "^".join(["", *_parts(group)]).rstrip("^")


def _parts(group: str) -> list[str]:
    """Return family, given, middle, suffix and prefix; DICOM has the prefix before the suffix."""
    family, given, middle, prefix, suffix = ([escape(part.strip()) for part in group.split("^")] + [""] * 5)[:5]
    return [family, given, middle, suffix, prefix]


def _without_controls(text: str) -> str:
    return _CONTROLS.sub("", text.replace("\t", " "))
