"""Tell patient ids, names and birth dates that stand for nobody: two reports that share one are not one person's."""

import re
import unicodedata

from pipeline.clinical.model import Patient
from pipeline.clinical.rules import Rules

_BETWEEN_WORDS = re.compile("[ ^=]+")
_BETWEEN_PARTS = re.compile(r"[\s^=_.,;/-]+")

FEWEST_ALIKE = 4
"""From so many characters on an id of one character repeated is none; of zeros any number is."""


def placeholder(patient: Patient, rules: Rules) -> str:
    """Which DICOM field of a patient stands for nobody; empty where none does."""
    if is_placeholder(patient.patient_id, rules):
        return "PatientID (0010,0020)"
    if patient.birth_date in rules.placeholder_birth_dates:
        return "PatientBirthDate (0010,0030)"
    return ""


def known_name(name: str, rules: Rules) -> str:
    """A normal name as far as it is one: empty where every word of it stands for nobody."""
    words = _BETWEEN_WORDS.split(name)
    return "" if all(is_placeholder(word, rules) for word in words) else name


def is_placeholder(text: str, rules: Rules) -> bool:
    """Whether a text is one of the department's list, or one character repeated; only letters and digits count.

    So is one of which every word is on the list, as ``UNKNOWN^TEST``.
    """
    plain = plain_text(text)
    if not plain:
        return True
    if len(set(plain)) == 1 and (plain[0] == "0" or len(plain) >= FEWEST_ALIKE):
        return True
    listed = set(map(plain_text, rules.placeholder_ids))
    return plain in listed or all(plain_text(word) in listed | {""} for word in _BETWEEN_PARTS.split(text))


def plain_text(text: str) -> str:
    """The letters and digits of a text, in one width and case."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())
