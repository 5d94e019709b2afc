"""An exam is extracted from a scanner's report."""

import itertools
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset

from pipeline.clinical.model import Patient, Scanner, Sex
from pipeline.clinical.regions import parse_region
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dialects.loader import load_dialects
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.remarks import Unused
from pipeline.sr.extract.report import extract
from tests.factories.elements import elements_of
from tests.factories.reports import (
    LATERALITY,
    SPINE_BMD,
    TID1500,
    code_item,
    coded,
    container,
    finding_site,
    group,
    held,
    measurements,
    num,
    put,
    region,
    report,
    seen,
    spine,
    text,
    values,
)
from tests.folders import VENDORS

LEFT, RIGHT = ("7771000", "SCT", "Left"), ("24028007", "SCT", "Right")
HIP, NECK = ("29836001", "SCT", "Hip"), ("29627003", "SCT", "Neck of femur")


def tid1500(*groups: Dataset, context: tuple[Dataset, ...] = (), **header: str | None) -> Dataset:
    return report(*context, measurements(*groups), root=TID1500, **header)


def hologic(title: str, *regions: Dataset, mode: str = "", history: tuple[Dataset, ...] = ()) -> Dataset:
    return report(
        container("Scan Information", text("Scan Mode", mode)),
        container("Data Set 1", text("Data Set Title", title), *regions),
        container("Data Set 2", text("Data Set Title", "Results History"), *history),
        root="BMD Rate of Change Report",
        Manufacturer="HOLOGIC, Inc.",
    )


# Who, on which machine, when


def test_a_report_has_patient_scanner_time_and_densities():
    sent = report(
        spine(
            region(
                "L1-L4",
                "1.022",
                num("BMC", "40.36", ("g", "UCUM", "g")),
                num("AREA", "39.47", ("cm2", "UCUM", "cm2")),
                text("BMD_TSCORE", "-1.3"),
                text("BMD_ZSCORE", "1.1"),
                num("BMD_PYA", "87", ("%", "UCUM", "%")),
                text("BMD_PAM", "103"),
            )
        ),
        IssuerOfPatientID="HOSPITAL",
        SoftwareVersions="16\\SP 2",
        AccessionNumber="A17",
        InstitutionName="Clinic",
    )
    read_report = seen(sent)
    exam = read_report.exam
    (measured,) = exam.measurements
    assert (read_report.dialect, read_report.remarks) == ("lunar 2", ())
    assert (read_report.sop_class_uid, read_report.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.88.22", "2.25.1")
    assert exam.study_instance_uid == "2.25.2"
    assert exam.patient == Patient(patient_id="P1", issuer="HOSPITAL", birth_date=date(1950, 1, 1), sex=Sex.FEMALE)
    assert exam.scanner == Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
    assert exam.performed_at == datetime(2024, 3, 1, 10, 11, 12)
    assert (exam.software, exam.accession_number, exam.institution) == ("16, SP 2", "A17", "Clinic")
    assert measured.region == parse_region("L1-L4")
    assert (measured.bmd, measured.bmc, measured.area) == (Decimal("1.022"), Decimal("40.36"), Decimal("39.47"))
    assert (measured.t_score, measured.z_score) == (Decimal("-1.3"), Decimal("1.1"))
    assert (measured.percent_young_adult, measured.percent_age_matched) == (Decimal(87), Decimal(103))


def test_a_number_keeps_its_printed_digits():
    assert values(seen(report(spine(region("L1-L4", "0.910"))))) == {"L1-L4": "0.910"}


@pytest.mark.parametrize(
    ("header", "performed_at"),
    [
        ({}, datetime(2024, 3, 1, 10, 11, 12)),
        ({"StudyTime": "101112.500"}, datetime(2024, 3, 1, 10, 11, 12, 500_000)),
        ({"StudyTime": "1011"}, datetime(2024, 3, 1, 10, 11)),
        ({"AcquisitionDate": "20240228", "AcquisitionTime": "09"}, datetime(2024, 2, 28, 9)),
        ({"AcquisitionDateTime": "20240227080910.1+0100"}, datetime(2024, 2, 27, 8, 9, 10, 100_000)),
        ({"AcquisitionDateTime": "soon", "AcquisitionDate": "never"}, datetime(2024, 3, 1, 10, 11, 12)),
        ({"ContentDate": "20250101"}, datetime(2024, 3, 1, 10, 11, 12)),
    ],
)
def test_an_exam_is_dated_by_its_acquisition_else_by_its_study(header, performed_at):
    read_report = seen(report(spine(), **header), zone=ZoneInfo("Europe/Berlin"))
    assert read_report.exam.performed_at == performed_at
    assert read_report.remarks == ()


@pytest.mark.parametrize("time", [None, "", "25"])
def test_an_exam_without_a_time_stands_at_midnight_and_says_so(time):
    read_report = seen(report(spine(), StudyTime=time))
    assert read_report.exam.performed_at == datetime(2024, 3, 1)
    assert read_report.remarks == ("Study Time is absent or no time; the exam stands at midnight",)


@pytest.mark.parametrize("day", [None, "", "20240230", "01-Mar-2024"])
def test_an_exam_without_a_date_is_held_even_when_the_document_has_one(day):
    assert held(report(spine(), StudyDate=day, ContentDate="20240301")).reason is Reason.NO_STUDY_DATE


@pytest.mark.parametrize("patient_id", [None, "", "   ", "12\0034", "12\x1b[2J"])
def test_a_report_without_a_usable_patient_id_is_held(patient_id):
    assert held(report(spine(), PatientID=patient_id)).reason is Reason.NO_PATIENT_ID


def test_a_patient_id_that_cannot_be_decoded_is_not_half_used():
    ds = report(spine(), PatientID="12\xff", SpecificCharacterSet="ISO_IR 192")
    assert held(ds).reason is Reason.NO_PATIENT_ID


def test_a_patient_id_keeps_everything_but_its_padding():
    assert seen(report(spine(), PatientID=" 00 12-a ")).exam.patient.patient_id == "00 12-a"


@pytest.mark.parametrize(("sent", "sex"), [("f", Sex.FEMALE), ("M ", Sex.MALE), ("", Sex.UNKNOWN), (None, Sex.UNKNOWN)])
def test_sex_is_read_in_any_letter_case(sent, sex):
    read_report = seen(report(spine(), PatientSex=sent))
    assert read_report.exam.patient.sex is sex
    assert read_report.remarks == ()


def test_a_birth_date_or_sex_that_is_none_is_left_out_and_never_quoted():
    read_report = seen(report(spine(), PatientBirthDate="5th May", PatientSex="woman"))
    assert read_report.exam.patient == Patient(patient_id="P1")
    assert len(read_report.remarks) == 2
    assert not any("May" in remark or "woman" in remark for remark in read_report.remarks)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("uid", [None, "", "../../evil", "1.2." + "3" * 64, "1..2"])
def test_a_report_without_a_usable_uid_is_held(keyword, uid):
    expected = Reason.NO_STUDY_UID if keyword == "StudyInstanceUID" else Reason.NO_INSTANCE_UID
    assert held(report(spine(), **{keyword: uid})).reason is expected


def test_a_scanner_without_serial_number_has_none():
    scanner = seen(report(spine(), DeviceSerialNumber=None, StationName="ROOM2")).exam.scanner
    assert scanner == Scanner("GE Healthcare", "Lunar Prodigy", "")
    assert not scanner.identified


def test_control_characters_in_a_serial_number_are_not_part_of_it():
    assert seen(report(spine(), DeviceSerialNumber="DF\0+1\r\n")).exam.scanner.serial_number == "DF +1"


def test_one_maker_under_two_spellings_is_one_scanner():
    scanners = {seen(report(spine(), Manufacturer=name)).exam.scanner for name in ("GE MEDICAL SYSTEMS LUNAR", "LUNAR")}
    assert scanners == {Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")}


def device(serial_number: str) -> tuple[Dataset, ...]:
    return (
        text(("113878", "DCM", "Device Manufacturer"), "HOLOGIC, Inc."),
        text(("113879", "DCM", "Device Model Name"), "Horizon W"),
        text(("113880", "DCM", "Device Serial Number"), serial_number),
    )


def test_the_device_that_the_content_tree_names_is_the_scanner_and_the_header_is_not():
    """A workstation writes for many scanners; by its header they would all be one machine."""
    read_report = seen(tid1500(group("L1-L4"), context=device("300001M")))
    assert read_report.exam.scanner == Scanner("Hologic", "Horizon W", "300001M")
    assert read_report.remarks == ("the header names another device than the one the report says has scanned",)


def test_without_such_a_device_the_header_is_the_scanner():
    observer = text(("121016", "DCM", "Device Observer Serial Number"), "WORKSTATION-1")
    assert seen(tid1500(group("L1-L4"), context=(observer,))).exam.scanner.serial_number == "DF+1"


def test_two_devices_in_one_report_leave_the_scanner_unidentified():
    context = (*device("300001M"), *device("300002M"))
    assert not seen(tid1500(group("L1-L4"), context=context)).exam.scanner.identified


# Lunar


def test_a_trend_is_never_read_as_a_measurement():
    """Its BMDs are earlier ones, and the latest of them may stand under the very name of the region."""
    dated = (container("03/01/2022", num("BMD", "0.950")), container("L1-L4", num("BMD", "0.9")))
    trend = container("Trend L1-L4", *dated)
    sent = report(container("AP Spine", region("L1-L4", "0.912"), trend), trend)
    assert values(seen(sent)) == {"L1-L4": "0.912"}


def test_a_history_under_an_unknown_name_is_not_read_either():
    history = container("Verlauf", container("L1-L4", num("BMD", "0.950")))
    read_report = seen(report(container("AP Spine", region("L1-L4", "0.912"), history), history))
    assert values(read_report) == {"L1-L4": "0.912"}
    assert read_report.ignored == (
        "CONTAINER 'Verlauf' was ignored: it stands beside regions, and the dialect does not know it",
        "CONTAINER 'Verlauf' was ignored: the dialect does not know it as a scan",
    )


def test_a_change_inside_a_region_is_not_its_bmd():
    change = container("CHANGE_VS_PREVIOUS", num("BMD", "-0.020"))
    assert values(seen(report(spine(region("L1-L4", "0.912", change))))) == {"L1-L4": "0.912"}


def test_two_femora_in_one_scan_say_their_side_by_name_and_their_difference_is_nothing():
    femora = container(
        "DualFemur",
        *(region(f"{part} {side}", "0.9") for part in ("Neck", "Total") for side in ("Left", "Right", "Mean")),
        region("Neck Diff.", "0.014"),
        region("Total Diff.", "0.014"),
    )
    read_report = seen(report(femora))
    assert sorted(values(read_report)) == sorted(
        f"{part} {side}" for part in ("femoral neck", "total hip") for side in ("left", "right", "mean")
    )
    assert read_report.remarks == ()


def test_a_femur_scan_gives_its_side_to_its_regions():
    sent = report(container("Right Femur", region("Neck", "0.7"), region("Total", "0.8"), region("Upper Neck", "0.6")))
    assert values(seen(sent)) == {"femoral neck right": "0.7", "total hip right": "0.8", "upper neck right": "0.6"}


def test_brackets_leave_a_vertebra_out():
    assert values(seen(report(spine(region("L1-L4 (L2)", "1.001"))))) == {"L1,L3-L4": "1.001"}


def test_unknown_regions_are_remarked_and_never_guessed():
    read_report = seen(report(spine(region("L1-L4", "0.912"), region("Total", "0.9"), region("Custom 1", "0.8"))))
    assert values(read_report) == {"L1-L4": "0.912"}
    assert read_report.remarks == (
        "CONTAINER 'Total', number 2 of CONTAINER 'AP Spine', was not read: "
        "its name belongs to another site than the spine",
        "CONTAINER 'Custom 1', number 3 of CONTAINER 'AP Spine', was not read: "
        "its name means no region that the dialect knows",
    )


def test_an_unknown_scan_is_listed_when_it_holds_numbers():
    knee = container("Left Ortho Knee", region("Head", "2.1"))
    read_report = seen(report(spine(), knee, container("Patient", text("A", "B"))))
    assert read_report.ignored == ("CONTAINER 'Left Ortho Knee' was ignored: the dialect does not know it as a scan",)


def test_a_total_body_is_read_and_what_it_is_made_of_is_noted():
    fat = num("FAT_MASS", "20000", ("g", "UCUM", "g"))
    body = container("Total Body", region("Head", "2.1"), region("Total", "1.1", fat), container("Composition", fat))
    read_report = seen(report(body))
    assert values(read_report) == {"total body": "1.1"}
    assert not read_report.exam.measurements[0].region.monitorable
    assert read_report.remarks == (
        "CONTAINER 'Composition' is known, and is no density",
        "CONTAINER 'Head', number 1 of CONTAINER 'Total Body', was not read: "
        "its name means no region that the dialect knows",
    )


# Hologic


def test_the_summary_is_read_and_the_history_is_not():
    history = (region("L1-L4", "0.950"), region("L2-L4", "0.960"))
    sent = hologic("DXA Results Summary", region("L1", "0.873"), region("L1-L4", "0.930"), history=history)
    assert values(seen(sent)) == {"L1": "0.873", "L1-L4": "0.930"}


def test_a_data_set_that_is_neither_summary_nor_history_is_not_read():
    assert held(hologic("Results", region("L1-L4", "0.930"))).reason is Reason.NO_BMD


@pytest.mark.parametrize(("title", "mode"), [("Results Summary: Left Hip", ""), ("Results Summary", "f Left Hip")])
def test_a_hip_has_the_side_of_title_or_scan_mode(title, mode):
    sent = hologic(title, region("Neck", "0.702"), region("Total", "0.812"), mode=mode)
    assert values(seen(sent)) == {"femoral neck left": "0.702", "total hip left": "0.812"}


def test_a_total_of_nowhere_is_not_read():
    """Hip, forearm, or which vertebrae?"""
    sent = hologic("Results Summary", region("Total", "0.812"), region("Neck", "0.7"))
    assert held(sent).reason is Reason.NO_BMD


def test_a_hologic_report_under_another_root_is_known_by_maker_and_content():
    ds = hologic("Results Summary", region("L1-L4", "0.930"))
    ds.ConceptNameCodeSequence = [coded("Anything")]
    assert seen(ds).dialect == "hologic 2"
    put(ds, "Manufacturer", "ACME")
    assert held(ds).reason is Reason.UNKNOWN_DIALECT


# Wrappers that no dialect names


WRAPPERS: dict[str, tuple[Dataset, dict[str, str]]] = {
    "hologic": (
        container(
            "BMD Rate of Change Report",
            container("Scan Information", text("Scan Mode", "a Lumbar Spine")),
            container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", "0.930")),
            container("Data Set 2", text("Data Set Title", "Results History"), region("L1-L4", "0.950")),
        ),
        {"L1-L4": "0.930"},
    ),
    "lunar": (
        container(
            "DXA Report",
            spine(region("L1-L4", "0.912"), container("Trend L1-L4", container("01-Mar-2022", num("BMD", "0.950")))),
            container("Left Femur", region("Neck", "0.702")),
        ),
        {"L1-L4": "0.912", "femoral neck left": "0.702"},
    ),
    "tid1500": (container(TID1500, measurements(group("L1-L4"))), {"L1-L4": "0.912"}),
}


@pytest.mark.parametrize("deep", [1, 2, 5])
@pytest.mark.parametrize("dialect", WRAPPERS)
def test_a_report_below_any_other_root_is_read_as_it_is_alone(dialect, deep):
    inner, expected = WRAPPERS[dialect]
    for _ in range(deep - 1):
        inner = container("Results", inner)
    sent = report(text("Operator", "KL"), inner, root="Densitometry", Manufacturer="HOLOGIC, Inc.")
    assert values(seen(sent)) == expected
    assert seen(sent).dialect.startswith(dialect)


@pytest.mark.parametrize("maker", ["Hologic", "Other systems"])
def test_a_hologic_report_is_known_below_any_root_whoever_sends_it(maker):
    sent = report(WRAPPERS["hologic"][0], root="Anything", Manufacturer=maker)
    assert values(seen(sent)) == {"L1-L4": "0.930"}


def test_results_in_wrappers_between_root_scan_and_region_are_found():
    deep = container("Body", container("AP Spine", container("Results", container("All", region("L1-L4", "0.912")))))
    assert values(seen(report(deep))) == {"L1-L4": "0.912"}
    groups = measurements(container("Spine", group("L1-L4")), container("Hips", group("total hip right", bmd="0.833")))
    assert values(seen(report(groups, root=TID1500))) == {"L1-L4": "0.912", "total hip right": "0.833"}


def test_several_wrappers_beside_each_other_are_all_looked_into():
    sent = report(container("Spine", spine()), container("Hip", container("Left Femur", region("Neck", "0.702"))))
    assert values(seen(sent)) == {"L1-L4": "0.912", "femoral neck left": "0.702"}


@pytest.mark.parametrize("name", ["History", "Previous exam", "03/01/2022", "Any other name"])
def test_an_unknown_container_beside_known_scans_is_ignored_and_listed(name):
    other = container(name, container("Left Femur", region("Neck", "0.702")), text("Age", "60"))
    read_report = seen(report(spine(), other, text("Age", "65")))
    assert values(read_report) == {"L1-L4": "0.912"}
    assert [one for one in read_report.ignored if f"CONTAINER '{name}'" in one]
    assert read_report.exam.age == 65


@pytest.mark.parametrize("name", ["History", "Prior results", "Vorbefunde", "Baseline", "03/01/2022", "Neck Diff."])
def test_a_wrapper_whose_name_speaks_of_other_exams_is_ignored_even_where_nothing_else_does(name):
    sent = report(container(name, spine()), root="DXA Report")
    assert held(sent).reason is Reason.NO_BMD
    assert "was ignored" in held(sent).detail
    now = seen(report(container("Now", spine(region("L1-L4", "0.912"))), container(name, spine(region("L1", "0.8")))))
    assert values(now) == {"L1-L4": "0.912"}


def test_of_two_wrappers_the_one_dated_on_another_day_is_ignored_and_alone_it_holds_the_report():
    def dated(day: str, *scans: Dataset) -> Dataset:
        return container("Visit", text("Scan Date", day), *scans)

    def data_set(bmd: str) -> Dataset:
        return container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", bmd))

    both = (dated("2024-03-01", data_set("0.930")), dated("2022-03-01", data_set("0.950")))
    assert values(seen(report(*both, root="Any", Manufacturer="Hologic"))) == {"L1-L4": "0.930"}
    alone = report(both[1], root="Any", Manufacturer="Hologic")
    assert held(alone).reason is Reason.OTHER_DATE


def test_a_wrapper_with_another_patients_birth_date_holds_the_report():
    other = container("Visit", text("DOB", "1961-05-05"), container("Data Set 1", region("L1-L4", "0.930")))
    titled = container("Data Set 1", text("Data Set Title", "Results Summary"), region("L1-L4", "0.930"))
    sent = report(other, container("Visit", titled), root="Any", Manufacturer="Hologic")
    assert held(sent).reason is Reason.OTHER_PATIENT


def test_two_wrappers_with_different_values_of_one_region_hold_the_report():
    sent = report(container("One", spine(region("L1-L4", "0.9"))), container("Two", spine(region("L1-L4", "0.8"))))
    assert held(sent).reason is Reason.CONTRADICTORY


# How many digits


def test_digits_that_floating_point_has_added_to_any_number_are_left_out_with_a_remark():
    noisy = region(
        "L1-L4",
        "0.91200000047684",
        num("BMC", "47.970001220703125", ("g", "UCUM", "g")),
        num("AREA", "52.599998474121094", ("cm2", "UCUM", "cm2")),
        text("BMD_TSCORE", "-1.2999999523162842"),
        text("BMD_ZSCORE", "0.40000000596046448"),
    )
    read_report = seen(report(spine(noisy)))
    (read,) = read_report.exam.measurements
    numbers = (read.bmd, read.bmc, read.area, read.t_score, read.z_score)
    assert [str(number) for number in numbers] == ["0.912", "47.97", "52.60", "-1.3", "0.4"]
    assert len(read_report.remarks) == 5
    milligrams = region("L1-L4", "912.00000047684", unit=("mg/cm2", "UCUM", "mg/cm2"))
    assert values(seen(report(spine(milligrams)))) == {"L1-L4": "0.912"}


def test_more_digits_than_a_scanner_prints_that_are_no_noise_are_kept_with_a_remark():
    read_report = seen(report(spine(region("L1-L4", "0.9123456789"))))
    assert values(read_report) == {"L1-L4": "0.9123456789"}
    assert read_report.remarks == ("L1-L4: BMD: it has more digits than densitometers print, and all were kept",)


@pytest.mark.parametrize("text_value", ["0.912000000000000033", "0.912000000476837158203125", "0.91199999999999992184"])
def test_a_number_of_seventeen_characters_and_more_is_a_number(text_value):
    assert values(seen(report(spine(region("L1-L4", text_value))))) == {"L1-L4": "0.912"}


# TID 1500


def test_a_tracking_identifier_names_the_region():
    sent = tid1500(group("L1,L3-L4"), group("Femoral neck, left", bmd="0.7"))
    assert values(seen(sent)) == {"L1,L3-L4": "0.912", "femoral neck left": "0.7"}


def test_a_laterality_gives_the_side_that_the_name_leaves_open():
    below_the_site = group("Femoral neck", finding_site(HIP, code_item(LATERALITY, LEFT)))
    beside_it = group("Total hip", finding_site(HIP), code_item(LATERALITY, RIGHT))
    assert sorted(values(seen(tid1500(below_the_site, beside_it)))) == ["femoral neck left", "total hip right"]


@pytest.mark.parametrize("scheme", ["SCT", "SRT", "SNM3", "99SDM"])
def test_without_a_name_the_finding_site_names_the_region_in_any_edition_of_snomed(scheme):
    site, lateral = (HIP, LEFT) if scheme == "SCT" else (("T-D2500", scheme, ""), ("G-A101", scheme, ""))
    total = code_item(("106233006", "SCT", ""), ("255619001", "SCT", "Total"))
    sent = tid1500(group("Lesion 1", finding_site(site, code_item(LATERALITY, lateral), total)))
    assert list(values(seen(sent))) == ["total hip left"]


L1, L2, L3, L4 = (("66794005", "SCT", ""), ("14293000", "SCT", ""), ("36470004", "SCT", ""), ("11994002", "SCT", ""))


def bare(*content: Dataset) -> Dataset:
    """A measurement group with no number but those given."""
    return container(("125007", "DCM", "Measurement Group"), *content)


def named_as(region_name: str) -> Dataset:
    """What names a measurement group."""
    return text(("112039", "DCM", "Tracking Identifier"), region_name)


def bmd_of(value: str, *below: Dataset) -> Dataset:
    """A BMD with something below it."""
    item = num(SPINE_BMD, value)
    item.ContentSequence = list(below)
    return item


def test_a_finding_site_below_the_number_itself_names_its_region():
    """TID 300 and 1419 let each number of a group have its own."""
    lone = bare(bmd_of("0.9", finding_site(L1)), bmd_of("0.8", finding_site(L2)), bmd_of("1.1", finding_site(L3)))
    assert values(seen(tid1500(lone))) == {"L1": "0.9", "L2": "0.8", "L3": "1.1"}
    sites = [finding_site(level) for level in (L1, L2, L3, L4)]
    assert values(seen(tid1500(bare(bmd_of("0.95", *sites))))) == {"L1-L4": "0.95"}


def test_a_laterality_below_the_number_or_below_its_finding_site_names_its_side():
    both = bare(
        bmd_of("0.71", finding_site(NECK, code_item(LATERALITY, LEFT))),
        bmd_of("0.72", finding_site(NECK), code_item(LATERALITY, RIGHT)),
    )
    assert values(seen(tid1500(both))) == {"femoral neck left": "0.71", "femoral neck right": "0.72"}
    named = bare(named_as("Total hip"), bmd_of("0.8", code_item(LATERALITY, LEFT)))
    assert values(seen(tid1500(named))) == {"total hip left": "0.8"}
    shared = bare(finding_site(HIP, code_item(LATERALITY, RIGHT)), bmd_of("0.73", finding_site(NECK)))
    assert values(seen(tid1500(shared))) == {"femoral neck right": "0.73"}


def test_what_a_group_says_of_itself_is_not_said_of_a_number_with_a_place_of_its_own():
    sent = bare(named_as("L1-L4"), num(SPINE_BMD, "0.95"), text("T-score", "-1.3"), bmd_of("0.9", finding_site(L1)))
    read_report = seen(tid1500(sent))
    assert values(read_report) == {"L1-L4": "0.95"}, "L1 contradicts the name of its group"
    unnamed = bare(text("T-score", "-1.3"), text("BMD", "0.99 g/cm2"), bmd_of("0.9", finding_site(L1)))
    (measured,) = seen(tid1500(unnamed)).exam.measurements
    assert (measured.region.key, str(measured.bmd), measured.t_score) == ("L1", "0.9", None)


def test_a_number_that_repeats_the_place_of_its_group_is_the_groups():
    area = num(("42798000", "SCT", "Area"), "39.47", ("cm2", "UCUM", "cm2"))
    sent = tid1500(group("L1", finding_site(L1), area, bmd="0.9"))
    sent.ContentSequence[0].ContentSequence[0].ContentSequence[-1].ContentSequence = [finding_site(L1)]
    (measured,) = seen(sent).exam.measurements
    assert (measured.region.key, str(measured.bmd), str(measured.area)) == ("L1", "0.9", "39.47")


@pytest.mark.parametrize(
    "other",
    [
        bare(finding_site(L1), bmd_of("0.5", finding_site(L2))),
        bare(finding_site(L1), finding_site(L2), bmd_of("0.5", finding_site(L1))),
        bare(finding_site(L1), bmd_of("0.5", finding_site(L1), finding_site(L2))),
        bare(named_as("L1-L4"), bmd_of("0.5", finding_site(L1))),
        bare(named_as("Total hip left"), bmd_of("0.5", finding_site(NECK))),
        bare(named_as("Total hip left"), bmd_of("0.5", code_item(LATERALITY, RIGHT))),
        bare(named_as("L1-L4"), bmd_of("0.5", finding_site(("1", "99X", "?")))),
        bare(
            named_as("Total hip left"),
            bmd_of("0.5", code_item(LATERALITY, ("51440002", "SCT", "Right and left"))),
        ),
        bare(bmd_of("0.5", finding_site(L1), finding_site(("1", "99X", "?")))),
        bare(finding_site(("23215003", "SCT", "T12 vertebra")), finding_site(("1", "99X", "?")), num(SPINE_BMD, "0.5")),
        bare(finding_site(L1), finding_site(("1", "99X", "?")), num(SPINE_BMD, "0.5")),
        bare(
            finding_site(NECK, code_item(LATERALITY, LEFT), code_item(("106233006", "SCT", ""), ("1", "99X", "Upper"))),
            num(SPINE_BMD, "0.5"),
        ),
        bare(
            named_as("L1-L4"),
            named_as("L1-L3"),
            num(SPINE_BMD, "0.5"),
        ),
    ],
)
def test_a_number_whose_place_is_another_than_its_groups_or_none_we_know_is_left_with_a_remark(other):
    read_report = seen(tid1500(other, group("L2-L4", bmd="0.934")))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert len(read_report.remarks) == 1
    assert read_report.remarks[0].startswith("CONTAINER 'Measurement Group', number 1 of ")


STUDY = ("121018", "DCM", "Procedure Study Instance UID")
TIME_POINTS = [
    text(("C2348792", "UMLS", "Time Point"), "Prior"),
    text(("C2348792", "UMLS", "Time Point"), "Follow-up 1"),
    code_item(("126072", "DCM", "Time Point Type"), ("C1442488", "UMLS", "Baseline")),
    num(("126073", "DCM", "Time Point Order"), "1", ("1", "UCUM", "no units")),
    text(("126070", "DCM", "Subject Time Point Identifier"), "V1"),
]


def uidref(concept: Any, uid: str) -> Dataset:
    item = text(concept, "")
    item.ValueType = "UIDREF"
    del item.TextValue
    item.UID = uid
    return item


@pytest.mark.parametrize("time_point", [*TIME_POINTS, uidref(STUDY, "2.25.99")])
def test_what_is_stated_for_another_time_point_or_study_is_history_wherever_it_says_so(time_point):
    today = group("L2-L4", bmd="0.934")
    of_group = group("L1-L4", time_point, bmd="0.5")
    of_number = bare(named_as("L1-L4"), bmd_of("0.5", time_point))
    for earlier in (of_group, of_number):
        read_report = seen(tid1500(earlier, today))
        assert values(read_report) == {"L2-L4": "0.934"}
        assert any("time point" in remark or "another study" in remark for remark in read_report.remarks)
    container_of_it = measurements(time_point, group("L1-L4", bmd="0.5"))
    assert values(seen(report(container_of_it, measurements(today), root=TID1500))) == {"L2-L4": "0.934"}
    alone = held(tid1500(of_group))
    assert alone.reason is Reason.NO_BMD
    assert "time point" in alone.detail or "another study" in alone.detail


@pytest.mark.parametrize(
    "proof",
    [
        uidref(STUDY, "2.25.2"),
        text(("126201", "DCM", "Acquisition Date"), "20240301"),
        text(("111060", "DCM", "Study Date"), "20240301"),
    ],
)
def test_a_time_point_that_is_shown_to_be_this_exam_is_read(proof):
    for time_point in TIME_POINTS:
        of_group = group("L1-L4", time_point, proof)
        of_number = bare(named_as("L2-L4"), bmd_of("0.9", time_point, proof))
        assert values(seen(tid1500(of_group, of_number))) == {"L1-L4": "0.912", "L2-L4": "0.9"}


def test_a_number_of_another_day_among_those_of_today_is_not_todays():
    earlier = text(("111060", "DCM", "Study Date"), "20190202")
    sent = tid1500(bare(named_as("L1-L4"), num(SPINE_BMD, "0.912"), bmd_of("0.95", earlier)))
    read_report = seen(sent)
    assert values(read_report) == {"L1-L4": "0.912"}
    assert read_report.remarks == ("L1-L4: BMD is dated on another day and was not used",)


@pytest.mark.parametrize(
    ("below", "why"),
    [
        (
            code_item(("370129005", "SCT", "Measurement Method"), ("1", "99X", "QCT")),
            "was measured by quantitative CT",
        ),
        (code_item(("1", "99X", "Temporal relation"), "Previous"), "has a modifier that the dialect does not know"),
    ],
)
def test_a_number_of_another_method_or_with_an_unknown_modifier_is_left_out(below, why):
    named = named_as("L1-L4")
    read_report = seen(tid1500(bare(named, bmd_of("0.5", below)), group("L2-L4", bmd="0.934")))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert f"L1-L4: BMD {why} and was not used" in read_report.remarks


def test_a_number_with_its_method_and_its_algorithm_is_read():
    below = (
        code_item(("370129005", "SCT", "Measurement Method"), ("241686001", "SCT", "Dual energy X-ray absorptiometry")),
        text(("111001", "DCM", "Algorithm Name"), "Edge"),
    )
    named = named_as("L1-L4")
    read_report = seen(tid1500(bare(named, bmd_of("0.912", *below))))
    assert (values(read_report), read_report.remarks) == ({"L1-L4": "0.912"}, ())


def test_vertebrae_as_finding_sites_are_a_set():
    sites = [finding_site(("122496007", "SCT", "Lumbar spine"))]
    sites += [finding_site((value, "SCT", "")) for value in ("11994002", "66794005", "36470004")]
    assert list(values(seen(tid1500(group("", *sites))))) == ["L1,L3-L4"]


@pytest.mark.parametrize(
    "contradiction",
    [
        group("femoral neck left", finding_site(NECK, code_item(LATERALITY, RIGHT))),
        group("femoral neck left", finding_site(("122496007", "SCT", "Lumbar spine"))),
        group("L1-L4", finding_site(HIP)),
        group("L1-L4", *(finding_site((value, "SCT", "")) for value in ("66794005", "36470004"))),
        group("", finding_site(NECK, code_item(LATERALITY, LEFT)), code_item(LATERALITY, RIGHT)),
        group("", finding_site(NECK), finding_site(("30547004", "SCT", "")), code_item(LATERALITY, LEFT)),
        group("", finding_site(NECK), finding_site(("66794005", "SCT", ""))),
        group("", finding_site(NECK)),
        group("", finding_site(("122496007", "SCT", "Lumbar spine"))),
        group("", finding_site(HIP, code_item(LATERALITY, LEFT))),
        group("Doe^Jane"),
    ],
)
def test_a_group_whose_name_and_codes_contradict_or_name_no_region_is_not_read(contradiction):
    read_report = seen(tid1500(contradiction, group("L2-L4", bmd="0.934")))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert read_report.remarks[0].startswith("CONTAINER 'Measurement Group', number 1 of ")
    assert "Doe" not in read_report.remarks[0]


@pytest.mark.parametrize("concept", [SPINE_BMD, ("46383-6", "LN", "x"), ("1", "99X", "Bone Mineral Density"), "BMD"])
def test_bmd_is_known_by_its_loinc_code_or_its_name(concept):
    named = named_as("L1-L4")
    sent = tid1500(container(("125007", "DCM", "Measurement Group"), named, num(concept, "0.9")))
    assert values(seen(sent)) == {"L1-L4": "0.9"}


def test_a_t_score_is_not_a_bmd():
    t_score = num(("38265-5", "LN", "DXA Radius and Ulna [T-score] Bone density"), "0.9")
    named = named_as("L1-L4")
    assert held(tid1500(container(("125007", "DCM", "Measurement Group"), named, t_score))).reason is Reason.NO_BMD


# Numbers and units


@pytest.mark.parametrize("spelling", [" g/cm2", "g/cm²", "g/cm^2", "gm/cm2"])
def test_a_unit_in_any_spelling_seen_is_known_by_value_or_meaning(spelling):
    for unit in ((spelling, "99X", "?"), ("77", "99X", spelling)):
        assert values(seen(report(spine(region("L1-L4", "0.912", unit=unit))))) == {"L1-L4": "0.912"}


def test_milligrams_are_divided_by_a_thousand_exactly_with_a_remark():
    read_report = seen(report(spine(region("L1-L4", "912.3", unit=("mg/cm2", "UCUM", "mg/cm2")))))
    assert values(read_report) == {"L1-L4": "0.9123"}
    assert read_report.remarks == (
        "L1-L4: BMD was sent in mg/cm2 and divided by 1000",
        "L1-L4: BMD: it has more digits than densitometers print, and all were kept",
    )


@pytest.mark.parametrize(
    "unit",
    [None, ("", "", ""), ("g/cm-2", "UCUM", "?"), ("g", "UCUM", "g"), ("mg/cm2", "UCUM", "g/cm2"), ("1", "UCUM", "1")],
)
def test_a_bmd_without_a_known_unit_is_not_used_and_is_kept_as_it_was_sent(unit):
    bmd = container("L1-L4", num("BMD", "0.912", unit))
    error = held(report(spine(bmd)))
    assert (error.reason, error.detail) == (Reason.UNKNOWN_UNIT, "BMD of L1-L4")
    read_report = seen(report(spine(region("L2-L4", "0.934"), bmd)))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert read_report.unused == (
        Unused(what="L1-L4: BMD", text="0.912", reason="has no unit that the dialect knows for it"),
    )


def test_a_site_may_assure_the_unit_that_its_scanners_leave_out_and_the_report_says_so():
    assured = (VENDORS / "lunar.toml").read_text(encoding="utf-8") + '\n[units_when_absent]\nbmd = "g/cm2"\n'
    milligrams = region("L2-L4", "912", unit=("mg/cm2", "UCUM", "mg/cm2"))
    sent = report(spine(container("L1-L4", num("BMD", "0.912", None)), milligrams))
    read_report = extract(elements_of(sent), load_dialects({"lunar.toml": assured}))
    assert values(read_report) == {"L1-L4": "0.912", "L2-L4": "0.912"}
    assert "L1-L4: BMD came without a unit, which the dialect assures" in read_report.remarks


def test_a_bmd_as_text_needs_its_unit_in_the_text():
    assert values(seen(report(spine(container("L1-L4", text("BMD", "0.912 g/cm2")))))) == {"L1-L4": "0.912"}
    assert held(report(spine(container("L1-L4", text("BMD", "0.912"))))).reason is Reason.UNKNOWN_UNIT


@pytest.mark.parametrize("bmd", ["0.1", "3.0"])
def test_the_least_and_the_greatest_plausible_bmd_are_read(bmd):
    assert values(seen(report(spine(region("L1-L4", bmd))))) == {"L1-L4": bmd}


@pytest.mark.parametrize("bmd", ["0.0999", "3.001", "912", "0", "-0.912"])
def test_an_implausible_bmd_is_not_used_and_is_kept_as_it_was_sent(bmd):
    error = held(report(spine(region("L1-L4", bmd))))
    assert (error.reason, error.detail) == (Reason.IMPLAUSIBLE, "BMD of L1-L4")
    read_report = seen(report(spine(region("L1-L4", bmd), region("L2-L4", "0.934"))))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert [unused.text for unused in read_report.unused] == [bmd]


def test_a_bmd_in_grams_that_is_called_milligrams_is_held_and_not_put_right():
    assert held(report(spine(region("L1-L4", "1.23", unit=("mg/cm2", "UCUM", "?"))))).reason is Reason.IMPLAUSIBLE


def test_comma_and_marks_are_read_with_a_remark():
    read_report = seen(report(spine(region("L1-L4", "0,912*", text("BMD_TSCORE", "-1,3#")))))
    (measured,) = read_report.exam.measurements
    assert (measured.bmd, measured.t_score) == (Decimal("0.912"), Decimal("-1.3"))
    assert len(read_report.remarks) == 4


@pytest.mark.parametrize("blank", ["", " ", "-", "---"])
def test_a_blank_is_no_value_and_no_remark(blank):
    read_report = seen(report(spine(region("L1-L4", "0.912", text("BMD_TSCORE", blank)))))
    assert read_report.exam.measurements[0].t_score is None
    assert read_report.remarks == ()


def test_a_region_whose_bmd_is_no_number_is_lost_alone():
    read_report = seen(report(spine(region("L1-L4", "0.9l2"), region("L2-L4", "0.934"))))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert read_report.remarks == (
        "L1-L4: BMD is not a number and was not used",
        "L1-L4 was not read: there is no BMD in it",
    )


@pytest.mark.parametrize(
    "other",
    [
        num("BMC", "40", None),
        num("BMC", "40", ("mg", "UCUM", "mg")),
        num("BMC", "0", ("g", "UCUM", "g")),
        num("AREA", "39.47", ("g", "UCUM", "g")),
        num("AREA", "99999", ("cm2", "UCUM", "cm2")),
        text("BMD_TSCORE", "-1.3 SD of something"),
        text("BMD_TSCORE", "low"),
        text("BMD_ZSCORE", "9999"),
    ],
)
def test_another_value_that_cannot_be_used_is_remarked_and_leaves_the_bmd(other):
    read_report = seen(report(spine(region("L1-L4", "0.912", other))))
    (measured,) = read_report.exam.measurements
    assert (measured.bmc, measured.area, measured.t_score, measured.z_score) == (None, None, None, None)
    assert len(read_report.remarks) == 1
    assert read_report.remarks[0].startswith("L1-L4: ")


def test_a_bmd_that_is_not_content_over_area_within_printed_rounding_is_not_used():
    content = (num("BMC", "40.36", ("g", "UCUM", "g")), num("AREA", "39.47", ("cm2", "UCUM", "cm2")))
    assert seen(report(spine(region("L1-L4", "1.022", *content)))).remarks == ()
    wrong = region("L1-L4", "1.032", *content)
    error = held(report(spine(wrong)))
    assert (error.reason, error.detail) == (Reason.INCONSISTENT, "BMD of L1-L4")
    read_report = seen(report(spine(wrong, region("L2-L4", "0.934"))))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert read_report.remarks == ("L1-L4: BMD is not BMC divided by area and was not used",)


def test_the_mean_of_two_sides_need_not_be_content_over_area():
    """The mean of two quotients is not the quotient of two means."""
    content = (num("BMC", "40.36", ("g", "UCUM", "g")), num("AREA", "39.47", ("cm2", "UCUM", "cm2")))
    sent = report(container("DualFemur", region("Total Mean", "1.032", *content)))
    assert values(seen(sent)) == {"total hip mean": "1.032"}


# A region twice


def test_a_region_twice_with_equal_values_is_one_with_the_values_of_both():
    area = num("AREA", "39.47", ("cm2", "UCUM", "cm2"))
    sent = report(spine(region("L1-L4", "0.912"), region("L1 - L4", "0.9120", area, text("BMD_TSCORE", "-1.3"))))
    (measured,) = seen(sent).exam.measurements
    assert (measured.bmd, measured.area, measured.t_score) == (Decimal("0.912"), Decimal("39.47"), Decimal("-1.3"))


@pytest.mark.parametrize("apart", [True, False])
def test_a_region_twice_with_different_values_holds_the_report(apart):
    both = (region("L1-L4", "0.912"), region("L1-L4", "0.913"))
    scans = [spine(one) for one in both] if apart else [spine(*both)]
    error = held(report(*scans))
    assert (error.reason, error.detail) == (Reason.CONTRADICTORY, "BMD of L1-L4 is given as 0.912 and as 0.913")


def test_two_bmds_in_one_region_hold_the_report():
    assert held(report(spine(region("L1-L4", "0.912", num("BMD", "0.913"))))).reason is Reason.CONTRADICTORY


def test_t_scores_of_one_region_that_differ_are_all_left_out():
    """A man's may be told against men and against women; the BMD is the same."""
    twice = spine(*(region("L1-L4", "0.912", text("BMD_TSCORE", score)) for score in ("-1.3", "-1.8", "-1.3")))
    read_report = seen(report(twice))
    assert read_report.exam.measurements[0].t_score is None
    assert read_report.remarks == ("L1-L4: T-score has more than one value and was not used",)


# What is not a report for us


def test_a_report_without_bmd_is_held_with_the_reason():
    error = held(report(spine(container("L1-L4", text("BMD_TSCORE", "-1.3")))))
    assert (error.reason, error.detail) == (Reason.NO_BMD, "L1-L4 was not read: there is no BMD in it")
    assert held(report()).reason is Reason.NO_BMD


def test_a_report_of_an_unknown_kind_is_held_with_its_title():
    error = held(report(spine(), root="Radiation Dose Report"))
    assert (error.reason, error.detail) == (Reason.UNKNOWN_DIALECT, "its root is CONTAINER 'Radiation Dose Report'")


@pytest.mark.parametrize(
    "ours",
    [
        tid1500(group("L1-L4"), ManufacturerModelName="DXAtrend"),
        tid1500(group("L1-L4", num(("DIFF", "99DXATREND", "Change since prior"), "0.01"))),
    ],
)
def test_our_own_addendum_is_known_when_it_comes_back(ours):
    assert held(ours).reason is Reason.OWN_ADDENDUM


def test_every_reason_has_its_sentence_and_its_exception_shows_it():
    for reason in Reason:
        assert reason.sentence.endswith(".")
        assert str(UnreadableReportError(reason)) == reason.sentence
        assert str(UnreadableReportError(reason, "why")) == f"{reason.sentence} (why)"


def test_a_broken_item_is_remarked_and_its_neighbours_are_read():
    broken = num("BMC", "1")
    del broken.ValueType
    read_report = seen(report(spine(region("L1-L4", "0.912", broken))))
    assert values(read_report) == {"L1-L4": "0.912"}
    assert read_report.remarks == ("item 'BMC' is not whole: it has no Value Type (0040,A040)",)


def test_no_error_and_no_remark_ever_names_the_patient():
    """Whatever is wrong with the report: its texts are stored, shown and logged."""
    marked = {"PatientID": "ZZ-ID", "PatientName": "ZZ^MARKED", "PatientBirthDate": "ZZDATE", "PatientSex": "ZZ"}
    named = named_as("ZZ^MARKED")
    texts: list[str] = []
    keywords = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "StudyDate", "StudyTime", "PatientID")
    contents = (spine(), spine(region("L1-L4", "ZZ")), measurements(container("Measurement Group", named)))
    for keyword, value, content in itertools.product(keywords, ("ZZ", "Z\0Z", None), contents):
        header: dict[str, Any] = marked | {keyword: value}
        try:
            texts += seen(report(content, **header)).remarks
        except UnreadableReportError as error:
            texts.append(str(error))
    assert texts
    assert not any("ZZ" in text for text in texts)


# Other people's files


def public_files(samples: Path) -> list[Path]:
    return [file for file in sorted(samples.rglob("*")) if file.is_file() and file.suffix not in (".csv", ".gz")]


def test_every_public_sample_is_held_with_a_reason(samples):
    """None of them is a bone densitometer's report, several are no DICOM at all, and none may raise anything else."""
    reasons: dict[str, Reason] = {}
    for file in public_files(samples):
        with pytest.raises(UnreadableReportError) as error:
            extract(read_elements(*split_file(file.read_bytes())), shipped_dialects())
        reasons[file.name] = error.value.reason
    assert len(reasons) > 50
    assert reasons["sr.dcm"] is Reason.NO_BMD
    assert reasons["sr_document.dcm"] is Reason.NO_BMD
    assert reasons["reportsi.dcm"] is Reason.UNKNOWN_DIALECT
    assert reasons["sr_bmd_mgcm2_no_region.dcm"] is Reason.NO_PATIENT_ID
    assert reasons["MR_truncated.dcm"] is Reason.TRUNCATED
    assert reasons["CT_small.dcm"] is Reason.NOT_A_REPORT
    assert reasons["TC0265_depth_100.dcm"] is Reason.TOO_LARGE
    assert reasons["TC0277_missing_delim.dcm"] is Reason.NOT_DICOM
    assert reasons["TC0279_stray_seq_delim.dcm"] is Reason.NOT_DICOM


def test_files_without_file_meta_information_are_held_as_no_dicom_whatever_they_are_said_to_be(samples):
    for file in public_files(samples):
        if "no_meta" in file.name or "NoMeta" in file.name or "no_dicm" in file.name:
            for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"):
                with pytest.raises(UnreadableReportError):
                    extract(read_elements(file.read_bytes(), syntax), shipped_dialects())
