"""Broken reports: real ones with something deleted, doubled, moved, renamed, cut or overwritten.

Everything follows from a seed, so that what was found once is found again.
"""

import pickle
from copy import deepcopy
from random import Random

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.factories.images import HEADS, apex, dxa_results, hologic_picture, picture, roi, scan
from tests.factories.reports import (
    G_PER_CM2,
    TID1500,
    coded,
    container,
    encode,
    group,
    measurements,
    num,
    put,
    region,
    report,
    spine,
    text,
)

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)

NAMES = {
    "L1-L4": "L1-L4",
    "L2 - L4": "L2-L4",
    "L1-L4 (L2)": "L1,L3-L4",
    "Neck": "femoral neck",
    "Total": "total hip",
    "Neck Left": "femoral neck left",
    "total hip right": "total hip right",
}
"""Names of regions among the mutants, and how the key of what they mean begins."""

OTHER_NAMES = ("Trend L1-L4", "Neck Diff.", "BMD", "BMC", "Data Set 2", "AP Spine", "01-Mar-2022", "", "Total of all")
TITLES = ("Results Summary", "Results History", "Results Summary: Left Hip", "Summary")
VALUES = (
    "0.912",
    "0,933",
    "0.954*",
    "912",
    "91.2",
    "-0.9",
    "NaN",
    "",
    "---",
    "1e3",
    "0.9\\0.8",
    "9" * 40,
    "0.912 g/cm2",
    "٠.٩",
)
UNITS = (G_PER_CM2, ("mg/cm2", "UCUM", "mg/cm2"), ("g", "UCUM", "g"), ("", "", ""), ("g/cm3", "UCUM", "g/cm3"), None)


def sound_reports() -> list[Dataset]:
    """One report of each kind that is read, each with traps in it."""
    trend = container("Trend L1-L4", container("01-Mar-2022", num("BMD", "0.777")))
    femora = container("DualFemur", region("Neck Left", "0.702"), region("Neck Diff.", "0.788"))
    lunar = report(spine(region("L1-L4", "0.912", text("BMD_TSCORE", "-1.3")), trend), femora)
    hologic = report(
        container("Scan Information", text("Scan Mode", "f Left Hip")),
        container("Data Set 1", text("Data Set Title", TITLES[0]), region("Neck", "0.712"), region("Total", "0.812")),
        container("Data Set 2", text("Data Set Title", TITLES[1]), region("Total", "0.779")),
        root="BMD Rate of Change Report",
        Manufacturer="Hologic",
    )
    standard = report(measurements(group("L1-L4"), group("total hip right", bmd="0.833")), root=TID1500)
    comments = picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "1.022"), roi("L2 - L4", "1.059"))))
    level = ["L1", "13.26", "11.58", "0.873", "-1.4", "83", "-1.0"]
    document = hologic_picture(apex([HEADS, level, ["L2", *level[1:]]]))
    return [lunar, hologic, standard, comments, document]


def mutant(seed: int) -> tuple[bytes, str]:
    """A broken report, and the transfer syntax it comes in."""
    dice = Random(seed)
    sent = pickle.loads(dice.choice(_SOUND))  # three times as fast as a deep copy
    for _ in range(dice.randint(0, 4)):
        dice.choice(_CHANGES)(sent, dice)
    syntax = dice.choice(SYNTAXES)
    content = bytearray(encode(sent, syntax, undefined_lengths=dice.random() < 0.5))
    for _ in range(dice.choice((0, 0, 0, 1, 2, 5))):
        dice.choice(_DAMAGES)(content, dice)
    return bytes(content), syntax


_SOUND = [pickle.dumps(sound) for sound in sound_reports()]


def _items(item: Dataset) -> list[Dataset]:
    """An item and all below it, of sequences of any kind."""
    below = [child for element in item.values() if isinstance(element.value, Sequence) for child in element.value]
    return [item, *(one for child in below for one in _items(child))]


def _contents(item: Dataset) -> list[Dataset]:
    """Every content item that has some below it."""
    return [one for one in _items(item) if "ContentSequence" in one and len(one.ContentSequence)]


def _delete_an_element(sent: Dataset, dice: Random) -> None:
    item = dice.choice(_items(sent))
    if item:
        del item[dice.choice(list(item.keys()))]


def _double_an_item(sent: Dataset, dice: Random) -> None:
    if parents := _contents(sent):
        content = dice.choice(parents).ContentSequence
        content.append(deepcopy(dice.choice(content)))


def _move_an_item(sent: Dataset, dice: Random) -> None:
    if parents := _contents(sent):
        content = dice.choice(parents).ContentSequence
        moved = content.pop(dice.randrange(len(content)))
        dice.choice(parents).ContentSequence.append(deepcopy(moved))


def _wrap_an_item(sent: Dataset, dice: Random) -> None:
    if parents := _contents(sent):
        content = dice.choice(parents).ContentSequence
        at = dice.randrange(len(content))
        content[at] = container(dice.choice(OTHER_NAMES), deepcopy(content[at]))


def _rename_an_item(sent: Dataset, dice: Random) -> None:
    named = [item for item in _items(sent) if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence]
    if named:
        put(dice.choice(named).ConceptNameCodeSequence[0], "CodeMeaning", dice.choice([*NAMES, *OTHER_NAMES]))


def _retitle(sent: Dataset, dice: Random) -> None:
    texts = [item for item in _items(sent) if "TextValue" in item]
    if texts:
        put(dice.choice(texts), "TextValue", dice.choice([*TITLES, *NAMES, *VALUES]))


def _change_a_value(sent: Dataset, dice: Random) -> None:
    numbers = [item for item in _items(sent) if "NumericValue" in item]
    if numbers:
        put(dice.choice(numbers), "NumericValue", dice.choice(VALUES))


def _change_a_unit(sent: Dataset, dice: Random) -> None:
    numbers = [item for item in _items(sent) if "NumericValue" in item]
    if numbers:
        measured, unit = dice.choice(numbers), dice.choice(UNITS)
        if unit is not None:
            measured.MeasurementUnitsCodeSequence = Sequence([coded(unit)])
        elif "MeasurementUnitsCodeSequence" in measured:
            del measured.MeasurementUnitsCodeSequence


def _change_a_type(sent: Dataset, dice: Random) -> None:
    typed = [item for item in _items(sent) if "ValueType" in item]
    if typed:
        put(dice.choice(typed), "ValueType", dice.choice(("NUM", "TEXT", "CONTAINER", "CODE", "", "num")))


def _change_the_characters(sent: Dataset, dice: Random) -> None:
    put(dice.choice(_items(sent)), "SpecificCharacterSet", dice.choice(("ISO_IR 192", "ISO 2022 IR 87", "no such", "")))


_CHANGES = (
    _delete_an_element,
    _double_an_item,
    _move_an_item,
    _wrap_an_item,
    _rename_an_item,
    _retitle,
    _change_a_value,
    _change_a_unit,
    _change_a_type,
    _change_the_characters,
)


def _flip_a_byte(content: bytearray, dice: Random) -> None:
    if content:
        content[dice.randrange(len(content))] = dice.randrange(256)


def _cut(content: bytearray, dice: Random) -> None:
    del content[dice.randrange(len(content) + 1) :]


def _take_out(content: bytearray, dice: Random) -> None:
    start = dice.randrange(len(content) + 1)
    del content[start : start + dice.randint(1, 40)]


def _repeat(content: bytearray, dice: Random) -> None:
    start = dice.randrange(len(content) + 1)
    content[start:start] = content[start : start + dice.randint(1, 200)]


def _overwrite(content: bytearray, dice: Random) -> None:
    start = dice.randrange(len(content) + 1)
    content[start : start + 4] = dice.choice(
        (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\x00\xe0", b"\xff\xff", b"SQ")
    )


_DAMAGES = (_flip_a_byte, _flip_a_byte, _cut, _take_out, _repeat, _overwrite)
