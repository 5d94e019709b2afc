"""Scans of phantoms and measurements by another method than DXA are recognised."""

from decimal import Decimal

import pytest

from pipeline.clinical.model import Scanner
from pipeline.sr.dicom.unreadable import Reason
from pipeline.sr.extract.phantom import PhantomReportError
from tests.factories.reports import (
    container,
    encode,
    group,
    held,
    measurements,
    num,
    put,
    read,
    region,
    report,
    spine,
    text,
)


def phantom(ds) -> PhantomReportError:
    error = held(ds)
    assert isinstance(error, PhantomReportError)
    return error


def marked():
    sent = report(spine(region("L1-L4", "1.177", num("BMC", "50.00", ("g", "UCUM", "g")))), PatientID=None)
    put(sent, "QualityControlSubject", "YES ")
    return sent


@pytest.mark.parametrize(
    "sent",
    [
        marked(),
        report(spine(region("L1-L4", "1.177")), PatientID="SPINE PHANTOM 17"),
        report(spine(region("L1-L4", "1.177")), PatientName="Phantom^Spine"),
        report(
            container("Scan Information", text("Scan Mode", "a Spine Phantom")),
            container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", "1.177")),
            root="BMD Rate of Change Report",
            Manufacturer="Hologic",
        ),
        report(measurements(group("L1-L4", bmd="1.177")), root=("126000", "DCM", ""), PatientID="phantom"),
    ],
)
def test_a_phantom_is_known_by_dicoms_mark_its_id_its_name_or_its_scan(sent):
    scan = phantom(sent).scan
    assert [(measured.region.key, measured.bmd) for measured in scan.measurements] == [("L1-L4", Decimal("1.177"))]
    assert scan.performed_at.year == 2024


def test_a_phantom_scan_has_a_scanner_and_no_patient():
    error = phantom(report(spine(region("L1-L4", "1.177")), PatientID="PHANTOM 17", SoftwareVersions="16"))
    assert error.scan.scanner == Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
    assert error.scan.software == "16"
    assert (error.reason, error.detail) == (Reason.PHANTOM, "L1-L4")


def test_a_phantom_of_unknown_regions_is_a_phantom_all_the_same():
    assert phantom(report(spine(region("Block", "1.177")), PatientID="PHANTOM")).scan.measurements == ()


def test_a_patient_is_no_phantom():
    sent = report(spine(), PatientName="Fantini^Om")
    put(sent, "QualityControlSubject", "NO")
    assert read(encode(sent)).exam.measurements


@pytest.mark.parametrize(
    ("content", "header", "method"),
    [
        (num("Volumetric BMD", "120", ("mg/cm3", "UCUM", "mg/cm3")), {}, "quantitative CT"),
        (num("BMD", "120", ("mg/cm3", "UCUM", "mg/cm3")), {}, "quantitative CT"),
        (num("BUA", "70", ("dB/MHz", "UCUM", "dB/MHz")), {}, "ultrasound"),
        (num("Stiffness Index", "90", None), {}, "ultrasound"),
        (num("Fat mass", "20000", ("g", "UCUM", "g")), {}, "body composition"),
        (text("Comment", ""), {"Modality": "BDUS"}, "ultrasound"),
    ],
)
@pytest.mark.parametrize("root", ["Bone Report", "DXA Report"])
def test_what_is_measured_by_another_method_is_recognised(content, header, method, root):
    error = held(report(spine(container("L1-L4", content)), root=root, **header))
    assert (error.reason, error.detail) == (Reason.OTHER_METHOD, method)


@pytest.mark.parametrize(
    ("header", "method"),
    [
        ({"Manufacturer": "Mindways Software, Inc.", "ManufacturerModelName": "QCT PRO"}, "quantitative CT"),
        ({"Manufacturer": "SCANCO Medical", "ManufacturerModelName": "XtremeCT II"}, "quantitative CT"),
        ({"Manufacturer": "GE Healthcare", "ManufacturerModelName": "Achilles"}, "ultrasound"),
        ({"Modality": "BDUS"}, "ultrasound"),
    ],
)
def test_a_device_that_is_no_dxa_is_held_even_where_its_numbers_look_like_it(header, method):
    """QCT's areal equivalent comes in g/cm2, and is not comparable with DXA."""
    error = held(report(measurements(group("L1-L4", bmd="0.812")), root=("126000", "DCM", ""), **header))
    assert (error.reason, error.detail) == (Reason.OTHER_METHOD, method)


def test_a_density_by_dxa_beside_it_is_read():
    both = region("L1-L4", "0.912", num("Fat mass", "20000", ("g", "UCUM", "g")))
    assert read(encode(report(spine(both)))).exam.measurements
