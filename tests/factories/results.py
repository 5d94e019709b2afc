"""The results of random patients, as their addenda state them."""

from datetime import datetime, timedelta, timezone
from functools import cache
from random import Random

from pipeline.messages.exam_result import ExamResult, read_result
from pipeline.sr.author.addendum import author
from pipeline.sr.author.content import section_sizes
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.dicom.writer import Authored
from tests.factories import patients
from tests.factories.elements import elements_of

AUTHORED_AT = datetime(2026, 3, 2, 8, 30, tzinfo=timezone(timedelta(hours=1)))


@cache
def addendum_of(number: int) -> tuple[Authored, dict[str, int], tuple[str, ...]]:
    """The addendum of one random patient, the sizes of its sections, and its impression."""
    case = patients.case(Random(number))
    interpretation = case.interpretation
    made = author(interpretation, sources=[*map(elements_of, case.sources)], priors=[*map(elements_of, case.priors)])
    return made, section_sizes(interpretation.narrative), interpretation.narrative.impression


def result_of(number: int) -> ExamResult:
    """The result of one random patient."""
    addendum, sections, _ = addendum_of(number)
    return of(addendum, sections)


def of(addendum: Authored, sections: dict[str, int] | None = None, *, exam: int = 1) -> ExamResult:
    """The result that an addendum states."""
    return read_result(addendum.data_set, exam_number=exam, authored_at=AUTHORED_AT, sections=sections)


def in_codes(addendum: Authored) -> ReadBack:
    """What an archive reads back from an addendum."""
    return read_back(read_tree(read_elements(addendum.data_set, "1.2.840.10008.1.2.1")))
