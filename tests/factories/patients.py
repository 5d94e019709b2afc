"""Random patients: any regions, scanners, dates and untidy headers, from a given source of randomness.

``hypothesis`` gives one that it can shrink, ``random.Random(n)`` one that gives the same patient again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from pipeline.clinical.clinical_context import ClinicalContext, Menopause, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import (
    Epoch,
    Exam,
    Interpretation,
    LeastSignificantChange,
    Measurement,
    Patient,
    Scanner,
    Sex,
)
from pipeline.clinical.regions import SITE_OF_PART, SPINE, Region, Side, Site, parse_region
from pipeline.sr.dicom.header import dicom_date

SCANNERS = (
    Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475"),
    Scanner("GE Healthcare", "Lunar Prodigy", "DF+500476"),
    Scanner("GE Healthcare", "Lunar iDXA", ""),
    Scanner("Hologic", "Horizon A", "200123M"),
    Scanner("HOLOGIC ", "Discovery  SL", "70001"),
)
SETS_OF_VERTEBRAE = ("L1-L4", "L2-L4", "L1-L3", "L1,L3-L4", "L1-L2,L4", "L3-L4", "L1", "L2", "L3", "L4", "T12-L5")
NAMES = {
    "Latin": "Müller^Jürgen",
    "Cyrillic": "Люксембург^Анна",
    "Greek": "Διονυσίου^Ελένη",
    "Arabic": "قباني^لنزار",
    "Chinese": "Wang^XiaoDong=王^小东",
    "Japanese": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Korean": "Hong^Gildong=洪^吉洞=홍^길동",
}
SOFTWARE = ("16.20.059", "16.00.158", "18.0", "")
FORGOTTEN = ("PatientName", "PatientBirthDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
"""What scanners leave out now and then."""


@dataclass(frozen=True, slots=True)
class AddendumCase:
    """One exam with all that an addendum to it needs."""

    interpretation: Interpretation
    history: tuple[Exam, ...]
    sources: tuple[Dataset, ...]
    priors: tuple[Dataset, ...]


def case(random: Random) -> AddendumCase:
    """The latest exam of a patient, interpreted with up to five earlier ones."""
    patient = _patient(random)
    name = random.choice([*NAMES.values(), "Doe^Jane", "Doe"])
    regions = _regions(random)
    first = date(2010, 1, 1) + timedelta(days=random.randrange(3000))
    days = sorted({first + timedelta(days=random.randrange(4000)) for _ in range(random.randint(1, 6))})
    usual, software = random.choice(SCANNERS), random.choice(SOFTWARE)
    exams = [
        Exam(
            study_instance_uid=f"1.2.826.0.1.3680043.10.2.{number}.{day:%Y%m%d}",
            patient=patient,
            scanner=usual if random.random() < 0.8 else random.choice(SCANNERS),
            performed_at=datetime.combine(day, datetime.min.time()) + timedelta(seconds=random.randrange(86_400)),
            measurements=tuple(_measurement(random, region) for region in regions if random.random() < 0.9)
            or (_measurement(random, regions[0]),),
            software=software if random.random() < 0.8 else random.choice(SOFTWARE),
            accession_number=random.choice(["", "A-4711"]),
            age=_maybe(random, 30, 95),
            weight_kg=_maybe(random, 38, 130),
            height_cm=_maybe(random, 140, 195),
            menopause_age=_maybe(random, 40, 58),
        )
        for number, day in enumerate(days, 1)
    ]
    history, exam = exams[:-1], exams[-1]
    interpretation = interpret(
        exam,
        history,
        ClinicalReference(lscs=_precision(random, usual, regions), epochs=_epochs(random, usual)),
        contexts=_contexts(random, exam),
    )
    rested_upon = {prior.study_instance_uid for prior in interpretation.priors}
    return AddendumCase(
        interpretation=interpretation,
        history=tuple(history),
        sources=tuple(_report(random, exam, name, number) for number in range(1, random.randint(2, 4))),
        priors=tuple(_report(random, prior, name, 1) for prior in history if prior.study_instance_uid in rested_upon),
    )


def _patient(random: Random) -> Patient:
    return Patient(
        patient_id=random.choice(["DXA-1", "0000123", "123 456 789", "Ä-17"]),
        issuer=random.choice(["", "", "Hospital"]),
        birth_date=random.choice([None, date(1948, 2, 29), date(1990, 12, 31)]),
        sex=random.choice(list(Sex)),
    )


def _regions(random: Random) -> list[Region]:
    everywhere = [
        Region(part=part, side=side)
        for part, site in SITE_OF_PART.items()
        for side in ((None,) if site is Site.TOTAL_BODY else (None, *Side))
        if part != SPINE
    ]
    likely = [parse_region(key) for key in ("L1-L4", "total hip left", "femoral neck left", "total hip mean")]
    drawn = [parse_region(key) for key in SETS_OF_VERTEBRAE if random.random() < 0.25]
    drawn += random.sample(everywhere, random.randint(0, 4))
    drawn += [region for region in likely if random.random() < 0.7]
    return list(dict.fromkeys(drawn)) or likely[:1]


def _measurement(random: Random, region: Region) -> Measurement:
    bmd = _decimal(random, "0.700", "1.150", 3)
    area = _decimal(random, "4.50", "62.00", 2) if random.random() < 0.7 else None
    return Measurement(
        region=region,
        bmd=bmd,
        area=area,
        bmc=round(area * bmd, 2) if area else None,
        t_score=_decimal(random, "-4.5", "3.0", 1) if random.random() < 0.9 else None,
        z_score=_decimal(random, "-3.0", "3.0", 1) if random.random() < 0.8 else None,
        percent_young_adult=_decimal(random, "50", "120", 0) if random.random() < 0.5 else None,
        percent_age_matched=_decimal(random, "50", "140", 0) if random.random() < 0.5 else None,
        scan_mode=random.choice(["", "", "array", "fast array"]),
    )


def _decimal(random: Random, low: str, high: str, places: int) -> Decimal:
    scale = 10**places
    number = random.randint(int(Decimal(low) * scale), int(Decimal(high) * scale))
    return Decimal(number).scaleb(-places)


def _maybe(random: Random, low: int, high: int) -> Decimal | None:
    return Decimal(random.randint(low, high)) if random.random() < 0.4 else None


def _precision(random: Random, scanner: Scanner, regions: Sequence[Region]) -> tuple[LeastSignificantChange, ...]:
    return tuple(
        LeastSignificantChange(
            scanner=scanner,
            region=region,
            lsc=_decimal(random, "0.010", "0.060", 3),
            valid_from=date(2000, 1, 1),
            valid_until=random.choice([date(2014, 1, 1), date(2040, 1, 1)]),
            source=random.choice(
                ["in vivo study, January 2019", "Präzisionsstudie", "", "  \t", "30 Patienten\\2 Scans"]
            ),
            patients=random.choice([None, 30]),
            repeats=random.choice([None, 2]),
        )
        for region in regions
        if random.random() < 0.8
    )


def _epochs(random: Random, scanner: Scanner) -> tuple[Epoch, ...]:
    if random.random() < 0.8:
        return ()
    begins = date(2012, 1, 1) + timedelta(days=random.randrange(3000))
    return (Epoch(scanner=scanner, begins=begins, reason="Röhre ersetzt", cross_calibrated=random.random() < 0.5),)


def _contexts(random: Random, exam: Exam) -> list[ClinicalContext]:
    if random.random() < 0.5:
        return []
    values: dict[str, Any] = {
        "menopause": random.choice([None, *Menopause]),
        "therapy": random.choice([None, *Therapy]),
        "glucocorticoid_mg": random.choice([None, Decimal(0), Decimal("7.5")]),
        "glucocorticoid_months": random.choice([None, Decimal(6)]),
        "fragility_fracture": random.choice([None, True, False]),
    }
    return [ClinicalContext(recorded_on=exam.performed_on, **values)]


def _report(random: Random, exam: Exam, name: str, number: int) -> Dataset:
    """The header of one of an exam's reports; each header lacks something else."""
    patient, day = exam.patient, dicom_date(exam.performed_on)
    values = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": random.choice([BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage]),
        "SOPInstanceUID": f"{exam.study_instance_uid}.1.{number}",
        "StudyDate": day,
        "ContentDate": random.choice([day, ""]),
        "StudyTime": f"{exam.performed_at:%H%M%S}",
        "ContentTime": f"{exam.performed_at:%H%M%S}.25",
        "AccessionNumber": exam.accession_number,
        "ReferringPhysicianName": "Doctor^Dora",
        "StudyDescription": random.choice(["DXA spine and hip", ""]),
        "PatientName": name,
        "PatientID": patient.patient_id,
        "IssuerOfPatientID": patient.issuer,
        "PatientBirthDate": dicom_date(patient.birth_date) if patient.birth_date else "",
        "PatientSex": patient.sex.value,
        "StudyInstanceUID": exam.study_instance_uid,
        "SeriesInstanceUID": f"{exam.study_instance_uid}.1",
        "StudyID": random.choice(["42", "NONE"]),
    }
    forgotten = {keyword for keyword in FORGOTTEN if random.random() < 0.1}
    made = Dataset()
    for keyword, value in values.items():
        if keyword not in forgotten:
            setattr(made, keyword, value)
    return made
