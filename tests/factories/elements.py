"""Data sets that pydicom holds, as our reader gives them: for tests that build reports with pydicom."""

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from pipeline.sr.dicom.reader import Elements, Value, is_sequence


def elements_of(data_set: Dataset) -> Elements:
    """The elements of a data set, as if they had just been read."""
    return {int(tag): _value(data_set, tag) for tag in data_set.keys()}  # noqa: SIM118 - iterating converts


def _value(data_set: Dataset, tag: int) -> Value:
    element: DataElement | RawDataElement = data_set.get_item(tag)
    if isinstance(element, RawDataElement) and is_sequence(tag, str(element.VR or ""), len(element.value or b"")):
        element = data_set[tag]
    match element.value:
        case Sequence() as items:
            return [elements_of(item) for item in items]
        case bytes() | str() as value:
            return value
        case None:
            return b""
        case MultiValue() | list() | tuple() as values:
            return "\\".join(str(part) for part in values)
        case value:
            return str(value)
