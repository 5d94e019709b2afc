"""The names that a mapping may put in braces, and what stands behind each: values of exam and region, with their codes.

A value is the addendum's own text of it, digit for digit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.clinical.regions import Region
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code


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

TEXTS = frozenset([*SECTIONS, "conclusions", "note"])
"""Texts of one or more sentences: ``conclusions`` are all of them, ``note`` says what was corrected."""

NUMBERS = frozenset(REGION_NUMBERS)

CODED = frozenset([*REGION_CODES, *EXAM_CODES])

WITH_CODE = NUMBERS | CODED
"""The values for which ``{code}`` is known."""

IDENTITY = frozenset(
    [
        *("patient_id", "issuer", "birth_date", "sex", "patient_name", "referring_physician"),
        *("accession", "study_id", "study_uid", "study_description", "order", "sop_instance_uid", "control_id"),
        *("manufacturer", "model", "serial_number", "software", "performed_at", "authored_at", "result_status"),
    ]
)
"""Who and what a message is about, for any field."""

FIELD_NAMES = IDENTITY
EXAM_NAMES = TEXTS | EXAM_CODES.keys() | IDENTITY | {"pdf"}
REGION_NAMES = frozenset(
    [*REGION_NUMBERS, *REGION_CODES, *REGION_DATES, "region", "region_key", "region_id", *IDENTITY]
)
