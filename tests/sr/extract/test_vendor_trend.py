"""The scanner's own trend is evidence, and never a measurement."""

from datetime import date
from decimal import Decimal

import pytest

from pipeline.clinical.regions import parse_region
from pipeline.clinical.vendor_trend import TrendPoint
from pipeline.sr.extract import vendor_trend
from tests.factories.reports import container, encode, num, read, region, report, spine, text, values

PERCENT = ("%", "UCUM", "%")


def points(*content) -> tuple[TrendPoint, ...]:
    return read(encode(report(*content))).vendor_trend


def trend(*entries, name: str = "Trend L1-L4"):
    return spine(region("L1-L4", "0.912"), container(name, *entries))


def entry(day: str, *content):
    return container(day, *content)


def test_a_trend_has_bmd_and_change_of_each_exam_in_it():
    now = entry(
        "01-Mar-2024",
        num("BMD", "0.912"),
        container("CHANGE_VS_PREVIOUS", num("BMD", "-0.020")),
        container("PCHANGE_VS_PREVIOUS", num("BMD", "-2.1*", PERCENT)),
        container("CHANGE_VS_BASELINE", num("BMD", "-0.040")),
    )
    before = entry("01-Mar-2022", num("AGE", "72", ("a", "UCUM", "years")), num("BMD", "0.932"))
    assert points(trend(now, before)) == (
        TrendPoint(
            region=parse_region("L1-L4"),
            printed_date="01-Mar-2024",
            days=(date(2024, 3, 1),),
            bmd=Decimal("0.912"),
            since_previous=Decimal("-0.020"),
            since_previous_percent=Decimal("-2.1"),
            since_baseline=Decimal("-0.040"),
            marks="*",
        ),
        TrendPoint(
            region=parse_region("L1-L4"),
            printed_date="01-Mar-2022",
            days=(date(2022, 3, 1),),
            bmd=Decimal("0.932"),
        ),
    )


def test_a_trend_has_site_and_side_of_the_scan_it_stands_in():
    femur = container(
        "Left Femur", region("Neck", "0.7"), container("Trend Neck", entry("01-Mar-2022", num("BMD", "0.71")))
    )
    (point,) = points(femur)
    assert point.region == parse_region("femoral neck left")


def test_an_ambiguous_date_is_kept_as_it_was_printed():
    (point,) = points(trend(entry("04/06/2022", num("BMD", "0.932"))))
    assert (point.printed_date, point.days) == ("04/06/2022", (date(2022, 6, 4), date(2022, 4, 6)))


@pytest.mark.parametrize(
    "content",
    [
        num("BMD", "0.932", None),
        num("BMD", "932"),
        num("BMD", "high"),
        text("BMD", "0.932"),
        num("BMC", "40", ("g", "UCUM", "g")),
        container("CHANGE_VS_PREVIOUS", num("BMD", "-20", ("m", "UCUM", "m"))),
    ],
)
def test_what_cannot_be_read_of_a_trend_is_passed_over(content):
    assert points(trend(entry("01-Mar-2022", content))) == ()


def test_a_trend_of_an_unknown_region_is_passed_over():
    assert points(trend(entry("01-Mar-2022", num("BMD", "0.9")), name="Trend Somewhere")) == ()


def test_changes_in_milligrams_and_both_in_one_cell_are_read():
    milligrams = container("CHANGE_VS_PREVIOUS", num("BMD", "-20", ("mg/cm2", "UCUM", "mg/cm2")))
    (point,) = points(trend(entry("01-Mar-2022", num("BMD", "0.932"), milligrams)))
    assert point.since_previous == Decimal("-0.020")
    both = container("CHANGE_VS_PREVIOUS", text("BMD", "0.012 (1.3%)*#"))
    (point,) = points(trend(entry("01-Mar-2022", num("BMD", "0.932"), both)))
    assert (point.since_previous, point.since_previous_percent, point.marks) == (Decimal("0.012"), Decimal("1.3"), "#*")


def test_hologics_history_is_a_trend_of_the_regions_in_it():
    history = container(
        "Data Set 2",
        text("Data Set Title", "Results History: Left Hip"),
        container("Total", text("Scan Date", "2022-03-01"), num("BMD", "0.850")),
        container("Neck", num("BMD", "0.700")),
    )
    summary = container("Data Set 1", text("Data Set Title", "Results Summary: Left Hip"), region("Total", "0.840"))
    read_report = read(encode(report(summary, history, root="BMD Rate of Change Report", Manufacturer="Hologic")))
    assert values(read_report) == {"total hip left": "0.840"}
    (point,) = read_report.vendor_trend
    assert (point.region.key, point.bmd, point.day) == ("total hip left", Decimal("0.850"), date(2022, 3, 1))


def test_a_trend_without_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(vendor_trend, "MOST_POINTS", 3)
    entries = [entry(f"{day:02}-Mar-2022", num("BMD", "0.932")) for day in range(1, 20)]
    assert len(points(trend(*entries))) == 3
