"""Receipts that belong to no exam, and of which patient each is: held, ignored or waiting, known by its bytes alone."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, select

from pipeline.edge.store import receipts
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.receipts import ERASED, Receipt
from pipeline.edge.store.schema import reading, receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.content_tree import header_items, header_text
from pipeline.sr.dicom.header import read_header
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.unreadable import UnreadableReportError

_AT_A_TIME = 20

_UNMISTAKABLE = 6
"""Characters of an id from which on bytes do not contain it by chance."""

_PATIENT_ID = rb"\x10\x00\x20\x00(?:LO[\x00-\xff]{2}|[\x00-\xff]{4})"
"""Tag, VR and length of the element Patient ID, in the transfer syntaxes that scanners send (PS3.5 7.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Patients, each an id and issuer, and the UIDs of their studies and objects on file."""

    identities: Collection[tuple[str, str]]
    uids: Collection[str]


class Unread(NamedTuple):
    """Receipts without an exam: those of some patients, and those whose bytes are damaged, which may be anybody's."""

    theirs: frozenset[int]
    damaged: frozenset[int]


def unread_receipts_of(connection: Connection, whose: Whose, *, after: int = 0) -> Unread:
    """Return the receipts without an exam that are of these patients, of those after a number.

    The Patient ID decides, then another id of the same patient (0010,1000) (0010,1002), then the study and the UID of
    the object. An object that cannot be read is theirs where its bytes contain the id as a word of its own; an id so
    short that a stranger's object may contain it by chance has to stand in the element Patient ID.
    """
    damaged: set[int] = set()
    theirs = frozenset(one.number for one in _unread(connection, after, damaged) if _is_of(one, whose))
    return Unread(theirs, frozenset(damaged))


def _unread(connection: Connection, after: int, damaged: set[int]) -> Iterator[Receipt]:
    """Yield the receipts without an exam; the numbers of those without readable bytes are added to ``damaged``."""
    without_exam = ~select(reading.c.receipt_id).where(reading.c.receipt_id == receipt.c.id).exists()
    has_bytes = receipt.c.reason.is_distinct_from(ERASED) | (receipt.c.state != State.IGNORED)
    query = select(receipt.c.id).where(receipt.c.id > after, without_exam, has_bytes)
    numbers = connection.scalars(query.order_by(receipt.c.id)).all()
    for first in range(0, len(numbers), _AT_A_TIME):
        yield from _load(connection, numbers[first : first + _AT_A_TIME], damaged)


def _load(connection: Connection, numbers: Sequence[int], damaged: set[int]) -> list[Receipt]:
    """Return these receipts, loaded together, or one by one where the bytes of one are damaged or gone."""
    try:
        return receipts.load(connection, list(numbers))
    except DamagedContentError as error:
        if len(numbers) > 1:
            return [one for number in numbers for one in _load(connection, [number], damaged)]
        damaged.add(error.number)
        return []


def _is_of(one: Receipt, whose: Whose) -> bool:
    data_set = one.instance.data_set
    try:
        header = read_header(data_set, one.instance.transfer_syntax_uid)
    except UnreadableReportError:
        return any(_is_theirs_unread(data_set, patient_id) for patient_id, _ in whose.identities)
    patient_id = header_text(header, "PatientID").strip()
    if patient_id:
        issuer = header_text(header, "IssuerOfPatientID").strip()
        return any(_is_same((patient_id, issuer), known) for known in whose.identities)
    if others := _other_ids(header):
        return any(other == known for other in others for known, _ in whose.identities)
    return bool({header_text(header, "StudyInstanceUID"), one.instance.sop_instance_uid} & set(whose.uids))


def _is_same(one: tuple[str, str], known: tuple[str, str]) -> bool:
    """Return whether two ids may be one patient's: the same, and the same issuer or one has none."""
    return one[0] == known[0] and (one[1] == known[1] or "" in (one[1], known[1]))


def _other_ids(header: Elements) -> set[str]:
    listed = {part.strip() for part in header_text(header, "OtherPatientIDs").split("\\")}
    items = {header_text(item, "PatientID").strip() for item in header_items(header, "OtherPatientIDsSequence")}
    return (listed | items) - {""}


def _is_theirs_unread(data_set: bytes, patient_id: str) -> bool:
    if len(patient_id) >= _UNMISTAKABLE:
        return names_patient(data_set, patient_id)
    value = re.escape(patient_id.encode())
    return bool(patient_id) and re.search(_PATIENT_ID + rb" *" + value + rb" *(?![!-~])", data_set) is not None


def names_patient(content: bytes, patient_id: str) -> bool:
    """Return whether bytes contain an id as a word of its own."""
    word = re.escape(patient_id.encode())
    return bool(patient_id) and re.search(rb"(?<![0-9A-Za-z])" + word + rb"(?![0-9A-Za-z])", content) is not None
