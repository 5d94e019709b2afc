"""Recognise measurements by another method than DXA: ultrasound, quantitative CT, body composition.

Their reports look much like DXA's. They are recognised by modality, device, and units and names that DXA never has.
"""

from collections.abc import Iterator

from pipeline.sr.dialects.concepts import Concept, Lookup
from pipeline.sr.dicom.content_item import Code, Item, folded
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements


def other_method(report: Elements, root: Item) -> str:
    """Return the method of a report without usable DXA results; empty when nothing in it shows one."""
    by_modality = _MODALITIES.get(header_text(report, "Modality").strip().upper(), "")
    return by_modality or next(_signs(root), "")


def other_device(report: Elements) -> str:
    """Return the method of a device that never measures by DXA, by modality or name; empty when it may be DXA."""
    if header_text(report, "Modality").strip().upper() == "BDUS":
        return _ULTRASOUND
    names = folded(f"{header_text(report, 'Manufacturer')} {header_text(report, 'ManufacturerModelName')}")
    return next((method for name, method in _DEVICES.items() if name in names), "")


def named_method(code: Code | None) -> str:
    """Return the method other than DXA that a Measurement Method code names; empty when it names none we know."""
    return _NAMES.find(code) or ""


_ULTRASOUND = "ultrasound"
_CT = "quantitative CT"
_COMPOSITION = "body composition"

_MODALITIES = {"BDUS": _ULTRASOUND, "US": _ULTRASOUND, "CT": _CT}

_DEVICES = {"qct": _CT, "mindways": _CT, "xtremect": _CT, "achilles": _ULTRASOUND, "sahara": _ULTRASOUND}
"""Names of devices and manufacturers that measure by this method alone."""

_UNITS = {
    "mg/cm3": _CT,
    "mg/cm³": _CT,
    "mg/cm^3": _CT,
    "mg/ml": _CT,
    "mg/cc": _CT,
    "db/mhz": _ULTRASOUND,
    "db/[mhz]": _ULTRASOUND,
    "m/s": _ULTRASOUND,
}

_NAMES = Lookup(
    [
        (Concept(meanings=("*ultrasound*", "*QUS*", "BUA", "SOS", "Broadband*", "Stiffness*")), _ULTRASOUND),
        (Concept(meanings=("*QCT*", "*volumetric*", "*computed tomography*")), _CT),
        (Concept(meanings=("*fat mass*", "*lean mass*", "*body composition*", "*% fat*", "*%fat*")), _COMPOSITION),
    ]
)  # fmt: skip


def _signs(root: Item) -> Iterator[str]:
    for item in root.walk():
        if item.unit is not None:
            for spelling in (item.unit.value, item.unit.meaning):
                if folded(spelling) in _UNITS:
                    yield _UNITS[folded(spelling)]
        if method := _NAMES.find(item.concept):
            yield method
