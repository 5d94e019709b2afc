"""The checks of an anonymous report find what is wrong with one: they are what lets it out."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.anonymise import report as of_report
from pipeline.sr.anonymise.leaks import Identity, day_leaks, leak
from pipeline.sr.anonymise.outcomes import Outcome
from pipeline.sr.anonymise.rebuild import Rebuilder
from pipeline.sr.anonymise.report import NotAnonymousError
from pipeline.sr.anonymise.vocabulary import Vocabulary, vocabulary_of
from pipeline.sr.dicom.character_sets import DEFAULT
from pipeline.sr.extract.report import Report
from tests.factories.elements import elements_of
from tests.factories.identity import PATIENT, anonymous
from tests.factories.reports import report, spine

REPORT = report(
    spine(), AccessionNumber="ACC47110815", OtherPatientIDs="OLD-1234", SpecificCharacterSet="ISO_IR 192", **PATIENT
)
IDENTITY = Identity(elements_of(REPORT), DEFAULT)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return vocabulary_of(tuple(shipped_dialects()))


@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ZZMARKED", "name"),
        ("so said Zzmarked.", "name"),
        ("<A>&#90;ZMARKED</A>", "name"),
        ("Anna", "name"),
        ("ZZ-4711-A", "id"),
        ("ACC47110815", "id"),
        ("OLD-1234", "id"),
        ("a comment of hers", "text"),
        ("scanned", ""),
        ("1ACC471108150", "id"),
    ],
)
def test_a_trace_of_the_patient_is_found(text: str, kind: str, encoding: str, vocabulary: Vocabulary) -> None:
    content = b"\x01\x02" + text.encode(encoding) + b"\0\0"
    found = leak(content, IDENTITY, removed={"a comment of hers"}, vocabulary=vocabulary)
    assert (kind in found) if kind else not found


def test_a_uid_and_a_day_are_found(vocabulary: Vocabulary) -> None:
    identity = Identity(elements_of(report(spine(), **PATIENT | {"StudyInstanceUID": "2.25.4711"})), DEFAULT)
    assert leak(b"2.25.4711\0", identity, removed=(), vocabulary=vocabulary) == "a UID"
    assert not leak(b"2.25.471100\0", identity, removed=(), vocabulary=vocabulary)
    for text in (b"19510702", b"02.07.1951", b"7/2/1951", b"02-Jul-1951", b"July 02, 1951", b"19510702101112"):
        assert day_leaks(text, identity.days, ())
    assert not day_leaks(b"19510702", {date(1951, 7, 2)}, {date(1951, 7, 2)}), "another day was moved there"


def test_nothing_is_let_out_that_is_read_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    real = of_report._outcome
    calls: list[Outcome] = []

    def another_bmd_the_second_time(*arguments: object) -> Outcome:
        read = real(*arguments)  # type: ignore[arg-type]
        calls.append(read)
        if len(calls) < 2:
            return read
        assert isinstance(read, Report)
        (measured,) = read.exam.measurements
        changed = replace(measured, bmd=measured.bmd + Decimal("0.001"))
        return replace(read, exam=replace(read.exam, measurements=(changed,)))

    monkeypatch.setattr(of_report, "_outcome", another_bmd_the_second_time)
    with pytest.raises(NotAnonymousError, match="measurements would be read differently"):
        anonymous(REPORT)


def test_nothing_is_let_out_in_which_a_name_has_stayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if whoever builds the report anew had forgotten the patient's name."""
    real = Rebuilder._rules
    monkeypatch.setattr(Rebuilder, "_rules", lambda self: {**real(self), "PatientName": lambda text: text})
    with pytest.raises(NotAnonymousError, match="a part of a person's name"):
        anonymous(REPORT)


def test_nothing_is_let_out_in_which_a_day_has_stayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if whoever builds the report anew had let one date of the header through."""
    real = Rebuilder._rules
    monkeypatch.setattr(Rebuilder, "_rules", lambda self: {**real(self), "ContentDate": lambda text: text})
    with pytest.raises(NotAnonymousError, match="a day of the original"):
        anonymous(report(spine(), ContentDate="20240302", **PATIENT))
