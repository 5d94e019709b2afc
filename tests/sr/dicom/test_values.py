"""Numbers, dates and times are read exactly as printed."""

import struct
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.sr.dicom.values import (
    NoNumberError,
    Number,
    agrees,
    decimals_of,
    is_blank,
    read_date,
    read_datetime,
    read_number,
    read_time,
    without_noise,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.910", "0.910"),
        (" 0.91 ", "0.91"),
        ("-1.0", "-1.0"),
        ("+2", "2"),
        (".5", "0.5"),
        ("82.", "82"),
        ("\u22121.3", "-1.3"),
        ("9.12E-01", "0.912"),
        ("1e2", "100"),
    ],
)
def test_a_number_is_read_with_the_digits_it_was_printed_with(text, value):
    number = read_number(text)
    assert str(number.value) == value
    assert (number.unit, number.remarks) == ("", ())


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-99, max_value=99))
def test_what_a_scanner_prints_is_what_is_read(value):
    assert str(read_number(f"{value}").value) == f"{value}"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("0.91200000047684", "0.912"),
        ("0.93999999761581", "0.940"),
        ("0.9119999999999999", "0.912"),
        ("0.912000000476837158203125", "0.912"),
        ("0.912000000000000032862601528904633596539497375488281", "0.912"),
        ("0.91200000", "0.912"),
        ("0.912300026416778", "0.9123"),
        ("1.0000001192092896", "1.000"),
        ("0.912", "0.912"),
        ("0.9120", "0.9120"),
        ("0.91234", "0.91234"),
        ("0.9123457", "0.9123457"),
        ("0.91234567890123456789012345", "0.91234567890123456789"),
    ],
)
def test_digits_that_floating_point_has_added_are_no_digits_of_the_scanner(text, read):
    assert str(without_noise(read_number(text).value, 3)) == read


@given(st.integers(min_value=100, max_value=3000))
def test_a_density_that_went_through_a_float_of_32_or_64_bits_is_read_as_it_was_measured(thousandths):
    measured = Decimal(thousandths).scaleb(-3)
    (single,) = struct.unpack("<f", struct.pack("<f", float(measured)))
    texts = {f"{single:.14f}", str(Decimal(single)), repr(single), f"{single:.9e}", str(Decimal(float(measured)))}
    read = [without_noise(read_number(text).value, 3) for text in texts]
    assert {*read} == {measured}
    assert all(decimals_of(value) <= 3 for value in read)


@given(st.integers(min_value=100_000, max_value=3_000_000).filter(lambda millionths: millionths % 10))
def test_a_sixth_decimal_is_kept(millionths):
    measured = Decimal(millionths).scaleb(-6)
    assume(all(abs(measured - round(measured, places)) > Decimal("2e-6") for places in (3, 4, 5)))
    assert without_noise(measured, 3) == measured


def test_a_decimal_comma_is_read_and_remarked():
    assert read_number("1,023") == Number(
        value=Decimal("1.023"), remarks=("a decimal comma was read as a decimal point",)
    )


@pytest.mark.parametrize("marks", ["*", "#", " *", "*#"])
def test_marks_of_significance_are_left_out_and_remarked(marks):
    assert read_number(f"0.912{marks}") == Number(
        value=Decimal("0.912"),
        marks=marks.strip(),
        remarks=(f"the scanner's mark {marks.strip()} was left out",),
    )


def test_a_unit_printed_after_the_number_is_returned():
    assert read_number("82 %").unit == read_number("82%").unit == "%"
    assert read_number("0.912  g/cm\u00b2").unit == "g/cm\u00b2"


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "n/a", "NaN", "Infinity", "0.9l2", "0.9 0.8", "0.9\\0.8", "1,023.5", "1.023,5", "1.2.3"),
        *("0x10", "0.912g", "1.0 2.0", "\u0661"),
        *("1e99", "1e-99", "9" * 30, "1" * 100_000, "0." + "1" * 100),
    ],
)
def test_what_is_not_one_number_is_none(text):
    with pytest.raises(NoNumberError):
        read_number(text)


@given(st.text(max_size=40))
def test_any_text_is_a_finite_number_or_none(text):
    value = value_of(text)
    assert value is None or value.is_finite()


def value_of(text: str) -> Decimal | None:
    try:
        return read_number(text).value
    except NoNumberError:
        return None


@pytest.mark.parametrize("text", ["", "  ", "-", "--", "---", " \u2013 ", "\u2014"])
def test_dashes_are_no_value(text):
    assert is_blank(text)


def test_a_zero_is_a_value():
    assert not is_blank("0")


@pytest.mark.parametrize(
    ("bmd", "bmc", "area", "agree"),
    [
        ("1.022", "40.36", "39.47", True),  # printed by a Lunar Prodigy: 1.02255 cut, not rounded
        ("0.930", "51.85", "55.77", True),
        ("0.931", "51.85", "55.77", False),
        ("0.9", "51.85", "55.77", True),  # one decimal can say no more
        ("0.930", "51.85", "0", False),
        ("0.930", "51.85", "0.004", False),
    ],
)
def test_bmd_agrees_with_content_and_area_within_what_is_printed(bmd, bmc, area, agree):
    assert agrees(Decimal(bmd), Decimal(bmc), Decimal(area)) is agree


@given(st.integers(100, 99_999), st.integers(100, 99_999))
def test_a_bmd_made_from_content_and_area_always_agrees(bmc, area):
    content, surface = Decimal(bmc) / 100, Decimal(area) / 100
    assert agrees((content / surface).quantize(Decimal("0.001")), content, surface)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("20240229", date(2024, 2, 29)),
        (" 20240301 ", date(2024, 3, 1)),
        ("1992.12.31", date(1992, 12, 31)),
        ("20230229", None),
        ("2024-03-01", None),
        ("202403", None),
        ("20240301-20240302", None),
        ("00000000", None),
        ("", None),
        ("\u0662\u0660\u0662\u0664\u0660\u0663\u0660\u0661", None),
    ],
)
def test_dates_are_read_in_the_two_forms_dicom_has_had(text, read):
    assert read_date(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("101010.000", time(10, 10, 10)),
        ("101010.12", time(10, 10, 10, 120_000)),
        ("101010.123456", time(10, 10, 10, 123_456)),
        ("101010", time(10, 10, 10)),
        ("1010", time(10, 10)),
        ("10", time(10)),
        ("10:10:10", time(10, 10, 10)),
        ("235960", time(23, 59, 59)),
        ("240000", None),
        ("1", None),
        ("101010.", None),
        ("101010.1234567", None),
        ("noon", None),
        ("", None),
    ],
)
def test_times_are_read_as_far_as_they_are_known(text, read):
    assert read_time(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("20240301101112.5+0100", datetime(2024, 3, 1, 10, 11, 12, 500_000)),
        ("20240301101112-0800", datetime(2024, 3, 1, 10, 11, 12)),
        ("20240301", datetime(2024, 3, 1)),
        ("202403", None),
        ("20240301250000", None),
        ("", None),
    ],
)
def test_a_date_and_time_is_what_the_scanners_own_clock_showed(text, read):
    assert read_datetime(text) == read
