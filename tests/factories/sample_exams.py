"""The exams of the sample patients, each with all that an addendum to it needs."""

import json
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path

from pydicom.dataset import Dataset

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.exam_assembly import assemble
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, LeastSignificantChange, Scanner
from pipeline.clinical.regions import parse_region
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.configuration.scanner_settings import ScannersSettings
from pipeline.edge.configuration.settings import Settings
from pipeline.sr.dicom.content_tree import read_instance
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.extract.report import extract
from pipeline.sr.extract.scanner_alias import Spelling
from tests.factories.patients import AddendumCase
from tests.folders import SAMPLES


def cases() -> dict[str, AddendumCase]:
    """Every exam of every sample patient, by folder and date."""
    return {
        f"{folder.name} {case.interpretation.exam.performed_on}": case
        for folder in sorted(path.parent for path in SAMPLES.glob("*/expected.json"))
        for case in _cases(folder)
    }


def _cases(folder: Path) -> Iterator[AddendumCase]:
    content = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["exams"]
    files = [[folder / report["file"] for report in exam["reports"]] for exam in content]
    exams = [assemble([_exam(file) for file in reports]) for reports in files]
    headers = {
        exam.study_instance_uid: tuple(map(_header, reports)) for exam, reports in zip(exams, files, strict=True)
    }
    for number, exam in enumerate(exams):
        interpretation = interpret(exam, exams[:number], ClinicalReference(lscs=lscs()))
        yield AddendumCase(
            interpretation=interpretation,
            history=tuple(exams[:number]),
            sources=tuple(headers[exam.study_instance_uid]),
            priors=tuple(header for prior in interpretation.priors for header in headers[prior.study_instance_uid]),
        )


def _exam(file: Path) -> Exam:
    return extract(read_elements(*split_file(file.read_bytes())), shipped_dialects(), spellings=spellings()).exam


def _header(file: Path) -> Dataset:
    return read_instance(*split_file(file.read_bytes()))


@cache
def spellings() -> tuple[Spelling, ...]:
    """Those of sample_dicom/scanners.toml, as the service knows them."""
    content = tomllib.loads((SAMPLES / "scanners.toml").read_text(encoding="utf-8"))
    settings = Settings(scanners=ScannersSettings(**content))
    return reference_data_of(settings, shipped_dialects()).spellings


def lscs() -> tuple[LeastSignificantChange, ...]:
    """The entries of sample_dicom/precision.toml."""
    return tuple(
        LeastSignificantChange(
            scanner=Scanner(entry["manufacturer"], entry["model"], entry["serial_number"]),
            region=parse_region(entry["region"]),
            lsc=Decimal(entry["lsc"]),
            valid_from=entry["valid_from"],
            valid_until=entry["valid_until"],
            source=entry["source"],
            patients=entry["patients"],
            repeats=entry["repeats"],
        )
        for entry in tomllib.loads((SAMPLES / "precision.toml").read_text(encoding="utf-8"))["lsc"]
    )
