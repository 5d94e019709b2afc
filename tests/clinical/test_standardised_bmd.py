"""Standardised BMD (R4.7)."""

from decimal import Decimal

import pytest

from pipeline.clinical.diagnosis import FEMALE
from pipeline.clinical.regions import FEMORAL_NECK, SPINE, TOTAL_HIP
from pipeline.clinical.standardised_bmd import standardised_bmd

D = Decimal


@pytest.mark.parametrize(("part", "places"), [(FEMORAL_NECK, "0.001"), (TOTAL_HIP, "0.001")])
def test_the_lunar_reference_is_the_hologic_one_on_the_common_scale(part: str, places: str) -> None:
    """R4.6, R4.7: GE neck 1.038 and total 1.008 follow from Hologic's .858 and .942 through Lu's lines."""
    hologic = standardised_bmd("hologic", part, FEMALE["hologic", part][0].mean)
    lunar = standardised_bmd("lunar", part, FEMALE["lunar", part][0].mean)
    assert hologic is not None
    assert lunar is not None
    assert abs(hologic - lunar) < 1000 * D(places)


def test_nobody_published_other_makers_or_parts() -> None:
    """R4.7"""
    assert standardised_bmd("osteosys", SPINE, D(1)) is None
    assert standardised_bmd("hologic", "33% radius", D(1)) is None
