"""Exams, measurements and records with plain defaults, so that a test gives only what it is about."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.model import (
    Epoch,
    Exam,
    LeastSignificantChange,
    Measurement,
    Patient,
    Scanner,
    Sex,
)
from pipeline.clinical.regions import parse_region

ROOM_1 = Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475")
ROOM_2 = Scanner("GE Healthcare", "Lunar Prodigy", "DF+500476")
HOLOGIC = Scanner("Hologic", "Horizon A", "302081M")
NAMELESS = Scanner("GE Healthcare", "Lunar Prodigy", "")

PATIENT = Patient(patient_id="P1", issuer="HOSPITAL", birth_date=date(1950, 5, 5), sex=Sex.FEMALE)


def day(text: str) -> date:
    """``2020-01-31`` as a date."""
    return date.fromisoformat(text)


def measurement(region: str, bmd: str, **more: Any) -> Measurement:
    """One region; numbers may be written as text."""
    given: dict[str, Any] = {key: value if key in TEXTS else Decimal(value) for key, value in more.items()}
    return Measurement(region=parse_region(region), bmd=Decimal(bmd), **given)


def exam(on: str, *measurements: Measurement, uid: str = "", **more: Any) -> Exam:
    """One visit at noon; ``regions`` are written as ``{"L1-L4": "0.900"}``."""
    regions = more.pop("regions", {})
    given: dict[str, Any] = {"patient": PATIENT, "scanner": ROOM_1, "software": "16.0"} | more
    return Exam(
        study_instance_uid=uid or f"1.2.{on.replace('-', '.')}",
        performed_at=datetime.combine(day(on), time(12)),
        measurements=(*measurements, *(measurement(region, bmd) for region, bmd in regions.items())),
        **given,
    )


def lsc(region: str, value: str, **more: Any) -> LeastSignificantChange:
    """A facility LSC that has always held and will hold."""
    given: dict[str, Any] = {
        "scanner": ROOM_1,
        "valid_from": date(1990, 1, 1),
        "valid_until": date(2090, 1, 1),
        "source": "in vivo study",
        "patients": 30,
        "repeats": 2,
    }
    return LeastSignificantChange(region=parse_region(region), lsc=Decimal(value), **(given | more))


def epoch(begins: str, *, scanner: Scanner = ROOM_1, cross_calibrated: bool = False) -> Epoch:
    """A new calibration epoch."""
    return Epoch(scanner=scanner, begins=day(begins), reason="tube replaced", cross_calibrated=cross_calibrated)


LSCS = (lsc("L1-L4", "0.0223"), lsc("total hip", "0.0267"), lsc("femoral neck", "0.0288"))
"""The LSCs of the commercial sample report (S54)."""

REFERENCE = ClinicalReference(lscs=LSCS)
"""A department that has supplied its LSCs and nothing else."""

TEXTS = frozenset({"scan_mode", "analysis_protocol", "reference_population", "technologist"})
