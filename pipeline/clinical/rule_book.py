"""The clinical rules in words for a reader: what each one holds, where it comes from, and which code stands for it.

``docs/safety.md`` lists the same rules with the tests that guard them. A source is a professional body or a paper;
``OUR_CHOICE`` marks what no source prescribes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.clinical.model import Flag, Obstacle, Result

OUR_CHOICE = "dxatrend's own choice"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule holds, and its source."""

    statement: str
    source: str


RULES: Mapping[str, Rule] = {
    "R1.1": Rule(
        "A precision study has 15 patients with three scans each or 30 with two: 30 degrees of freedom.", "ISCD"
    ),
    "R1.7": Rule(
        "The least significant change (LSC) is 2.77 times the precision error, at 95 % confidence. A flag at 80 % is "
        "secondary, and off unless the department wants it.",
        "ISCD; Shepherd and Lu 2007; Bonnick",
    ),
    "R1.8": Rule("A change is significant if it equals or exceeds the LSC, in exact decimals.", "ISCD"),
    "R1.9": Rule("The LSC is the facility's own; none is ever taken from a report or a manufacturer.", "ISCD"),
    "R1.11": Rule(
        "A scanner that was moved, or repaired in depth, needs a new precision study; an LSC from before is doubted.",
        "ISCD; ANZBMS",
    ),
    "R1.12": Rule("An LSC holds for one scanner, one region and the days it is valid for.", OUR_CHOICE),
    "R1.13": Rule(
        "Without a facility LSC of that day no change is called significant, nor stable. ISCD's worst acceptable "
        "precision gives a hint at most.",
        "ISCD; Bonnick and Miller 2001",
    ),
    "R1.15": Rule(
        "Two or three vertebrae need an LSC of their own; without one the LSC of L1-L4 is inflated and marked as "
        "approximated. One vertebra is never followed.",
        "ISCD 2023; Rosen 2023 and 2024",
    ),
    "R1.16": Rule("The mean of both hips needs an LSC of its own.", "ISCD 2023"),
    "R1.17": Rule(
        "A change below 1.3 LSC is called borderline, because scans of different days vary more than a precision study "
        "shows; so do those of large patients.",
        "Rajamanohara 2011; Nelson 2010",
    ),
    "R2.1": Rule(
        "Exams are compared on one scanner: same manufacturer, model and serial number. A scanner that is not known, "
        "or whose reports come from a new sender, is doubted.",
        "ISCD; Canadian BMD reporting 2005",
    ),
    "R2.3": Rule(
        "Exams on scanners of different makers are never compared, on no common scale.", "Genant 1994; Fan 2010"
    ),
    "R2.4": Rule(
        "Other software is stated. After another major version the earlier scan should be analysed again before the "
        "result is trusted.",
        OUR_CHOICE,
    ),
    "R2.5": Rule("Another scan mode or protocol of analysis does not measure alike, and needs review.", OUR_CHOICE),
    "R2.6": Rule(
        "A new calibration ends the series of comparable exams, unless ten phantom scans before and after agree within "
        "1 %.",
        "ISCD; Krueger 2016",
    ),
    "R2.7": Rule(
        "After a change to another scanner exams compare only by a cross-calibration of 30 patients for each site.",
        "ISCD (to be confirmed, docs/safety.md)",
    ),
    "R2.8": Rule(
        "Without a cross-calibration there is no comparison in numbers: a new baseline begins.",
        "ISCD (to be confirmed, docs/safety.md)",
    ),
    "R2.10": Rule(
        "Two cross-calibrated scanners are judged by the generalised LSC, which has the error of both.",
        "after Shepherd and Lu 2007; the formula is derived, and to be confirmed (docs/safety.md)",
    ),
    "R2.11": Rule("A region is compared only with itself.", "ISCD"),
    "R2.12": Rule(
        "Of two spines only the vertebrae that both have are compared: their content over their area, which must meet "
        "the printed BMD within 0.002 g/cm².",
        f"ISCD; the tolerance is {OUR_CHOICE}",
    ),
    "R2.13": Rule(
        "Adjacent vertebrae that differ by more than 1.0 in T-score are named. Only a person excludes a vertebra, and "
        "then from both exams.",
        "ISCD DXA atlas",
    ),
    "R2.14": Rule(
        "Content and area that change together while BMD hardly does suggest that other levels were analysed.",
        "Peel 1993; Sarathi 2020",
    ),
    "R2.15": Rule(
        "Another bone area means that another region was measured; it is stated, and never blocks.", "Leslie 2006"
    ),
    "R2.16": Rule("Left is compared with left, right with right, and the mean of both with the mean.", "ISCD 2023"),
    "R2.17": Rule(
        "Spine and total hip are followed; the femoral neck is secondary; the one-third radius of the non-dominant arm "
        "serves where neither can be used. Other regions are never followed.",
        "ISCD; Leslie 2004",
    ),
    "R2.19": Rule(
        "One conflict of id, birth date or sex stops every comparison. A height that changed by more than 4 cm may "
        "mean another patient, or a vertebral fracture.",
        OUR_CHOICE,
    ),
    "R2.20": Rule(
        "A large change in weight changes BMD by soft tissue; it is stated.", "Rajamanohara 2011; Tothill 1998"
    ),
    "R2.21": Rule(
        "A short interval is stated, and no yearly rate is made of it. An exam that came long after its date may be in "
        "the wrong place of the series.",
        "Bonnick",
    ),
    "R2.22": Rule(
        "A scan with hardware, a prosthesis, an artefact, a calcium tablet or a contrast agent in it is not that of "
        "bone: it has no number, no score and no part in a comparison.",
        "ISCD",
    ),
    "R3.1": Rule(
        "Change is a difference of BMD in g/cm², never of T-scores; percent is of the earlier BMD. A change larger "
        "than bone can change is not reported before somebody has looked.",
        f"ISCD; what bone can change is {OUR_CHOICE}",
    ),
    "R3.2": Rule("Each exam is compared with the latest comparable one (prior) and the first one (baseline).", "ISCD"),
    "R3.3": Rule(
        "Both results are stated, because a slow loss shows only against the baseline; the one since the prior leads.",
        OUR_CHOICE,
    ),
    "R3.5": Rule("The line through all comparable exams is secondary information, and never a result.", "Gluer 1995"),
    "R3.6": Rule("Of several comparisons one may be significant by chance.", OUR_CHOICE),
    "R3.7": Rule(
        "A single loss in the first year of a therapy is to be confirmed: most who lost then gained in the next year.",
        "Cummings 2000",
    ),
    "R3.8": Rule("Each region has one result: gain, loss, no significant change, or why there is none.", OUR_CHOICE),
    "R3.9": Rule(
        "Spine and hip together make the overall result: a loss at either is a decline, a gain at one and a loss at "
        "the other is discordant, a site that is missing makes it partial.",
        OUR_CHOICE,
    ),
    "R3.10": Rule("From 65 on degeneration raises spine BMD; where the two differ, the hip is preferred.", "Black"),
    "R3.11": Rule(
        "Two signs of degeneration or an artefact, one of them seen in the scans, make a gain of the spine suspect.",
        OUR_CHOICE,
    ),
    "R3.12": Rule("Sites may differ in category; this is no discordance of change.", "El Maghraoui 2009"),
    "R4.1": Rule(
        "T- or Z-score by sex, age and menopausal status as recorded; below 20 years only the Z-score, and no change "
        "is judged.",
        "ISCD",
    ),
    "R4.2": Rule("Normal from -1.0, osteoporosis from -2.5 down, by the T-score as printed.", "WHO; ISCD; AACE 2020"),
    "R4.3": Rule("The lowest valid site gives the category.", "ISCD 2023; AACE 2020"),
    "R4.4": Rule("A Z-score of -2.0 or below is below the expected range for age.", "ISCD"),
    "R4.5": Rule("The female reference population serves for all; another one is stated.", "ISCD 2023"),
    "R4.6": Rule("A score that does not fit its reference is pointed out, and never replaced.", OUR_CHOICE),
    "R4.8": Rule("A diagnosis of osteoporosis persists when a later T-score is better.", "AACE 2020"),
    "R5.1": Rule("When to scan again follows from therapy, risk and category.", "ISCD; AACE 2020; Choosing Wisely"),
    "R5.2": Rule(
        "A low T-score with age, height loss, a reported fracture or steroids asks for vertebral imaging.", "ISCD 2019"
    ),
    "R5.3": Rule("An exam too soon after the last one cannot show a change of bone.", "Medicare; Choosing Wisely"),
    "R5.4": Rule("An unexpected loss: first check how it was measured, then look for causes.", "AACE 2020; BHOF 2022"),
    "R5.5": Rule("Which other site or method serves where spine or hip does not.", "ISCD; ACR"),
    "R5.6": Rule("A suspected stress fracture: radiograph first, then MRI.", "ACR"),
    "R5.7": Rule("Spine and hip that disagree: what to check, in this order.", OUR_CHOICE),
    "R5.8": Rule("FRAX is taken as recorded, and never computed.", "BHOF 2022"),
    "R5.9": Rule("Thresholds of steroids and weight are settings of their own.", OUR_CHOICE),
    "A2": Rule("The text is preliminary until a radiologist has verified it.", OUR_CHOICE),
    "A7": Rule("What could not be evaluated is stated with the inputs it lacked; this never means no.", OUR_CHOICE),
    "C4": Rule("The scanner is named: manufacturer, model, serial number and software.", "ISCD"),
    "C6": Rule("The BMD of each site is stated as the scanner printed it.", "ISCD"),
    "C8": Rule("The score that classifies this patient is stated, T or Z.", "ISCD"),
    "C10": Rule("Risk factors are quoted with the day and the source of their record.", "ISCD"),
    "C12": Rule(
        "Causes of low bone mass other than age are named where they should be looked for.", "AACE 2020; BHOF 2022"
    ),
    "F1": Rule("The report says with which earlier exam it compares.", "ISCD"),
    "F2": Rule("The report says which LSC a change was judged by.", "ISCD"),
    "F4": Rule("The report says which earlier exams were not compared, and why.", "ISCD"),
    "R7.6": Rule(
        "An exam in days of failed or missing quality control needs review; BMD is never corrected.", "ANZBMS"
    ),
}
"""The rules that a sentence of an addendum may rest on, by their number in ``docs/safety.md``."""

OF_FLAG: Mapping[Flag, tuple[str, ...]] = {
    Flag.PARTIAL: ("R3.9",),
    Flag.SOFTWARE_CHANGED: ("R2.4",),
    Flag.SCAN_MODE_CHANGED: ("R2.5",),
    Flag.SUBSET_RECOMPUTED: ("R2.12",),
    Flag.TOTAL_DISAGREES: ("R2.12",),
    Flag.CROSS_CALIBRATED: ("R2.7", "R2.10"),
    Flag.LSC_APPROXIMATED: ("R1.15",),
    Flag.LSC_BEFORE_EPOCH: ("R1.11",),
    Flag.LSC_80_EXCEEDED: ("R1.7",),
    Flag.CEILING_EXCEEDED: ("R1.13",),
    Flag.BORDERLINE: ("R1.17",),
    Flag.HIGH_BMI: ("R1.17",),
    Flag.AREA_CHANGED: ("R2.15",),
    Flag.LEVEL_SHIFT_SUSPECTED: ("R2.14",),
    Flag.VERTEBRA_OUTLIER: ("R2.13",),
    Flag.HEIGHT_CHANGED: ("R2.19",),
    Flag.WEIGHT_CHANGED: ("R2.20",),
    Flag.INTERVAL_SHORT: ("R2.21",),
    Flag.INVALIDATED: ("R2.22",),
    Flag.DOMINANT_ARM: ("R2.17",),
    Flag.QC_UNVERIFIED: ("R7.6",),
    Flag.SPINE_SUSPECT: ("R3.11",),
    Flag.SUSPECT_ARTEFACT: ("R3.9", "R3.11"),
    Flag.HIP_PREFERRED: ("R3.10",),
    Flag.ONE_OF_MANY: ("R3.6",),
    Flag.REGRESSION_TO_THE_MEAN: ("R3.7",),
    Flag.TOO_SOON: ("R5.3", "R2.21"),
    Flag.UNEXPECTED_DROP: ("R5.4",),
    Flag.EDGE_T: ("R4.2",),
    Flag.T_INCONSISTENT: ("R4.6",),
    Flag.MALE_REFERENCE: ("R4.5",),
    Flag.DISCORDANT_T: ("R3.12",),
    Flag.PRIOR_DIAGNOSIS: ("R4.8",),
    Flag.EARLIER_HELD: ("R2.19",),
    Flag.NOT_ON_FILE: ("R3.2",),
    Flag.ARCHIVE_SILENT: ("R3.2",),
    Flag.VENDOR_DISAGREES: ("R3.1",),
    Flag.NEW_CALLER: ("R2.1",),
    Flag.DATE_LATE: ("R2.21",),
    Flag.IMPLAUSIBLE_CHANGE: ("R3.1",),
    Flag.SIDES_EXCHANGED: ("R2.16",),
    Flag.REFERENCE_CHANGED: ("R4.5",),
    Flag.HEIGHT_LOSS: ("R5.2",),
}
"""The rules behind each caution."""

OF_OBSTACLE: Mapping[Obstacle, tuple[str, ...]] = {
    Obstacle.ID_CONFLICT: ("R2.19",),
    Obstacle.SCANNER_UNKNOWN: ("R2.1",),
    Obstacle.OTHER_SCANNER: ("R2.1", "R2.8"),
    Obstacle.OTHER_EPOCH: ("R2.6",),
    Obstacle.OTHER_VERTEBRAE: ("R2.12",),
    Obstacle.OTHER_SIDE: ("R2.16",),
    Obstacle.OTHER_REGION: ("R2.11",),
    Obstacle.NOT_FOR_MONITORING: ("R2.17",),
    Obstacle.SAME_DAY: ("R2.21",),
    Obstacle.INVALID_SITE: ("R2.22",),
    Obstacle.PAEDIATRIC: ("R4.1",),
}
"""The rules behind each reason for not comparing."""

OF_RESULT: Mapping[Result, tuple[str, ...]] = {
    Result.GAIN: ("R1.8", "R3.1"),
    Result.LOSS: ("R1.8", "R3.1"),
    Result.NO_SIGNIFICANT_CHANGE: ("R1.8",),
    Result.NOT_COMPARABLE: (),
    Result.NO_LSC: ("R1.13", "R1.9"),
    Result.NO_PRIOR: ("R3.2",),
}
"""The rules behind the result of a region; one that is not comparable has an obstacle."""
