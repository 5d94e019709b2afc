"""Decide text by text what stays of a report, and by which stand-in the rest is replaced."""

import re
from datetime import date

from pipeline.sr.anonymise.aliases import Aliases
from pipeline.sr.anonymise.leaks import Identity, has_any
from pipeline.sr.anonymise.printed_dates import PrintedDates
from pipeline.sr.anonymise.vocabulary import STANDARD_SCHEMES, Vocabulary, is_standard_meaning
from pipeline.sr.dialects.model import DeviceItems, Fact
from pipeline.sr.dicom.content_item import Code
from pipeline.sr.dicom.header import dicom_date
from pipeline.sr.extract.device_identity import split_model
from pipeline.sr.extract.serial_numbers import is_no_serial_number


class Texts:
    """What becomes of each text of one report; ``removed`` are those that must not be in the result."""

    def __init__(
        self, aliases: Aliases, vocabulary: Vocabulary, dates: PrintedDates, identity: Identity, *, station: str
    ) -> None:
        self.vocabulary = vocabulary
        self.removed: set[str] = set()
        self._aliases = aliases
        self._dates = dates
        self._identity = identity
        self._identifying = identity.names(vocabulary) | identity.own_ids(vocabulary)
        self._station = station

    def of_concept(self, concept: Code | None, text: str) -> str:
        """Return what stays of a TEXT item with this concept name."""
        for device in self.vocabulary.devices:
            if (kept := self._of_device(device, concept, text)) is not None:
                return kept
        if self._identity.is_id(text) and not self.vocabulary.measures(concept):
            return self.placeholder(text)
        match self.vocabulary.fact(concept):
            case Fact.TECHNOLOGIST:
                return self.identity("name", text, "Person ")
            case Fact.SCAN_ID:
                return self._scan_id(text)
            case Fact.SOFTWARE:
                return self.device(text)
            case Fact.SCAN_MODE | Fact.ANALYSIS_PROTOCOL | Fact.REFERENCE_POPULATION | Fact.ETHNIC_GROUP:
                return self.worded(text)
            case _:
                return self.worded(text) if self.vocabulary.decides(concept) else self.general(text)

    def of_name(self, name: str, text: str) -> str:
        """Return what stays of a text under the name that a document beside pixels gives it."""
        return self.model(text) if name == "Model" else self.of_concept(Code("", "", name), text)

    def general(self, text: str) -> str:
        """Return a text with its dates moved if all else in it may stay; otherwise a placeholder."""
        parts = list(self._dates.parts(text))
        if all(is_date or self.vocabulary.knows(part) for part, is_date in parts):
            return "".join(part for part, _ in parts)
        return self.placeholder(text)

    def worded(self, text: str) -> str:
        """Return a text with its dates moved and each word replaced that may not stay."""
        parts = self._dates.parts(text)
        return "".join(part if is_date else self.vocabulary.without_other_words(part) for part, is_date in parts)

    def placeholder(self, text: str) -> str:
        """Return what stands for a text that may not stay; an empty one stays empty."""
        return self.identity("text", text, "X-")

    def identity(self, kind: str, text: str, prefix: str) -> str:
        """Return the stand-in for a text that identifies somebody or something."""
        self.removed.add(text.strip())
        return self._aliases.of(kind, text, prefix=prefix)

    def names(self, text: str) -> str:
        """Return the stand-ins for the names of persons, one for each."""
        self.removed.update(name.strip() for name in text.split("\\"))
        return "\\".join(self._aliases.of("name", name, prefix="Person^") for name in text.split("\\"))

    def device(self, text: str) -> str:
        """Return a manufacturer, model or version of software, which are of many scanners; without identity in it."""
        is_of_many = _OF_MANY.fullmatch(text) and not has_any(text, self._identifying)
        return text if is_of_many else self.worded(text)

    def model(self, text: str) -> str:
        """Return a model, with a stand-in for the serial number that some scanners append to it."""
        model, serial = split_model(text)
        return f"{self.device(model)} (S/N {self.serial_number(serial)})" if serial else self.device(text)

    def serial_number(self, text: str) -> str:
        """Return the stand-in for a serial number; one that is none stays none."""
        if is_no_serial_number(text):
            return text
        if is_no_serial_number(text, station_name=self._station):
            return ""
        return self.identity("serial number", text, "SN")

    def moved(self, day: date) -> str:
        """Return the day to which a date moves, as DICOM writes it."""
        return dicom_date(self._aliases.day(day))

    def day(self, day: date) -> date:
        """Return the day to which a date moves."""
        return self._aliases.day(day)

    def uid(self, uid: str) -> str:
        """Return the stand-in for a UID."""
        return self._aliases.uid(uid)

    def code(self, code: Code) -> Code:
        """Return a code as it may stay: of the standard, of a dialect, or in words that may stay."""
        meaning = code.meaning if is_standard_meaning(code) else self.general(code.meaning)
        if self.vocabulary.knows_code(code):
            return code._replace(meaning=meaning)
        is_standard = code.scheme in STANDARD_SCHEMES
        known = is_standard or code.scheme in _VENDOR_SCHEMES
        scheme = code.scheme if known else self.identity("coding scheme", code.scheme, "99X")
        stays = (known and _CODE_VALUE.fullmatch(code.value)) or self.vocabulary.knows(code.value)
        return Code(code.value if stays else self.identity("code", code.value, "C"), scheme, meaning)

    def _of_device(self, device: DeviceItems, concept: Code | None, text: str) -> str | None:
        if device.serial_number and device.serial_number.matches(concept):
            return self.serial_number(text)
        if device.model and device.model.matches(concept):
            return self.model(text)
        if device.manufacturer and device.manufacturer.matches(concept):
            return self.device(text)
        return None

    def _scan_id(self, text: str) -> str:
        """Return the stand-in for the scanner's own id of a scan; of ``March 01, 2024 - A0301240C`` the date moves."""
        before, dash, scan = text.partition(" - ")
        if dash:
            return f"{self.general(before)}{dash}{self._scan_id(scan)}"
        has_date = any(is_date for _, is_date in self._dates.parts(text))
        return self.general(text) if has_date else self.identity("scan id", text, "SCAN-")


_VENDOR_SCHEMES = frozenset({"99GEMS", "GEMS", "GEIIS", "99LUNAR", "99HOLOGIC", "HOLOGIC"})

_CODE_VALUE = re.compile(r"(?=.*[0-9])[A-Z0-9][A-Z0-9.\-]{0,15}")

_OF_MANY = re.compile(r"(?!.*[0-9]{6})[\w .,()\[\]/+:;&\\-]{0,256}")
"""Letters, and no number so long that it might be one scanner's."""
