"""Serial numbers of scanners that are none: what stands in a field that nobody has filled (R2.1).

Two scanners that share such a text are not one scanner, so it identifies neither.
"""

import re

from pipeline.sr.dicom.content_item import folded

_PLACEHOLDER = re.compile(
    r"[0 ]*|n ?a|nil|null|none|empty|default|undefined|unknown|unkn?|unbekannt|inconnu|desconocido|sconosciuto|"
    r"onbekend|missing|tbd|test|demo|dummy|not? (?:set|known|stated|available|applicable|given|assigned)|"
    r"(?:no |device |system |scanner )?(?:s ?n|serial(?: ?(?:number|no|nr|num))?)"
)
"""Words for a missing number, or the name of the field; punctuation is read as a space."""

_WORD = re.compile(r"[^\W_]+")

_FEWEST_ALIKE = 4
"""The fewest repetitions of one letter or digit that make a placeholder; of x and zero any number does."""

_FEWEST_COUNTED = 5
"""The fewest digits that count up, as 12345."""

_FEWEST_DIGITS = 4
"""A station name with so many digits may be a serial number; one with fewer is the name of a place or computer."""

_COUNTING_UP, _COUNTING_DOWN = "01234567890", "9876543210"


def is_no_serial_number(text: str, *, station_name: str = "") -> bool:
    """Return whether a text stands for a missing serial number; an empty one does."""
    plain = folded(text)
    words = " ".join(_WORD.findall(plain))
    letters = words.replace(" ", "")
    if _PLACEHOLDER.fullmatch(words) or set(letters) == {"x"}:
        return True
    if len(letters) >= _FEWEST_ALIKE and len(set(letters)) == 1:
        return True
    if len(letters) >= _FEWEST_COUNTED and (letters in _COUNTING_UP or letters in _COUNTING_DOWN):
        return True
    repeats_station = bool(station_name) and plain == folded(station_name)
    return repeats_station and sum(letter.isdecimal() for letter in letters) < _FEWEST_DIGITS
