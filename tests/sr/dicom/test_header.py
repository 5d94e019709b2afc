"""The header of a report is read like the whole report."""

from pathlib import Path

import pytest
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.header import check_same_patient, read_header
from pipeline.sr.dicom.reader import Elements, read_elements, split_file
from pipeline.sr.dicom.unreadable import UnreadableReportError
from tests.factories import reports as make
from tests.folders import ROOT

SAMPLES = sorted((ROOT / "sample_dicom").glob("*/*.dcm"))
CHARACTER_SETS = [Path(file) for file in sorted(get_charset_files("chr[!S]*.dcm"))]  # chrSQ… have no header
KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "StudyTime", "StudyID"),
    *("ContentDate", "ContentTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
)
"""All that an addendum takes from a report's header."""


def texts_of(report: Elements) -> dict[str, str]:
    return {keyword: header_text(report, keyword) for keyword in KEYWORDS}


def assert_read_alike(data_set: bytes, transfer_syntax: str) -> None:
    header = texts_of(read_header(data_set, transfer_syntax))
    assert header == texts_of(read_elements(data_set, transfer_syntax))
    assert any(header.values())


@pytest.mark.parametrize("undefined_lengths", [False, True])
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_whatever_the_transfer_syntax(transfer_syntax: str, undefined_lengths: bool) -> None:
    """A sequence before the header's end must not be taken for the header."""
    report = make.report(make.spine(make.region("L1-L4", "0.912")))
    other = Dataset()
    other.StudyInstanceUID, other.AccessionNumber = "1.2.3", "ANOTHER"
    report.ReferencedStudySequence = Sequence([other])
    assert_read_alike(make.encode(report, transfer_syntax, undefined_lengths=undefined_lengths), transfer_syntax)


def test_deflated() -> None:
    data_set = make.deflate(make.encode(make.report()))
    assert_read_alike(data_set, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize(
    "terms", ["ISO_IR 100", "ISO IR 100", "ISO_IR 999", "\\ISO 2022 IR 87", "ISO_IR 192\\ISO_IR 100"]
)
def test_whatever_character_set_is_declared(terms: str) -> None:
    """Warnings are errors here, and pydicom warns of a misspelt term."""
    assert_read_alike(make.encode(make.report(SpecificCharacterSet=terms)), ExplicitVRLittleEndian)


@pytest.mark.parametrize("file", [*SAMPLES, *CHARACTER_SETS], ids=lambda file: f"{file.parent.name}/{file.name}")
def test_in_every_sample(file: Path) -> None:
    assert_read_alike(*split_file(file.read_bytes()))


def test_what_is_no_data_set_is_no_header() -> None:
    with pytest.raises(UnreadableReportError):
        read_header(b"no data set at all", ExplicitVRLittleEndian)


def test_an_issuer_with_marks_that_cannot_be_seen_is_read_as_the_exams_is() -> None:
    sent = make.report(make.spine(), SpecificCharacterSet="ISO_IR 192", IssuerOfPatientID="\u202eCLINIC\x85 A\u200b")
    exam = make.read(make.encode(sent)).exam
    check_same_patient([read_header(make.encode(sent), ExplicitVRLittleEndian)], exam.patient)
