"""Is the addendum one that every archive takes, that says exactly what was found, and that is the same on any day?"""

import logging
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache, partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.sr import MeasurementReport, srread
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.data import get_charset_files
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

import pipeline
from pipeline.clinical.model import Caution, Flag, Interpretation, Overall, Patient, Result
from pipeline.sr import codes
from pipeline.sr.author import author, content_digest, encode, encode_file
from pipeline.sr.content import document
from pipeline.sr.header import UnusableEvidence
from pipeline.sr.outline import outline
from pipeline.sr.tree import Code, Item, read_instance, read_tree
from tests.golden import assert_as_approved
from tests.sr import make_interpretation as make
from tests.sr import validators

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]

NAMES = {
    "Latin": "Müller^Jürgen",
    "Cyrillic": "Люксембург^Анна",
    "Greek": "Διονυσίου^Ελένη",
    "Arabic": "قباني^لنزار",
    "Chinese": "Wang^XiaoDong=王^小东",
    "Japanese": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Korean": "Hong^Gildong=洪^吉洞=홍^길동",
}

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
    tidy = read_instance(encode(make.report()), ExplicitVRLittleEndian)
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
    predecessor: Dataset | None = None,
    preliminary: bool = True,
) -> Dataset:
    """An addendum: to two reports of the exam, with the reports of two earlier ones."""
    return author(
        interpretation or make.interpretation(),
        sources=[make.report(number=1), make.report(number=2)] if sources is None else sources,
        priors=[make.report(2022), make.report(2019)] if priors is None else priors,
        predecessor=predecessor,
        preliminary=preliminary,
    )


def to(said: dict[str, bytes | None]) -> Dataset:
    """An addendum to one report that says something odd."""
    return of(sources=[raw(**said)])


def another() -> Interpretation:
    """What there is to say of the exam once its LSC is withdrawn."""
    no_lsc = make.finding(since_prior=make.change(Result.NO_LSC))
    return make.interpretation(no_lsc, make.finding("total hip left", "0.801"), overall=Overall.INDETERMINATE)


KINDS: dict[str, Callable[[], Dataset]] = {
    **{name: partial(of, interpretation) for name, interpretation in make.spread().items()},
    "superseding": lambda: of(another(), predecessor=of()),
    "final": lambda: of(preliminary=False),
    "without priors": lambda: of(priors=[]),
    **{f"from {name}": partial(to, said) for name, said in UNTIDY.items() if name != "leading zeros in UIDs"},
    **{
        f"for a {script} name": partial(to, {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": name.encode()})
        for script, name in NAMES.items()
    },
}
"""An addendum of every kind we can think of."""


@cache
def addendum_of_kind(name: str) -> Dataset:
    return KINDS[name]()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The addenda of every kind as DICOM files."""
    folder = tmp_path_factory.mktemp("addenda")
    paths = {name: folder / f"{number:02}.dcm" for number, name in enumerate(KINDS)}
    for name, path in paths.items():
        path.write_bytes(encode_file(addendum_of_kind(name)))
    return paths


# What others say of it


@pytest.mark.parametrize("name", KINDS)
def test_dicom3tools_finds_no_fault(name: str, files: dict[str, Path]) -> None:
    assert validators.unexpected(validators.dciodvfy(files[name])) == []


@pytest.mark.parametrize("name", KINDS)
def test_dcmtk_finds_no_fault(name: str, files: dict[str, Path]) -> None:
    assert validators.unexpected(validators.dsrdump(files[name])) == []


def test_pixelmed_finds_no_fault(files: dict[str, Path]) -> None:
    judged = [*make.spread(), "superseding"]
    said = validators.pixelmed([files[name] for name in judged])
    assert {name: validators.unexpected(said[files[name]]) for name in judged} == {name: [] for name in judged}


def spoiled(tmp_path: Path, spoil: str) -> Path:
    """An addendum with one fault."""
    addendum = deepcopy(of())
    group = next(item for item in addendum.ContentSequence if item.ValueType == "CONTAINER").ContentSequence[0]
    match spoil:
        case "no Completion Flag":
            del addendum.CompletionFlag
        case "verified by nobody":
            addendum.VerificationFlag = "VERIFIED"
        case "a relationship that may not be":
            group.RelationshipType = "HAS PROPERTIES"
        case "a code without its concept":
            del group.ConceptNameCodeSequence
        case "a procedure in another relationship":
            procedure = next(
                item
                for item in addendum.ContentSequence
                if item.ConceptNameCodeSequence[0].CodeValue == codes.PROCEDURE_REPORTED.value
            )
            procedure.RelationshipType = "CONTAINS"
    path = tmp_path / "spoiled.dcm"
    path.write_bytes(encode_file(addendum))
    return path


@pytest.mark.parametrize("spoil", ["no Completion Flag", "verified by nobody"])
def test_dicom3tools_would_find_a_fault(spoil: str, tmp_path: Path) -> None:
    assert validators.unexpected(validators.dciodvfy(spoiled(tmp_path, spoil))) != []


@pytest.mark.parametrize("spoil", ["a relationship that may not be", "a code without its concept"])
def test_dcmtk_would_find_a_fault(spoil: str, tmp_path: Path) -> None:
    assert validators.unexpected(validators.dsrdump(spoiled(tmp_path, spoil))) != []


def test_pixelmed_would_find_a_fault(tmp_path: Path) -> None:
    path = spoiled(tmp_path, "a procedure in another relationship")
    assert validators.unexpected(validators.pixelmed([path])[path]) != []


@pytest.mark.parametrize("name", KINDS)
def test_highdicom_reads_it_as_a_measurement_report(name: str, files: dict[str, Path]) -> None:
    report = srread(files[name]).content
    assert isinstance(report, MeasurementReport)
    groups = report.get_image_measurement_groups()
    keys = [item.value for item in regions(read_tree(addendum_of_kind(name)))]
    assert [group.tracking_identifier for group in groups] == keys


# What it says


def regions(root: Item) -> Iterator[Item]:
    """The tracking identifiers of an addendum."""
    return (item for item in root.walk() if item.concept == codes.TRACKING_IDENTIFIER)


@pytest.mark.parametrize("name", make.spread())
def test_what_is_read_back_is_what_was_said(name: str) -> None:
    interpretation = make.spread()[name]
    read_back = read_tree(read_instance(encode(of(interpretation)), ExplicitVRLittleEndian))
    assert read_back == document(interpretation)


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    number=st.decimals(min_value="0.001", max_value="2.999", places=3),
    difference=st.decimals(min_value="-2.999", max_value="2.999", places=3),
)
def test_no_text_or_number_is_altered_on_the_way(text: str, number: Decimal, difference: Decimal) -> None:
    change = replace(make.change(), difference=difference, reference_bmd=number)
    caution = Caution(flag=Flag.PARTIAL, text=text)
    interpretation = make.interpretation(make.finding(since_prior=change, cautions=(caution,)), conclusions=(text,))
    read_back = read_tree(read_instance(encode(of(interpretation)), ExplicitVRLittleEndian))
    assert read_back == document(interpretation)
    printed = [item.value for item in read_back.walk() if item.concept in (codes.PRIOR_BMD, codes.DIFF)]
    assert [Decimal(value) for value in printed] == [number, difference]
    assert all(value.rpartition(".")[2].isdigit() and len(value.rpartition(".")[2]) == 3 for value in printed)


def test_numbers_keep_the_decimals_of_the_scanner_and_no_float_is_left() -> None:
    addendum = of(make.interpretation(make.finding(bmd="0.930", since_prior=make.change(), full=True)))
    numbers = [item.value for item in read_tree(addendum).walk() if item.value_type == "NUM"]
    assert numbers[:8] == ["0.930", "48.31", "51.95", "-2.1", "0.3", "79", "104", "0.970"]
    assert not any(element.keyword == "FloatingPointValue" for element in addendum.iterall())


def test_a_difference_of_nothing_has_no_sign() -> None:
    nothing = make.change(Result.NO_SIGNIFICANT_CHANGE, difference="-0.000", percent="-0.0")
    tree = document(make.interpretation(make.finding(since_prior=nothing)))
    assert [item.value for item in tree.walk() if item.concept in (codes.DIFF, codes.PDIFF)] == ["0.000", "0.0"]


def test_a_blank_sentence_and_control_characters_are_left_out() -> None:
    tree = document(make.interpretation(conclusions=("  ", "one\x00line\nand\tanother \x85")))
    assert [item.value for item in tree.walk() if item.concept == codes.CONCLUSION] == ["oneline\nand\tanother"]


@pytest.mark.parametrize(
    ("result", "standard"),
    [(Result.GAIN, codes.INCREASED), (Result.LOSS, codes.DECREASED), (Result.NO_SIGNIFICANT_CHANGE, codes.NO_CHANGE)],
)
def test_a_change_is_also_said_in_a_standard_code(result: Result, standard: Code) -> None:
    tree = document(make.interpretation(make.finding(since_prior=make.change(result))))
    assert [item.code for item in tree.walk() if item.concept == codes.FINDING] == [standard]


def test_what_could_not_be_judged_has_no_standard_finding() -> None:
    tree = document(make.interpretation(make.finding(since_prior=make.change(Result.NO_LSC)), make.finding("L2-L4")))
    assert [item for item in tree.walk() if item.concept == codes.FINDING] == []


def test_a_region_keeps_its_tracking_uid_from_visit_to_visit() -> None:
    def tracked(interpretation: Interpretation) -> set[str]:
        return {item.value for item in document(interpretation).walk() if item.concept == codes.TRACKING_UID}

    earlier = make.interpretation(visit=make.exam(2022))
    someone_else = make.interpretation(visit=make.exam(patient=replace(make.PATIENT, patient_id="DXA-0002")))
    assert tracked(earlier) == tracked(make.interpretation())
    assert tracked(someone_else) != tracked(make.interpretation())


def test_the_vertebrae_that_were_compared_are_named_where_they_are_not_all() -> None:
    """R2.12"""
    tree = document(make.spread()["some vertebrae in common"])
    (prior,) = (item for item in tree.walk() if item.concept == codes.PRIOR_BMD)
    sites = [item.code.meaning for item in prior.children if item.concept == codes.FINDING_SITE and item.code]
    assert sites == ["Lumbar spine", "L1 vertebra", "L2 vertebra", "L4 vertebra"]
    (difference,) = (item for item in tree.walk() if item.concept == codes.DIFF)
    assert [item.value for item in difference.children] == ["0.930"]


@pytest.mark.parametrize("name", ["loss", "gain at both hips and their mean", "every obstacle", "every caution"])
def test_the_addendum_reads_as_approved(name: str) -> None:
    text = outline(read_tree(of(make.spread()[name]))).replace(pipeline.__version__, "<version>")
    assert_as_approved(text + "\n", GOLDEN / f"{name.replace(' ', '_')}.addendum.txt")


# Whose it is, what it rests on, and what it replaces


def test_it_is_complete_unverified_and_preliminary_until_a_person_signs() -> None:
    addendum = of()
    assert addendum.SOPClassUID == ComprehensiveSRStorage
    assert addendum.Modality == "SR"
    assert (addendum.CompletionFlag, addendum.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert (addendum.PreliminaryFlag, of(preliminary=False).PreliminaryFlag) == ("PRELIMINARY", "FINAL")
    assert "VerifyingObserverSequence" not in addendum


def test_its_author_is_this_software_with_its_version_and_the_scanner_is_named_as_such() -> None:
    addendum = of()
    (author_item,) = addendum.AuthorObserverSequence
    assert (author_item.ObserverType, author_item.ManufacturerModelName) == ("DEV", f"dxatrend {pipeline.__version__}")
    assert addendum.SoftwareVersions == pipeline.__version__
    (scanner,) = (
        item
        for item in addendum.ContributingEquipmentSequence
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == codes.ACQUISITION_EQUIPMENT.value
    )
    assert (scanner.ManufacturerModelName, scanner.DeviceSerialNumber) == ("Lunar Prodigy", "DF+500475")


def test_it_belongs_to_the_study_of_the_exam_in_a_series_of_its_own() -> None:
    addendum, report = of(), make.report()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert addendum[keyword].value == report[keyword].value, keyword
    assert (addendum.AccessionNumber, addendum.StudyID) == ("A2024", "42")
    assert addendum.SeriesInstanceUID not in (report.SeriesInstanceUID, addendum.SOPInstanceUID)


def referenced(sequence: Sequence[Dataset]) -> list[tuple[str, str, str]]:
    """Study, SOP Class and SOP Instance UID of everything a sequence refers to."""
    return [
        (study.StudyInstanceUID, instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID)
        for study in sequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def test_the_reports_of_the_exam_are_current_evidence_and_earlier_ones_other_evidence() -> None:
    """dciodvfy does not notice when either is missing."""
    addendum = of()
    uids = [make.report(number=number).SOPInstanceUID for number in (1, 2)]
    assert [uid for _, _, uid in referenced(addendum.CurrentRequestedProcedureEvidenceSequence)] == uids
    other = [study for study, _, _ in referenced(addendum.PertinentOtherEvidenceSequence)]
    assert sorted(other) == sorted([make.STUDY[2022], make.STUDY[2019]])
    assert "PertinentOtherEvidenceSequence" not in of(priors=[])


def test_an_earlier_report_of_the_same_study_is_current_evidence() -> None:
    addendum = of(priors=[make.report(number=9)])
    assert len(referenced(addendum.CurrentRequestedProcedureEvidenceSequence)) == 3
    assert "PertinentOtherEvidenceSequence" not in addendum


def test_an_instance_that_came_twice_is_evidence_once() -> None:
    addendum = of(sources=[make.report(), make.report(PatientName="Doe^J")])
    assert len(referenced(addendum.CurrentRequestedProcedureEvidenceSequence)) == 1


def test_procedure_algorithm_and_private_scheme_are_declared() -> None:
    addendum = of()
    (performed,) = addendum.PerformedProcedureCodeSequence
    assert (performed.CodeValue, performed.CodingSchemeDesignator) == ("241686001", "SCT")
    (scheme,) = addendum.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.SCHEME
    said = {item.concept: item.value or item.code for item in read_tree(addendum).walk()}
    assert said[codes.PROCEDURE_REPORTED] == codes.DXA
    assert said[codes.ALGORITHM_VERSION] == "2024.1"
    assert said[codes.LANGUAGE] == codes.ENGLISH


def test_a_superseding_addendum_names_the_one_it_replaces_and_sorts_after_it() -> None:
    first = of()
    second = of(another(), predecessor=first)
    (study,) = second.PredecessorDocumentsSequence
    (instance,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert instance.PurposeOfReferenceCodeSequence[0].CodeValue == "121360"
    assert "PredecessorDocumentsSequence" not in first
    assert second.SOPInstanceUID != first.SOPInstanceUID
    assert second.SeriesInstanceUID != first.SeriesInstanceUID
    assert (second.ContentDate, second.ContentTime) > (first.ContentDate, first.ContentTime)
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_a_superseding_addendum_says_in_one_line_what_is_new() -> None:
    def news(interpretation: Interpretation, predecessor: Dataset) -> list[str]:
        tree = read_tree(of(interpretation, predecessor=predecessor))
        return [item.value for item in tree.walk() if item.concept == codes.COMMENT]

    first = read_instance(encode(of()), ExplicitVRLittleEndian)
    assert news(another(), first) == [
        "Replaces an earlier addendum. Changed: L1-L4: no LSC (was: loss); "
        "overall: indeterminate (was: declined); total hip left: new."
    ]
    remeasured = make.interpretation(make.finding(bmd="0.931", since_prior=make.change()))
    assert news(remeasured, first) == ["Replaces an earlier addendum. Changed: L1-L4: BMD 0.931 g/cm2 (was: 0.930)."]
    reworded = make.interpretation(conclusions=("Said otherwise.",))
    assert news(reworded, first) == ["Replaces an earlier addendum. No result and no BMD changed."]
    both = of(another())
    assert "total hip left: no longer measured" in news(make.interpretation(), both)[0]


def test_what_is_said_again_after_something_else_is_another_document() -> None:
    first = of()
    second = of(another(), predecessor=first)
    third = of(predecessor=second)
    assert len({first.SOPInstanceUID, second.SOPInstanceUID, third.SOPInstanceUID}) == 3
    assert third.InstanceNumber == 3


# The same on any day and any machine


def test_the_same_input_gives_the_same_bytes() -> None:
    assert encode(of()) == encode(of())
    assert encode(of(another(), predecessor=of())) == encode(of(another(), predecessor=of()))


def test_the_order_of_the_reports_does_not_matter() -> None:
    sources, priors = [make.report(number=1), make.report(number=2)], [make.report(2022), make.report(2019)]
    assert encode(of(sources=sources, priors=priors)) == encode(of(sources=sources[::-1], priors=priors[::-1]))


ELSEWHERE = """
import datetime, hashlib
class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2099, 12, 31, 23, 59, 59, tzinfo=tz)
datetime.datetime = Later
from tests.sr.test_author import encode_file, of
print(hashlib.sha256(encode_file(of())).hexdigest())
"""


def test_another_process_in_another_year_zone_and_language_gives_the_same_bytes() -> None:
    environment = os.environ | {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711", "LC_ALL": "C"}
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE]
    elsewhere = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert elsewhere.stdout.strip() == sha256(encode_file(of())).hexdigest()


def test_it_is_dated_with_the_last_report_it_rests_on() -> None:
    addendum = of()
    assert (addendum.ContentDate, addendum.ContentTime) == ("20240514", "103402")
    assert (addendum.InstanceCreationDate, addendum.InstanceCreationTime) == ("20240514", "103402")
    undated = of(sources=[raw(ContentDate=None, ContentTime=None)])
    assert (undated.ContentDate, undated.ContentTime) == ("20240514", "102030")


def test_the_digest_is_of_what_is_said_and_of_the_reports_it_rests_on() -> None:
    said, sources = make.interpretation(), [make.report(number=1), make.report(number=2)]
    digest = content_digest(said, sources)
    assert digest == content_digest(make.interpretation(), [make.report(number=2), make.report(number=1)])
    others = {
        content_digest(said, sources[:1]),
        content_digest(another(), sources),
        content_digest(make.interpretation(conclusions=("Another sentence.",)), sources),
        content_digest(make.interpretation(make.finding(bmd="0.93", since_prior=make.change())), sources),
        content_digest(replace(said, rules_version="2025.1"), sources),
    }
    assert len(others - {digest}) == 5


def test_the_digest_does_not_change_with_what_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of the software, or another region of the prior, is no reason to write again."""
    digest = content_digest(make.interpretation(), [make.report()])
    elsewhere = replace(
        make.change(), reference=make.exam(2022, make.measurement(), make.measurement("total hip left"))
    )
    assert content_digest(make.interpretation(make.finding(since_prior=elsewhere)), [make.report()]) == digest
    monkeypatch.setattr(pipeline, "__version__", "99.0")
    assert content_digest(make.interpretation(), [make.report()]) == digest


# Whatever the reports are like


@pytest.mark.parametrize("said", UNTIDY.values(), ids=UNTIDY)
def test_an_untidy_report_is_answered_without_a_warning_and_not_altered(
    said: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings are errors here; a warning of pydicom's would quote the patient."""
    monkeypatch.setattr(config.settings, "_writing_validation_mode", config.RAISE)
    report = raw(**said)
    before = [report.get_item(tag) for tag in report.keys()]  # noqa: SIM118 - iterating converts
    addendum = of(sources=[report])
    assert [report.get_item(tag) for tag in report.keys()] == before  # noqa: SIM118
    assert not caplog.records
    assert addendum.StudyInstanceUID == make.STUDY[2024]
    for keyword in (*TYPE_2, "PatientID", "ReferringPhysicianName"):
        assert keyword in addendum


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*TYPE_2, "ContentDate", "ContentTime", "ReferringPhysicianName", "StudyDescription"]),
        st.binary(max_size=90),
    )
)
def test_whatever_bytes_a_report_holds_the_addendum_is_valid(said: dict[str, bytes]) -> None:
    addendum = of(sources=[raw(**said)])
    with config.strict_reading():
        read_back = dcmread(BytesIO(encode_file(addendum)))
        for element in read_back.iterall():
            str(element.value)
    assert encode(read_back) == encode(addendum)


def test_what_dicom_cannot_hold_is_left_empty_or_cut() -> None:
    def kept(name: str, keyword: str) -> str:
        return str(of(sources=[raw(**UNTIDY[name])])[keyword].value or "")

    assert kept("a sex in lower case", "PatientSex") == "F"
    assert kept("a sex that is none", "PatientSex") == ""
    assert kept("a date of old", "StudyDate") == "20240514"
    assert kept("a date of old", "StudyTime") == "102030"
    assert kept("a date that is none", "StudyDate") == ""
    assert kept("over-long texts", "StudyDescription") == "x" * 64
    assert kept("over-long texts", "AccessionNumber") == ""
    assert kept("several values", "AccessionNumber") == ""
    assert kept("control characters", "StudyDescription") == "spine and hip"


def test_a_uid_of_others_is_referred_to_as_it_is() -> None:
    visit = replace(make.exam(), study_instance_uid="1.2.008")
    source = raw(**UNTIDY["leading zeros in UIDs"], StudyInstanceUID=b"1.2.008")
    addendum = of(make.interpretation(visit=visit), sources=[source])
    assert referenced(addendum.CurrentRequestedProcedureEvidenceSequence)[0][::2] == ("1.2.008", "1.2.03.4")
    assert addendum.StudyInstanceUID == "1.2.008"
    assert "1.2.008" in [item.value for item in read_tree(addendum).walk()]


def test_what_one_report_leaves_out_another_supplies() -> None:
    addendum = of(sources=[make.report(number=1, AccessionNumber=None, PatientSex=None), make.report(number=2)])
    assert (addendum.AccessionNumber, addendum.PatientSex) == ("A2024", "F")


@pytest.mark.parametrize("script", NAMES)
def test_a_name_survives_in_any_script(script: str) -> None:
    addendum = addendum_of_kind(f"for a {script} name")
    assert addendum.SpecificCharacterSet == "ISO_IR 192"
    read_back = dcmread(BytesIO(encode_file(addendum)))
    assert str(read_back.PatientName) == NAMES[script]


def in_many_scripts() -> dict[str, Path]:
    """pydicom's files with a patient name, one for each character set."""
    files = {Path(file).stem: Path(file) for file in get_charset_files("*.dcm")}
    return {name: file for name, file in files.items() if "PatientName" in dcmread(file)}


@pytest.mark.parametrize("file", in_many_scripts().values(), ids=in_many_scripts())
def test_a_name_survives_from_every_character_set_pydicom_knows(file: Path) -> None:
    """pydicom is the judge: its own reading of its own files."""
    sample = dcmread(file)
    name = sample.get_item("PatientName").value
    terms = sample.get("SpecificCharacterSet", "")
    character_set = terms if isinstance(terms, str) else "\\".join(terms)
    report = raw(SpecificCharacterSet=character_set.encode("ascii"), PatientName=name)
    read_back = dcmread(BytesIO(encode_file(of(sources=[report]))))
    assert str(read_back.PatientName) == str(sample.PatientName)


# What is refused


def marked(**attributes: bytes | None) -> Dataset:
    return raw(**{"PatientName": b"ZZ^MARKED", **attributes})


@pytest.mark.parametrize(
    ("sources", "priors", "named"),
    [
        ([], [], "report"),
        ([marked(PatientID=b"ZZ-MARKED")], [], "PatientID"),
        ([marked(PatientBirthDate=b"19991231")], [], "PatientBirthDate"),
        ([marked()], [marked(PatientID=b"ZZ-MARKED")], "PatientID"),
        ([marked(PatientID=None)], [], "PatientID"),
        ([marked(PatientID=b"Z" * 65)], [], "PatientID"),
        ([marked(PatientID=b"ZZ\\MARKED")], [], "PatientID"),
        ([marked(StudyInstanceUID=b"1.2.3")], [], "StudyInstanceUID"),
        ([marked(SOPInstanceUID=None)], [], "SOPInstanceUID"),
        ([marked(SOPInstanceUID=b"../../evil")], [], "SOPInstanceUID"),
        ([marked()], [marked(SeriesInstanceUID=None)], "SeriesInstanceUID"),
    ],
)
def test_evidence_that_cannot_be_ours_is_refused_by_the_name_of_the_field_alone(
    sources: list[Dataset], priors: list[Dataset], named: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnusableEvidence, match=named) as refusal:
        of(sources=sources, priors=priors)
    for told in (str(refusal.value), caplog.text):
        assert not any(value in told for value in ("MARKED", "ZZZ", "19991231", "evil"))


def test_another_issuer_of_the_same_id_is_another_patient() -> None:
    ours = Patient(patient_id="DXA-0001", issuer="Here", birth_date=date(1950, 3, 2))
    with pytest.raises(UnusableEvidence, match="IssuerOfPatientID"):
        of(make.interpretation(visit=make.exam(patient=ours)), sources=[raw(IssuerOfPatientID=b"Elsewhere")])


def test_a_predecessor_of_another_patient_is_refused() -> None:
    someone_else = replace(make.PATIENT, patient_id="DXA-0002")
    theirs = of(
        make.interpretation(visit=make.exam(patient=someone_else)),
        sources=[make.report(PatientID="DXA-0002")],
        priors=[],
    )
    with pytest.raises(UnusableEvidence, match="PatientID"):
        of(predecessor=theirs)


def test_no_patient_is_named_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """highdicom logs a name it finds doubtful; so it never sees one."""
    caplog.set_level(logging.DEBUG)
    of(sources=[marked(PatientName=b"MARKED")], predecessor=of(sources=[marked(PatientName=b"MARKED")]))
    assert "MARKED" not in caplog.text
    assert "DXA-0001" not in caplog.text
