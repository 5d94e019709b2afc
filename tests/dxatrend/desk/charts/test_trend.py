"""The trend plot has what a densitometrist expects: band, breaks, sets of vertebrae, therapies, no reference curve."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from dxatrend.desk.charts.trend import Reference, trend_plot
from pipeline.clinical.clinical_context import Therapy
from pipeline.sr.render.plots import Band, Break, Plot, Point, ScanGroup, TherapyCourse

D = Decimal
DAYS = [date(year, 5, 14) for year in (2016, 2018, 2020, 2022, 2024)]
PLOT = Plot(
    region="Spine L2-L4",
    series=tuple(Point(on=day, bmd=D("0.900") - n * D("0.010")) for n, day in enumerate(DAYS)),
    not_comparable=(ScanGroup(reason="S/N 7, Hologic Horizon A", points=(Point(on=date(2014, 1, 1), bmd=D("0.8")),)),),
    band=Band(bmd=D("0.870"), lsc=D("0.022")),
    baseline_band=Band(bmd=D("0.900"), lsc=D("0.022")),
    prior_on=DAYS[-2],
    baseline_on=DAYS[0],
    birth_date=date(1950, 3, 1),
)


def drawn(plot: Plot, reference: Reference = Reference.PRIOR) -> ET.Element:
    return ET.fromstring(trend_plot(plot, "p1", reference))


def texts(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter("text")]


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [one for one in root.iter() if name in (one.get("class") or "").split()]


def places(line: ET.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in str(line.get("points")).split())]


def test_every_exam_is_a_mark_and_the_present_one_has_a_ring() -> None:
    root = drawn(replace(PLOT, band=None, baseline_band=None))
    scans = [one for one in by_class(root, "chart-scan") if "chart-ring" not in str(one.get("class"))]
    legend = 2
    assert len(scans) == len(PLOT.series) + legend
    assert len(by_class(root, "chart-ring")) == 1 + 1
    assert "0.860" in texts(root)


@pytest.mark.parametrize(("reference", "middle"), [(Reference.PRIOR, "0.870"), (Reference.BASELINE, "0.900")])
def test_the_band_is_about_the_reference_that_was_chosen(reference: Reference, middle: str) -> None:
    root = drawn(PLOT, reference)
    band = by_class(root, "chart-band")[0]
    centre = float(str(band.get("y"))) + float(str(band.get("height"))) / 2
    on = {"0.870": DAYS[-2], "0.900": DAYS[0]}[middle]
    (point,) = [one for one in by_class(root, "chart-scan") if (one.findtext("title") or "").startswith(str(on))]
    assert abs(float(str(point.get("cy"))) - centre) < 0.11
    assert any(f"about the {reference} of {on}" in text for text in texts(root))


def test_the_scale_shows_three_lscs_about_the_reference_on_both_sides() -> None:
    root = drawn(PLOT)
    band = by_class(root, "chart-band")[0]
    height = float(str(band.get("height"))) / 2  # one LSC
    centre = float(str(band.get("y"))) + height
    grid = [places(one)[0][1] for one in by_class(root, "chart-grid")]
    axis = places(by_class(root, "chart-axis")[0])
    bottom = max(y for _, y in axis)
    assert bottom - centre >= 3 * height
    assert centre - min(grid) >= 1 * height


def test_prior_and_baseline_are_named() -> None:
    assert {"prior", "baseline"} <= set(texts(drawn(PLOT)))
    both = replace(PLOT, series=PLOT.series[-2:], baseline_on=DAYS[-2], baseline_band=None)
    assert "prior and baseline" in texts(drawn(both))


def test_time_is_true_to_scale_and_age_is_a_second_axis() -> None:
    root = drawn(replace(PLOT, series=(PLOT.series[0], *PLOT.series[-2:])))
    x = [float(str(one.get("cx"))) for one in by_class(root, "chart-scan") if one.findtext("title")]
    (line,) = by_class(root, "chart-line")
    first, second, third = (x for x, _ in places(line))
    assert abs((second - first) / (third - second) - 3.0) < 0.02
    assert x
    assert "age" in texts(root)
    assert any(text in texts(root) for text in ("70", "72"))
    assert "age" not in texts(drawn(replace(PLOT, birth_date=None)))


@pytest.mark.parametrize("label", ["scanner", "calibration", "software", "scan mode"])
def test_a_break_is_a_rule_with_words_and_no_line_crosses_one_that_interrupts(label: str) -> None:
    rule = Break(on=date(2021, 1, 1), label=label, reason=f"another {label}", interrupts=True)
    root = drawn(replace(PLOT, breaks=(rule,)))
    (line,) = by_class(root, "chart-break")
    at = places(line)[0][0]
    assert label in texts(root)
    assert line.findtext("title") == f"another {label}"
    for stretch in by_class(root, "chart-line"):
        xs = [x for x, _ in places(stretch)]
        assert max(xs) < at or min(xs) > at


def test_sets_of_vertebrae_stand_at_their_scans_and_what_was_recomputed_is_hollow() -> None:
    changed = Point(on=DAYS[1], bmd=D("0.890"), recomputed=True, printed="L1-L4")
    root = drawn(replace(PLOT, series=(PLOT.series[0], changed, *PLOT.series[2:])))
    assert "L1-L4" in texts(root)
    assert next(one.findtext("title") for one in by_class(root, "chart-hollow")) == (
        "2018-05-14: 0.890 g/cm², printed L1-L4"
    )


def test_excluded_and_held_exams_are_crosses_with_their_reason_and_without_a_number() -> None:
    excluded = ScanGroup(reason="calcium tablet", points=(Point(on=date(2019, 1, 1), bmd=D("1.111")),))
    root = drawn(replace(PLOT, excluded=(excluded,), held_days=(date(2023, 1, 1),)))
    tips = [one.findtext("title") or "" for one in by_class(root, "chart-excluded")]
    assert tips[:2] == ["2019-01-01, not used: calcium tablet", "2023-01-01: held for a person"]
    assert "held" in texts(root)
    assert "1.111" not in ET.tostring(root, encoding="unicode")


def test_therapies_are_bars_below_the_years_and_named() -> None:
    course = TherapyCourse(
        therapy=Therapy.ANABOLIC, begins=date(2018, 1, 1), ends=DAYS[-1], start_on_record=True, ended=False
    )
    root = drawn(replace(PLOT, therapies=(course,)))
    bar = by_class(root, "chart-therapy")[0]
    years = max(float(str(one.get("y"))) for one in by_class(root, "chart-tick"))
    assert float(str(bar.get("y"))) > years
    assert "anabolic therapy" in texts(root)


def test_nothing_is_drawn_that_the_plot_does_not_have() -> None:
    """No curve of a reference population: lines join scans, and are axes, rules, grid and the middle of the band."""
    names = {str(one.get("class")) for one in drawn(PLOT).iter("polyline")}
    assert names == {"chart-line", "chart-axis", "chart-grid", "chart-middle"}


def test_the_description_says_in_words_what_is_seen() -> None:
    described = drawn(PLOT).findtext("desc") or ""
    assert "Exam of 2024-05-14: 0.860 g/cm². 4 earlier exams may be compared with it." in described
    assert "from 0.848 to 0.892 g/cm²" in described
    assert "Not comparable: S/N 7, Hologic Horizon A, 2014-01-01." in described


def test_the_words_of_a_plot_do_not_overlap() -> None:
    """Five scans within a month, each with a set of vertebrae of its own, and rules on neighbouring days."""
    near = [Point(on=date(2024, 5, 1 + n), bmd=D("0.900"), recomputed=True, printed=f"L{n}-L4") for n in range(1, 5)]
    breaks = [Break(on=date(2024, 5, 1 + n), label=f"software {n}", reason="r", interrupts=True) for n in range(1, 4)]
    root = drawn(replace(PLOT, series=tuple(near), breaks=tuple(breaks)))
    boxes = []
    for one in by_class(root, "chart-break-name"):
        x, y = float(str(one.get("x"))), float(str(one.get("y")))
        boxes.append((x, x + 0.6 * 13 * len(one.text or ""), y))
    for number, (left, right, y) in enumerate(boxes):
        assert all(y != other[2] or right <= other[0] or other[1] <= left for other in boxes[:number])
