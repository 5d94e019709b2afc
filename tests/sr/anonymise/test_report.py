"""A report made anonymous is read as before, and names nobody in any byte."""

from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.anonymise.report import AnonymousReport, NotAnonymousError
from pipeline.sr.dicom.reader import Elements, read_elements, split_file
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.extract.report import Report, extract
from tests.factories import images
from tests.factories.identity import MARK, PATIENT, anonymous, anonymous_bytes, holds, marked_everywhere
from tests.factories.reports import (
    TID1500,
    code_item,
    container,
    encode,
    group,
    measurements,
    num,
    region,
    report,
    spine,
    text,
)
from tests.folders import SAMPLES

OURS = sorted([*SAMPLES.glob("*/*.dcm"), *SAMPLES.glob("*/*.ko")])


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in OURS}))
def test_of_every_synthetic_report_nothing_but_identity_changes(folder: str) -> None:
    for path in (path for path in OURS if path.parent.name == folder):
        original = split_file(path.read_bytes())
        done = anonymous_bytes(*original)
        before, after = dcmread(path), _dataset(done)
        _assert_read_alike(read_elements(*original), read_elements(*split_file(done.file)))
        for value in (str(before.PatientName), before.PatientID, before.StudyInstanceUID, before.SOPInstanceUID):
            assert not holds(done.file, value), path
        for value in (before.PatientBirthDate, before.StudyDate, before.AccessionNumber, before.InstitutionName):
            assert not value or not holds(done.file, value), path
        assert after.PatientIdentityRemoved == "YES"
        assert after.LongitudinalTemporalInformationModified == "MODIFIED"
        assert after.StudyTime == before.StudyTime
        assert after.get("PatientAge") == before.get("PatientAge")


REFUSED_PUBLIC = (
    "v3/cat08_string_encoding/TC0427_fmt_printf_n.dcm",  # the same text is the name and the manufacturer
    "v3/cat08_string_encoding/TC0429_fmt_printf_hex.dcm",
    "v3/cat08_string_encoding/TC0431_fmt_template_ssti.dcm",
    "reportki.dcm",  # a patient whose name is "text"
    "reportsi.dcm",
)


def test_every_public_file_is_made_anonymous_or_refused_by_name(samples: Path) -> None:
    unreadable, refused = 0, list[Path]()
    for path in sorted(samples.rglob("*.dcm")):
        try:
            data_set, transfer_syntax = split_file(path.read_bytes())
            elements = read_elements(data_set, transfer_syntax)
        except UnreadableReportError:
            unreadable += 1
            continue
        try:
            done = anonymous_bytes(data_set, transfer_syntax)
        except NotAnonymousError:
            refused.append(path)
        else:
            _assert_read_alike(elements, read_elements(*split_file(done.file)))
    assert [path for path in refused if not str(path).endswith(REFUSED_PUBLIC)] == []
    assert unreadable < 40


LUNAR = report(
    spine(region("L1-L4", "0.912", num("BMC", "50.5", ("g", "UCUM", "g")), text("Scan Mode", "Standard"))),
    text("Comment", "seen by the physician"),
    container("Left Femur", region("Neck", "0.812")),
    ReferringPhysicianName="Doctor^Other",
    InstitutionName="Sample Hospital",
    DeviceSerialNumber="DF+500475",
    StationName="ROOM2",
    **PATIENT,
)
OF_THE_STANDARD = report(
    code_item(("121058", "DCM", "Procedure reported"), ("1", "99LOCAL", "DXA")),
    measurements(group("L1-L4", text(("121405", "DCM", "Population description"), "US female"))),
    root=TID1500,
    **PATIENT,
)
XML = images.dxa_results(images.scan("AP Spine", images.roi("L1-L4", "0.912")))
MARKED_XML = XML.replace(
    "<SCAN ", f'<PATIENT name="{MARK}"><NAME>{MARK}</NAME></PATIENT><SCAN operator="{MARK}" ', 1
).replace("</SCAN>", f"<SCAN_MODE>Standard {MARK}</SCAN_MODE><!-- {MARK} --></SCAN>", 1)
SCRIPT = images.apex([images.HEADS, ["L1-L4", "50.00", "45.60", "0.912", "-1.2", "87", "0.1"]])
MARKED_SCRIPT = SCRIPT.replace(
    "</JavaScriptFile>", f'Operator = "{MARK}";\r\nPatientName = "{MARK}";\r\n// {MARK}\r\n</JavaScriptFile>'
)
PICTURES = {
    "Lunar": images.picture(comments=MARKED_XML),
    "Hologic": images.hologic_picture(MARKED_SCRIPT),
}


@pytest.mark.parametrize("original", [LUNAR, OF_THE_STANDARD], ids=["Lunar", "TID 1500"])
def test_a_name_is_not_in_the_result_wherever_it_stood(original: Dataset) -> None:
    written, refusals = 0, list[str]()
    for path, marked in marked_everywhere(original):
        try:
            done = anonymous(marked)
        except NotAnonymousError as refusal:
            refusals.append(str(refusal))
            continue
        written += 1
        assert not holds(done.file, MARK), path
        assert MARK not in str((done.replaced, done.dropped))
    assert not [text for text in refusals if MARK in text]
    assert written > 20, "refusing everything would be no answer"


@pytest.mark.parametrize("vendor", PICTURES)
def test_a_name_is_in_no_private_element_no_document_and_no_pixel(vendor: str) -> None:
    marked = _copy(PICTURES[vendor])
    marked.add_new(0x00190011, "LO", "OTHER")
    marked.add_new(0x00191101, "LO", MARK)
    marked.add_new(0x00290010, "LO", MARK)
    marked.add_new(0x00291001, "OB", MARK.encode("utf-16-le"))
    marked.PixelData = MARK.encode()
    marked.EncapsulatedDocument = MARK.encode()
    marked.PatientComments = f"{MARK} came with her sister"
    done = anonymous(marked)
    assert not holds(done.file, MARK)
    assert done.has_black_pixel
    assert _dataset(done).PixelData == b"\0\0"
    assert {"(0019,1101)", "(0029,1001)", "EncapsulatedDocument"} <= done.dropped.keys()
    _assert_read_alike(read_elements(encode(marked), ExplicitVRLittleEndian), _elements(done))


def test_a_name_before_the_data_set_is_not_carried_over() -> None:
    """The preamble and the file meta information are written anew, source AE title and all."""
    data_set = encode(LUNAR)
    mark = MARK.encode()
    meta = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0" + b"\x02\0\x16\0AE\x08\0" + mark
    file = mark.ljust(128, b"\0") + b"DICM" + meta + data_set
    assert holds(anonymous_bytes(*split_file(file)).file, "DICM")
    assert not holds(anonymous_bytes(*split_file(file)).file, MARK)


def test_two_reports_of_a_patient_keep_their_interval_their_ages_and_their_patient() -> None:
    first, second = (anonymous(_visit(day)) for day in ("20220211", "20240215"))
    other = anonymous(_visit("20240215", PatientID="ANOTHER-1"))
    elsewhere = anonymous(_visit("20240215"), secret=b"another installation")
    then, now, of_other, away = map(_dataset, (first, second, other, elsewhere))
    assert _day(now.StudyDate) - _day(then.StudyDate) == date(2024, 2, 15) - date(2022, 2, 11)
    assert _day(now.StudyDate) - _day(now.PatientBirthDate) == date(2024, 2, 15) - date(1951, 7, 2)
    assert (then.PatientID, then.PatientName) == (now.PatientID, now.PatientName)
    assert then.DeviceSerialNumber == now.DeviceSerialNumber == of_other.DeviceSerialNumber
    assert now.StudyDate != of_other.StudyDate
    assert len({now.PatientID, of_other.PatientID, away.PatientID}) == 3
    assert now.SOPInstanceUID == _dataset(anonymous(_visit("20240215"))).SOPInstanceUID
    assert now.SOPInstanceUID != away.SOPInstanceUID


def test_a_reference_leads_to_the_stand_in_of_what_it_names() -> None:
    report_itself = _dataset(anonymous(_visit("20240215", SOPInstanceUID="2.25.4711")))
    referring = _visit("20240301", SOPInstanceUID="2.25.4712")
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = referring.SOPClassUID, "2.25.4711"
    referring.ReferencedInstanceSequence = [referenced]
    (found,) = _dataset(anonymous(referring)).ReferencedInstanceSequence
    assert found.ReferencedSOPInstanceUID == report_itself.SOPInstanceUID
    assert found.ReferencedSOPClassUID == referring.SOPClassUID


def test_a_report_that_is_held_is_held_for_the_same_reason_once_it_is_anonymous() -> None:
    for broken in (
        report(spine(region("L1-L4", "0.912", unit=("furlong", "UCUM", "furlong"))), **PATIENT),
        report(spine(), **PATIENT | {"PatientID": ""}),
        report(spine(), StudyDate="", **PATIENT),
    ):
        _assert_read_alike(read_elements(encode(broken), ExplicitVRLittleEndian), _elements(anonymous(broken)))


def test_a_phantom_stays_one() -> None:
    _assert_read_alike(
        read_elements(encode(phantom := report(spine(), PatientName="QA^Phantom")), ExplicitVRLittleEndian),
        _elements(anonymous(phantom)),
    )


def test_a_patient_who_is_called_like_a_region_is_refused() -> None:
    with pytest.raises(NotAnonymousError, match="a part of a person's name is also in what has to stay"):
        anonymous(_copy(LUNAR, PatientName="Neck^Anna"))


def test_a_patient_whose_name_is_within_a_word_is_not_refused() -> None:
    """Ann is in "scanned", and Fem in "femur"."""
    assert anonymous(_copy(LUNAR, PatientName="Fem^Ann")).replaced["patient id"] == 1


def test_a_name_of_two_letters_that_no_other_text_has_is_no_reason_to_refuse() -> None:
    """Read as 16 bits, half of all pairs of ASCII letters are Chinese."""
    named = _copy(LUNAR, SpecificCharacterSet="ISO_IR 192", PatientName="Li^Xiaodong=\u674e^\u5c0f\u6771")
    done = anonymous(named)
    assert not holds(done.file, "Xiaodong")
    assert "\u674e".encode() not in done.file


def test_a_short_id_is_replaced_where_it_is_a_whole_text() -> None:
    numbered = report(spine(), text("Number", "471"), **PATIENT | {"PatientID": "471"})
    root = _dataset(anonymous(numbered))
    assert not [item for item in root.ContentSequence if item.get("TextValue") == "471"]


def test_bytes_that_are_no_report_are_refused() -> None:
    with pytest.raises(NotAnonymousError):
        anonymous_bytes(encode(LUNAR)[:-20])


def test_whoever_makes_many_reports_anonymous_is_told_what_was_replaced_and_left_out() -> None:
    done = anonymous(_copy(LUNAR, PatientComments="a comment"))
    assert done.replaced["patient id"] == 1
    assert done.replaced["text"] >= 2
    assert done.replaced["dates"] >= 2


def _visit(day: str, **header: str) -> Dataset:
    return report(spine(), **PATIENT | {"StudyDate": day, "DeviceSerialNumber": "DF+500475"} | header)


def _copy(ds: Dataset, **header: str) -> Dataset:
    copy = Dataset()
    copy.update(ds)
    for keyword, value in (PATIENT | header).items():
        setattr(copy, keyword, value)
    return copy


def _dataset(done: AnonymousReport) -> Dataset:
    return dcmread(BytesIO(done.file))


def _elements(done: AnonymousReport) -> Elements:
    return read_elements(*split_file(done.file))


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _assert_read_alike(original: Elements, done: Elements) -> None:
    before, after = _read(original), _read(done)
    if not isinstance(before, Report) or not isinstance(after, Report):
        assert repr(before) == repr(after)
        return
    assert [_numbers(m) for m in before.exam.measurements] == [_numbers(m) for m in after.exam.measurements]
    assert before.exam.software == after.exam.software
    assert before.exam.age == after.exam.age
    assert before.exam.scanner.key[:2] == after.exam.scanner.key[:2]
    assert before.dialect == after.dialect
    assert len(before.ignored) == len(after.ignored)
    assert len(before.vendor_trend) == len(after.vendor_trend)


def _read(elements: Elements) -> Report | str:
    try:
        return extract(elements, shipped_dialects())
    except UnreadableReportError as refusal:
        return f"{type(refusal).__name__} {refusal.reason}"


def _numbers(measured: object) -> list[object]:
    names = ("region", "bmd", "bmc", "area", "t_score", "z_score", "percent_young_adult", "tbs")
    return [getattr(measured, name) for name in names]
