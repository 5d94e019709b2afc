"""Addenda and their renderings: for usual, long, crowded and empty pages."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Interpretation, Scanner
from pipeline.sr.dicom.content_tree import read_instance, read_tree
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.dicom.writer import Authored
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.instances import author_renderings
from pipeline.sr.render.page_content import PageContent, page_content
from pipeline.sr.render.plots import PlotContext
from tests.factories import addenda
from tests.factories import interpretations as make

NORLAND = Scanner("Norland", "XR-46", "N77")
REGIONS = (
    *("L1-L4", "L2-L4", "total hip left", "total hip right", "total hip mean"),
    *("femoral neck left", "femoral neck right", "femoral neck mean", "33% radius left", "33% radius right"),
    *("trochanter left", "ward's triangle left", "L1", "L2", "L3", "L4", "ultradistal radius left"),
)
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff^Adolph Blaine Charles^David"


def visit(year: int, *regions: str, scanner: Scanner = make.PRODIGY) -> Exam:
    """An exam of a year with some regions; the same year and regions give the same numbers."""
    random = Random(f"{year} {regions}")
    return Exam(
        study_instance_uid=f"{make.STUDY[2024]}.{year}",
        patient=make.PATIENT,
        scanner=scanner,
        performed_at=datetime(year, 5, 14, 10, 20) + timedelta(days=random.randrange(200)),
        measurements=tuple(
            make.measurement(region, f"{Decimal('0.800') + Decimal(random.randrange(-60, 60)) / 1000:.3f}", full=True)
            for region in regions or ("L1-L4",)
        ),
        accession_number=f"A{year}",
    )


def fifteen_years() -> list[Exam]:
    """An exam of every region each year; the first four and one between are of other scanners."""
    scanners = [make.HORIZON] * 4 + [make.PRODIGY, NORLAND] + [make.PRODIGY] * 9
    return [visit(2009 + number, *REGIONS, scanner=scanner) for number, scanner in enumerate(scanners)]


def interpreted(exam: Exam, history: Iterable[Exam] = ()) -> Interpretation:
    """The interpretation of an exam, with an LSC for each region but the radius."""
    regions = [m.region.key for m in exam.measurements if "radius" not in m.region.key]
    return interpret(exam, list(history), ClinicalReference(lscs=tuple(make.lsc(region) for region in regions)))


def addendum_to(
    interpretation: Interpretation, *, name: str = "Doe^Jane", predecessor: Authored | None = None
) -> Authored:
    """An addendum to one report of an exam, of a patient of this name."""
    report = make.report(2024)
    report.StudyInstanceUID, report.PatientName = interpretation.exam.study_instance_uid, name
    return addenda.of(interpretation, sources=[report], priors=[], predecessor=predecessor)


def shown(
    addendum: Authored,
    interpretation: Interpretation,
    history: Iterable[Exam] = (),
    plot_context: PlotContext | None = None,
) -> PageContent:
    """The content of an addendum's pages."""
    data_set = read_elements(addendum.data_set, ExplicitVRLittleEndian)
    return page_content(data_set, read_tree(data_set), interpretation, history, plot_context)


def renderings_of(
    addendum: Authored, interpretation: Interpretation, history: Iterable[Exam] = (), *forms: str
) -> tuple[Authored, ...]:
    """The renderings of an addendum, as image and PDF unless forms are given."""
    return author_renderings(addendum, interpretation, history, forms or ("image", "pdf"), Fonts())


def read(rendering: Authored) -> Dataset:
    """A rendering as an archive reads it."""
    return read_instance(rendering.data_set, ExplicitVRLittleEndian)
