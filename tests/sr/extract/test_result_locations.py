"""Results are read from images as from a content tree."""

from datetime import date
from decimal import Decimal

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLossless

from pipeline.clinical.model import Scanner
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.result_locations import ResultLocation
from tests.factories.images import (
    COMPUTED_RADIOGRAPHY,
    HEADS,
    apex,
    dxa_results,
    hologic_picture,
    picture,
    roi,
    scan,
)
from tests.factories.reports import (
    container,
    encode,
    held,
    num,
    put,
    read,
    region,
    report,
    seen,
    spine,
    text,
    values,
)

LEVELS = [
    ["L1", "13.26", "11.58", "0.873", "-1.4", "83", "-1.0"],
    ["L2", "13.72", "12.94", "0.943", "-1.0", "88", "-0.7"],
    ["L3", "14.81", "13.93", "0.941", "-1.3", "87", "-1.2"],
    ["L4", "13.97", "13.40", "0.959", "-1.0", "89", "-0.8"],
]
TOTAL = ["Total", "55.77", "51.85", "0.930", "-1.1", "88", " "]


# GE's XML in Image Comments


def test_an_image_has_in_its_comments_what_a_report_would_have():
    more = (
        '<BMD_PYA units="%" id="7">87</BMD_PYA><BMD_TSCORE id="6">-1.3</BMD_TSCORE><BMC units=" g" id="5">40.36</BMC>'
        '<AREA units=" cm2" id="2">39.47</AREA>'
    )
    read_report = seen(picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "1.022", more)))))
    (measured,) = read_report.exam.measurements
    assert read_report.location is ResultLocation.IMAGE_COMMENTS
    assert (read_report.dialect, read_report.remarks) == ("lunar 2", ())
    assert values(read_report) == {"L1-L4": "1.022"}
    assert (measured.t_score, measured.percent_young_adult) == (Decimal("-1.3"), Decimal(87))
    assert (measured.bmc, measured.area) == (Decimal("40.36"), Decimal("39.47"))
    assert read_report.exam.scanner == Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLossless], ids=lambda s: s.name
)
def test_an_image_is_read_in_any_transfer_syntax(syntax):
    sent = picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "1.022"))), SOPClassUID=COMPUTED_RADIOGRAPHY)
    assert values(read(encode(sent, syntax), syntax)) == {"L1-L4": "1.022"}


def test_both_femora_and_their_means_are_read_from_comments_and_their_difference_is_not():
    femora = [
        roi("Neck Left", "0.826"),
        roi("Neck Right", "0.830"),
        roi("Neck Mean", "0.828"),
        roi("Neck Diff.", "0.004"),
    ]
    read_report = seen(picture(comments=dxa_results(scan("DualFemur", *femora))))
    assert values(read_report) == {
        "femoral neck left": "0.826",
        "femoral neck right": "0.830",
        "femoral neck mean": "0.828",
    }


TREND = (
    '<TREND region="L1-L4"><EXAM date="01-Mar-2024"><BMD units=" g/cm2">1.022</BMD>'
    '<CHANGE type="PCHANGE_VS_PREVIOUS"><BMD units="%">-2.1</BMD></CHANGE></EXAM>'
    '<EXAM date="04/06/2022"><BMD units=" g/cm2">1.044</BMD></EXAM></TREND>'
)


def test_a_trend_in_the_comments_is_kept_beside_and_never_measured():
    read_report = seen(picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "1.022"), TREND))))
    assert values(read_report) == {"L1-L4": "1.022"}
    now, before = read_report.vendor_trend
    assert (now.since_previous_percent, now.day) == (Decimal("-2.1"), read_report.exam.performed_on)
    assert (before.bmd, before.printed_date, before.day) == (Decimal("1.044"), "04/06/2022", None)
    assert held(picture(comments=dxa_results(scan("AP Spine", TREND)))).reason is Reason.NO_BMD


def older(*exams: tuple[str, str], unit: str = ' units="g/cm2"') -> str:
    entries = "".join(
        f"<EXAM><EXAM_DATE>{date}</EXAM_DATE><BMD{unit}>{bmd}</BMD><YAT>-1.5</YAT><AMZ>0.4</AMZ>"
        "<BMD_CHANGE><TYPE>ROC_VS_PREVIOUS</TYPE><VALUE>-2.7</VALUE></BMD_CHANGE></EXAM>"
        for date, bmd in exams
    )
    return (
        '<DENSITOMETRY_RESULTS><CURRENT_EXAM><SCAN type="AP Spine"><TREND><TREND_ROI>L1-L4</TREND_ROI>'
        f"<BASELINE_EXAM_DATE>3/13/2022</BASELINE_EXAM_DATE>{entries}</TREND></SCAN></CURRENT_EXAM></DENSITOMETRY_RESULTS>"
    )


@pytest.mark.parametrize(
    ("today", "before"),
    [
        ("3/1/2024", "3/13/2022"),
        ("1/3/2024", "13/3/2022"),
        ("2024-03-01", "2022-03-13"),
        ("01-Mar-2024", "13-Mar-2022"),
    ],
)
def test_in_the_older_form_todays_exam_is_the_one_of_the_day_wherever_it_stands(today, before):
    for exams in ([(before, "1.042"), (today, "1.014")], [(today, "1.014"), (before, "1.042")]):
        read_report = seen(picture(comments=older(*exams)))
        assert values(read_report) == {"L1-L4": "1.014"}
        assert read_report.exam.measurements[0].t_score == Decimal("-1.5")
        assert [point.bmd for point in read_report.vendor_trend] == [Decimal(bmd) for _, bmd in exams]
        assert {point.since_previous_percent for point in read_report.vendor_trend} == {None}, "a rate is no change"


def test_in_the_older_form_no_exam_or_two_of_the_day_are_no_measurement():
    assert held(picture(comments=older(("3/13/2022", "1.042")))).reason is Reason.NO_BMD
    assert held(picture(comments=older(("3/1/2024", "1.042"), ("1/3/2024", "1.014")))).reason is Reason.NO_BMD


def test_a_density_without_a_unit_in_the_comments_is_not_used():
    assert held(picture(comments=older(("3/1/2024", "1.014"), unit=""))).reason is Reason.UNKNOWN_UNIT
    without = dxa_results(scan("AP Spine", roi("L1-L4", "1.022", unit="")))
    assert held(picture(comments=without)).reason is Reason.UNKNOWN_UNIT


def test_milligrams_in_the_comments_are_distinguished_from_grams():
    milligrams = dxa_results(scan("AP Spine", roi("L1-L4", "1022", unit=' units="mg/cm2"')))
    assert values(seen(picture(comments=milligrams))) == {"L1-L4": "1.022"}
    grams = dxa_results(scan("AP Spine", roi("L1-L4", "1022")))
    assert held(picture(comments=grams)).reason is Reason.IMPLAUSIBLE


def test_comments_of_another_day_are_held():
    """An old exam that is printed anew carries today's header."""
    old = dxa_results(scan("AP Spine", roi("L1-L4", "1.022")), date="14-Feb-2019")
    assert held(picture(comments=old)).reason is Reason.OTHER_DATE


@pytest.mark.parametrize("date", ["01/03/2024", "03/01/2024", "1. März 2024", "2024-03-01", ""])
def test_comments_whose_date_can_be_the_day_are_read(date):
    assert values(seen(picture(comments=dxa_results(scan("AP Spine", roi("L1-L4", "1.022")), date=date))))


GOOD = dxa_results(scan("AP Spine", roi("L1-L4", "1.022")))


@pytest.mark.parametrize(
    "broken",
    [
        GOOD[:-20],
        GOOD.replace("</ROI>", ""),
        GOOD.replace("1.022", "1.022 &nope;"),
        '<!DOCTYPE x [<!ENTITY a "1.022">]>' + GOOD.replace("1.022", "&a;"),
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + GOOD,
    ],
)
def test_comments_that_are_cut_short_broken_or_define_entities_are_held(broken):
    error = held(picture(comments=broken))
    assert error.reason is Reason.BROKEN_RESULTS
    assert "passwd" not in str(error)


def test_comments_larger_than_any_are_held():
    huge = GOOD.replace("<SCAN", " " * 2**20 + "<SCAN", 1)
    with pytest.raises(UnreadableReportError) as error:
        read(encode(picture(comments=huge), ImplicitVRLittleEndian), ImplicitVRLittleEndian)
    assert error.value.reason is Reason.TOO_LARGE


def test_a_reports_own_content_counts_before_its_comments_and_they_where_it_has_none():
    sent = report(spine(region("L1-L4", "0.912")))
    put(sent, "ImageComments", GOOD)
    assert (values(seen(sent)), seen(sent).location) == ({"L1-L4": "0.912"}, ResultLocation.CONTENT_TREE)
    sent = report(container("Notes", text("A", "B")), root="Something else")
    put(sent, "ImageComments", GOOD)
    assert (values(seen(sent)), seen(sent).location) == ({"L1-L4": "1.022"}, ResultLocation.IMAGE_COMMENTS)


def test_comments_in_words_are_no_results():
    assert held(picture(comments="Patient moved <twice>", Manufacturer="ACME")).reason is Reason.NOT_A_REPORT


# Hologic's document in (0019,xx00)


def spine_document(*, total=TOTAL, history_title="Results History: L1-L4", **lines: str) -> str:
    history = [
        ["Scan Date", "Age", "BMD[g/cm&sup2;]", "T-score", "BMD Change vs Baseline", "BMD Change vs Previous"],
        ["03/01/2024", "74", "0.930", "-1.1", "-0.020 (-2.1%)*", "-0.020 (-2.1%)*"],
        ["04/06/2022", "72", "0.950#", "-0.9", " ", " "],
    ]
    return apex([HEADS, *LEVELS, total], history, titles=("Results Summary:", history_title), **lines)


def test_a_hologic_image_has_in_its_document_what_a_report_would_have():
    read_report = seen(hologic_picture(spine_document()))
    assert (read_report.location, read_report.dialect) == (ResultLocation.PRIVATE, "hologic 2")
    assert values(read_report) == {"L1": "0.873", "L2": "0.943", "L3": "0.941", "L4": "0.959", "L1-L4": "0.930"}
    total = read_report.exam.by_region["L1-L4"]
    assert (total.bmc, total.area, total.t_score) == (Decimal("51.85"), Decimal("55.77"), Decimal("-1.1"))
    assert (total.percent_young_adult, total.z_score) == (Decimal(88), None)
    assert total.scan_mode == "a Lumbar Spine"
    assert read_report.remarks == ()


def test_the_serial_number_behind_the_model_is_the_scanners():
    for model in ("Horizon W (S/N 300001M)", "Horizon W (S/N300001M)"):
        read_report = seen(hologic_picture(spine_document(Model=model)))
        assert read_report.exam.scanner == Scanner("Hologic", "Horizon W", "300001M")


def test_what_the_scanner_says_of_change_is_kept_with_its_marks():
    now, before = seen(hologic_picture(spine_document())).vendor_trend
    assert (now.region.key, now.bmd, now.marks) == ("L1-L4", Decimal("0.930"), "*")
    assert (now.since_previous, now.since_previous_percent) == (Decimal("-0.020"), Decimal("-2.1"))
    assert (before.bmd, before.printed_date, before.day) == (Decimal("0.950"), "04/06/2022", None)
    assert before.marks == "#", "a dissimilar scan or analysis"


def test_columns_are_known_by_their_heads_and_never_by_their_place():
    order = [0, 6, 3, 5, 1, 4, 2]
    shuffled = apex([[row[at] for at in order] for row in (HEADS, *LEVELS)])
    assert values(seen(hologic_picture(shuffled)))["L3"] == "0.941"
    composition = ["Region", "Area[cm&sup2;]", "BMC[g]", "Fat[g]", "BMD[g/cm&sup2;]", "Lean[g]", "%Fat"]
    body = apex(
        [composition, ["L Arm", "154.28", "147.11", "1253.8", "0.954", "1796.1", "39.2"],
         ["Total", "2000.00", "2200.00", "20000.0", "1.100", "40000.0", "31.2"]],
        ScanMode="a Whole Body",
    )  # fmt: skip
    assert values(seen(hologic_picture(body))) == {"total body": "1.100"}


def test_without_a_head_nothing_is_read():
    assert held(hologic_picture(apex(LEVELS))).reason is Reason.NO_BMD


@pytest.mark.parametrize("title", ["Results History:", "", "Results History: L1-L4, or L2-L4"])
def test_a_total_of_unstated_vertebrae_is_not_read(title):
    read_report = seen(hologic_picture(spine_document(history_title=title)))
    assert list(values(read_report)) == ["L1", "L2", "L3", "L4"]


def test_a_total_is_of_the_vertebrae_stated_only_if_their_content_adds_up():
    of_three = ["Total", "42.50", "40.28", "0.948", "-1.0", "88", " "]
    assert values(seen(hologic_picture(spine_document(total=of_three, history_title="History: L2-L4"))))["L2-L4"]
    read_report = seen(hologic_picture(spine_document(total=of_three)))
    assert "L1-L4" not in values(read_report)
    assert "the content of the stated vertebrae does not add up to the spine's Total" in read_report.remarks


def test_both_hips_in_one_document_are_distinguished_below_the_name_of_their_part():
    heads = ["Region", "BMD[g/cm&sup2;]"]
    rows = [["Neck", " "], ["Left", "0.702"], ["Right", "0.710"], ["Mean", "0.706"], ["|Diff.|", "0.108"],
            ["Total", " "], ["Left", "0.812"], ["Right", "0.820"]]  # fmt: skip
    document = apex([heads, *rows], ScanMode="a Left Hip", ScanMode2="a Right Hip")
    assert values(seen(hologic_picture(document))) == {
        "femoral neck left": "0.702",
        "femoral neck right": "0.710",
        "femoral neck mean": "0.706",
        "total hip left": "0.812",
        "total hip right": "0.820",
    }


def test_one_hip_and_one_forearm_have_the_side_of_their_scan_mode():
    hip = apex([["Region", "BMD[g/cm&sup2;]"], ["Neck", "0.702"], ["Total", "0.812"]], ScanMode="f Left Hip")
    assert values(seen(hologic_picture(hip))) == {"femoral neck left": "0.702", "total hip left": "0.812"}
    arm = apex([["Region", "BMD[g/cm&sup2;]"], ["1/3", "0.602"], ["UD", "0.412"]], ScanMode="a Right Forearm")
    assert values(seen(hologic_picture(arm))) == {"33% radius right": "0.602", "ultradistal radius right": "0.412"}


@pytest.mark.parametrize("order", [1, -1])
def test_each_of_two_hips_in_one_document_has_the_mode_of_its_own_scan(order):
    rows = [["Neck", " "], ["Left", "0.702"], ["Right", "0.710"], ["Mean", "0.706"]]
    first, second = ("a Left Hip", "f Right Hip")[::order]
    document = apex([["Region", "BMD[g/cm&sup2;]"], *rows], ScanMode=first, ScanMode2=second)
    modes = {m.region.key: m.scan_mode for m in seen(hologic_picture(document)).exam.measurements}
    assert modes == {
        "femoral neck left": "a Left Hip",
        "femoral neck right": "f Right Hip",
        "femoral neck mean": "a Left Hip, f Right Hip",
    }


def test_a_forearm_has_the_side_of_its_protocol_of_analysis():
    rows = [["Region", "BMD[g/cm&sup2;]"], ["1/3", "0.602"]]
    document = apex(rows, ScanMode="a Forearm", AnalProtocol="Left Forearm")
    assert values(seen(hologic_picture(document))) == {"33% radius left": "0.602"}


@pytest.mark.parametrize(
    "head", ["BMD[g/cm&#178;]", "BMD[g/cm&#xB2;]", "BMD&nbsp;[g/cm<sup>2</sup>]", "<b>BMD</b>[g/cm2]"]
)
def test_a_head_is_read_as_it_would_be_seen(head):
    assert values(seen(hologic_picture(apex([["<b>Region</b>", head], ["L1&nbsp;", "0.873"]])))) == {"L1": "0.873"}


@pytest.mark.parametrize(
    ("printed", "header", "analysed"),
    [
        ("03/01/2024 10:30", {}, [date(2024, 3, 1)]),  # 3 January was before the scan
        ("04/06/2024 10:30", {}, [date(2024, 6, 4), date(2024, 4, 6)]),
        ("04/06/2024 10:30", {"ContentDate": "20240408"}, [date(2024, 4, 6)]),
        ("04/06/2024 10:30", {"InstanceCreationDate": "20240408"}, [date(2024, 4, 6)]),
        ("04/23/2024 10:30", {"ContentDate": "20240301"}, [date(2024, 4, 23)]),
        ("later", {}, []),
    ],
)
def test_an_analysis_is_not_before_its_scan_and_not_after_the_image_with_its_results(printed, header, analysed):
    (analysis,) = seen(hologic_picture(spine_document(AnalDate=printed), **header)).analyses
    assert analysis.scan == "A0301240C"
    assert [moment.date() for moment in analysis.analysed_at] == analysed


def test_the_version_of_hologics_software_is_read_where_the_header_has_none():
    document = spine_document(HologicSoftwareVer="13.6.0.7")
    assert seen(hologic_picture(document)).exam.software == "13.6.0.7"
    assert seen(hologic_picture(document, SoftwareVersions="13.6.1.3")).exam.software == "13.6.1.3"


def test_the_protocol_by_which_hologic_analysed_goes_with_the_measurement():
    read_report = seen(hologic_picture(spine_document(AnalProtocol="Spine (auto low density)")))
    assert {m.analysis_protocol for m in read_report.exam.measurements} == {"Spine (auto low density)"}


@pytest.mark.parametrize("creator", ["HOLOGIC", "Hologic", "HOLOGIC, Inc.", " hologic "])
def test_the_document_is_found_by_its_creator(creator):
    assert values(seen(hologic_picture(spine_document(), creator)))


def test_a_document_in_another_block_is_found_and_one_of_another_creator_is_not():
    assert values(seen(hologic_picture(spine_document(), block=0x12)))
    assert held(hologic_picture(spine_document(), "ACME")).reason is Reason.PICTURE
    assert held(hologic_picture("<xml/>", "HOLOGIC, Inc.")).reason is Reason.PICTURE


def test_no_script_is_executed_and_what_is_no_plain_line_is_not_read():
    evil = spine_document().replace(
        "</JavaScriptFile>", 'for(;;){}\r\nModel = f("x");\r\nScan += "y";</JavaScriptFile>'
    )
    assert values(seen(hologic_picture(evil)))["L1"] == "0.873"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (spine_document()[:-30], Reason.BROKEN_RESULTS),
        (apex([HEADS, *LEVELS], end=""), Reason.BROKEN_RESULTS),
        (spine_document().replace("</JavaS", 'ResultsTable1[ 1][ 3] = "0.999";</JavaS'), Reason.CONTRADICTORY),
        (spine_document().replace("</JavaS", 'ScanMode = "a Left Hip";</JavaS'), Reason.CONTRADICTORY),
        (spine_document() + " " * 2**20, Reason.TOO_LARGE),
        (apex([HEADS]), Reason.NO_BMD),
        ("<HologicHeader1>\r\n<GeneralData>", Reason.BROKEN_RESULTS),
        (spine_document(Scan="February 14, 2019 - A0214190A"), Reason.OTHER_DATE),
        (spine_document(ScanMode="Spine Phantom"), Reason.PHANTOM),
    ],
)
def test_a_document_that_cannot_be_trusted_is_held(document, reason):
    assert held(hologic_picture(document)).reason is reason


def test_no_patient_of_the_document_is_in_any_text():
    named = spine_document(PatientName="ZZ MARKED", PatientID="ZZ1", SSN="ZZ2", DOB="ZZ3")
    read_report = seen(hologic_picture(named))
    assert "ZZ" not in repr(read_report)


# Pictures without results


@pytest.mark.parametrize("modality", ["OT", "CR", "BMD", "BD"])
def test_a_densitometers_image_without_results_is_ignored(modality):
    assert held(picture(Modality=modality)).reason is Reason.PICTURE


def test_an_image_whose_results_are_a_stub_is_one_without_results():
    """Of 837 documents seen 130 had no table."""
    general = "<GeneralData><ReportType>18</ReportType></GeneralData>"
    for stub in ("", general, f'{general}<JavaScriptFile>ScanMode = "a Lumbar Spine";</JavaScriptFile>'):
        assert held(hologic_picture(f"<HologicHeader1>{stub}</HologicHeader1>")).reason is Reason.PICTURE
    assert held(picture(comments=dxa_results(scan("LVA")))).reason is Reason.PICTURE
    assert held(picture(comments=dxa_results(scan("LVA"))[:-5])).reason is Reason.BROKEN_RESULTS


def test_an_image_of_another_manufacturer_or_kind_is_held():
    assert held(picture(Manufacturer="ACME")).reason is Reason.NOT_A_REPORT
    assert held(picture(Modality="MR")).reason is Reason.NOT_A_REPORT


def test_a_presentation_state_is_ignored():
    state = picture(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1", Modality="PR", Manufacturer="ACME")
    assert held(state).reason is Reason.PICTURE


def test_a_number_beside_the_results_is_no_result():
    """What DXA cannot be compared with may stand in the same object."""
    sent = report(container("Heel", num("BUA", "70", ("dB/MHz", "UCUM", "dB/MHz"))), root="Bone Report")
    assert held(sent).reason is Reason.OTHER_METHOD
