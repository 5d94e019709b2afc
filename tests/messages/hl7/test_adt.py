"""Of a patient administration message the merged ids are read, or it is refused: an uncertain merge is none."""

import pytest

from pipeline.messages.hl7.adt import MergedIds, UnusableMessageError, read_adt


def a40(*segments: str, event: str = "ADT^A40^ADT_A39", character_set: str = "") -> bytes:
    header = f"MSH|^~\\&|KIS|HOSPITAL|DXATREND||20260302083000||{event}|4711|P|2.5.1||||||{character_set}"
    encoding = {"8859/1": "latin-1"}.get(character_set, "utf-8")
    return ("\r".join([header, "EVN||20260302083000", *segments]) + "\r").encode(encoding)


def test_the_ids_of_each_pair_are_read_and_nothing_else_is() -> None:
    message = a40("PID|1||NEW^^^H^PI||Marked^Patient", "MRG|OLD^^^H^PI", "PID|1||N2", "PV1|1|U", "MRG|O2")
    told = read_adt(message)
    assert (told.application, told.control_id, told.type, told.event) == ("KIS", "4711", "ADT", "A40")
    assert told.merges == (MergedIds("OLD", "NEW"), MergedIds("O2", "N2"))
    assert "Marked" not in repr(told)


def test_the_senders_name_is_kept_as_an_audit_trail_can_have_it() -> None:
    message = a40(event="ADT^A08").replace(b"KIS", b"KIS\0\x1b[31m" + b"x" * 100_000)
    assert read_adt(message).application == ("KIS[31m" + "x" * 173)


def test_of_several_ids_the_assigning_authority_decides() -> None:
    message = a40("PID|1||X^^^OTHER~NEW^^^H&1.2.3&ISO^PI", "MRG|OLD^^^H~Y^^^OTHER")
    assert read_adt(message, authority="H").merges == (MergedIds("OLD", "NEW"),)


@pytest.mark.parametrize("character_set", ["", "8859/1", "UNICODE UTF-8"])
def test_ids_may_have_letters_and_delimiters(character_set: str) -> None:
    message = a40("PID|1||Ä\\S\\17", "MRG|Ä\\T\\18", character_set=character_set)
    assert read_adt(message).merges == (MergedIds("Ä&18", "Ä^17"),)


@pytest.mark.parametrize(
    ("segments", "problem"),
    [
        (["PID|1||A~B", "MRG|OLD"], "PID-3 has 2 ids and no adt.assigning_authority to choose by"),
        (["PID|1||NEW", "MRG|"], "MRG-1 has 0 ids and no adt.assigning_authority to choose by"),
        (["PID|1||NEW"], "a PID without its MRG"),
        (["PID|1||NEW", "MRG|OLD", "PID|1||ANOTHER"], "a PID without its MRG"),
        (["MRG|OLD"], "an MRG without a PID before it"),
        (['PID|1||""', "MRG|OLD"], "PID-3 has no usable id"),
        (["PID|1||NEW", f"MRG|{'9' * 65}"], "MRG-1 has no usable id"),
        ([], "a PID without its MRG"),
    ],
)
def test_an_uncertain_merge_is_refused_without_naming_the_patient(segments: list[str], problem: str) -> None:
    with pytest.raises(UnusableMessageError) as error:
        read_adt(a40(*segments))
    assert str(error.value) == problem


def test_ids_of_another_authority_are_not_taken() -> None:
    with pytest.raises(UnusableMessageError, match="PID-3 has 0 ids of the assigning authority"):
        read_adt(a40("PID|1||NEW^^^OTHER", "MRG|OLD^^^OTHER"), authority="H")


@pytest.mark.parametrize("message", [b"", b"GET / HTTP/1.1", b"MSH", b"MSH#^~\\&#", b"MSH|#~\\&|A", b"\xff" * 100])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(UnusableMessageError):
        read_adt(message)


def test_another_event_merges_nothing() -> None:
    told = read_adt(a40("PID|1||NEW", "MRG|OLD", event="ADT^A08"))
    assert (told.event, told.merges) == ("A08", ())
