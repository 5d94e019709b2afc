"""Codes of every concept in an addendum: DICOM (DCM), SNOMED CT (SCT), LOINC (LN), UCUM, UMLS, and our private scheme.

Each concept is here once; the private scheme ``99DXATREND`` has what the standard ones lack.
"""

from enum import StrEnum
from functools import cache

from pipeline.clinical.model import Category, Flag, Obstacle, Overall, Result
from pipeline.clinical.regions import FEMORAL_NECK, Region, Side, Site
from pipeline.sr.dicom.content_item import Code

# The document: PS3.16 TID 1500 and what it includes

IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en", "RFC5646", "English")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
DEVICE = Code("121007", "DCM", "Device")
DEVICE_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_OBSERVER_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL = Code("121015", "DCM", "Device Observer Model Name")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
DXA = Code("241686001", "SCT", "Dual energy X-Ray absorptiometry")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
DXA_STUDY_REPORT = Code("38269-7", "LN", "DEXA Skeletal System Study Report")
SOURCE_REPORT = Code("128225", "DCM", "Source report")
CONCLUSIONS = Code("121076", "DCM", "Conclusions")
CONCLUSION = Code("121077", "DCM", "Conclusion")
COMMENT = Code("121106", "DCM", "Comment")

# A region: PS3.16 TID 1501, 4019 and 1502

MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
LATERALITY = Code("272741003", "SCT", "Laterality")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
TIME_POINT = Code("C2348792", "UMLS", "Time Point")
TIME_POINT_TYPE = Code("126072", "DCM", "Time Point Type")
BASELINE = Code("C1442488", "UMLS", "Baseline")
STUDY_DATE = Code("111060", "DCM", "Study Date")
STUDY_UID = Code("121018", "DCM", "Procedure Study Instance UID")
STUDY_UID_AS_PROPERTY = Code("110180", "DCM", "Study Instance UID")  # as TID 1005 knows the other as context only

INCREASED = Code("35105006", "SCT", "Increased")
DECREASED = Code("1250004", "SCT", "Decreased")
NO_CHANGE = Code("260388006", "SCT", "No change")

CHANGE_OF_RESULT = {Result.GAIN: INCREASED, Result.LOSS: DECREASED, Result.NO_SIGNIFICANT_CHANGE: NO_CHANGE}
"""The standard code beside the private ``RESULT``, for systems that do not know the private scheme."""

# Measurements and their properties: PS3.16 TID 300, 310 and 311

AREA = Code("42798000", "SCT", "Area")
POPULATION_DESCRIPTION = Code("121405", "DCM", "Population description")
METHOD_CITATION = Code("121423", "DCM", "Method Citation")

G_PER_CM2 = Code("g/cm2", "UCUM", "g/cm2")
G_PER_CM2_PER_YEAR = Code("g/cm2/a", "UCUM", "g/cm2 per year")
GRAM = Code("g", "UCUM", "g")
CM2 = Code("cm2", "UCUM", "cm2")
PERCENT = Code("%", "UCUM", "%")
NO_UNITS = Code("1", "UCUM", "no units")

# Header sequences

REPLACED_REPORT = Code("121360", "DCM", "Replaced report")  # PS3.16 CID 7009
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")  # PS3.16 CID 7005

# BMD, T- and Z-score: a LOINC code names site and side; the tracking identifier names the region within the site

_DXA_BY_SITE = {
    (Site.SPINE, None): ("Lumbar spine", "24966-4", "38267-1", "85394-5"),
    (Site.HIP, None): ("Hip", "38261-4", "38264-8", "80933-5"),
    (Site.HIP, Side.LEFT): ("Hip - left", "46278-8", "80946-7", "80938-4"),
    (Site.HIP, Side.RIGHT): ("Hip - right", "46279-6", "80945-9", "80937-6"),
    (Site.FOREARM, None): ("Radius and Ulna", "24890-6", "38265-5", "80932-7"),
    (Site.FOREARM, Side.LEFT): ("Radius and Ulna - left", "80952-5", "80944-2", "80936-8"),
    (Site.FOREARM, Side.RIGHT): ("Radius and Ulna - right", "80951-7", "80943-4", "80935-0"),
}
"""LOINC's name of the site, then its codes for BMD, T-score and Z-score."""

_BONE_BMD = Code("46383-6", "LN", "DXA Bone [Mass/Area] Bone density")
_Z_SCORE = Code("121416", "DCM", "Z-Score of measurement")


def bmd(region: Region) -> Code:
    """Return the concept of a region's BMD."""
    return _dxa(region, 1, "Mass/Area") or _BONE_BMD


def t_score(region: Region) -> Code:
    """Return the concept of a region's T-score, a private code where LOINC has none, as for the total body."""
    return _dxa(region, 2, "T-score") or T_SCORE


def z_score(region: Region) -> Code:
    """Return the concept of a region's Z-score."""
    return _dxa(region, 3, "Z-score") or _Z_SCORE


def _dxa(region: Region, column: int, quantity: str) -> Code | None:
    side = None if region.side is Side.MEAN else region.side
    row = _DXA_BY_SITE.get((region.site, side))
    return Code(row[column], "LN", f"DXA {row[0]} [{quantity}] Bone density") if row else None


# Where: SNOMED CT has no code for most regions of interest, so the nearest bone or part stands for them

_LUMBAR_SPINE = Code("122496007", "SCT", "Lumbar spine")
_VERTEBRA = {
    "T12": Code("23215003", "SCT", "T12 vertebra"),
    "L1": Code("66794005", "SCT", "L1 vertebra"),
    "L2": Code("14293000", "SCT", "L2 vertebra"),
    "L3": Code("36470004", "SCT", "L3 vertebra"),
    "L4": Code("11994002", "SCT", "L4 vertebra"),
    "L5": Code("49668003", "SCT", "L5 vertebra"),
}
_NECK_OF_FEMUR = Code("29627003", "SCT", "Neck of femur")
_SITE_OF_PART = {
    FEMORAL_NECK: _NECK_OF_FEMUR,
    "upper neck": _NECK_OF_FEMUR,
    "lower neck": _NECK_OF_FEMUR,
    "trochanter": Code("30547004", "SCT", "Greater trochanter of femur"),
    "intertrochanteric": Code("310651003", "SCT", "Proximal Femur"),
    "ward's triangle": Code("310651003", "SCT", "Proximal Femur"),
    "femoral shaft": Code("41111004", "SCT", "Shaft of Femur"),
    "ultradistal radius": Code("75129005", "SCT", "Distal Radius"),
    "mid radius": Code("47728000", "SCT", "Shaft of Radius"),
    "total forearm": Code("14975008", "SCT", "Forearm"),
}
_NEAREST_OF_SITE = {
    Site.SPINE: _LUMBAR_SPINE,
    Site.HIP: Code("29836001", "SCT", "Hip"),
    Site.FOREARM: Code("62413002", "SCT", "Radius"),  # the bone; 131190003, also "Radius", is half a diameter
    Site.TOTAL_BODY: Code("38266002", "SCT", "Entire body"),
}
_SIDE = {
    Side.LEFT: Code("7771000", "SCT", "Left"),
    Side.RIGHT: Code("24028007", "SCT", "Right"),
    Side.MEAN: Code("51440002", "SCT", "Bilateral"),
}


def finding_sites(region: Region) -> tuple[Code, ...]:
    """Return the finding sites of a region; of the spine also each vertebra."""
    nearest = _SITE_OF_PART.get(region.part, _NEAREST_OF_SITE[region.site])
    return (nearest, *(_VERTEBRA[level] for level in region.vertebrae))


def laterality(region: Region) -> Code | None:
    """Return the code of a region's side; ``None`` when it has none."""
    return _SIDE[region.side] if region.side else None


# The private scheme. A value once issued never changes what it means: scripts and archives rely on it.

SCHEME = "99DXATREND"

RESULT = Code("RESULT", SCHEME, "Serial comparison result")
OBSTACLE = Code("OBSTACLE", SCHEME, "Reason not compared")
PRIOR_BMD = Code("PRIOR_BMD", SCHEME, "Prior bone mineral density")
BASELINE_BMD = Code("BASELINE_BMD", SCHEME, "Baseline bone mineral density")
DIFF = Code("DIFF", SCHEME, "Change since prior")
PDIFF = Code("PDIFF", SCHEME, "Percent change since prior")
BDIFF = Code("BDIFF", SCHEME, "Change since baseline")
BPDIFF = Code("BPDIFF", SCHEME, "Percent change since baseline")
BRESULT = Code("BRESULT", SCHEME, "Serial comparison result against baseline")
LSC = Code("LSC", SCHEME, "Least significant change")
CONFIDENCE = Code("CONFIDENCE", SCHEME, "Confidence level")
RATE = Code("RATE", SCHEME, "Annualized change")
FLAG = Code("FLAG", SCHEME, "Caution")
OVERALL = Code("OVERALL", SCHEME, "Overall serial result")
BMC = Code("BMC", SCHEME, "Bone mineral content")
PYA = Code("PYA", SCHEME, "Percent of young adult mean")
PAM = Code("PAM", SCHEME, "Percent of age-matched mean")
T_SCORE = Code("T_SCORE", SCHEME, "T-score")
BOVERALL = Code("BOVERALL", SCHEME, "Overall serial result against baseline")
CI_LOW = Code("CI_LOW", SCHEME, "Lower bound of the 95 % interval of the change since prior")
CI_HIGH = Code("CI_HIGH", SCHEME, "Upper bound of the 95 % interval of the change since prior")
BCI_LOW = Code("BCI_LOW", SCHEME, "Lower bound of the 95 % interval of the change since baseline")
BCI_HIGH = Code("BCI_HIGH", SCHEME, "Upper bound of the 95 % interval of the change since baseline")
DETECTABLE_ON = Code("DETECTABLE_ON", SCHEME, "Earliest day a change at this rate would reach the LSC")
SLOPE = Code("SLOPE", SCHEME, "Slope of the line through all comparable exams")
SLOPE_SE = Code("SLOPE_SE", SCHEME, "Standard error of the slope")
CATEGORY = Code("CATEGORY", SCHEME, "Diagnostic category")
PCATEGORY = Code("PCATEGORY", SCHEME, "Diagnostic category before")
RESPONSE = Code("RESPONSE", SCHEME, "Response to therapy")
TARGET_T = Code("TARGET_T", SCHEME, "T-score target of the department")
TARGET_DISTANCE = Code("TARGET_DISTANCE", SCHEME, "T-score still missing to the target")

RESPONSE_MET = Code("RESPONSE_MET", SCHEME, "Criteria of response met")
SUGGESTION = Code("SUGGESTION", SCHEME, "Rule of a suggestion")
NOT_EVALUATED = Code("NOT_EVALUATED", SCHEME, "Rule not evaluated")

RULES = {
    "R2.4": "Software version of both exams",
    "R2.5": "Scan mode of both exams",
    "R2.13": "Vertebral outliers",
    "R2.14": "Shift of vertebral levels",
    "R2.15": "Bone area of both exams",
    "R2.19": "Height of both exams",
    "R2.20": "Weight of both exams",
    "R2.22": "Invalid scans",
    "R3.7": "Regression to the mean",
    "R3.9": "Response to therapy",
    "R4.1": "Choice of T- or Z-score",
    "R4.2": "Severe osteoporosis",
    "R4.3": "Category by the lowest score",
    "R5.1": "Interval to the next exam",
    "R5.2": "Vertebral fracture assessment",
    "R5.3": "Frequency of exams",
    "R5.4": "Causes of a loss",
    "R5.5": "Other sites and methods",
    "R5.6": "Suspected stress fracture",
    "R5.7": "Causes of discordance",
    "R5.8": "Fracture risk by FRAX",
    "C12": "Secondary causes of low BMD",
}
"""The subject of each rule that makes a suggestion or reports a missing input."""

_KEYS = {
    **{
        (value, "LN"): name
        for _, *values in _DXA_BY_SITE.values()
        for value, name in zip(values, ("BMD", "T_SCORE", "Z_SCORE"), strict=True)
    },
    _BONE_BMD.identity: "BMD",
    _Z_SCORE.identity: "Z_SCORE",
    AREA.identity: "AREA",
    STUDY_DATE.identity: "DATE",
    STUDY_UID.identity: "STUDY",
    STUDY_UID_AS_PROPERTY.identity: "STUDY",
}

_SPELT = {word: word for word in ("BMC", "BMD", "BMI", "DXA", "GLSC", "LSC", "QC", "ROI", "UID")} | {
    "T": "T-score",
    "Z": "Z-score",
}


def private(member: StrEnum) -> Code:
    """Return the private code of an enumeration's member: its value, and its name in words as the meaning."""
    meaning = " ".join(_SPELT.get(word, word.lower()) for word in member.name.split("_"))
    return Code(member.value, SCHEME, meaning[0].upper() + meaning[1:])


def rule(identifier: str) -> Code:
    """Return the private code of a clinical rule, by its identifier such as ``R5.1``."""
    return Code(identifier, SCHEME, RULES[identifier])


def key(concept: Code) -> str:
    """Return the name by which scripts know a concept of an addendum: a private code's value; empty if it has none."""
    return concept.value if concept.scheme == SCHEME else _KEYS.get(concept.identity, "")


def words(value: str) -> str:
    """Return the meaning of a private code value as within a sentence; an unknown value stays as it is."""
    meaning = _meanings().get(value, value)
    return meaning if meaning[1:2].isupper() or meaning[1:2] == "-" else meaning[:1].lower() + meaning[1:]


@cache
def _meanings() -> dict[str, str]:
    return {code.value: code.meaning for members in private_scheme().values() for code in members}


def private_scheme() -> dict[str, tuple[Code, ...]]:
    """Return all codes of the private scheme, by their use."""
    return {
        "Concept names": (
            *(RESULT, OBSTACLE, PRIOR_BMD, BASELINE_BMD, DIFF, PDIFF, BDIFF, BPDIFF, BRESULT, LSC, CONFIDENCE),
            *(RATE, FLAG, OVERALL, BMC, PYA, PAM, T_SCORE, BOVERALL, CI_LOW, CI_HIGH, BCI_LOW, BCI_HIGH),
            *(DETECTABLE_ON, SLOPE, SLOPE_SE, CATEGORY, PCATEGORY, RESPONSE, TARGET_T, TARGET_DISTANCE),
            *(SUGGESTION, NOT_EVALUATED),
        ),
        "Values of RESULT and BRESULT": tuple(map(private, Result)),
        "Values of OVERALL and BOVERALL": tuple(map(private, Overall)),
        "Values of OBSTACLE": tuple(map(private, Obstacle)),
        "Values of FLAG": tuple(map(private, Flag)),
        "Values of CATEGORY and PCATEGORY": tuple(map(private, Category)),
        "Values of RESPONSE": (RESPONSE_MET,),
        "Values of SUGGESTION and NOT_EVALUATED": tuple(map(rule, RULES)),
    }
