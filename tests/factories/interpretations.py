"""Interpretations and report headers to author from: every field has a default."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedSRStorage

from pipeline.clinical.model import (
    Category,
    CategoryChange,
    Caution,
    Change,
    Diagnosis,
    Exam,
    Finding,
    Flag,
    Interpretation,
    LeastSignificantChange,
    Measurement,
    Narrative,
    NotEvaluated,
    Obstacle,
    Overall,
    Patient,
    Refusal,
    Result,
    Scale,
    Scanner,
    Sex,
    Suggestion,
    Target,
    Trend,
)
from pipeline.clinical.regions import parse_region
from pipeline.clinical.withdrawal import withdrawn
from pipeline.sr.codes import RULES

PRODIGY = Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475")
HORIZON = Scanner("Hologic", "Horizon A", "200123M")

PATIENT = Patient(patient_id="DXA-0001", birth_date=date(1950, 3, 2), sex=Sex.FEMALE)

STUDY = {
    2024: "1.2.826.0.1.3680043.10.1.2024",
    2022: "1.2.826.0.1.3680043.10.1.2022",
    2019: "1.2.826.0.1.3680043.10.1.2019",
}


def measurement(region: str = "L1-L4", bmd: str = "0.930", *, full: bool = False) -> Measurement:
    """One region of an exam; ``full`` with all that a scanner prints beside the BMD."""
    bare = Measurement(region=parse_region(region), bmd=Decimal(bmd))
    if not full:
        return bare
    return replace(
        bare,
        bmc=Decimal("48.31"),
        area=Decimal("51.95"),
        t_score=Decimal("-2.1"),
        z_score=Decimal("0.3"),
        percent_young_adult=Decimal("79"),
        percent_age_matched=Decimal("104"),
    )


def exam(year: int = 2024, *measurements: Measurement, scanner: Scanner = PRODIGY, patient: Patient = PATIENT) -> Exam:
    """The visit of a year, in May."""
    return Exam(
        study_instance_uid=STUDY[year],
        patient=patient,
        scanner=scanner,
        performed_at=datetime.fromisoformat(f"{year}-05-14T10:20:30"),
        measurements=measurements or (measurement(),),
        software="16.20.059",
    )


def lsc(region: str = "L1-L4", value: str = "0.028") -> LeastSignificantChange:
    """A facility's LSC, from a study of thirty patients."""
    return LeastSignificantChange(
        scanner=PRODIGY,
        region=parse_region(region),
        lsc=Decimal(value),
        valid_from=date(2019, 1, 1),
        valid_until=date(2030, 1, 1),
        source="in vivo study, January 2019",
        patients=30,
        repeats=2,
    )


def change(
    result: Result = Result.LOSS, since: int = 2022, earlier: str = "0.970", difference: str = "-0.040", **others: str
) -> Change:
    """A change since the visit of a year; ``percent``, ``rate`` and ``lsc`` as printed."""
    known = result is not Result.NO_LSC
    return Change(
        reference=exam(since),
        reference_bmd=Decimal(earlier),
        difference=Decimal(difference),
        percent=Decimal(others.get("percent", "-4.1")),
        result=result,
        lsc=lsc(value=others.get("lsc", "0.028")) if known else None,
        rate=Decimal(others["rate"]) if "rate" in others else None,
    )


def finding(
    region: str = "L1-L4",
    bmd: str = "0.930",
    since_prior: Change | None = None,
    since_baseline: Change | None = None,
    refusals: tuple[Refusal, ...] = (),
    cautions: tuple[Caution, ...] = (),
    full: bool = False,
) -> Finding:
    """A region with its changes, refusals and cautions."""
    return Finding(
        measurement=measurement(region, bmd, full=full),
        since_prior=since_prior,
        since_baseline=since_baseline or since_prior,
        refusals=refusals,
        cautions=cautions,
    )


def refusal(obstacle: Obstacle = Obstacle.OTHER_SCANNER, year: int = 2022) -> Refusal:
    """Why the visit of a year was not compared."""
    return Refusal(
        obstacle=obstacle,
        exam=exam(year, scanner=HORIZON),
        text=f"The exam of 14 May {year} was not compared: {obstacle.name.replace('_', ' ').lower()}.",
    )


def interpretation(
    *findings: Finding,
    overall: Overall = Overall.DECLINED,
    cautions: tuple[Caution, ...] = (),
    conclusions: tuple[str, ...] = ("L1-L4 lost bone since 14 May 2022.",),
    visit: Exam | None = None,
    **more: Any,
) -> Interpretation:
    """The interpretation of the visit of 2024; ``more`` are other fields."""
    findings = findings or (finding(since_prior=change()),)
    return Interpretation(
        exam=visit or exam(2024, *(f.measurement for f in findings)),
        findings=findings,
        overall=overall,
        cautions=cautions,
        narrative=Narrative(impression=conclusions),
        rules_version="2024.1",
        **({"overall_since_baseline": overall} | more),
    )


def diagnosis(category: Category) -> Diagnosis:
    """A category from the spine."""
    scale = Scale.Z_SCORE if "EXPECTED" in category else Scale.T_SCORE
    return Diagnosis(scale=scale, score=Decimal("-2.0"), region=parse_region("L1-L4"), category=category)


def report(year: int = 2024, number: int = 1, **attributes: object) -> Dataset:
    """The header of a scanner's report of a visit; ``attributes`` replace its own, ``None`` leaves one out."""
    values: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": EnhancedSRStorage,
        "SOPInstanceUID": f"{STUDY[year]}.1.{number}",
        "StudyDate": f"{year}0514",
        "ContentDate": f"{year}0514",
        "StudyTime": "102030",
        "ContentTime": f"1034{number:02}",
        "AccessionNumber": f"A{year}",
        "Modality": "SR",
        "Manufacturer": "GE Healthcare",
        "ReferringPhysicianName": "Doctor^Dora",
        "StudyDescription": "DXA spine and hip",
        "PatientName": "Doe^Jane",
        "PatientID": "DXA-0001",
        "PatientBirthDate": "19500302",
        "PatientSex": "F",
        "StudyInstanceUID": STUDY[year],
        "SeriesInstanceUID": f"{STUDY[year]}.1",
        "StudyID": "42",
    }
    made = Dataset()
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(made, keyword, value)
    return made


def spread() -> dict[str, Interpretation]:
    """Interpretations that together use every concept, result, obstacle and flag there is."""
    gain = change(Result.GAIN, earlier="0.890", difference="0.040", percent="4.5", rate="0.020")
    stable = change(Result.NO_SIGNIFICANT_CHANGE, earlier="0.930", difference="0.000", percent="0.0")
    no_lsc = change(Result.NO_LSC)
    since_2019 = change(Result.LOSS, since=2019, earlier="1.010", difference="-0.080", percent="-7.9", rate="-0.016")
    return {
        "loss": interpretation(finding(since_prior=change(rate="-0.020"), since_baseline=since_2019, full=True)),
        "gain at both hips and their mean": interpretation(
            *(finding(f"total hip {side}", since_prior=gain, full=True) for side in ("left", "right", "mean")),
            *(finding(f"femoral neck {side}", since_prior=stable, full=True) for side in ("left", "right", "mean")),
            overall=Overall.IMPROVED,
        ),
        "stable": interpretation(finding(since_prior=stable), overall=Overall.STABLE),
        "response, a line and a target": interpretation(
            replace(finding(since_prior=stable), detectable_on=date(2026, 5, 14)),
            overall=Overall.STABLE,
            response=True,
            trends=(
                Trend(
                    region=parse_region("L1-L4"),
                    exams=3,
                    since=date(2019, 5, 14),
                    slope=Decimal("-0.001234"),
                    standard_error=Decimal("0.000987"),
                    significant=False,
                ),
            ),
            target=Target(target=Decimal("-2.0"), score=Decimal("-2.4"), region=parse_region("L1-L4")),
        ),
        **{
            f"category {category}": interpretation(
                finding(since_prior=stable),
                overall=Overall.STABLE,
                diagnosis=diagnosis(category),
                category_change=CategoryChange(
                    exam=exam(2022), before=diagnosis(Category.LOW_BONE_MASS), now=diagnosis(category)
                ),
            )
            for category in Category
        },
        "discordant": interpretation(
            finding(since_prior=gain), finding("total hip left", since_prior=change()), overall=Overall.DISCORDANT
        ),
        "no LSC": interpretation(finding(since_prior=no_lsc), overall=Overall.INDETERMINATE),
        "withdrawn": withdrawn(exam(), "scanned under a wrong name"),
        "first visit": interpretation(finding(full=True), overall=Overall.NO_PRIOR, conclusions=()),
        "every obstacle": interpretation(
            finding(refusals=tuple(refusal(obstacle) for obstacle in Obstacle)), overall=Overall.INDETERMINATE
        ),
        "every caution": interpretation(
            finding(since_prior=change(), cautions=tuple(Caution(flag=flag, text=f"Mind {flag}.") for flag in Flag)),
            cautions=(Caution(flag=Flag.PARTIAL, text="Only the spine could be compared."),),
        ),
        "some vertebrae in common": interpretation(
            finding("L1-L4", since_prior=stable._replace(region=parse_region("L1-L2,L4"), bmd=Decimal("0.930")))
        ),
        "gaps in the spine": interpretation(
            *(finding(region, since_prior=stable) for region in ("L1,L3-L4", "L2-L4", "L1-L2,L4", "L3", "T12-L5")),
            overall=Overall.STABLE,
        ),
        "every other region": interpretation(
            *(
                finding(region, full=True)
                for region in (
                    *("trochanter left", "intertrochanteric right", "ward's triangle left", "upper neck right"),
                    *("lower neck left", "femoral shaft right", "33% radius left", "33% radius right"),
                    *("mid radius left", "ultradistal radius right", "total radius left", "total forearm left"),
                    *("33% radius", "total hip", "total body"),
                )
            ),
            overall=Overall.NO_PRIOR,
        ),
        "nothing measured": replace(interpretation(), findings=()),
        "rules": interpretation(
            suggestions=tuple(Suggestion(rule=rule, text="Look again.", source="ISCD") for rule in RULES),
            not_evaluated=(NotEvaluated(rule="R5.2", topic="vertebral fracture assessment", missing=("height loss",)),),
        ),
    }
