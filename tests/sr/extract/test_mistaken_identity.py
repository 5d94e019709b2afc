"""Nothing else passes for what this scanner measured today, in these vertebrae, on this side."""

from datetime import date
from typing import Any

import pytest

from pipeline.clinical.model import Sex
from pipeline.sr.dicom.unreadable import Reason
from tests.factories.images import HEADS, apex, dxa_results, hologic_picture, picture, roi, scan
from tests.factories.reports import (
    TID1500,
    code_item,
    coded,
    container,
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

LEVELS = {
    "L1": ["L1", "13.26", "11.58", "0.873", "-1.4", "83", "-1.0"],
    "L2": ["L2", "13.72", "12.94", "0.943", "-1.0", "88", "-0.7"],
    "L3": ["L3", "14.81", "13.93", "0.941", "-1.3", "87", "-1.2"],
    "L4": ["L4", "13.97", "13.40", "0.959", "-1.0", "89", "-0.8"],
}
DATED = ["Scan Date", "Age", "BMD[g/cm&sup2;]", "T-score"]


# Another day


@pytest.mark.parametrize(
    "sent",
    [
        report(spine(region("L1-L4", "0.912", text("EXAM_DATE", "02-Feb-2019")))),
        report(container("AP Spine", text("EXAM_DATE", "02-Feb-2019"), region("L1-L4", "0.912"))),
        report(spine(), text("EXAM_DATE", "02-Feb-2019")),
        report(
            container(
                "AP Spine",
                text("EXAM_DATE", "01-Mar-2024"),
                text("EXAM_DATE", "02-Feb-2019"),
                region("L1-L4", "0.912"),
            )
        ),
        report(measurements(group("L1-L4", text(("126201", "DCM", "Acquisition Date"), "20190202"))), root=TID1500),
    ],
)
def test_a_region_a_scan_or_a_report_of_another_day_is_held(sent):
    assert held(sent).reason is Reason.OTHER_DATE


def test_a_region_dated_on_the_day_of_the_header_is_read():
    sent = report(spine(region("L1-L4", "0.912", text("EXAM_DATE", "01-Mar-2024"))))
    assert values(seen(sent)) == {"L1-L4": "0.912"}


def test_an_unreadable_date_is_remarked():
    read_report = seen(report(spine(), text("EXAM_DATE", "le premier mars")))
    assert read_report.remarks == ("a date of acquisition cannot be read; the header's counts",)


def densitometry(*exams: tuple[str, str]) -> str:
    content = "".join(f'<EXAM date="{date}"><BMD units="g/cm2">{bmd}</BMD></EXAM>' for date, bmd in exams)
    trend = f"<TREND><TREND_ROI>L1-L4</TREND_ROI>{content}</TREND>"
    return f"<DENSITOMETRY_RESULTS><CURRENT_EXAM>{scan('AP Spine', trend)}</CURRENT_EXAM></DENSITOMETRY_RESULTS>"


def test_an_earlier_exam_whose_figures_would_fit_today_is_not_todays_where_the_others_show_the_order():
    """3 April, printed with the month first, is 4 March read with the day first."""
    today: dict[str, Any] = {"StudyDate": "20240403"}
    swapped = [("05/23/2019", "1.050"), ("03/04/2024", "1.001")]
    assert held(picture(comments=densitometry(*swapped), **today)).reason is Reason.NO_BMD
    assert values(seen(picture(comments=densitometry(*swapped, ("04/03/2024", "0.980")), **today))) == {
        "L1-L4": "0.980"
    }
    assert values(seen(picture(comments=densitometry(("23/05/2019", "1.050"), ("03/04/2024", "1.001")), **today))) == {
        "L1-L4": "1.001"
    }


def test_a_table_of_dated_exams_is_a_history_whatever_its_title():
    only = [DATED, ["04/06/2019", "70", "0.990", "-0.5"]]
    sent = hologic_picture(apex(only, titles=("Results Summary: L1-L4",)))
    assert held(sent).reason is Reason.NO_BMD
    both = apex([HEADS, LEVELS["L1"], LEVELS["L2"]], only, titles=("Results Summary:", "Results Summary: L1-L4"))
    assert values(seen(hologic_picture(both))) == {"L1": "0.873", "L2": "0.943"}


# Other vertebrae, another side, another projection


@pytest.mark.parametrize("stated", ["L1-L4", "L3"])
def test_a_total_is_not_of_a_vertebra_that_the_table_leaves_out(stated):
    rows = [LEVELS["L1"], LEVELS["L2"], LEVELS["L4"], ["Total", "40.95", "37.92", "0.926", "-1.1", "88", " "]]
    history = [DATED, ["04/06/2019", "70", "0.990", "-0.5"]]
    sent = apex([HEADS, *rows], history, titles=("Results Summary:", f"Results History: {stated}"))
    assert list(values(seen(hologic_picture(sent)))) == ["L1", "L2", "L4"]


@pytest.mark.parametrize("keyword", ["Laterality", "ImageLaterality"])
def test_results_of_the_other_side_than_the_headers_are_held(keyword):
    left = dxa_results(scan("Left Femur", roi("Neck", "0.702")))
    right_side: dict[str, Any] = {keyword: "R"}
    left_side: dict[str, Any] = {keyword: "L"}
    assert held(picture(comments=left, **right_side)).reason is Reason.CONTRADICTORY
    assert values(seen(picture(comments=left, **left_side))) == {"femoral neck left": "0.702"}
    spinal = dxa_results(scan("AP Spine", roi("L1-L4", "1.022")))
    assert values(seen(picture(comments=spinal, **right_side))) == {"L1-L4": "1.022"}


@pytest.mark.parametrize("mode", ["a Lateral Spine", "SE Lateral Spine", "x Lateral Lumbar Spine", "a Decubitus Spine"])
def test_a_spine_seen_from_the_side_is_not_one_seen_from_the_front(mode):
    error = held(hologic_picture(apex([HEADS, LEVELS["L2"], LEVELS["L3"]], ScanMode=mode)))
    assert error.reason is Reason.NO_BMD
    assert error.detail == ("CONTAINER 'Data Set 1' was ignored: a spine seen from the side, which has another density")


@pytest.mark.parametrize("title", ["Previous Results Summary", "Baseline Summary", "Summary of prior exam"])
def test_the_summary_of_an_earlier_exam_is_not_todays(title):
    sets = [("Results Summary", region("L1-L4", "0.912")), (title, region("L2-L4", "0.955"))]
    content = [
        container(f"Data Set {number}", text("Data Set Title", title), content)
        for number, (title, content) in enumerate(sets, start=1)
    ]
    read_report = seen(report(*content, root="BMD Rate of Change Report", Manufacturer="HOLOGIC, Inc."))
    assert values(read_report) == {"L1-L4": "0.912"}
    assert read_report.ignored == ("CONTAINER 'Data Set 2' was ignored: an earlier exam",)


@pytest.mark.parametrize("mode", ["a Prosthetic Left Hip", "a Left Hip Prosthesis", "a Left Hip (prosthetic)"])
def test_what_surrounds_a_prosthesis_is_no_hip(mode):
    rows = [["Region", "BMD[g/cm&sup2;]"], ["Neck", "0.702"], ["Total", "0.812"]]
    for modes in ({"ScanMode": mode}, {"ScanMode": "a Right Hip", "ScanMode2": mode}):
        error = held(hologic_picture(apex(rows, **modes)))
        assert (error.reason, "a hip with a prosthesis" in error.detail) == (Reason.NO_BMD, True)


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (container("Trend L1-L4", container("01-Mar-2022", num("BMD", "0.950"))), "the scanner's own trend"),
        (container("DualFemur", region("Neck Diff.", "0.014")), "a difference"),
        (spine(container("CHANGE_VS_PREVIOUS L1-L4", num("BMD", "0.01"))), "a change"),
    ],
)
def test_a_report_of_which_all_was_ignored_is_held_and_names_what_that_was(content, because):
    error = held(report(content))
    assert error.reason is Reason.NO_BMD
    assert error.detail.endswith(f" was ignored: {because}")


def test_what_was_ignored_beside_a_measurement_is_listed_and_is_no_remark():
    read_report = seen(report(container("DualFemur", region("Neck Left", "0.812"), region("Neck Diff.", "0.014"))))
    assert read_report.ignored == ("CONTAINER 'Neck Diff.' was ignored: a difference",)
    assert read_report.remarks == ()


# Another machine


NO_SERIAL_NUMBERS = [
    *("0", "000000", "N/A", "n.a.", "NA", "Unknown", "UNK", "NONE", "XXXXX", "xx-xx", "-", "???", "not set", "null"),
    *("SN", "S/N", "s/n:", "Serial", "Serial No.", "Serial Number", "SERIAL_NUMBER", "Device Serial Number", "No S/N"),
    *("12345", "123456789", "1234567890", "0123456789", "54321", "1111", "AAAA", "9999-9999", "TBD", "test", "dummy"),
]


@pytest.mark.parametrize("serial", NO_SERIAL_NUMBERS)
def test_what_stands_for_a_serial_number_is_none(serial):
    sent = report(spine(), DeviceSerialNumber=serial)
    read_report = seen(sent)
    assert not read_report.exam.scanner.identified
    assert read_report.remarks == ("the serial number of the scanner is a placeholder and was not used",)


@pytest.mark.parametrize(
    "serial", ["DF+500475", "500475", "ME+212290", "302081M", "81234", "1234", "X1234", "100", "SN1", "2345", "A12345"]
)
def test_a_serial_number_that_only_looks_simple_is_one(serial):
    assert seen(report(spine(), DeviceSerialNumber=serial)).exam.scanner.serial_number == serial


@pytest.mark.parametrize(
    ("serial", "station", "identified"),
    [
        ("DXA1", "DXA1", False),
        ("gelunar", "GELUNAR", False),
        ("DF+500475", "DF+500475", True),
        ("DXA1", "DXA2", True),
        ("1", "", True),
    ],
)
def test_a_station_name_repeated_is_no_serial_number_unless_the_station_is_named_by_it(serial, station, identified):
    sent = report(spine(), DeviceSerialNumber=serial, StationName=station)
    assert seen(sent).exam.scanner.identified is identified


def test_a_placeholder_in_the_header_leaves_the_word_to_the_model():
    sent = report(spine(), DeviceSerialNumber="0000", ManufacturerModelName="Horizon W (S/N 300001M)")
    assert seen(sent).exam.scanner.serial_number == "300001M"


# Another patient


def born(day: str) -> Any:
    return text(("121031", "DCM", "Subject Birth Date"), day)


def of(sex: str) -> Any:
    return code_item(("121032", "DCM", "Subject Sex"), ("X", "DCM", sex))


def of_subject(*content: Any, **header: str | None) -> Any:
    return report(*content, measurements(group("L1-L4")), root=TID1500, **header)


def hologic_of(**content: Any) -> Any:
    return hologic_picture(apex([HEADS, LEVELS["L1"], LEVELS["L2"]], **content), PatientBirthDate="19500403")


@pytest.mark.parametrize("day", ["04/04/1950", "05/03/1950", "04/03/1951", "19500304", "April 4, 1950"])
def test_results_of_one_who_was_born_on_another_day_are_held(day):
    for sent in (hologic_of(DOB=day), of_subject(born(day), PatientBirthDate="19500403")):
        error = held(sent)
        assert (error.reason, error.detail) == (
            Reason.OTHER_PATIENT,
            "the birth date is another than PatientBirthDate (0010,0030)",
        )


@pytest.mark.parametrize("day", ["04/03/1950", "03/04/1950", "19500403", "April 3, 1950", "3. April 1950", ""])
def test_a_birth_date_that_can_be_the_headers_in_one_order_is_no_conflict(day):
    assert seen(hologic_of(DOB=day)).exam.patient.birth_date == date(1950, 4, 3)
    assert seen(of_subject(born(day), PatientBirthDate="19500403")).exam.patient.birth_date == date(1950, 4, 3)


def test_of_two_birth_dates_in_one_report_neither_is_overlooked():
    both = (born("19500403"), born("19610403"))
    for content in (both, both[::-1]):
        assert held(of_subject(*content, PatientBirthDate="19500403")).reason is Reason.OTHER_PATIENT
        assert held(of_subject(*content, PatientBirthDate=None)).reason is Reason.OTHER_PATIENT


def test_an_unreadable_birth_date_is_remarked_and_never_quoted():
    read_report = seen(hologic_of(DOB="Ostern 1950"))
    assert read_report.remarks == ("a birth date in the content cannot be read; the header's counts",)


@pytest.mark.parametrize(
    ("day", "known"), [("04/23/1950", date(1950, 4, 23)), ("04/03/1950", None), ("04/04/1950", date(1950, 4, 4))]
)
def test_a_birth_date_in_the_content_alone_is_the_patients_unless_it_has_two_readings(day, known):
    assert seen(of_subject(born(day), PatientBirthDate=None)).exam.patient.birth_date == known


def test_results_of_the_other_sex_are_held():
    assert held(of_subject(of("Male"))).reason is Reason.OTHER_PATIENT
    assert held(hologic_of(PatientSex="Male")).reason is Reason.OTHER_PATIENT
    for sex in ("Female", "F", "f", "Unknown sex"):
        assert seen(of_subject(of(sex))).exam.patient.sex is Sex.FEMALE
    assert seen(of_subject(of("Male"), PatientSex="")).exam.patient.sex is Sex.MALE
    assert seen(of_subject(of("Male"), PatientSex="O")).exam.patient.sex is Sex.OTHER


def test_an_id_printed_in_another_form_is_no_conflict():
    assert seen(hologic_of(PatientID="P-1/0", SSN="1")).exam.patient.patient_id == "P1"


# Numbers that are no measurement


def test_a_derived_number_is_no_measurement():
    derived = num(("24966-4", "LN", "DXA Lumbar spine"), "0.912")
    derived.ContentSequence = [code_item(("121401", "DCM", "Derivation"), ("121414", "DCM", "Standard deviation"))]
    sent = report(
        measurements(
            container(
                ("125007", "DCM", "Measurement Group"), text(("112039", "DCM", "Tracking Identifier"), "L1-L4"), derived
            )
        ),
        root=TID1500,
    )
    assert held(sent).reason is Reason.NO_BMD


def test_a_number_that_the_scanner_itself_disowns_is_not_used():
    failed = num("BMD", "0.912")
    failed.NumericValueQualifierCodeSequence = [coded(("114006", "DCM", "Measurement failure"))]
    read_report = seen(report(spine(container("L1-L4", failed), region("L2-L4", "0.934"))))
    assert values(read_report) == {"L2-L4": "0.934"}
    assert "NUM 'BMD' is not whole: its qualifier says that its value is none" in read_report.remarks


def test_of_two_measured_values_in_one_number_none_is_used():
    two = num("BMD", "0.912")
    other = num("BMD", "0.955").MeasuredValueSequence[0]
    two.MeasuredValueSequence.append(other)
    assert values(seen(report(spine(container("L1-L4", two), region("L2-L4", "0.934"))))) == {"L2-L4": "0.934"}


def test_the_vendors_other_words_for_what_is_no_measurement():
    for name in ("Difference", "Differenz", "Neck Diff", "Δ", "Change L1-L4", "Verlauf L1-L4", "L1-L4 previous"):
        read_report = seen(report(spine(region(name, "0.111"), region("L2-L4", "0.934"))))
        assert values(read_report) == {"L2-L4": "0.934"}, name


def test_a_header_whose_patient_id_is_two_is_held():
    sent = report(spine())
    put(sent, "PatientID", "P1\\P2")
    assert held(sent).reason is Reason.NO_PATIENT_ID
