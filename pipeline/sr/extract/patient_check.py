"""Is the patient whom the results are of the one whom the header names?"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pipeline.clinical.model import Patient, Sex
from pipeline.sr.dialects.model import Dialect, Fact
from pipeline.sr.dicom.content_item import folded
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.ambiguous_dates import possible_days
from pipeline.sr.extract.observation_context import Facts
from pipeline.sr.extract.remarks import Notes


def same_patient(patient: Patient, facts: Facts, dialect: Dialect, notes: Notes) -> Patient:
    """The patient of the header, with the birth date and sex that only the content tells (R2.19).

    A printed date that can be read in two orders is the header's if either reading is. Ids are not compared, as
    consoles print them in forms of their own.

    Raises:
        UnreadableReportError: the content tells another birth date or sex, or two of them.
    """
    days = set(_birth_dates(facts, dialect, notes))
    if patient.birth_date is not None:
        days.add(frozenset({patient.birth_date}))
    sexes = set(_sexes(facts))
    if patient.sex in _SEXES.values():
        sexes.add(patient.sex)
    born = frozenset[date].intersection(*days) if days else frozenset[date]()
    if days and not born:
        raise UnreadableReportError(Reason.OTHER_PATIENT, "the birth date is another than PatientBirthDate (0010,0030)")
    if len(sexes) > 1:
        raise UnreadableReportError(Reason.OTHER_PATIENT, "the sex is another than PatientSex (0010,0040)")
    only_day = next(iter(born)) if len(born) == 1 else None
    return replace(patient, birth_date=only_day, sex=patient.sex or next(iter(sexes), Sex.UNKNOWN))


_SEXES = {"f": Sex.FEMALE, "female": Sex.FEMALE, "m": Sex.MALE, "male": Sex.MALE}
"""How the content tells a sex; any other word for it contradicts nothing."""


def _birth_dates(facts: Facts, dialect: Dialect, notes: Notes) -> Iterator[frozenset[date]]:
    """The days that each telling of the birth date can mean."""
    for text in frozenset[str]().union(*facts.every(Fact.BIRTH_DATE)):
        if days := possible_days(text, dialect.date_order):
            yield frozenset(days)
        else:
            notes.remark("a birth date in the content cannot be read; the header's counts")


def _sexes(facts: Facts) -> Iterator[Sex]:
    told = frozenset[str]().union(*facts.every(Fact.SEX))
    return (_SEXES[text] for text in map(folded, told) if text in _SEXES)
