"""Identify the scanner of a report by manufacturer, model and serial number in its header or content (R2.1).

A report written by another system has that system in its header, the same for every scanner it serves. So a device
that the content names with a serial number counts as the scanner.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from pipeline.clinical.model import Scanner
from pipeline.sr.dialects.concepts import Concept
from pipeline.sr.dialects.model import Dialect, normal_manufacturer
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.text import printable
from pipeline.sr.extract.remarks import Remarks
from pipeline.sr.extract.serial_numbers import is_no_serial_number


def read_scanner(
    report: Elements, root: Item, dialect: Dialect, dialects: Sequence[Dialect], remarks: Remarks
) -> Scanner:
    """Return the scanner that a report names; without a serial number where it names none, or several."""
    model, behind_model = split_model(printable(header_text(report, "ManufacturerModelName")))
    station = printable(header_text(report, "StationName"))
    in_header = _serial_number(printable(header_text(report, "DeviceSerialNumber")), station, remarks)
    header = Scanner(
        normal_manufacturer(printable(header_text(report, "Manufacturer")), dialects),
        model,
        in_header or _serial_number(behind_model, station, remarks),
    )
    device = dialect.device
    models = [split_model(text) for text in _texts(root, device.model)]
    named_serials = [*_texts(root, device.serial_number), *(serial for _, serial in models)]
    read = (_serial_number(text, station, remarks) for text in named_serials)
    serials = [serial for serial in dict.fromkeys(read) if serial]
    if not serials:
        return header
    if len(serials) > 1:
        remarks.add("the report names several devices with a serial number; which one scanned is not stated")
        return replace(header, serial_number="")
    manufacturers = _texts(root, device.manufacturer)
    named = Scanner(
        normal_manufacturer(manufacturers[0], dialects) if manufacturers else header.manufacturer,
        next((model for model, _ in models if model), header.model),
        serials[0],
    )
    if header.serial_number and header != named:
        remarks.add("the header names another device than the one the report says has scanned")
    return named


def split_model(text: str) -> tuple[str, str]:
    """Split a model name from the serial number that some scanners append to it."""
    model, _, last = text.rstrip().rpartition("(")
    match = _SERIAL.fullmatch(last)
    serial = match["serial"].strip() if match else ""
    return (model.strip(), serial) if serial else (text, "")


def _serial_number(text: str, station_name: str, remarks: Remarks) -> str:
    """Return a serial number; empty where the text is a placeholder."""
    if not text or not is_no_serial_number(text, station_name=station_name):
        return text
    remarks.add_unused("the serial number of the scanner", text, "is a placeholder")
    return ""


_SERIAL = re.compile(r"\s*+S/?N\s*+:?(?P<serial>[^()]++)\)", re.IGNORECASE)
"""The last brackets of Hologic's ``Horizon W (S/N 300001M)`` and ``Discovery SL (S/N81234)``."""


def _texts(root: Item, concept: Concept | None) -> list[str]:
    """Return the different texts with one concept name anywhere in the report."""
    if concept is None:
        return []
    items = (item for item in root.walk() if item.value_type == "TEXT" and concept.matches(item.concept))
    return list(dict.fromkeys(text for item in items if (text := printable(item.value))))
