"""Reports in which the name of a patient stands somewhere, and what makes reports anonymous in tests."""

from collections.abc import Iterator
from copy import deepcopy

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.anonymise.report import AnonymousReport, anonymise
from tests.factories.reports import encode, put

SECRET = b"of the tests, and of nobody else"
MARK = "ZZMARKED"
PATIENT = {"PatientName": f"{MARK}^Anna", "PatientID": "ZZ-4711-A", "PatientBirthDate": "19510702"}

TEXTS = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "AE", "CS", "PN", "DS", "IS", "UR"})


def anonymous(ds: Dataset, *, secret: bytes = SECRET) -> AnonymousReport:
    """Make a data set anonymous, as it would come over DICOM."""
    return anonymous_bytes(encode(ds), secret=secret)


def anonymous_bytes(
    data_set: bytes, transfer_syntax_uid: str = ExplicitVRLittleEndian, *, secret: bytes = SECRET
) -> AnonymousReport:
    """Make an encoded data set anonymous, by the shipped dialects."""
    return anonymise(data_set, transfer_syntax_uid, secret=secret, dialects=shipped_dialects())


def marked_everywhere(ds: Dataset) -> Iterator[tuple[str, Dataset]]:
    """Yield for each text at any depth a copy of the data set in which it is the mark, and the path to it."""
    for path in _paths(ds):
        marked = deepcopy(ds)
        at = marked
        for keyword, number in path[:-1]:
            at = at[keyword].value[number]
        keyword, _ = path[-1]
        put(at, keyword, f"{MARK}^Anna" if dictionary_VR(keyword) == "PN" else MARK)
        yield ".".join(f"{name}[{number}]" for name, number in path), marked


def holds(content: bytes, text: str) -> bool:
    """Whether bytes hold a text, in any letter case and in an encoding with one or two bytes for each letter."""
    folded = content.lower()
    return any(text.lower().encode(encoding) in folded for encoding in ("utf-8", "utf-16-le", "utf-16-be"))


def _paths(ds: Dataset) -> Iterator[tuple[tuple[str, int], ...]]:
    for element in ds:
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from (((element.keyword, number), *rest) for rest in _paths(item))
        elif element.VR in TEXTS and element.keyword:
            yield ((element.keyword, 0),)
