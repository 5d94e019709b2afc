"""The synthetic reports contain what their expected.json says, and dxatrend reads and concludes the same."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.exam_assembly import assemble
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Change, Exam, Finding, Scanner
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.content_tree import read_instance
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.extract.rejection_note import read_key_objects
from pipeline.sr.extract.report import Report, extract
from tests.factories.images import COMPUTED_RADIOGRAPHY, SECONDARY_CAPTURE
from tests.factories.sample_exams import lscs, spellings
from tests.folders import SAMPLES

FOLDERS = sorted(path.parent for path in SAMPLES.glob("*/expected.json"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def expected(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return content


def read(file: Path) -> Report:
    return extract(read_elements(*split_file(file.read_bytes())), shipped_dialects(), spellings=spellings())


def test_making_the_samples_again_gives_the_same_bytes(tmp_path):
    subprocess.run([sys.executable, SAMPLES / "make_samples.py", tmp_path], check=True, capture_output=True)
    made = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.glob("*/*.*")}
    kept = {file.relative_to(SAMPLES): file.read_bytes() for folder in FOLDERS for file in folder.iterdir()}
    assert made.keys() == kept.keys()
    assert [name for name, content in made.items() if kept[name] != content] == []


def test_each_report_carries_the_regions_it_is_said_to_carry(folder, expected):
    for exam in expected["exams"]:
        for part in exam["reports"]:
            report = read(folder / part["file"])
            assert report.sop_instance_uid == part["sop_instance_uid"]
            assert report.dialect.split()[0] == expected["dialect"]
            assert [m.region.key for m in report.exam.measurements] == part["regions"]


def test_each_exam_is_read_as_expected(folder, expected):
    for exam, wanted in zip(exams(folder, expected), expected["exams"], strict=True):
        assert exam.study_instance_uid == wanted["study_instance_uid"]
        assert exam.patient.patient_id == expected["patient_id"]
        assert exam.performed_on == date.fromisoformat(wanted["date"])
        assert exam.scanner == Scanner(**wanted["scanner"])
        assert {m.region.key: values_of(m) for m in exam.measurements} == wanted["regions"]


def test_each_exam_is_concluded_as_expected(folder, expected):
    """Obstacles and flags are among those found; a later rule may find more."""
    history = exams(folder, expected)
    for number, wanted in enumerate(expected["exams"]):
        interpretation = interpret(history[number], history[:number], ClinicalReference(lscs=lscs()))
        told = wanted["addendum"]
        assert interpretation.overall == told["OVERALL"]
        assert set(told["FLAG"]) <= {caution.flag for caution in interpretation.cautions}
        findings = {finding.measurement.region.key: finding for finding in interpretation.findings}
        assert findings.keys() == told["regions"].keys()
        for key, finding in findings.items():
            assert_finding(finding, told["regions"][key])


def test_nothing_in_the_samples_is_remarked_but_the_workstation(folder, expected):
    """The samples are clean: what is remarked in them would be a mistake in the reader."""
    remarks = {remark for file in folder.glob("*.dcm") for remark in read(file).remarks}
    told_otherwise = {
        "03-gain": {"the header names another device than the one the report says has scanned"},
        "16-two-spellings": {"the report spells its scanner otherwise; the configuration says that it is this one"},
    }
    assert remarks == told_otherwise.get(folder.name, set())


def test_a_rejection_note_names_every_report_of_the_exam_it_takes_back():
    for folder in FOLDERS:
        for exam in json.loads((folder / "expected.json").read_text(encoding="utf-8")).get("withdrawn", ()):
            elements = read_elements(*split_file((folder / exam["rejection_note"]).read_bytes()))
            named = read_key_objects(elements).sop_instance_uids
            assert list(named) == [report["sop_instance_uid"] for report in exam["reports"]]


def test_there_is_a_letter_beyond_ascii_in_every_text_of_a_header():
    header = read_instance(*split_file(next((SAMPLES / "14-letters").glob("*.dcm")).read_bytes()))
    plain = {"Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"}  # by these the machine is known
    texts = {one.keyword: str(one.value) for one in header if one.VR in ("LO", "SH", "PN", "ST", "LT", "UT")}
    assert {keyword for keyword, text in texts.items() if text.isascii()} == plain


def test_every_dialect_has_at_least_three_patients():
    dialects = [json.loads((folder / "expected.json").read_text(encoding="utf-8"))["dialect"] for folder in FOLDERS]
    assert {name: dialects.count(name) >= 3 for name in dialects} == {"lunar": True, "hologic": True, "tid1500": True}


def test_both_sr_classes_and_pictures_of_both_makers_are_among_the_samples():
    classes = {read(file).sop_class_uid for file in SAMPLES.glob("*/*.dcm")}
    pictures = {COMPUTED_RADIOGRAPHY, SECONDARY_CAPTURE}
    assert classes == {"1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.5.1.4.1.1.88.33"} | pictures


def exams(folder: Path, expected: dict[str, Any]) -> list[Exam]:
    """Each visit, put together from its reports."""
    return [assemble([read(folder / part["file"]).exam for part in exam["reports"]]) for exam in expected["exams"]]


def values_of(measurement: Any) -> dict[str, str]:
    names = ("bmd", "bmc", "area", "t_score", "z_score", "percent_young_adult", "percent_age_matched")
    return {name: str(getattr(measurement, name)) for name in names}


def assert_finding(finding: Finding, wanted: dict[str, Any]) -> None:
    assert finding.result == wanted["RESULT"]
    assert set(wanted.get("OBSTACLE", [])) <= {refusal.obstacle for refusal in finding.refusals}
    assert set(wanted.get("FLAG", [])) <= {caution.flag for caution in finding.cautions}
    if "DIFF" not in wanted:
        assert finding.since_prior is None
        return
    assert finding.since_prior is not None
    assert finding.since_baseline is not None
    assert_change(finding.since_prior, wanted, ("PRIOR_DATE", "PRIOR_BMD", "DIFF", "PDIFF"))
    assert_change(finding.since_baseline, wanted, ("BASELINE_DATE", "BASELINE_BMD", "BDIFF", "BPDIFF"))
    assert finding.since_baseline.result == wanted["BRESULT"]
    lsc = finding.since_prior.lsc
    assert (str(lsc.lsc) if lsc else None) == wanted.get("LSC")


def assert_change(change: Change, wanted: dict[str, Any], keys: tuple[str, str, str, str]) -> None:
    told = (change.reference.performed_on, change.reference_bmd, change.difference, change.percent)
    assert [str(value) for value in told] == [wanted[key] for key in keys]
