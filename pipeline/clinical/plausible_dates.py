"""Plausibility of exam dates: not before birth, not in the future, not before DXA, in line with the stated age.

A scanner whose clock battery has died dates an exam to the first day of its clock; a date can also be mistyped.
"""

from datetime import date, timedelta

from pipeline.clinical.compare import months_between
from pipeline.clinical.model import Exam

GRACE = timedelta(days=1)
"""The most by which two time zones differ."""

FIRST_DXA_YEAR = 1987
"""The first DXA scanners were sold in this year."""

OLDEST_AGE = 130
"""In years; no patient is older."""

MOST_YEARS_APART = 1
"""By how many whole years a stated age may differ from the age by the dates: scanners round."""


def implausible_date(exam: Exam, *, received_on: date) -> str:
    """Return why the dates of an exam cannot all be true, naming fields, never values; empty if they can."""
    born, performed = exam.patient.birth_date, exam.performed_on
    if performed > received_on + (GRACE if received_on < date.max else timedelta()):
        return "the exam is dated after it was received"
    if performed.year < FIRST_DXA_YEAR:
        return f"the exam is dated before {FIRST_DXA_YEAR}, when there was no DXA"
    if born is None:
        return ""
    if performed < born:
        return "the exam is dated before PatientBirthDate (0010,0030)"
    age = months_between(born, performed) // 12
    if age > OLDEST_AGE:
        return f"by PatientBirthDate (0010,0030) the patient was older than {OLDEST_AGE} years"
    if exam.age is not None and abs(int(exam.age) - age) > MOST_YEARS_APART:
        return "Patient's Age (0010,1010) contradicts the dates of birth and exam by more than a year"
    return ""
