"""What is written is, byte for byte, what highdicom and pydicom write."""

import struct
from collections.abc import Sequence
from copy import deepcopy
from decimal import Decimal
from io import BytesIO
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian

from pipeline.clinical.model import Interpretation
from pipeline.sr import codes
from pipeline.sr.author.addendum import author
from pipeline.sr.author.content import decimal_string, document
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.uids import IMPLEMENTATION_CLASS_UID
from pipeline.sr.dicom.writer import EncodingError, content, dicom_file, elements
from tests.factories import interpretations as make
from tests.factories import patients
from tests.factories.elements import elements_of
from tests.sr.author import highdicom_author

SOURCES = (make.report(number=1), make.report(number=2))
PRIORS = (make.report(2022), make.report(2019))


def both(
    interpretation: Interpretation,
    sources: Sequence[Dataset],
    priors: Sequence[Dataset],
    predecessor: bytes | None = None,
) -> tuple[bytes, bytes]:
    """The addendum as we write it, and as highdicom does."""
    ours = author(
        interpretation,
        sources=[*map(elements_of, sources)],
        priors=[*map(elements_of, priors)],
        predecessor=predecessor,
    ).data_set
    read = read_instance(ours, ExplicitVRLittleEndian)
    theirs = highdicom_author.data_set(
        read,
        read_tree(elements_of(read)) if predecessor else document(interpretation),
        interpretation.exam,
        sources=sources,
        priors=priors,
        predecessor=read_instance(predecessor, ExplicitVRLittleEndian) if predecessor else None,
    )
    return ours, theirs


@pytest.mark.parametrize("name", make.spread())
def test_highdicom_writes_the_same_bytes(name: str) -> None:
    ours, theirs = both(make.spread()[name], SOURCES, PRIORS)
    assert ours == theirs


def test_highdicom_writes_the_same_bytes_of_a_superseding_addendum() -> None:
    first = author(
        make.interpretation(),
        sources=[*map(elements_of, SOURCES)],
        priors=[*map(elements_of, PRIORS)],
    ).data_set
    ours, theirs = both(make.spread()["every caution"], SOURCES, PRIORS, first)
    assert ours == theirs


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_highdicom_writes_the_same_bytes_whatever_the_patient_is_like(random: Random) -> None:
    case = patients.case(random)
    ours, theirs = both(case.interpretation, case.sources, case.priors)
    assert ours == theirs


def test_a_file_of_it_begins_as_every_dicom_file_does() -> None:
    authored = author(make.interpretation(), sources=[*map(elements_of, SOURCES)])
    with config.strict_reading():
        read = dcmread(BytesIO(dicom_file(authored)))
    assert read.file_meta.MediaStorageSOPClassUID == authored.sop_class_uid == ComprehensiveSRStorage
    assert read.file_meta.MediaStorageSOPInstanceUID == authored.sop_instance_uid == read.SOPInstanceUID
    assert read.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    meta = DicomBytesIO()
    write_file_meta_info(meta, deepcopy(read.file_meta))
    assert dicom_file(authored) == bytes(128) + b"DICM" + meta.getvalue() + authored.data_set


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "Z" * 65),
        ("AccessionNumber", "Z" * 17),
        ("StudyInstanceUID", "1." * 33),
        ("PatientName", f"{'Z' * 65}=Z"),
        ("StudyDate", "2024-05-14"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_field(keyword: str, value: str) -> None:
    with pytest.raises(EncodingError, match=keyword) as refusal:
        elements({keyword: value})
    assert "ZZ" not in str(refusal.value)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=64))
def test_any_text_that_fits_is_padded_to_whole_pairs_of_bytes_in_utf_8(text: str) -> None:
    head, value = elements({"PatientID": text})[0x00100020][:8], elements({"PatientID": text})[0x00100020][8:]
    assert struct.unpack("<HH2sH", head) == (0x0010, 0x0020, b"LO", len(value))
    assert len(value) % 2 == 0
    assert value.decode() in (text, f"{text} ")


def test_what_no_addendum_may_hold_is_no_content() -> None:
    with pytest.raises(EncodingError, match="concept name"):
        content(Item(value_type="TEXT", value="nameless"))
    with pytest.raises(EncodingError, match="PNAME"):
        content(Item(value_type="PNAME", concept=codes.COMMENT, value="Doe^Jane"))


@given(st.decimals(min_value="-9999", max_value="9999", places=20), st.integers(0, 20))
def test_a_number_fits_into_a_decimal_string_and_keeps_its_digits_where_it_can(number: Decimal, places: int) -> None:
    printed = round(number, places)
    text = decimal_string(printed)
    assert len(text) <= 16
    assert text == f"{printed:f}" or abs(Decimal(text) - printed) <= Decimal(10) ** -9
