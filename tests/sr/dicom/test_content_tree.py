"""The content tree of a structured report is read item by item, whatever its state."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.sr.dicom import content_tree
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import header_text, read_tree
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from tests.factories.elements import elements_of
from tests.factories.reports import code_item, container, each_item, encode, num, put, report, text


def received(ds: Dataset) -> Elements:
    """A data set as it comes out of its bytes."""
    return read_elements(encode(ds), ExplicitVRLittleEndian)


def first_of(item: Dataset) -> Item:
    """What is read of an item sent as the only content of a report."""
    (child,) = read_tree(received(report(item))).children
    return child


def put_raw(ds: Dataset, keyword: str, vr: str, value: bytes) -> None:
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def test_a_number_keeps_the_text_and_the_unit_it_was_sent_with():
    item = first_of(num("BMD", "0.910", ("g/cm2", "UCUM", "gram per square cm")))
    assert item == Item(
        value_type="NUM",
        relationship="CONTAINS",
        concept=Code("1", "99TEST", "BMD"),
        value="0.910",
        unit=Code("g/cm2", "UCUM", "gram per square cm"),
    )


@pytest.mark.parametrize("sent", ["0,982", "---", "1e5", "0.9\\0.8", "NaN", "0.91234567890123456789"])
def test_a_number_that_is_none_is_still_read_as_it_was_sent(sent):
    """pydicom cannot even build such a decimal string, and raises when one is asked for."""
    assert first_of(num("BMD", sent)).value == sent


def test_texts_codes_dates_names_and_uids_are_read_as_they_were_sent():
    assert first_of(text("Title", "  two\r\nlines ")).value == "  two\r\nlines"
    assert first_of(code_item("Side", ("7771000", "SCT", "Left"))).code == Code("7771000", "SCT", "Left")
    for value_type, keyword, value in [
        ("DATE", "Date", "not a date"),
        ("TIME", "Time", "1010"),
        ("DATETIME", "DateTime", "2024"),
        ("PNAME", "PersonName", "Doe^J"),
        ("UIDREF", "UID", "1.2.3"),
    ]:
        item = text("Thing", "")
        item.ValueType = value_type
        put(item, keyword, value)
        assert first_of(item).value == value


def test_references_to_other_instances_are_read():
    item = text("Source", "")
    item.ValueType = "COMPOSITE"
    sop = Dataset()
    sop.ReferencedSOPClassUID, sop.ReferencedSOPInstanceUID = "1.2.3", "4.5.6"
    item.ReferencedSOPSequence = Sequence([sop])
    assert first_of(item).references == (("1.2.3", "4.5.6"),)


def test_a_number_that_was_not_measured_is_empty_and_no_problem():
    """An empty Measured Value Sequence is legal; a qualifier then says why."""
    item = num("BMD", "1")
    item.MeasuredValueSequence = Sequence([])
    read = first_of(item)
    assert (read.value, read.unit, read.problems) == ("", None, ())


def test_an_item_that_refers_to_another_by_its_position_has_no_value_type_and_no_problem():
    item = Dataset()
    put(item, "RelationshipType", "SELECTED FROM")
    item.ReferencedContentItemIdentifier = [1, 2]
    assert first_of(item).problems == ()


def without_value_type(item: Dataset) -> None:
    del item.ValueType


def without_concept(item: Dataset) -> None:
    del item.ConceptNameCodeSequence


def with_a_text_for_a_concept(item: Dataset) -> None:
    del item.ConceptNameCodeSequence
    put_raw(item, "ConceptNameCodeSequence", "LO", b"BMD ")


def with_a_text_for_the_measured_value(item: Dataset) -> None:
    del item.MeasuredValueSequence
    put_raw(item, "MeasuredValueSequence", "UT", b"0.912")


def with_a_text_for_its_unit(item: Dataset) -> None:
    del item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence
    put_raw(item.MeasuredValueSequence[0], "MeasurementUnitsCodeSequence", "UT", b"g/cm2 ")


def without_relationship(item: Dataset) -> None:
    del item.RelationshipType


def with_an_unknown_value_type(item: Dataset) -> None:
    item.ValueType = "NUMBER"


BREAKAGES = [
    without_value_type,
    without_concept,
    with_a_text_for_a_concept,
    with_a_text_for_the_measured_value,
    with_a_text_for_its_unit,
    without_relationship,
    with_an_unknown_value_type,
]


@pytest.mark.parametrize("break_it", BREAKAGES)
def test_a_broken_item_never_takes_its_neighbours_with_it(break_it):
    broken = num("BMD", "0.5")
    break_it(broken)
    one, _, two = read_tree(received(report(num("BMD", "1"), broken, container("C", num("BMC", "2"))))).children
    assert one.value == "1"
    assert two.children[0].value == "2"


def test_a_broken_item_says_what_is_wrong_with_it():
    for break_it, problem in [
        (without_value_type, "it has no Value Type (0040,A040)"),
        (with_a_text_for_a_concept, "its concept name is unreadable"),
        (with_a_text_for_the_measured_value, "its value is unreadable"),
        (with_a_text_for_its_unit, "its value is unreadable"),
    ]:
        item = num("BMD", "0.5")
        break_it(item)
        assert first_of(item).problems == (problem,)


def test_a_report_whose_content_is_no_sequence_is_held():
    sent = report()
    put_raw(sent, "ContentSequence", "UT", b"nothing here")
    with pytest.raises(UnreadableReportError) as held:
        read_tree(received(sent))
    assert held.value.reason is Reason.NOT_DICOM


def test_an_object_without_content_tree_is_no_report():
    image = Dataset()
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    with pytest.raises(UnreadableReportError) as held:
        read_tree(elements_of(image))
    assert held.value.reason is Reason.NOT_A_REPORT


def test_a_report_with_too_many_items_or_levels_is_held(monkeypatch):
    deep = text("leaf", "x")
    for _ in range(content_tree.MAX_DEPTH):
        deep = container("deeper", deep)
    with pytest.raises(UnreadableReportError) as held:
        read_tree(elements_of(report(deep)))
    assert held.value.reason is Reason.TOO_LARGE

    monkeypatch.setattr(content_tree, "MAX_ITEMS", 10)
    with pytest.raises(UnreadableReportError) as held:
        read_tree(elements_of(report(*(text("leaf", "x") for _ in range(10)))))
    assert held.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
def test_a_snomed_rt_code_matches_its_snomed_ct_successor(scheme):
    assert Code("T-11910", scheme, "").matches(Code("66794005", "SCT", ""))
    assert not Code("T-11910", scheme, "").matches(Code("14293000", "SCT", ""))


def test_codes_match_by_value_and_scheme_or_by_meaning_in_any_letter_case():
    assert Code("1", "A", "x").matches(Code("1", "A", "y"))
    assert Code("1", "A", "Total  Hip").matches(Code("2", "B", "total hip"))
    assert not Code("1", "A", "x").matches(Code("1", "B", "y"))
    assert not Code("", "", "").matches(Code("", "", ""))


def test_a_long_code_value_is_a_code_value():
    item = num("BMD", "1")
    name = item.ConceptNameCodeSequence[0]
    del name.CodeValue
    name.LongCodeValue = "a code longer than sixteen characters"
    assert first_of(item).concept == Code("a code longer than sixteen characters", "99TEST", "BMD")


@pytest.mark.parametrize(
    ("character_set", "sent", "read"),
    [
        (b"ISO_IR 100", b"Sch\xe4del", "Schädel"),
        (b"ISO_IR 192", "腰椎".encode(), "腰椎"),
        (rb"\ISO 2022 IR 87", b"\x1b$B9xDG\x1b(B L1", "腰椎 L1"),
        (rb"\ISO 2022 IR 149", b"\x1b$)C\xbf\xe4\xc3\xdf", "요추"),
        (b"ISO_IR 144", "Позвонок".encode("iso8859_5"), "Позвонок"),
        (b"GB18030", "腰椎".encode("gb18030"), "腰椎"),
        (b"ISO_IR 192", b"L1 \xff", "L1 \ufffd"),
        (b"NO SUCH SET", b"Sch\xe4del", "Schädel"),
        (b"ISO-IR 192", "腰椎".encode(), "腰椎"),
        (rb"NO SUCH SET\ISO-2022-IR-87", b"\x1b$B9xDG\x1b(B L1", "腰椎 L1"),
        (b"ISO_IR 100", b"L1 \x1b!x", "L1 \x1b!x"),
        (b"", b"L1-L4", "L1-L4"),
        (rb"ISO_IR 192\ISO 2022 IR 87", "腰椎".encode(), "腰椎"),
    ],
)
def test_texts_are_read_in_their_character_set_as_far_as_it_is_known(character_set, sent, read):
    item = text("Region", "")
    put_raw(item, "TextValue", "UT", sent)
    ds = report(item)
    put_raw(ds, "SpecificCharacterSet", "CS", character_set)
    assert read_tree(received(ds)).children[0].value == read
    assert header_text(received(ds), "DeviceSerialNumber") == "DF+1"


def test_an_item_may_have_a_character_set_of_its_own():
    item = text("Region", "")
    put_raw(item, "TextValue", "UT", "腰椎".encode())
    put_raw(item, "SpecificCharacterSet", "CS", b"ISO_IR 192")
    assert first_of(item).value == "腰椎"


def test_header_texts_come_without_padding_and_without_judgement():
    ds = report()
    put(ds, "StudyDate", "20240230")
    put(ds, "PatientID", " 0012 \0")
    assert header_text(received(ds), "StudyDate") == "20240230"
    assert header_text(received(ds), "PatientID") == " 0012"
    assert header_text(received(ds), "AccessionNumber") == ""


def test_texts_sent_as_unknown_are_read_all_the_same():
    ds = report(text("Region", "L1-L4"), num("BMD", "1"))

    def forget_vrs(item: Dataset) -> None:
        for keyword in ("TextValue", "NumericValue", "CodeMeaning", "ValueType"):
            if keyword in item:
                put_raw(item, keyword, "UN", str(header_text(elements_of(item), keyword)).encode())

    each_item(ds, forget_vrs)
    assert [item.value for item in read_tree(received(ds)).children] == ["L1-L4", "1"]
