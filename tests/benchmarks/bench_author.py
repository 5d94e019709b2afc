"""Time of one addendum, from interpretation to bytes, beside highdicom's in the same run.

It has six regions, each with all its numbers, a prior and a baseline. The target is 10 ms for the structured report;
drawing its renderings, where a destination wants them, comes on top.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Interpretation
from pipeline.sr.author.addendum import author
from pipeline.sr.author.content import document
from pipeline.sr.dicom.content_tree import read_instance
from pipeline.sr.dicom.header import read_header
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.instances import author_renderings
from tests.benchmarks.table import Row, at_most, milliseconds
from tests.factories import interpretations as make
from tests.factories.elements import elements_of
from tests.sr.author import highdicom_author

TARGET_MS = 10
DRAWING_TARGET_MS = 150
ROUNDS = 200
DRAWINGS = 5
REGIONS = ("L1-L4", "total hip left", "total hip right", "total hip mean", "femoral neck left", "femoral neck right")


def rows() -> Iterator[Row]:
    """The whole addendum, and highdicom's way to the same bytes."""
    interpretation = _interpretation()
    sources, priors = [make.report(number=1), make.report(number=2)], [make.report(2022), make.report(2019)]
    headers = [highdicom_author.encoded(report) for report in (*sources, *priors)]

    def ours() -> bytes:
        read = [read_header(header, ExplicitVRLittleEndian) for header in headers]
        return author(interpretation, sources=read[:2], priors=read[2:]).data_set

    read_back = read_instance(ours(), ExplicitVRLittleEndian)

    def theirs() -> bytes:
        return highdicom_author.data_set(
            read_back, document(interpretation), interpretation.exam, sources=sources, priors=priors
        )

    assert ours() == theirs(), "highdicom writes something else"
    yield Row(
        what=f"author an addendum of {len(REGIONS)} regions, byte for byte the same",
        ours=milliseconds(ours, ROUNDS),
        unit="ms",
        peer="highdicom",
        theirs=milliseconds(theirs, ROUNDS // 10),
        target=at_most(TARGET_MS),
    )
    yield from _renderings(interpretation, sources, priors)


def _renderings(interpretation: Interpretation, sources: list[Dataset], priors: list[Dataset]) -> Iterator[Row]:
    """The same addendum with its renderings, in a process that has drawn before."""

    def with_renderings(*forms: str) -> Callable[[], object]:
        def made() -> object:
            addendum = author(
                interpretation,
                sources=[*map(elements_of, sources)],
                priors=[*map(elements_of, priors)],
            )
            return author_renderings(addendum, interpretation, interpretation.priors, forms, Fonts())

        return made

    for forms in (("image",), ("pdf",), ("image", "pdf")):
        yield Row(
            what=f"author it with its renderings: {' and '.join(forms)}",
            ours=milliseconds(with_renderings(*forms), DRAWINGS),
            unit="ms",
            target=at_most(DRAWING_TARGET_MS),
        )


def _interpretation() -> Interpretation:
    exam, *history = (_exam(year, change) for year, change in ((2024, "0"), (2022, "0.040"), (2019, "0.081")))
    return interpret(exam, history, ClinicalReference(lscs=tuple(make.lsc(region) for region in REGIONS)))


def _exam(year: int, more: str) -> Exam:
    return make.exam(
        year, *(make.measurement(region, f"{Decimal('0.930') + Decimal(more)}", full=True) for region in REGIONS)
    )
