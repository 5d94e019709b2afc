"""Addenda of every kind, from reports as untidy as scanners send them."""

import struct
from collections.abc import Callable, Sequence
from functools import cache, partial

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline.clinical.model import Interpretation, Overall, Result
from pipeline.sr.author.addendum import author
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.dicom.writer import Authored
from tests.factories import interpretations as make
from tests.factories.elements import elements_of
from tests.factories.patients import NAMES
from tests.sr.author.highdicom_author import encoded

TYPE_2 = ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber")

UNTIDY: dict[str, dict[str, bytes | None]] = {
    "attributes left out": dict.fromkeys(TYPE_2),
    "attributes left empty": dict.fromkeys(TYPE_2, b""),
    "no dates at all": {"StudyDate": None, "ContentDate": None, "ContentTime": None},
    "a sex in lower case": {"PatientSex": b"f "},
    "a sex that is none": {"PatientSex": b"FEMALE"},
    "a date of old": {"StudyDate": b"2024.05.14", "StudyTime": b"10:20:30"},
    "a date that is none": {"StudyDate": b"20241345", "PatientBirthDate": b"unknown ", "StudyTime": b"25:61"},
    "over-long texts": {"PatientName": b"D" * 80 + b"^J", "StudyDescription": b"x" * 90, "AccessionNumber": b"1" * 30},
    "control characters": {"StudyDescription": b"spine\0\x07 and hip\n", "ReferringPhysicianName": b"Doctor^Dora\x1f"},
    "several values": {"StudyDescription": b"spine\\hip", "AccessionNumber": b"A\\B", "StudyID": b"1\\2"},
    "a name of one part": {"PatientName": b"Doe"},
    "leading zeros in UIDs": {"SOPInstanceUID": b"1.2.03.4", "SeriesInstanceUID": b"1.02"},
    "two character sets": {"SpecificCharacterSet": b"\\ISO 2022 IR 87", "PatientName": b"Yamada^T=\x1b$B;3ED\x1b(B^"},
    "a character set that is none": {"SpecificCharacterSet": b"ISO_IR 999"},
    "no character set": {"SpecificCharacterSet": None},
    "an issuer": {"IssuerOfPatientID": b"Hospital"},
    "another class of report": {"SOPClassUID": b"1.2.840.10008.5.1.4.1.1.88.35"},
}
"""What scanners send instead of what they should, as the bytes of each attribute; ``None`` where it is left out."""


def raw(**attributes: bytes | None) -> Dataset:
    """A scanner's report as it is read: its values are still the bytes that came."""
    tidy = read_instance(encoded(make.report()), ExplicitVRLittleEndian)
    values = {int(tag): tidy.get_item(tag).value for tag in tidy.keys()}  # noqa: SIM118 - iterating converts
    values |= {tag_for_keyword(keyword) or 0: value for keyword, value in attributes.items()}
    elements = (
        struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
        for tag, value in sorted(values.items())
        if value is not None
    )
    return read_instance(b"".join(elements), ImplicitVRLittleEndian)


def of(
    interpretation: Interpretation | None = None,
    *,
    sources: Sequence[Dataset] | None = None,
    priors: Sequence[Dataset] | None = None,
    predecessor: Authored | None = None,
    sop_class_uid: str = ComprehensiveSRStorage,
    preliminary: bool = True,
) -> Authored:
    """An addendum: to two reports of the exam, with the reports of two earlier ones."""
    return author(
        interpretation or make.interpretation(),
        sources=[*map(elements_of, (make.report(number=1), make.report(number=2)) if sources is None else sources)],
        priors=[*map(elements_of, (make.report(2022), make.report(2019)) if priors is None else priors)],
        predecessor=predecessor.data_set if predecessor else None,
        sop_class_uid=sop_class_uid,
        preliminary=preliminary,
    )


def read(addendum: Authored) -> Dataset:
    """An addendum as an archive reads it."""
    return read_instance(addendum.data_set, ExplicitVRLittleEndian)


def tree(addendum: Authored) -> Item:
    """What an addendum says, read back."""
    return read_tree(read_elements(addendum.data_set, ExplicitVRLittleEndian))


def to(sent: dict[str, bytes | None]) -> Authored:
    """An addendum to one report that says something odd."""
    return of(sources=[raw(**sent)])


def another() -> Interpretation:
    """What there is to say of the exam once its LSC is withdrawn."""
    no_lsc = make.finding(since_prior=make.change(Result.NO_LSC))
    return make.interpretation(no_lsc, make.finding("total hip left", "0.801"), overall=Overall.INDETERMINATE)


KINDS: dict[str, Callable[[], Authored]] = {
    **{name: partial(of, interpretation) for name, interpretation in make.spread().items()},
    **{
        f"{name}, as an Enhanced SR": partial(of, interpretation, sop_class_uid=EnhancedSRStorage)
        for name, interpretation in make.spread().items()
    },
    "superseding": lambda: of(another(), predecessor=of()),
    "final": lambda: of(preliminary=False),
    "without priors": lambda: of(priors=[]),
    **{f"from {name}": partial(to, sent) for name, sent in UNTIDY.items() if name != "leading zeros in UIDs"},
    **{
        f"for a {script} name": partial(to, {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": name.encode()})
        for script, name in NAMES.items()
    },
}
"""An addendum of every kind we can think of."""


@cache
def addendum_of_kind(name: str) -> Authored:
    """The addendum of one kind."""
    return KINDS[name]()
