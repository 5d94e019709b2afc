"""Check that birth date and sex in the content are those of the header's patient (R2.19)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pipeline.clinical.model import Patient, Sex
from pipeline.sr.dialects.model import Dialect, Fact
from pipeline.sr.dicom.content_item import folded
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.ambiguous_dates import possible_days
from pipeline.sr.extract.observation_context import ObservationContext
from pipeline.sr.extract.remarks import Remarks


def same_patient(patient: Patient, context: ObservationContext, dialect: Dialect, remarks: Remarks) -> Patient:
    """Return the header's patient, completed by the birth date and sex of the content (R2.19).

    A printed date that can be read in two orders agrees with the header if either reading does. Ids are not compared,
    as consoles print them in forms of their own.

    Raises:
        UnreadableReportError: the content has another birth date or sex, or two of them.
    """
    days = set(_birth_dates(context, dialect, remarks))
    if patient.birth_date is not None:
        days.add(frozenset({patient.birth_date}))
    sexes = set(_sexes(context))
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
"""Words for a sex in the content; any other word contradicts nothing."""


def _birth_dates(context: ObservationContext, dialect: Dialect, remarks: Remarks) -> Iterator[frozenset[date]]:
    """Yield the days that each birth date in the content can mean."""
    for text in frozenset[str]().union(*context.every(Fact.BIRTH_DATE)):
        if days := possible_days(text, dialect.date_order):
            yield frozenset(days)
        else:
            remarks.add("a birth date in the content cannot be read; the header's counts")


def _sexes(context: ObservationContext) -> Iterator[Sex]:
    texts = frozenset[str]().union(*context.every(Fact.SEX))
    return (_SEXES[text] for text in map(folded, texts) if text in _SEXES)
