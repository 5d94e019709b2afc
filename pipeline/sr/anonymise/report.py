"""Make one received report anonymous, and refuse where the result would say something else or still name somebody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from pipeline.errors import DxatrendError
from pipeline.sr.anonymise.aliases import Aliases
from pipeline.sr.anonymise.leaks import Identity, day_leaks, leak
from pipeline.sr.anonymise.outcomes import Outcome, difference
from pipeline.sr.anonymise.printed_dates import PrintedDates, printed_dates
from pipeline.sr.anonymise.rebuild import Rebuilder
from pipeline.sr.anonymise.texts import Texts
from pipeline.sr.anonymise.vocabulary import vocabulary_of
from pipeline.sr.dialects.model import Dialect
from pipeline.sr.dicom.character_sets import DEFAULT, declared
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.tags import PIXEL_DATA
from pipeline.sr.dicom.unreadable import UnreadableReportError
from pipeline.sr.dicom.writer import Authored, EncodingError, dicom_file
from pipeline.sr.extract.ambiguous_dates import order_of
from pipeline.sr.extract.known_phantoms import KnownPhantom
from pipeline.sr.extract.phantom import PhantomReportError
from pipeline.sr.extract.report import extract


class NotAnonymousError(DxatrendError):
    """A report that cannot be made anonymous; the text says why, and names nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousReport:
    """A DICOM file without identity; by kind how much was replaced, by element how much was left out."""

    file: bytes
    sop_instance_uid: str
    replaced: Mapping[str, int]
    dropped: Mapping[str, int]
    has_black_pixel: bool


def anonymise(
    data_set: bytes,
    transfer_syntax_uid: str,
    *,
    secret: bytes,
    dialects: Sequence[Dialect],
    phantoms: Sequence[KnownPhantom] = (),
) -> AnonymousReport:
    """Return a report in which identity is replaced consistently and everything else kept, as far as it is read.

    The result is checked: it is read as the original is, and has none of the original's names, ids, UIDs and days.

    Raises:
        NotAnonymousError: it fails one of the checks, or cannot be read or written.
    """
    try:
        original = read_elements(data_set, transfer_syntax_uid)
        return _anonymise(original, secret, dialects, phantoms)
    except UnreadableReportError as problem:
        raise NotAnonymousError(str(problem)) from None
    except EncodingError as problem:
        raise NotAnonymousError(str(problem)) from None
    except OverflowError:
        raise NotAnonymousError("a date in it is too early to be moved") from None


def _anonymise(
    original: Elements, secret: bytes, dialects: Sequence[Dialect], phantoms: Sequence[KnownPhantom]
) -> AnonymousReport:
    encodings = declared(header_text(original, "SpecificCharacterSet"), DEFAULT)
    aliases = Aliases(secret, header_text(original, "PatientID").strip())
    identity = Identity(original, encodings)
    order = order_of(_all_printed_dates(original))
    dates = PrintedDates(aliases.day, identity.days, order)
    vocabulary = vocabulary_of(tuple(dialects))
    texts = Texts(aliases, vocabulary, dates, identity, station=header_text(original, "StationName"))
    outcome = _outcome(original, dialects, phantoms)
    rebuilder = Rebuilder(aliases, texts)
    new = rebuilder.instance(original, encodings, is_phantom=isinstance(outcome, PhantomReportError))
    replaced, removed = dict(aliases.replaced), frozenset(texts.removed)
    elements = read_elements(new, _SYNTAX)
    if differs := difference(outcome, _outcome(elements, dialects, ()), texts):
        raise NotAnonymousError(f"once it is anonymous, {differs} would be read differently")
    instance = Authored(
        sop_class_uid=header_text(elements, "SOPClassUID"),
        sop_instance_uid=header_text(elements, "SOPInstanceUID"),
        data_set=new,
    )
    file = dicom_file(instance)
    if leaked := leak(file, identity, removed=removed, vocabulary=vocabulary):
        raise NotAnonymousError(f"{leaked} is also in what has to stay")
    all_days = identity.days | dates.read
    if day_leaks(file, all_days, [aliases.day(day) for day in all_days]):
        raise NotAnonymousError("a day of the original would still be in it")
    return AnonymousReport(
        file=file,
        sop_instance_uid=instance.sop_instance_uid,
        replaced=replaced,
        dropped=dict(rebuilder.dropped),
        has_black_pixel=PIXEL_DATA in elements,
    )


_SYNTAX = "1.2.840.10008.1.2.1"


def _outcome(elements: Elements, dialects: Sequence[Dialect], phantoms: Sequence[KnownPhantom]) -> Outcome:
    """Return how a report is read, without what only the site knows of its scanners.

    In UTC: a moved day may be in summer where the original is in winter.
    """
    try:
        return extract(elements, dialects, phantoms=phantoms, zone=UTC)
    except UnreadableReportError as problem:
        return problem


def _all_printed_dates(original: Elements) -> list[str]:
    """Return what is printed as a date anywhere in a report, by which the order of day and month is found."""
    found: list[str] = []
    for value in original.values():
        if isinstance(value, list):
            for item in value:
                found += _all_printed_dates(item)
        elif len(value) <= _LONGEST_TEXT:
            text = value if isinstance(value, str) else value.decode("latin-1")
            found += printed_dates(text)
    return found


_LONGEST_TEXT = 2**20
