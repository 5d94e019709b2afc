"""How old was the patient on that day?"""

from decimal import Decimal

from pipeline.clinical.compare import months_between
from pipeline.clinical.model import Exam


def age_on(exam: Exam) -> Decimal | None:
    """The patient's age in years: whole ones from the birth date, else as the scanner stated it."""
    birth_date = exam.patient.birth_date
    if birth_date is None or birth_date > exam.performed_on:
        return exam.age
    return Decimal(months_between(birth_date, exam.performed_on) // 12)
