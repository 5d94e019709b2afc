"""Read a patient administration message: the event, and the patient ids that an ADT^A40 merges (HL7 v2.5.1 3.3.40).

Only identifiers are read; names, addresses and whatever else a hospital tells of its patients is passed over.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import DxatrendError
from pipeline.messages.hl7.oru import ENCODINGS

MERGE = "A40"
"""Merge patient: the ids in MRG-1 are from now on the patient of PID-3."""

UPDATE = "A08"
"""Update patient information."""

LONGEST_ID = 64

LONGEST_APPLICATION = 180
"""Characters that are kept of the sender's name, which the audit trail has (HD, HL7 v2.5.1 2.14.9.3)."""

_UNESCAPED = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~"}
_ESCAPE = re.compile(r"\\([EFSTR])\\")


class UnusableMessageError(DxatrendError):
    """A message that says nothing certain; the text names segments and fields, never their values."""


@dataclass(frozen=True, slots=True)
class MergedIds:
    """One pair of a merge: the id that is no more, and the one that takes its place."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdtMessage:
    """What is read of a message: who sent it, its control id, type and event, and the merged ids of an A40."""

    application: str
    control_id: str
    type: str
    event: str
    merges: tuple[MergedIds, ...] = ()


def read_adt(message: bytes, *, authority: str = "") -> AdtMessage:
    """Return what a message says.

    With ``authority`` only ids that this assigning authority has given count (CX-4.1); without it a patient must have
    one id alone, as nobody can tell which of several the scanners use.

    Raises:
        UnusableMessageError: it is no HL7 message, or an A40 from which no certain pair of ids can be read.
    """
    segments = _segments(message)
    header = segments[0]
    kind, event = (*_at(header, 8).split("^"), "", "")[:2]
    event = event or next((_at(one, 1) for one in segments if one[0] == "EVN"), "")
    merging = kind == "ADT" and event == MERGE
    return AdtMessage(
        application=_printable(_unescaped(_at(header, 2).split("^")[0]))[:LONGEST_APPLICATION],
        control_id=_at(header, 9),
        type=kind,
        event=event,
        merges=tuple(_merges(segments, authority)) if merging else (),
    )


def answer(message: AdtMessage, code: str, text: str = "") -> bytes:
    """Return the acknowledgement of a message; the text is ours, and names no patient."""
    header = ["MSH", "^~\\&", "DXATREND", "", message.application.translate(_NO_DELIMITERS), "", "", "", "ACK"]
    first = "|".join([*header, f"A{message.control_id}"[:20], "P", "2.5.1"])
    return f"{first}\rMSA|{code}|{message.control_id}|{text}".rstrip("|").encode("utf-8") + b"\r"


_NO_DELIMITERS = str.maketrans(dict.fromkeys("|^~\\&\r\n"))


def _segments(message: bytes) -> list[list[str]]:
    """Return the segments with their fields; of MSH the first field is what follows the separator."""
    start = message.lstrip(b"\r\n ")[:4]
    if start[:3] != b"MSH" or start[3:4] != b"|":
        raise UnusableMessageError("no MSH segment with | as its separator")
    sent = message.decode("latin-1").split("\r")[0].split("|")
    encoding = ENCODINGS.get(_at(sent, 17).split("~")[0], "utf-8")
    try:
        text = message.decode(encoding)
    except UnicodeDecodeError:
        text = message.decode("latin-1")
    if _at(sent, 1) != "^~\\&":
        raise UnusableMessageError("MSH-2 has other delimiters than ^~\\&")
    return [line.split("|") for line in text.replace("\n", "\r").split("\r") if line.strip()]


def _merges(segments: Sequence[Sequence[str]], authority: str) -> Iterator[MergedIds]:
    """Yield the pair of each PID and the MRG that follows it."""
    new = ""
    found = False
    for one in segments:
        if one[0] == "PID":
            new = _only_id(_at(one, 3), authority, "PID-3")
        elif one[0] == "MRG":
            if not new:
                raise UnusableMessageError("an MRG without a PID before it")
            found = True
            yield MergedIds(_only_id(_at(one, 1), authority, "MRG-1"), new)
            new = ""
    if not found or new:
        raise UnusableMessageError("a PID without its MRG")


def _only_id(field: str, authority: str, name: str) -> str:
    """Return the one id in a field that counts."""
    ids = [(repetition.split("^") + [""] * 4)[:4] for repetition in field.split("~") if repetition]
    mine = [one[0] for one in ids if not authority or one[3].split("&")[0] == authority]
    if len(mine) != 1:
        whose = "of the assigning authority" if authority else "and no adt.assigning_authority to choose by"
        raise UnusableMessageError(f"{name} has {len(mine)} ids {whose}")
    text = _unescaped(mine[0]).strip()
    if not text or text == '""' or len(text) > LONGEST_ID or not text.isprintable():
        raise UnusableMessageError(f"{name} has no usable id")
    return text


def _at(fields: Sequence[str], place: int) -> str:
    return fields[place] if place < len(fields) else ""


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: _UNESCAPED[escape[1]], text)
