"""A data set is read only if its bytes hold everything that its lengths announce."""

import struct
import warnings
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
)

from pipeline.sr.dicom import reader
from pipeline.sr.dicom.content_tree import UNREADABLE, read_instance, read_tree
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from tests.factories.elements import elements_of
from tests.factories.reports import (
    container,
    deflate,
    encode,
    group,
    measurements,
    num,
    put,
    read,
    region,
    report,
    spine,
    text,
    values,
)
from tests.folders import SAMPLES

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def reason_of(data_set: bytes, transfer_syntax: str = ExplicitVRLittleEndian) -> Reason:
    with pytest.raises(UnreadableReportError) as held:
        read_instance(data_set, transfer_syntax)
    return held.value.reason


@pytest.mark.parametrize("undefined_lengths", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_report_reads_alike_in_every_transfer_syntax(syntax, undefined_lengths):
    sent = report(spine(region("L1-L4", "0.912"), region("L1", "0.8", text("BMD_TSCORE", "-1.0"))))
    assert read(encode(sent, syntax, undefined_lengths=undefined_lengths), syntax) == read(encode(sent))


def test_an_object_in_a_compressed_transfer_syntax_reads_as_explicit_little_endian():
    assert values(read(encode(report(spine())), JPEGLossless)) == {"L1-L4": "0.912"}


@pytest.mark.parametrize("undefined_lengths", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_report_cut_anywhere_never_loses_a_region(syntax, undefined_lengths):
    """At each single byte the rest is found wanting, or nothing that matters was cut off."""
    femur = container("Left Femur", region("Neck", "0.7"))
    sent = report(spine(region("L1-L4", "0.912"), region("L2-L4", "0.934")), femur)
    put(sent, "ContentLabel", "AFTER THE CONTENT")
    whole = encode(sent, syntax, undefined_lengths=undefined_lengths)
    complete = values(read(whole, syntax))
    assert len(complete) == 3
    for length in range(len(whole)):
        try:
            assert values(read(whole[:length], syntax)) == complete
        except UnreadableReportError:
            continue


def test_of_a_report_cut_short_pydicom_reads_most_cuts_without_a_warning_and_we_read_none():
    """Why the reader is our own: pydicom stops quietly where the bytes stop, and regions would be lost unnoticed."""
    data_set, syntax = split_file((SAMPLES / "01-stable" / "2022-02-15-1.dcm").read_bytes())
    cuts = [data_set[:length] for length in range(1, len(data_set), 16)]
    read_by_pydicom = sum(map(pydicom_reads, cuts))
    assert read_by_pydicom > len(cuts) * 3 // 4, f"{read_by_pydicom} of {len(cuts)}"
    assert values(read(data_set, syntax))
    for cut in cuts:
        with pytest.raises(UnreadableReportError):
            read(cut, syntax)


def pydicom_reads(data_set: bytes) -> bool:
    """Whether pydicom reads bytes in Explicit VR Little Endian, every element of them, without error or warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_dataset(BytesIO(data_set), is_implicit_VR=False, is_little_endian=True).walk(lambda *_: None)
        except (*UNREADABLE, AssertionError):
            return False
    return True


def test_a_cut_inside_the_content_is_called_truncated():
    whole = encode(report(spine()))
    assert reason_of(whole[:-1]) is Reason.TRUNCATED
    assert reason_of(whole[:3]) is Reason.TRUNCATED


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_bytes_that_are_no_data_set_are_held_as_such(syntax):
    for garbage in (b"", b"<html>no such page</html>", b"\x00" * 500, b"\xff" * 500, bytes(range(256)) * 4):
        assert reason_of(garbage, syntax) in (Reason.NOT_DICOM, Reason.TRUNCATED)


@pytest.mark.parametrize(
    ("encoded", "announced"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRBigEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian),
    ],
    ids=lambda syntax: syntax.name,
)
def test_a_data_set_in_another_encoding_than_announced_is_held(encoded, announced):
    assert reason_of(encode(report(spine()), encoded), announced) is Reason.NOT_DICOM


@pytest.mark.parametrize("uid", ["", "1.2.3", "not a uid", "1.2.840.10008.5.1.4.1.1.88.22", "999.888.777.INVALID"])
def test_an_unknown_transfer_syntax_is_held(uid):
    assert reason_of(encode(report(spine())), uid) is Reason.NOT_DICOM


def test_an_implicit_item_in_an_explicit_report_is_read():
    """Some writers do so inside sequences; pydicom reads it, and so the lengths are followed there too."""
    sent = report(measurements(group("L1-L4")), root=("126000", "DCM", "Imaging Measurement Report"))
    content = encode(sent)
    start = content.index(struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(content))[:8])
    implicit = encode(sent, ImplicitVRLittleEndian)
    value = implicit[implicit.index(struct.pack("<HH", 0x0040, 0xA730)) + 8 :]
    mixed = content[:start] + struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(value)) + value
    assert values(read(mixed)) == {"L1-L4": "0.912"}
    for length in range(start + 1, len(mixed)):
        assert reason_of(mixed[:length]) is Reason.TRUNCATED


def test_an_element_longer_than_its_item_is_held():
    whole = encode(report(spine()))
    assert b"SH\x04\x00UCUM" in whole
    assert reason_of(whole.replace(b"SH\x04\x00UCUM", b"SH\x40\x00UCUM")) is Reason.NOT_DICOM


def test_an_element_that_is_there_twice_is_held():
    """Of two Content Sequences pydicom would keep the second, without a word."""
    whole = encode(report(spine()))
    content = whole[whole.index(b"\x40\x00\x30\xa7") :]
    assert reason_of(whole + content) is Reason.NOT_DICOM


def test_a_stray_delimiter_is_held():
    whole = encode(report(spine()))
    for delimiter in (b"\xfe\xff\xdd\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\x00\xe0"):
        assert reason_of(whole + delimiter + bytes(4)) is Reason.NOT_DICOM


def test_a_pile_of_sequences_is_held_before_it_overflows_the_stack():
    down = struct.pack("<HH2sHLHHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert reason_of(encode(report()) + 100_000 * down) is Reason.TOO_LARGE


def test_more_elements_than_any_report_needs_are_held(monkeypatch):
    monkeypatch.setattr(reader, "MAX_ELEMENTS", 100)
    assert reason_of(encode(report(spine(*(region("L1-L4", "0.912") for _ in range(20)))))) is Reason.TOO_LARGE


def test_a_deflated_bomb_is_held_without_unpacking_it_all():
    assert reason_of(deflate(bytes(80 * 2**20)), DeflatedExplicitVRLittleEndian) is Reason.TOO_LARGE


def test_a_deflated_stream_without_its_end_is_held_as_truncated():
    whole = encode(report(spine()), DeflatedExplicitVRLittleEndian)
    assert reason_of(whole[:-4], DeflatedExplicitVRLittleEndian) is Reason.TRUNCATED


TEXTS = st.text("abc 1-ä", max_size=6)
TREES = st.recursive(
    st.one_of(st.builds(text, TEXTS, TEXTS), st.builds(num, TEXTS, TEXTS)),
    lambda children: st.builds(lambda name, items: container(name, *items), TEXTS, st.lists(children, max_size=4)),
    max_leaves=12,
)


@settings(deadline=None)
@given(content=st.lists(TREES, max_size=4), syntax=st.sampled_from(SYNTAXES), undefined_lengths=st.booleans())
def test_whatever_is_sent_is_what_is_read(content, syntax, undefined_lengths):
    sent = report(*content)
    received = encode(sent, syntax, undefined_lengths=undefined_lengths)
    assert read_tree(read_elements(received, syntax)) == read_tree(elements_of(sent))


@settings(deadline=None, max_examples=300)
@given(data=st.data(), syntax=st.sampled_from(SYNTAXES), undefined_lengths=st.booleans())
def test_no_mutated_report_raises_anything_but_a_reason(data, syntax, undefined_lengths):
    """And no mutation makes it say more than it said, nor name the patient in its error."""
    received = bytearray(encode(report(spine()), syntax, undefined_lengths=undefined_lengths))
    for _ in range(data.draw(st.integers(1, 4))):
        received[data.draw(st.integers(0, len(received) - 1))] = data.draw(st.integers(0, 255))
    texts = all_texts_of(bytes(received), syntax)
    assert "Marked" not in texts


def all_texts_of(data_set: bytes, syntax: str) -> str:
    """The one region a report says, or why it is held."""
    try:
        (measured,) = read(data_set, syntax).exam.measurements
    except UnreadableReportError as held:
        return str(held)
    return str(measured)


def test_a_file_is_split_into_its_data_set_and_transfer_syntax(sample):
    file = sample("01-stable/2020-02-11-1.dcm").read_bytes()
    data_set, syntax = split_file(file)
    assert file.endswith(data_set)
    assert data_set.startswith(b"\x08\x00\x05\x00CS")
    assert syntax == ExplicitVRLittleEndian


def test_what_is_no_dicom_file_is_not_split(sample):
    file = sample("01-stable/2020-02-11-1.dcm").read_bytes()
    for broken in (b"", b"text", file[1:], file[:140], file[:160], file[:132] + file[400:]):
        with pytest.raises(UnreadableReportError):
            split_file(broken)
