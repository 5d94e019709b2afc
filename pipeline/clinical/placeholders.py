"""Placeholders in patient id, name and birth date: values that identify nobody, as ``UNKNOWN`` or ``0000`` (R2.19)."""

import re
import unicodedata

from pipeline.clinical.model import Patient
from pipeline.clinical.rules import Rules

_BETWEEN_WORDS = re.compile("[ ^=]+")
_BETWEEN_PARTS = re.compile(r"[\s^=_.,;/-]+")

FEWEST_ALIKE = 4
"""The fewest repetitions of one character that make an id a placeholder; zeros in any number do."""


def placeholder(patient: Patient, rules: Rules) -> str:
    """Return the DICOM field of a patient that holds a placeholder; empty if none does."""
    if is_placeholder(patient.patient_id, rules):
        return "PatientID (0010,0020)"
    if patient.birth_date in rules.placeholder_birth_dates:
        return "PatientBirthDate (0010,0030)"
    return ""


def known_name(name: str, rules: Rules) -> str:
    """Return a normalised name, or an empty text where every word of it is a placeholder."""
    words = _BETWEEN_WORDS.split(name)
    return "" if all(is_placeholder(word, rules) for word in words) else name


def is_placeholder(text: str, rules: Rules) -> bool:
    """Whether a text is on the department's list, is one character repeated, or has listed words only.

    Only letters and digits count; ``UNKNOWN^TEST`` has listed words only.
    """
    plain = plain_text(text)
    if not plain:
        return True
    if len(set(plain)) == 1 and (plain[0] == "0" or len(plain) >= FEWEST_ALIKE):
        return True
    listed = set(map(plain_text, rules.placeholder_ids))
    return plain in listed or all(plain_text(word) in listed | {""} for word in _BETWEEN_PARTS.split(text))


def plain_text(text: str) -> str:
    """Return the letters and digits of a text, NFKC-normalised and case-folded."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
