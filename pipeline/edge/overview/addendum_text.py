"""The text of an addendum, what differs from its predecessor's, and its results by region, read from its own bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.sr import codes
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import header_text, read_tree
from pipeline.sr.dicom.reader import read_elements


@dataclass(frozen=True, slots=True, kw_only=True)
class AddendumText:
    """Sentences of an addendum in their order, the note on what it replaces, and its coded content."""

    patient_name: str
    sentences: tuple[str, ...]
    note: str
    coded: ReadBack


class Kind(StrEnum):
    """What became of a sentence since the predecessor."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an addendum, or one that only its predecessor has."""

    kind: Kind
    text: str


def read_addendum(data_set: bytes) -> AddendumText:
    """Read an addendum of ours in Explicit VR Little Endian."""
    elements = read_elements(data_set, ExplicitVRLittleEndian)
    tree = read_tree(elements)
    return AddendumText(
        patient_name=header_text(elements, "PatientName"),
        sentences=sentences_of(tree),
        note=" ".join(_texts(tree, codes.COMMENT)),
        coded=read_back(tree),
    )


def sentences_of(addendum: Item) -> tuple[str, ...]:
    """Return the sentences of an addendum's content tree in their order."""
    return tuple(_texts(addendum, codes.CONCLUSION))


def changes(now: Sequence[str], before: Sequence[str]) -> tuple[Sentence, ...]:
    """Return the sentences of an addendum with those that its predecessor has in their place."""
    found: list[Sentence] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [Sentence(Kind.SAME, text) for text in now[j1:j2]]
        else:
            found += [Sentence(Kind.REMOVED, text) for text in before[i1:i2]]
            found += [Sentence(Kind.ADDED, text) for text in now[j1:j2]]
    return tuple(found)


def _texts(tree: Item, concept: Code) -> Iterator[str]:
    """Yield the texts of one concept that belong to the whole exam, not to a region."""
    for container in tree.children:
        if container.has_concept(codes.CONCLUSIONS):
            for item in container.children:
                if item.value_type == "TEXT" and item.has_concept(concept):
                    yield item.value
