"""The structured report, the pages, HL7 and FHIR say the same numbers of every patient, to the digit.

The tests of HL7 and FHIR compare each of their values with the structured report; this one compares the pages with it.
The pages show a BMD with three decimals and a score with one, as wide as scanners print them, and a change only where
it is significant.
"""

from decimal import Decimal
from random import Random

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.wording.names import bmd_in_text, difference_in_text, lsc_in_text, region_name, score_in_text
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.render.page_content import page_content
from tests.factories import patients, results


def agrees(number: int) -> int:
    """Compare the table on the pages of a patient with the addendum; return how many numbers there were."""
    addendum, _, _ = results.addendum_of(number)
    case = patients.case(Random(number))
    elements = read_elements(addendum.data_set, ExplicitVRLittleEndian)
    page = page_content(elements, read_tree(elements), case.interpretation, case.history)
    regions = {region_name(one.region): one for one in results.of(addendum).regions}
    compared = 0
    region = next(iter(regions.values()))
    for row in page.rows:
        region = regions[row.region.split(" (")[0]] if not row.since_baseline else region
        since = "BASELINE" if row.since_baseline else "PRIOR"
        shown = {
            "BMD": (row.bmd, bmd_in_text),
            "T_SCORE": (row.t_score, score_in_text),
            "Z_SCORE": (row.z_score, score_in_text),
            f"{since}_BMD": (row.bmd_then, bmd_in_text),
            "LSC": ("" if row.since_baseline else row.lsc, lsc_in_text),
        }
        for name, (text, as_shown) in shown.items():
            if text and text[0] in "-0123456789":
                assert text == as_shown(Decimal(region.first(name))), (number, row, name)
                compared += 1
        if row.significant:
            difference = region.first("BDIFF" if row.since_baseline else "DIFF")
            low = region.first("BCI_LOW" if row.since_baseline else "CI_LOW")
            assert row.change.startswith(difference_in_text(Decimal(difference))), (number, row)
            assert row.lsc == lsc_in_text(Decimal(difference) - Decimal(low)), (number, row)
            compared += 1
    return compared


@pytest.mark.parametrize("numbers", [range(24), pytest.param(range(24, 500), marks=pytest.mark.slow)], ids=str)
def test_the_pages_have_the_numbers_of_the_structured_report(numbers: range) -> None:
    assert sum(map(agrees, numbers)) > 2 * len(numbers)
