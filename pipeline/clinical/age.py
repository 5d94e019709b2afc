"""Age of the patient on the day of an exam, in years."""

from decimal import Decimal

from pipeline.clinical.compare import months_between
from pipeline.clinical.model import Exam


def age_on(exam: Exam) -> Decimal | None:
    """Return the age in years: whole years from the birth date, else as the scanner stated it; ``None`` if unknown."""
    birth_date = exam.patient.birth_date
    if birth_date is None or birth_date > exam.performed_on:
        return exam.age
    return Decimal(months_between(birth_date, exam.performed_on) // 12)
