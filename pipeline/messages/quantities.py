"""The values of an exam result, with the concept and unit that each has in the addendum.

A value is the addendum's own text of it, digit for digit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.clinical.regions import Region
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code

OWN_MEANINGS = {"BMD": "Bone mineral density", "T_SCORE": "T-score", "Z_SCORE": "Z-score", "AREA": "Area"}
"""What our codes mean that stand beside a standard one; as codes of ours they are in messages only."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, code or date of a region: its name in ``ReadBack``, its concept and its UCUM unit."""

    key: str
    concept: Callable[[Region], Code] | Code
    unit: str = ""

    def code(self, region: Region) -> Code:
        """Return the concept that this quantity has in the addendum."""
        return self.concept if isinstance(self.concept, Code) else self.concept(region)


G_PER_CM2, PER_YEAR = codes.G_PER_CM2.value, codes.G_PER_CM2_PER_YEAR.value

REGION_NUMBERS = {
    "bmd": Quantity("BMD", codes.bmd, G_PER_CM2),
    "bmc": Quantity("BMC", codes.BMC, codes.GRAM.value),
    "area": Quantity("AREA", codes.AREA, codes.CM2.value),
    "t_score": Quantity("T_SCORE", codes.t_score),
    "z_score": Quantity("Z_SCORE", codes.z_score),
    "percent_young_adult": Quantity("PYA", codes.PYA, codes.PERCENT.value),
    "percent_age_matched": Quantity("PAM", codes.PAM, codes.PERCENT.value),
    "prior_bmd": Quantity("PRIOR_BMD", codes.PRIOR_BMD, G_PER_CM2),
    "change": Quantity("DIFF", codes.DIFF, G_PER_CM2),
    "percent": Quantity("PDIFF", codes.PDIFF, codes.PERCENT.value),
    "lsc": Quantity("LSC", codes.LSC, G_PER_CM2),
    "interval_low": Quantity("CI_LOW", codes.CI_LOW, G_PER_CM2),
    "interval_high": Quantity("CI_HIGH", codes.CI_HIGH, G_PER_CM2),
    "rate": Quantity("RATE", codes.RATE, PER_YEAR),
    "baseline_bmd": Quantity("BASELINE_BMD", codes.BASELINE_BMD, G_PER_CM2),
    "baseline_change": Quantity("BDIFF", codes.BDIFF, G_PER_CM2),
    "baseline_percent": Quantity("BPDIFF", codes.BPDIFF, codes.PERCENT.value),
    "baseline_interval_low": Quantity("BCI_LOW", codes.BCI_LOW, G_PER_CM2),
    "baseline_interval_high": Quantity("BCI_HIGH", codes.BCI_HIGH, G_PER_CM2),
    "slope": Quantity("SLOPE", codes.SLOPE, PER_YEAR),
    "slope_error": Quantity("SLOPE_SE", codes.SLOPE_SE, PER_YEAR),
}
"""The numbers of a region."""

REGION_CODES = {
    "result": Quantity("RESULT", codes.RESULT),
    "baseline_result": Quantity("BRESULT", codes.BRESULT),
    "obstacles": Quantity("OBSTACLE", codes.OBSTACLE),
    "flags": Quantity("FLAG", codes.FLAG),
}
"""The coded values of a region; obstacles and flags may be several."""

REGION_DATES = {
    "date": "DATE",
    "prior_date": "PRIOR_DATE",
    "baseline_date": "BASELINE_DATE",
    "detectable_on": "DETECTABLE_ON",
}
"""The dates of a region, by their names in ``ReadBack``."""

EXAM_CODES = {
    "overall": codes.OVERALL,
    "baseline_overall": codes.BOVERALL,
    "category": codes.CATEGORY,
    "prior_category": codes.PCATEGORY,
    "exam_flags": codes.FLAG,
}
"""The coded values of the whole exam; its flags may be several."""

SECTIONS = ("status", "impression", "findings", "basis", "cautions", "suggestions", "not_supplied")
"""The sections of an addendum's sentences, by the names of ``Narrative``."""


def own_code(quantity: Quantity, region: Region, label: str) -> Code:
    """Return our own code of a quantity of a region, which names the region by its label: LOINC does not."""
    meaning = OWN_MEANINGS.get(quantity.key, quantity.code(region).meaning)
    return Code(quantity.key, codes.SCHEME, f"{meaning}, {label}")


def word_for(value: str, words: Mapping[str, str]) -> str:
    """Return the words for a code value of the private scheme: those given, or else its meaning."""
    meaning = codes.words(value)
    return words.get(value) or meaning[:1].upper() + meaning[1:]
