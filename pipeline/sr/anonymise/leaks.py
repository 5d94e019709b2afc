"""Search bytes for what identifies somebody in a report: names, ids, UIDs and days, in every notation and encoding.

What is searched for is collected from the original alone, by value representation and keyword, so that a mistake in
what builds the anonymous report cannot hide itself here.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from html import unescape

from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag

from pipeline.sr.anonymise.aliases import NAMES
from pipeline.sr.anonymise.printed_dates import notations
from pipeline.sr.anonymise.vocabulary import Vocabulary
from pipeline.sr.dicom.character_sets import declared, decoded
from pipeline.sr.dicom.reader import Elements, read_elements, split_file
from pipeline.sr.dicom.tags import SPECIFIC_CHARACTER_SET
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.dicom.values import read_date

_WHOLE_VALUES = """
    AETitle AccessionNumber AdmissionID CassetteID CountryOfResidence CurrentPatientLocation DetectorID DeviceID
    DeviceSerialNumber FillerOrderNumberImagingServiceRequest GantryID InstitutionAddress InstitutionName
    InstitutionalDepartmentName InsurancePlanIdentification IssuerOfPatientID MedicalRecordLocator MilitaryRank
    Occupation OtherPatientIDs PatientAddress PatientBirthName PatientID PatientInstitutionResidence
    PatientMotherBirthName PatientReligiousPreference PatientTelephoneNumbers PerformedLocation
    PerformedProcedureStepID PerformedStationAETitle PerformedStationName PersonAddress PersonTelephoneNumbers
    PlacerOrderNumberImagingServiceRequest PlateID RegionOfResidence RequestedProcedureID RequestingService
    ResponsibleOrganization RetrieveAETitle ScheduledProcedureStepID ScheduledStationAETitle
    ScheduledStationName SourceApplicationEntityTitle StationAETitle StationName StudyID VerifyingOrganization
"""

IDENTIFYING = frozenset(_WHOLE_VALUES.split())
"""Elements whose whole value is searched for; names, UIDs and dates are by their value representation."""

FEWEST_LETTERS = 3
"""A shorter part of a name is in too many words to be searched for; its whole name is replaced all the same."""

_FEWEST_IN_AN_ID = 4
_FEWEST_IN_A_TEXT = 6
_LONG = 8


def leak(content: bytes, identity: "Identity", *, removed: Iterable[str], vocabulary: Vocabulary) -> str:
    """Return what kind of identity of the original the bytes have in them; empty for none."""
    eight, sixteen = _readings(content)
    names = identity.names(vocabulary)
    short = {name for name in names if len(name) < FEWEST_LETTERS}  # in 16 bits any two bytes make such a letter
    if _is_in(eight, short):
        return "a part of a person's name"
    readings = (*eight, *sixteen)
    long_removed = {text for text in removed if len(text) >= _FEWEST_IN_A_TEXT and not vocabulary.knows(text)}
    for kind, texts in (
        ("a part of a person's name", names - short),
        ("an id, or the name of a place or device", identity.own_ids(vocabulary)),
        ("a text that was to be replaced", long_removed),
        ("a UID", identity.uids),
    ):
        if _is_in(readings, texts):
            return kind
    return ""


def day_leaks(content: bytes, days: Collection[date], moved: Collection[date]) -> bool:
    """Whether bytes have one of these days in any notation, other than as a day to which another one was moved."""
    allowed = {text for day in moved for text in notations(day)}
    texts = {text for day in days for text in notations(day)} - allowed
    before_a_time = [f"{day:%Y%m%d}" for day in days if day not in moved]
    eight, sixteen = _readings(content)
    return _is_in((*eight, *sixteen), texts, anywhere=before_a_time)


def has_any(text: str, wanted: Collection[str]) -> bool:
    """Whether one of some texts is in another, as whole words."""
    return _is_in((text,), wanted)


class Identity:
    """What identifies somebody in a report, at any depth of it."""

    def __init__(self, original: Elements, encodings: Sequence[str]) -> None:
        self._persons: set[str] = set()
        self._ids: set[str] = set()
        self.uids: set[str] = set()
        self.days: set[date] = set()
        self._collect(original, encodings)

    def names(self, vocabulary: Vocabulary) -> set[str]:
        """Return the components of all names, and the words of each that are not usual words of reports."""
        components = {part.strip() for name in self._persons for part in _BETWEEN_COMPONENTS.split(name)}
        words = {word for part in components for word in _BETWEEN_WORDS.split(part) if not vocabulary.knows(word)}
        wanted = {text for text in components | words if len(text) >= FEWEST_LETTERS or not text.isascii()}
        return wanted - {"", *NAMES}

    def is_id(self, text: str) -> bool:
        """Whether a whole text is one of the ids or names of places and devices, however short."""
        return text.strip() in self._ids

    def own_ids(self, vocabulary: Vocabulary) -> set[str]:
        """Return ids and names of places and devices, without those in words that any report has."""
        return {text for text in self._ids if len(text) >= _FEWEST_IN_AN_ID and not vocabulary.knows(text)}

    def _collect(self, original: Elements, inherited: Sequence[str]) -> None:
        """Add what an item has, with everything below it."""
        names = original.get(SPECIFIC_CHARACTER_SET)
        encodings = declared(decoded(names, ("ascii",)), inherited) if isinstance(names, bytes) else inherited
        for tag, value in original.items():
            if isinstance(value, list):
                for item in value:
                    self._collect(item, encodings)
            elif vr := _searched(tag):
                text = value if isinstance(value, str) else decoded(value, encodings)
                self._add(tag, vr, text.strip(" \0"))

    def _add(self, tag: int, vr: str, text: str) -> None:
        if vr == "PN":
            self._persons.add(text)
        elif vr == "UI":
            self.uids.update(uid for uid in text.split("\\") if uid and uid not in UID_dictionary)
        elif vr in ("DA", "DT"):
            if (day := read_date(text[:8])) is not None:
                self.days.add(day)
        elif text:
            self._ids.add(text)


@lru_cache(maxsize=4096)
def _searched(tag: int) -> str:
    """Return the value representation of an element that may identify somebody; empty for any other."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return ""
    return vr if vr in ("PN", "UI", "DA", "DT") or keyword_for_tag(tag) in IDENTIFYING else ""


def _readings(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return bytes as texts of 8 and of 16 bits, with XML's references as they are and resolved."""
    eight = (content.decode("utf-8", "replace"), content.decode("latin-1"), _values_of(content))
    sixteen = tuple(
        content[shift:].decode(encoding, "replace") for shift in (0, 1) for encoding in ("utf-16-le", "utf-16-be")
    )
    return (*eight, *map(unescape, eight)), (*sixteen, *map(unescape, sixteen))


def _values_of(content: bytes) -> str:
    """Return the values of a DICOM file line by line: in its bytes a value may run into the next element's tag."""
    try:
        elements = read_elements(*split_file(content))
    except UnreadableReportError:
        return ""
    return "\n".join(_values(elements))


def _values(elements: Elements) -> Iterator[str]:
    for value in elements.values():
        if isinstance(value, list):
            for item in value:
                yield from _values(item)
        else:
            yield value if isinstance(value, str) else value.decode("utf-8", "replace")


def _is_in(readings: Iterable[str], texts: Collection[str], *, anywhere: Iterable[str] = ()) -> bool:
    patterns = [*_patterns(texts), *map(re.escape, anywhere)]
    if not patterns:
        return False
    search = re.compile("|".join(patterns), re.IGNORECASE)
    return any(search.search(reading) for reading in readings)


def _patterns(texts: Collection[str]) -> Iterator[str]:
    """Yield patterns of whole words and numbers: ``Ann`` is not in ``scanned``, nor 500475 in 0.5004751.

    A long text with a letter in it is found anywhere: it is in no other word by chance.
    """
    for text in texts:
        words = r"[\s^=_,.\-]+".join(map(re.escape, text.split()))
        if len(text) >= _LONG and any(map(str.isalpha, text)):
            yield words
        elif words:
            before = r"(?<![0-9.])" if text[0].isdigit() else "(?<![A-Za-z])" if text[0].isalpha() else ""
            after = r"(?![0-9])" if text[-1].isdigit() else "(?![A-Za-z])" if text[-1].isalpha() else ""
            yield f"{before}{words}{after}"


_BETWEEN_COMPONENTS = re.compile(r"[\^=\\,]")
_BETWEEN_WORDS = re.compile(r"[\s\-]+")
