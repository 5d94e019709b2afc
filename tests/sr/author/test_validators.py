"""No validator of others finds a fault in any addendum, and each would.

Four judge addenda of every kind, of the sample patients, and of 500 random patients: dicom3tools, DCMTK, PixelMed, and
the standard's own tables of modules, which highdicom carries. The tables take the place of PyPI's dicom-validator,
which downloads the standard's DocBook files; its source distributions (0.3.5 to 0.9.0) do not have them, and they are
not ours to ship.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from highdicom.sr import MeasurementReport, srread
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage

from pipeline.sr import codes
from pipeline.sr.author.addendum import author
from pipeline.sr.author.readback import read_back
from pipeline.sr.dicom.writer import Authored, dicom_file
from tests.factories import addenda as make_addendum
from tests.factories import patients, renderings, sample_exams
from tests.factories.addenda import KINDS, addendum_of_kind
from tests.factories.elements import elements_of
from tests.sr.author import validators
from tests.sr.author.highdicom_author import encoded

PATIENTS = 500

FOR_PIXELMED = 5
"""PixelMed takes as long as all others together, so it judges every fifth patient; it once judged all."""

Addenda = dict[str, Authored]


def of(case: patients.AddendumCase, *, enhanced: bool = False) -> Authored:
    sop_class_uid = EnhancedSRStorage if enhanced else ComprehensiveSRStorage
    return author(
        case.interpretation,
        sources=[*map(elements_of, case.sources)],
        priors=[*map(elements_of, case.priors)],
        sop_class_uid=sop_class_uid,
    )


def of_every_kind() -> Addenda:
    return {name: addendum_of_kind(name) for name in KINDS}


def of_samples() -> Addenda:
    return {name: of(case) for name, case in sample_exams.cases().items()}


def of_patients() -> Addenda:
    """Every fourth as an Enhanced SR."""
    return {f"patient {n}": of(patients.case(Random(n)), enhanced=n % 4 == 0) for n in range(PATIENTS)}


COLLECTIONS: dict[str, Callable[[], Addenda]] = {
    "kinds": of_every_kind,
    "samples": of_samples,
    "patients": of_patients,
}


@pytest.fixture(scope="module", params=["kinds", "samples", pytest.param("patients", marks=pytest.mark.slow)], ids=str)
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The addenda of one collection as DICOM files."""
    return written(COLLECTIONS[request.param](), tmp_path_factory.mktemp(request.param))


def written(addenda: Addenda, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{number:03}.dcm" for number, name in enumerate(addenda)}
    for name, path in paths.items():
        path.write_bytes(dicom_file(addenda[name]))
    return paths


def faults(judge: Callable[[Path], list[str]], files: dict[str, Path]) -> dict[str, list[str]]:
    """What is found and not expected, by the name of the addendum."""
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(files, pool.map(judge, files.values()), strict=True))
    return {name: unexpected for name, lines in found.items() if (unexpected := validators.unexpected(lines))}


def test_dicom3tools_finds_no_fault(files: dict[str, Path]) -> None:
    assert faults(validators.dciodvfy, files) == {}


def test_dcmtk_finds_no_fault(files: dict[str, Path]) -> None:
    assert faults(validators.dsrdump, files) == {}


@pytest.mark.timeout(900)  # it takes a quarter of a second for an addendum, and more on a busy machine
def test_pixelmed_finds_no_fault(files: dict[str, Path]) -> None:
    judged = dict(list(files.items())[::FOR_PIXELMED]) if len(files) == PATIENTS else files
    findings = validators.pixelmed(list(judged.values()))
    assert faults(lambda file: findings[file], judged) == {}


def test_the_tables_of_the_standard_know_every_attribute_and_miss_none(files: dict[str, Path]) -> None:
    few = len(files) < PATIENTS
    assert faults(validators.tables if few else validators.tables_but_for_content, files) == {}


@pytest.mark.parametrize("name", KINDS)
def test_highdicom_reads_it_as_a_measurement_report(name: str, tmp_path: Path) -> None:
    authored = addendum_of_kind(name)
    (path,) = written({name: authored}, tmp_path).values()
    report = srread(path).content
    assert isinstance(report, MeasurementReport)
    keys = [group.tracking_identifier for group in report.get_image_measurement_groups()]
    assert keys == list(read_back(make_addendum.tree(authored)).regions)


def spoiled(tmp_path: Path, spoil: str) -> Path:
    """An addendum with one fault, alone."""
    addendum = make_addendum.read(make_addendum.of())
    context = {item.ConceptNameCodeSequence[0].CodeValue: item for item in addendum.ContentSequence}
    match spoil:
        case "no Completion Flag":
            del addendum.CompletionFlag
        case "verified by nobody":
            addendum.VerificationFlag = "VERIFIED"
        case "a relationship that may not be":
            context[codes.CONCLUSIONS.value].ContentSequence[0].RelationshipType = "HAS PROPERTIES"
        case "a code without its concept":
            del context[codes.LANGUAGE.value].ConceptNameCodeSequence
        case "a procedure in another relationship":
            context[codes.PROCEDURE_REPORTED.value].RelationshipType = "CONTAINS"
        case "a language by another name":
            context[codes.LANGUAGE.value].ConceptNameCodeSequence[0].CodeMeaning = "Tongue"
        case "no modality":
            del addendum.Modality
        case "a study without a UID":
            addendum.StudyInstanceUID = ""
        case "an attribute of images":
            addendum.Rows = 1
        case "a reference to nothing":
            series = addendum.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
            del series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    path = tmp_path / "spoiled.dcm"
    path.write_bytes(dicom_file(replace(make_addendum.of(), data_set=encoded(addendum))))
    return path


@pytest.mark.parametrize("spoil", ["no Completion Flag", "verified by nobody", "no modality", "a study without a UID"])
def test_dicom3tools_would_find_a_fault(spoil: str, tmp_path: Path) -> None:
    assert validators.unexpected(validators.dciodvfy(spoiled(tmp_path, spoil))) != []


@pytest.mark.parametrize("spoil", ["a relationship that may not be", "a code without its concept"])
def test_dcmtk_would_find_a_fault(spoil: str, tmp_path: Path) -> None:
    assert validators.unexpected(validators.dsrdump(spoiled(tmp_path, spoil))) != []


def test_pixelmed_would_find_a_fault(tmp_path: Path) -> None:
    spoils = ["a procedure in another relationship", "a language by another name"]
    folders = [tmp_path / str(number) for number, _ in enumerate(spoils)]
    for folder in folders:
        folder.mkdir()
    files = [spoiled(folder, spoil) for folder, spoil in zip(folders, spoils, strict=True)]
    findings = validators.pixelmed(files)
    assert [spoil for spoil, file in zip(spoils, files, strict=True) if not validators.unexpected(findings[file])] == []


@pytest.mark.parametrize(
    "spoil", ["no Completion Flag", "a study without a UID", "an attribute of images", "a reference to nothing"]
)
def test_the_tables_of_the_standard_would_find_a_fault(spoil: str, tmp_path: Path) -> None:
    assert validators.unexpected(validators.tables(spoiled(tmp_path, spoil))) != []


def test_every_finding_that_we_explain_is_made(tmp_path: Path) -> None:
    """An explanation of nothing would hide the next fault."""
    usual = renderings.interpreted(renderings.visit(2024))
    page, *_ = renderings.renderings_of(renderings.addendum_to(usual), usual, (), "image")
    paths = written(of_every_kind() | {"a page": page}, tmp_path)
    reports = [path for name, path in paths.items() if name != "a page"]
    lines = {line for found in validators.pixelmed(reports).values() for line in found}
    lines |= {line for path in paths.values() for line in (*validators.dciodvfy(path), *validators.dsrdump(path))}
    explained = {pattern for pattern in validators.EXPECTED if any(re.fullmatch(pattern, line) for line in lines)}
    assert set(validators.EXPECTED) - explained == set()
