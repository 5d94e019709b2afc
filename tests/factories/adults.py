"""Adults with spine and both hips measured, a few visits each; the same number gives the same adult."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from pipeline.clinical.clinical_context import ClinicalContext, Menopause, Therapy
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Interpretation, Measurement, Patient, Sex
from pipeline.clinical.regions import parse_region
from tests.factories.exams import REFERENCE, ROOM_1, ROOM_2, exam

YOUNG = {"L1-L4": ("1.18", "0.12"), "total hip": ("1.008", "0.126"), "femoral neck": ("1.038", "0.139")}
"""Mean and standard deviation of young women in g/cm2, as the scanner of the tests uses them (R4.6)."""

REGIONS = ("L1-L4", "total hip left", "total hip right", "femoral neck left", "femoral neck right")


def adult(number: int) -> Interpretation:
    """The interpretation of the last visit of an adult."""
    random = Random(number)
    birth = date(random.randrange(1930, 1985), 5, 5)
    patient = Patient(patient_id=f"P{number}", birth_date=birth, sex=random.choice((Sex.FEMALE, Sex.FEMALE, Sex.MALE)))
    days = [date(2025, 3, 1)]
    for _ in range(random.choice((0, 0, 1, 1, 1, 2, 2, 4))):
        days.insert(0, days[0] - timedelta(days=random.choice((370, 740, 740, 1100)) + random.randrange(60)))
    weight, mean = random.randrange(52, 84), random.gauss(-1.4, 0.9)
    t_scores = {region: Decimal(random.gauss(mean, 0.5)) for region in REGIONS}
    yearly = Decimal(random.gauss(-0.3, 0.5)) / 100
    visits = [_visit(random, patient, day, t_scores, yearly * (day - days[0]).days / 365, weight) for day in days]
    return interpret(visits[-1], visits[:-1], REFERENCE, contexts=_contexts(random, days))


def _visit(
    random: Random, patient: Patient, day: date, t_scores: dict[str, Decimal], change: Decimal, weight: int
) -> Exam:
    measurements = tuple(_measurement(random, region, score, change) for region, score in t_scores.items())
    made = exam(day.isoformat(), *measurements, patient=patient)
    if random.random() < 0.05:
        made = replace(made, scanner=ROOM_2)
    if random.random() < 0.05:
        made = replace(made, software="17.0")
    if random.random() < 0.6:
        made = replace(
            made, weight_kg=Decimal(weight + random.randrange(-3, 4)), height_cm=Decimal(random.randrange(160, 163))
        )
    return replace(made, scanner=ROOM_1) if day == date(2025, 3, 1) else made


def _measurement(random: Random, region: str, score: Decimal, change: Decimal) -> Measurement:
    mean, sd = next(tuple(map(Decimal, pair)) for part, pair in YOUNG.items() if region.startswith(part))
    bmd = round((mean + score * sd) * (1 + change + Decimal(random.gauss(0, 0.01))), 3)
    t_score = round((bmd - mean) / sd, 1)
    return Measurement(
        region=parse_region(region),
        bmd=bmd,
        area=Decimal("48.10") + Decimal(random.randrange(-60, 60)) / 100,
        t_score=t_score,
        z_score=t_score + Decimal("1.1"),
    )


def _contexts(random: Random, days: list[date]) -> list[ClinicalContext]:
    if random.random() < 0.5:
        return []
    therapy = random.choice((Therapy.NONE, Therapy.ANTIRESORPTIVE))
    return [
        ClinicalContext(
            recorded_on=days[-1],
            source="questionnaire",
            menopause=Menopause.AFTER,
            therapy=therapy,
            therapy_since=None if therapy is Therapy.NONE else days[0] + timedelta(days=30),
            fragility_fracture=random.random() < 0.2,
            glucocorticoid_mg=Decimal(random.choice((0, 0, 0, 5))),
            glucocorticoid_months=Decimal(6),
            hyperparathyroidism=False,
        )
    ]
