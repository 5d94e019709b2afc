"""An addendum says exactly what was found, is valid whatever the reports are like, and is the same on any day."""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

import pipeline
from pipeline.clinical.model import Caution, Flag, Interpretation, Patient, Result
from pipeline.sr import codes
from pipeline.sr.author.addendum import draft, header_corrections
from pipeline.sr.author.content import document
from pipeline.sr.dicom.content_item import Code
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.header import UnusableEvidenceError
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.writer import dicom_file
from tests.factories import interpretations as make
from tests.factories.addenda import TYPE_2, UNTIDY, addendum_of_kind, another, of, raw, read, to, tree
from tests.factories.elements import elements_of
from tests.factories.patients import NAMES
from tests.folders import ROOT
from tests.golden import assert_as_approved
from tests.sr.author import highdicom_author
from tests.sr.author.highdicom_author import encoded

GOLDEN = Path(__file__).parent / "golden"

# What it says


@pytest.mark.parametrize("name", make.spread())
def test_what_is_read_back_is_what_was_authored(name: str) -> None:
    interpretation = make.spread()[name]
    read_back = tree(of(interpretation))
    assert read_back == document(interpretation)


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    number=st.decimals(min_value="0.001", max_value="2.999", places=3),
    difference=st.decimals(min_value="-2.999", max_value="2.999", places=3),
)
def test_no_text_or_number_is_altered_on_the_way(text: str, number: Decimal, difference: Decimal) -> None:
    change = make.change()._replace(difference=difference, reference_bmd=number)
    caution = Caution(flag=Flag.PARTIAL, text=text)
    interpretation = make.interpretation(make.finding(since_prior=change, cautions=(caution,)), conclusions=(text,))
    read_back = tree(of(interpretation))
    assert read_back == document(interpretation)
    printed = [item.value for item in read_back.walk() if item.concept in (codes.PRIOR_BMD, codes.DIFF)]
    assert [Decimal(value) for value in printed] == [number, difference]
    assert all(value.rpartition(".")[2].isdigit() and len(value.rpartition(".")[2]) == 3 for value in printed)


def test_numbers_keep_the_decimals_of_the_scanner_and_no_float_is_left() -> None:
    addendum = of(make.interpretation(make.finding(bmd="0.930", since_prior=make.change(), full=True)))
    numbers = [item.value for item in tree(addendum).walk() if item.value_type == "NUM"]
    assert numbers[:8] == ["0.930", "48.31", "51.95", "-2.1", "0.3", "79", "104", "0.970"]
    assert not any(element.keyword == "FloatingPointValue" for element in read(addendum).iterall())


def test_a_difference_of_nothing_has_no_sign() -> None:
    nothing = make.change(Result.NO_SIGNIFICANT_CHANGE, difference="-0.000", percent="-0.0")
    root = document(make.interpretation(make.finding(since_prior=nothing)))
    assert [item.value for item in root.walk() if item.concept in (codes.DIFF, codes.PDIFF)] == ["0.000", "0.0"]


def test_a_blank_sentence_and_control_characters_are_left_out() -> None:
    root = document(make.interpretation(conclusions=("  ", "one\x00line\nand\tanother \x85")))
    assert [item.value for item in root.walk() if item.concept == codes.CONCLUSION] == ["oneline\nand another"]


@pytest.mark.parametrize(
    ("result", "standard"),
    [(Result.GAIN, codes.INCREASED), (Result.LOSS, codes.DECREASED), (Result.NO_SIGNIFICANT_CHANGE, codes.NO_CHANGE)],
)
def test_a_change_is_also_given_in_a_standard_code(result: Result, standard: Code) -> None:
    root = document(make.interpretation(make.finding(since_prior=make.change(result))))
    assert [item.code for item in root.walk() if item.concept == codes.FINDING] == [standard]


def test_what_could_not_be_judged_has_no_standard_finding() -> None:
    root = document(make.interpretation(make.finding(since_prior=make.change(Result.NO_LSC)), make.finding("L2-L4")))
    assert [item for item in root.walk() if item.concept == codes.FINDING] == []


def test_a_region_keeps_its_tracking_uid_from_exam_to_exam() -> None:
    def tracked(interpretation: Interpretation) -> set[str]:
        return {item.value for item in document(interpretation).walk() if item.concept == codes.TRACKING_UID}

    earlier = make.interpretation(visit=make.exam(2022))
    someone_else = make.interpretation(visit=make.exam(patient=replace(make.PATIENT, patient_id="DXA-0002")))
    assert tracked(earlier) == tracked(make.interpretation())
    assert tracked(someone_else) != tracked(make.interpretation())


def test_the_vertebrae_that_were_compared_are_named_where_they_are_not_all() -> None:
    """R2.12"""
    root = document(make.spread()["some vertebrae in common"])
    (prior,) = (item for item in root.walk() if item.concept == codes.PRIOR_BMD)
    sites = [item.code.meaning for item in prior.children if item.concept == codes.FINDING_SITE and item.code]
    assert sites == ["Lumbar spine", "L1 vertebra", "L2 vertebra", "L4 vertebra"]
    (difference,) = (item for item in root.walk() if item.concept == codes.DIFF)
    assert [item.value for item in difference.children] == ["0.930"]


@pytest.mark.parametrize("name", ["loss", "gain at both hips and their mean", "every obstacle", "every caution"])
def test_the_addendum_reads_as_approved(name: str) -> None:
    text = outline(tree(of(make.spread()[name]))).replace(pipeline.__version__, "<version>")
    assert_as_approved(text + "\n", GOLDEN / f"{name.replace(' ', '_')}.addendum.txt")


# Whose it is, what it rests on, and what it replaces


def test_it_is_complete_unverified_and_preliminary_until_a_person_signs() -> None:
    addendum = read(of())
    assert addendum.SOPClassUID == ComprehensiveSRStorage
    assert addendum.Modality == "SR"
    assert (addendum.CompletionFlag, addendum.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert (addendum.PreliminaryFlag, read(of(preliminary=False)).PreliminaryFlag) == ("PRELIMINARY", "FINAL")
    assert "VerifyingObserverSequence" not in addendum


def test_it_is_an_enhanced_sr_where_one_is_asked_for_and_then_another_instance() -> None:
    comprehensive, enhanced = of(), of(sop_class_uid=EnhancedSRStorage)
    assert read(enhanced).SOPClassUID == enhanced.sop_class_uid == EnhancedSRStorage
    assert enhanced.sop_instance_uid != comprehensive.sop_instance_uid
    contents = [(item.value, item.code, item.unit) for item in tree(comprehensive).walk()]
    assert [(item.value, item.code, item.unit) for item in tree(enhanced).walk()] == contents


@pytest.mark.parametrize("name", make.spread())
def test_highdicom_writes_the_same_bytes_of_an_enhanced_sr(name: str) -> None:
    interpretation = make.spread()[name]
    sources, priors = [make.report(number=1), make.report(number=2)], [make.report(2022), make.report(2019)]
    ours = of(interpretation, sources=sources, priors=priors, sop_class_uid=EnhancedSRStorage)
    theirs = highdicom_author.data_set(read(ours), tree(ours), interpretation.exam, sources=sources, priors=priors)
    assert ours.data_set == theirs


def test_its_author_is_this_software_with_its_version_and_the_scanner_is_named_as_such() -> None:
    addendum = read(of())
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
    addendum, report = read(of()), make.report()
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
    addendum = read(of())
    uids = [make.report(number=number).SOPInstanceUID for number in (1, 2)]
    assert [uid for _, _, uid in referenced(addendum.CurrentRequestedProcedureEvidenceSequence)] == uids
    other = [study for study, _, _ in referenced(addendum.PertinentOtherEvidenceSequence)]
    assert sorted(other) == sorted([make.STUDY[2022], make.STUDY[2019]])
    assert "PertinentOtherEvidenceSequence" not in read(of(priors=[]))


def test_an_earlier_report_of_the_same_study_is_current_evidence() -> None:
    addendum = read(of(priors=[make.report(number=9)]))
    assert len(referenced(addendum.CurrentRequestedProcedureEvidenceSequence)) == 3
    assert "PertinentOtherEvidenceSequence" not in addendum


def test_an_instance_that_came_twice_is_evidence_once() -> None:
    addendum = read(of(sources=[make.report(), make.report(PatientName="Doe^J")]))
    assert len(referenced(addendum.CurrentRequestedProcedureEvidenceSequence)) == 1


def test_procedure_algorithm_and_private_scheme_are_declared() -> None:
    addendum = read(of())
    (performed,) = addendum.PerformedProcedureCodeSequence
    assert (performed.CodeValue, performed.CodingSchemeDesignator) == ("241686001", "SCT")
    (scheme,) = addendum.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.SCHEME
    contents = {item.concept: item.value or item.code for item in read_tree(elements_of(addendum)).walk()}
    assert contents[codes.PROCEDURE_REPORTED] == codes.DXA
    assert contents[codes.ALGORITHM_VERSION] == "2024.1"
    assert contents[codes.LANGUAGE] == codes.ENGLISH


def test_a_superseding_addendum_names_the_one_it_replaces_and_sorts_after_it() -> None:
    replaced = of()
    first, second = read(replaced), read(of(another(), predecessor=replaced))
    (study,) = second.PredecessorDocumentsSequence
    (instance,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert instance.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert instance.PurposeOfReferenceCodeSequence[0].CodeValue == "121360"
    assert "PredecessorDocumentsSequence" not in first
    assert second.SOPInstanceUID != first.SOPInstanceUID
    assert second.SeriesInstanceUID != first.SeriesInstanceUID
    assert (second.ContentDate, second.ContentTime) > (first.ContentDate, first.ContentTime)
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_the_same_content_after_other_content_is_another_document() -> None:
    first = of()
    second = of(another(), predecessor=first)
    third = of(predecessor=second)
    assert len({first.sop_instance_uid, second.sop_instance_uid, third.sop_instance_uid}) == 3
    assert read(third).InstanceNumber == 3


# The same on any day and any machine


def test_the_same_input_gives_the_same_bytes() -> None:
    assert of() == of()
    assert of(another(), predecessor=of()) == of(another(), predecessor=of())


def test_the_order_of_the_reports_does_not_matter() -> None:
    sources, priors = [make.report(number=1), make.report(number=2)], [make.report(2022), make.report(2019)]
    assert of(sources=sources, priors=priors) == of(sources=sources[::-1], priors=priors[::-1])


IN_ANOTHER_PROCESS = """
import datetime, hashlib
class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2099, 12, 31, 23, 59, 59, tzinfo=tz)
datetime.datetime = Later
from tests.sr.author.test_addendum import dicom_file, of
print(hashlib.sha256(dicom_file(of())).hexdigest())
"""


def test_another_process_in_another_year_zone_and_language_gives_the_same_bytes() -> None:
    environment = os.environ | {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711", "LC_ALL": "C"}
    command = [sys.executable, "-W", "ignore", "-c", IN_ANOTHER_PROCESS]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == sha256(dicom_file(of())).hexdigest()


def test_it_is_dated_with_the_last_report_it_rests_on() -> None:
    addendum = read(of())
    assert (addendum.ContentDate, addendum.ContentTime) == ("20240514", "103402")
    assert (addendum.InstanceCreationDate, addendum.InstanceCreationTime) == ("20240514", "103402")
    undated = read(of(sources=[raw(ContentDate=None, ContentTime=None)]))
    assert (undated.ContentDate, undated.ContentTime) == ("20240514", "102030")


def test_the_digest_is_of_the_content_and_of_the_reports_it_rests_on() -> None:
    interpretation, sources = make.interpretation(), [make.report(number=1), make.report(number=2)]
    digest = draft(interpretation, [*map(elements_of, sources)]).digest
    assert (
        digest
        == draft(make.interpretation(), [elements_of(make.report(number=2)), elements_of(make.report(number=1))]).digest
    )
    others = {
        draft(interpretation, [*map(elements_of, sources[:1])]).digest,
        draft(another(), [*map(elements_of, sources)]).digest,
        draft(make.interpretation(conclusions=("Another sentence.",)), [*map(elements_of, sources)]).digest,
        draft(
            make.interpretation(make.finding(bmd="0.93", since_prior=make.change())),
            [*map(elements_of, sources)],
        ).digest,
        draft(replace(interpretation, rules_version="2025.1"), [*map(elements_of, sources)]).digest,
    }
    assert len(others - {digest}) == 5


def test_the_digest_does_not_change_with_what_is_not_in_the_addendum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new version of the software, or another region of the prior, is no reason to write again."""
    digest = draft(make.interpretation(), [elements_of(make.report())]).digest
    of_another_exam = make.change()._replace(
        reference=make.exam(2022, make.measurement(), make.measurement("total hip left"))
    )
    assert (
        draft(make.interpretation(make.finding(since_prior=of_another_exam)), [elements_of(make.report())]).digest
        == digest
    )
    monkeypatch.setattr(pipeline, "__version__", "99.0")
    assert draft(make.interpretation(), [elements_of(make.report())]).digest == digest


# Whatever the reports are like


@pytest.mark.parametrize("values", UNTIDY.values(), ids=UNTIDY)
def test_an_untidy_report_gets_an_addendum_without_a_warning_and_is_not_altered(
    values: dict[str, bytes | None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings are errors here; a warning of pydicom's would quote the patient."""
    monkeypatch.setattr(config.settings, "_writing_validation_mode", config.RAISE)
    report = raw(**values)
    before = [report.get_item(tag) for tag in report.keys()]  # noqa: SIM118 - iterating converts
    addendum = read(of(sources=[report]))
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
def test_whatever_bytes_a_report_holds_the_addendum_is_valid(values: dict[str, bytes]) -> None:
    addendum = of(sources=[raw(**values)])
    with config.strict_reading():
        read_back = dcmread(BytesIO(dicom_file(addendum)))
        for element in read_back.iterall():
            str(element.value)
    assert encoded(read_back) == addendum.data_set


def test_what_dicom_cannot_hold_is_left_empty_or_cut() -> None:
    def kept(name: str, keyword: str) -> str:
        return str(read(to(UNTIDY[name]))[keyword].value or "")

    assert kept("a sex in lower case", "PatientSex") == "F"
    assert kept("a sex that is none", "PatientSex") == ""
    assert kept("a date of old", "StudyDate") == "20240514"
    assert kept("a date of old", "StudyTime") == "102030"
    assert kept("a date that is none", "StudyDate") == ""
    assert kept("over-long texts", "StudyDescription") == "x" * 64
    assert kept("over-long texts", "AccessionNumber") == ""
    assert kept("several values", "AccessionNumber") == ""
    assert kept("control characters", "StudyDescription") == "spine and hip"


def test_a_uid_of_others_is_referred_to_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    visit = replace(make.exam(), study_instance_uid="1.2.008")
    source = raw(**UNTIDY["leading zeros in UIDs"], StudyInstanceUID=b"1.2.008")
    addendum = read(of(make.interpretation(visit=visit), sources=[source]))
    assert referenced(addendum.CurrentRequestedProcedureEvidenceSequence)[0][::2] == ("1.2.008", "1.2.03.4")
    assert addendum.StudyInstanceUID == "1.2.008"
    assert "1.2.008" in [item.value for item in read_tree(elements_of(addendum)).walk()]


def test_what_one_report_leaves_out_another_supplies() -> None:
    reports = [make.report(number=1, AccessionNumber=None, PatientSex=None), make.report(number=2)]
    addendum = read(of(sources=reports))
    assert (addendum.AccessionNumber, addendum.PatientSex) == ("A2024", "F")


@pytest.mark.parametrize("script", NAMES)
def test_a_name_survives_in_any_script(script: str) -> None:
    read_back = dcmread(BytesIO(dicom_file(addendum_of_kind(f"for a {script} name"))))
    assert read_back.SpecificCharacterSet == "ISO_IR 192"
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
    read_back = dcmread(BytesIO(dicom_file(of(sources=[report]))))
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
    with pytest.raises(UnusableEvidenceError, match=named) as refusal:
        of(sources=sources, priors=priors)
    for written in (str(refusal.value), caplog.text):
        assert not any(value in written for value in ("MARKED", "ZZZ", "19991231", "evil"))


def test_another_issuer_of_the_same_id_is_another_patient() -> None:
    ours = Patient(patient_id="DXA-0001", issuer="Here", birth_date=date(1950, 3, 2))
    with pytest.raises(UnusableEvidenceError, match="IssuerOfPatientID"):
        of(make.interpretation(visit=make.exam(patient=ours)), sources=[raw(IssuerOfPatientID=b"Elsewhere")])


def test_a_predecessor_of_another_patient_is_refused() -> None:
    someone_else = replace(make.PATIENT, patient_id="DXA-0002")
    theirs = of(
        make.interpretation(visit=make.exam(patient=someone_else)),
        sources=[make.report(PatientID="DXA-0002")],
        priors=[],
    )
    with pytest.raises(UnusableEvidenceError, match="PatientID"):
        of(predecessor=theirs)


def test_no_patient_is_named_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """highdicom logs a name it finds doubtful; so it never sees one."""
    caplog.set_level(logging.DEBUG)
    of(sources=[marked(PatientName=b"MARKED")], predecessor=of(sources=[marked(PatientName=b"MARKED")]))
    assert "MARKED" not in caplog.text
    assert "DXA-0001" not in caplog.text


@pytest.mark.parametrize("name", UNTIDY)
def test_what_an_addendum_quotes_of_untidy_reports_is_no_correction_of_itself(name: str) -> None:
    """Else the exam would get another addendum at every examination."""
    sources = [raw(**UNTIDY[name])]
    study = make.interpretation().exam.study_instance_uid
    assert header_corrections(of(sources=sources).data_set, [*map(elements_of, sources)], study) == ()
