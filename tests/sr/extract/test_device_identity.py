"""The scanner is identified by header and content."""

from typing import Any

import pytest

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.extract.report import extract
from tests.factories.reports import container, encode, region, report, text


def hologic(*information, **header: str | None):
    content = [
        container("Scan Information", *information),
        container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", "0.930")),
    ]
    attributes: dict[str, Any] = {"Manufacturer": "HOLOGIC, Inc.", "ManufacturerModelName": "Horizon W"} | header
    return report(*content, root="BMD Rate of Change Report", **attributes)


@pytest.mark.parametrize("model", ["Horizon W (S/N 300001M)", "Horizon W (S/N300001M)", "Horizon W (SN: 300001M)"])
def test_a_serial_number_behind_the_model_is_the_scanners_wherever_the_model_stands(model):
    in_header = hologic(ManufacturerModelName=model, DeviceSerialNumber=None)
    in_content = hologic(text("Model", model), DeviceSerialNumber="WORKSTATION-1")
    for sent in (in_header, in_content):
        read_report = extract(read_elements(encode(sent), "1.2.840.10008.1.2.1"), shipped_dialects())
        assert read_report.exam.scanner == Scanner("Hologic", "Horizon W", "300001M")


def test_a_model_without_a_serial_number_in_it_is_a_model():
    sent = hologic(ManufacturerModelName="Discovery (wide)", DeviceSerialNumber=None)
    read_report = extract(read_elements(encode(sent), "1.2.840.10008.1.2.1"), shipped_dialects())
    assert read_report.exam.scanner == Scanner("Hologic", "Discovery (wide)", "")
