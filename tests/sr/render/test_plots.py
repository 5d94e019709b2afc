"""Trend plots join comparable scans alone, show what lies between scans, and have a scale as wide as the LSC asks."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from pipeline.clinical.clinical_context import ClinicalContext, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Epoch, Exam, Measurement
from pipeline.clinical.regions import parse_region
from pipeline.sr.render import page_layout, page_marks, plot_geometry
from pipeline.sr.render.fonts import Fonts
from pipeline.sr.render.page_content import PageContent
from pipeline.sr.render.page_marks import Box, Chart, Disc, Line, Mark, Polygon, Text, Tone
from pipeline.sr.render.plot_marks import chart_marks
from pipeline.sr.render.plots import (
    Band,
    Break,
    Plot,
    PlotContext,
    Point,
    ScanGroup,
    TherapyCourse,
    plots,
    therapy_courses,
)
from tests.factories import interpretations as make
from tests.factories.renderings import addendum_to, interpreted, shown, visit

D = Decimal
EXAM = date(2024, 5, 14)


def spine(year: int, sets: Sequence[str] = ("L1-L4",), levels: str = "L1-L4", **more: object) -> Exam:
    """A spine with each vertebra at 0.9 g/cm2, and with these sets of them."""
    vertebrae = [replace(make.measurement(one, "0.900"), bmc=D("10.80"), area=D("12.00")) for one in _levels(levels)]
    printed = [make.measurement(one, "0.900") for one in sets]
    return _exam(year, *vertebrae, *printed, **more)


def hip(year: int, bmd: str = "0.800", **more: object) -> Exam:
    return _exam(year, make.measurement("total hip left", bmd), **more)


def _exam(year: int, *measurements: Measurement, **more: object) -> Exam:
    given = {"scanner": make.PRODIGY, "software": "16.1"} | more
    return Exam(
        study_instance_uid=f"1.2.3.{year}",
        patient=make.PATIENT,
        performed_at=datetime(year, 5, 14, 10, 20),
        measurements=measurements,
        **given,  # type: ignore[arg-type]
    )


def _sets(*sets: tuple[int, str]) -> list[tuple[int, Measurement]]:
    """Spines with a set of vertebrae and without single ones."""
    return [(year, make.measurement(region, "0.900")) for year, region in sets]


def _levels(levels: str) -> tuple[str, ...]:
    return parse_region(levels).vertebrae


def content_of(exam: Exam, history: Sequence[Exam], plot_context: PlotContext | None = None) -> PageContent:
    plot_context = plot_context or PlotContext()
    lscs = tuple(make.lsc(m.region.key) for m in exam.measurements if m.region.monitorable)
    reference = ClinicalReference(lscs=lscs, epochs=tuple(plot_context.epochs))
    interpretation = interpret(exam, history, reference, contexts=plot_context.records)
    return shown(addendum_to(interpretation), interpretation, history, plot_context)


def plot_of(exam: Exam, history: Sequence[Exam], plot_context: PlotContext | None = None) -> Plot:
    (plot,) = content_of(exam, history, plot_context).plots
    return plot


def words_on_pages(content: PageContent) -> str:
    """Every text of the pages."""
    pages = page_layout.lay_out(content, "name", Fonts().width)
    return " ".join(mark.text for page in pages for mark in page if isinstance(mark, page_marks.Text))


# Breaks


def test_another_scanner_is_a_rule_between_the_two_scans() -> None:
    plot = plot_of(hip(2024), [hip(2020, scanner=make.HORIZON), hip(2022)])
    (one,) = plot.breaks
    assert (one.label, one.on, one.interrupts) == ("scanner", date(2021, 5, 14), False)
    assert one.reason == f"other scanner (S/N {make.HORIZON.serial_number} to {make.PRODIGY.serial_number})"


@pytest.mark.parametrize(
    ("begins", "drawn"),
    [("2020-05-14", False), ("2020-05-15", True), ("2022-05-14", True), ("2024-05-15", False)],
)
def test_a_calibration_epoch_is_a_rule_where_it_lies_between_scans(begins: str, *, drawn: bool) -> None:
    epochs = [
        Epoch(scanner=make.PRODIGY, begins=date.fromisoformat(begins), reason="moved", cross_calibrated=True),
        Epoch(scanner=make.HORIZON, begins=date(2022, 1, 1), reason="of another scanner", cross_calibrated=False),
    ]
    plot = plot_of(hip(2024), [hip(2020)], PlotContext(epochs=epochs))
    rules = [(one.label, one.on.isoformat(), one.reason) for one in plot.breaks]
    assert rules == ([("calibration", begins, f"calibration checked on {begins} (moved)")] if drawn else [])


def test_across_a_new_calibration_nothing_is_joined_and_the_rule_says_so() -> None:
    epochs = [Epoch(scanner=make.PRODIGY, begins=date(2021, 1, 1), reason="new tube", cross_calibrated=False)]
    plot = plot_of(hip(2024), [hip(2020), hip(2022)], PlotContext(epochs=epochs))
    assert [point.on.year for point in plot.series] == [2022, 2024]
    assert [one.reason for one in plot.breaks] == ["calibrated anew on 2021-01-01 (new tube)"]


@pytest.mark.parametrize(
    ("before", "drawn"), [("13.6", True), ("16.0", False), ("16.1", False), ("", False), ("enCORE 18", True)]
)
def test_another_major_software_is_a_rule_over_which_no_line_goes(before: str, *, drawn: bool) -> None:
    """R2.4"""
    plot = plot_of(hip(2024), [hip(2020, software=before), hip(2022)])
    assert [one.label for one in plot.breaks] == ["software"] * drawn
    stretches = [[point.on.year for point in stretch] for stretch in plot_geometry.unbroken_stretches(plot)]
    assert stretches == ([[2020], [2022, 2024]] if drawn else [[2020, 2022, 2024]])


@pytest.mark.parametrize(
    ("then", "now", "label"),
    [
        ({"scan_mode": "Standard"}, {"scan_mode": "Thick"}, "scan mode"),
        ({"analysis_protocol": "Hip"}, {"analysis_protocol": "Hip 2"}, "analysis"),
        ({"scan_mode": "Thick"}, {"scan_mode": "Thick"}, ""),
        ({}, {"scan_mode": "Thick"}, ""),
    ],
)
def test_another_scan_mode_is_a_rule_over_which_no_line_goes(
    then: dict[str, str], now: dict[str, str], label: str
) -> None:
    """R2.5"""
    old, new = hip(2022), hip(2024)
    old = replace(old, measurements=(replace(old.measurements[0], **then),))  # type: ignore[arg-type] # texts only
    new = replace(new, measurements=(replace(new.measurements[0], **now),))  # type: ignore[arg-type] # texts only
    plot = plot_of(new, [old])
    assert [(one.label, one.interrupts) for one in plot.breaks] == [(label, True)] * bool(label)
    assert len(list(plot_geometry.unbroken_stretches(plot))) == (2 if label else 1)


def test_prior_and_baseline_have_their_days_and_each_a_band_where_they_are_two_exams() -> None:
    plot = plot_of(hip(2024), [hip(2020, "0.850"), hip(2022, "0.830")])
    assert (plot.prior_on, plot.baseline_on) == (date(2022, 5, 14), date(2020, 5, 14))
    assert plot.band is not None
    assert plot.baseline_band is not None
    assert (plot.band.bmd, plot.baseline_band.bmd) == (D("0.830"), D("0.850"))
    assert plot_of(hip(2024), [hip(2022)]).baseline_band is None


# Excluded and held


@pytest.mark.parametrize("fact", ["spinal_hardware", "calcium_tablet", "contrast", "spine_artefact"])
def test_a_scan_that_is_not_valid_is_a_cross_with_its_reason_and_on_no_line(fact: str) -> None:
    """R2.22"""
    records = [ClinicalContext(recorded_on=date(2022, 5, 14), **{fact: True})]  # type: ignore[arg-type] # only flags
    records += [ClinicalContext(recorded_on=EXAM, **{fact: False})]  # type: ignore[arg-type] # only flags
    content = content_of(spine(2024), [spine(2020), spine(2022)], PlotContext(records=records))
    (plot,) = content.plots
    assert [point.on.year for point in plot.series] == [2020, 2024]
    (group,) = plot.excluded
    assert [point.on.year for point in group.points] == [2022]
    assert f"excluded (2022-05-14 {group.reason})" in words_on_pages(content)


def test_a_region_that_is_not_valid_today_has_no_plot() -> None:
    records = [ClinicalContext(recorded_on=EXAM, left_hip_prosthesis=True)]
    assert content_of(hip(2024), [hip(2022)], PlotContext(records=records)).plots == ()
    found = interpret(hip(2024), [hip(2022)], ClinicalReference(lscs=(make.lsc("total hip"),)), contexts=records)
    assert plots(found.findings, hip(2024), [hip(2022)]) == (), "without the record, too"


@pytest.mark.parametrize(("birth_date", "child"), [("1998-05-14", False), ("1998-05-15", True), ("2001-01-01", True)])
def test_a_scan_from_below_twenty_is_a_cross_and_a_child_has_no_plot(birth_date: str, *, child: bool) -> None:
    """E6: growth is no gain."""
    patient = replace(make.PATIENT, birth_date=date.fromisoformat(birth_date))
    now, then = (replace(hip(year), patient=patient) for year in (2024, 2018))
    found = interpret(now, [then], ClinicalReference(lscs=(make.lsc("total hip"),)))
    (plot,) = plots(found.findings, now, [then])
    assert [[point.on.year for point in group.points] for group in plot.excluded] == ([[2018]] if child else [])
    young = interpret(
        then, [replace(then, study_instance_uid="1.9", performed_at=datetime(2015, 1, 1))], ClinicalReference()
    )
    drawn = plots(young.findings, then, [replace(then, study_instance_uid="1.9", performed_at=datetime(2015, 1, 1))])
    assert (drawn == ()) is child


def test_the_page_has_no_number_of_a_site_that_is_not_valid() -> None:
    """N5: nor of a region of it that is not monitored."""
    records = [ClinicalContext(recorded_on=EXAM, left_hip_prosthesis=True)]
    now = _exam(2024, make.measurement("total hip left", "0.801"), make.measurement("trochanter left", "0.702"))
    content = content_of(now, [hip(2022, "0.803")], PlotContext(records=records))
    assert not {"0.801", "0.702", "0.803"} & set(re.findall(r"[0-9.]+", words_on_pages(content)))
    assert "trochanter not valid" in content.not_monitored


def test_held_exams_are_crosses_on_the_axis_up_to_the_exam() -> None:
    days = [date(2023, 1, 1), date(2021, 3, 2), date(2021, 3, 2), EXAM, date(2025, 1, 1)]
    content = content_of(hip(2024), [hip(2022)], PlotContext(held_days=days))
    assert [plot.held_days for plot in content.plots] == [(date(2021, 3, 2), date(2023, 1, 1))]
    sentence = "an exam that is held for a person, its numbers not known: 2021-03-02, 2023-01-01."
    assert sentence in words_on_pages(content)


# Vertebrae


def test_sets_of_vertebrae_are_named_where_they_differ_and_what_was_recomputed_is_open() -> None:
    """R2.12"""
    history = [spine(2018), spine(2020, ["L2-L4"]), spine(2022)]
    plot = plot_of(spine(2024, ["L2-L4"]), history)
    assert plot.region == "Spine L2-L4"
    assert [(point.on.year, point.recomputed) for point in plot.series] == [
        (2018, True),
        (2020, False),
        (2022, True),
        (2024, False),
    ]
    assert [point.printed for point in plot.series] == ["L1-L4", "", "L1-L4", ""]
    assert plot.sets == ("printed as L1-L4: 2018, 2022",)
    assert plot.legend == plot.sets


def test_a_spine_of_other_vertebrae_is_a_cross_and_named() -> None:
    then, other, now = (_exam(*printed) for printed in _sets((2020, "L1-L4"), (2022, "L1-L2"), (2024, "L1-L4")))
    content = content_of(now, [then, other])
    assert [(group.reason, [p.on.year for p in group.points]) for group in content.plots[0].excluded] == [
        ("L1-L2 only", [2022])
    ]


def test_reports_that_print_the_same_vertebrae_name_none() -> None:
    plot = plot_of(spine(2024), [spine(2020), spine(2022)])
    assert (plot.sets, plot.excluded, plot.legend) == ((), (), ())


# Therapy


def test_therapies_on_record_are_bars_from_their_beginning_to_the_next_or_the_exam() -> None:
    records = [
        ClinicalContext(recorded_on=date(2015, 3, 1), therapy=Therapy.ANTIRESORPTIVE, therapy_since=date(2014, 6, 1)),
        ClinicalContext(recorded_on=date(2016, 3, 1), therapy=Therapy.ANTIRESORPTIVE),
        ClinicalContext(recorded_on=date(2019, 3, 1), therapy=Therapy.NONE, therapy_since=date(2018, 12, 1)),
        ClinicalContext(recorded_on=date(2021, 3, 1), therapy=Therapy.ANABOLIC),
        ClinicalContext(recorded_on=date(2022, 3, 1), calcium_tablet=True),
        ClinicalContext(recorded_on=date(2025, 3, 1), therapy=Therapy.OTHER),
    ]
    found = (
        TherapyCourse(
            therapy=Therapy.ANTIRESORPTIVE,
            begins=date(2014, 6, 1),
            ends=date(2018, 12, 1),
            start_on_record=True,
            ended=True,
        ),
        TherapyCourse(therapy=Therapy.ANABOLIC, begins=date(2021, 3, 1), ends=EXAM, start_on_record=False),
    )
    assert therapy_courses(records, EXAM) == found
    assert therapy_courses(records[::-1], EXAM) == found
    content = content_of(hip(2024), [hip(2022)], PlotContext(records=records))
    assert content.plots[0].therapies == found
    sentence = "antiresorptive since 2014-06-01 until 2018-12-01; anabolic on record since 2021-03-01."
    assert sentence in words_on_pages(content)


def test_without_therapy_on_record_there_is_no_bar() -> None:
    none = [ClinicalContext(recorded_on=date(2015, 3, 1), therapy=Therapy.NONE)]
    assert therapy_courses(none, EXAM) == therapy_courses([], EXAM) == ()
    later = [ClinicalContext(recorded_on=date(2020, 3, 1), therapy=Therapy.ANABOLIC, therapy_since=date(2030, 1, 1))]
    assert therapy_courses(later, EXAM) == ()


# The scale


MEASURE = Fonts().width


def marks_of(plot: Plot, height: float = 220) -> list[Mark]:
    return list(chart_marks(Chart(x=30, y=100, width=170, height=height, plot=plot), MEASURE))


def texts_of(marks: Sequence[Mark]) -> list[Text]:
    return [mark for mark in marks if isinstance(mark, Text)]


def limits_of(marks: Sequence[Mark]) -> tuple[float, float]:
    """The BMDs at the lower and upper end of the vertical axis, by the lines of the grid and their labels."""
    (axis,) = [mark for mark in marks if isinstance(mark, Box) and mark.tone is Tone.AXIS and mark.height > 20]
    labels = [float(text.text) for text in texts_of(marks) if re.fullmatch(r"\d\.\d\d", text.text)]
    grid = [mark.y + mark.height / 2 for mark in marks if isinstance(mark, Box) and mark.tone is Tone.GRID]
    (y, *_, other_y), (bmd, *_, other_bmd) = grid, labels
    low, high = (bmd + (other_bmd - bmd) / (other_y - y) * (end - y) for end in (axis.y + axis.height, axis.y))
    return low, high


@pytest.mark.parametrize("lsc", ["0.010", "0.028", "0.060"])
@pytest.mark.parametrize("now", ["0.799", "0.840", "0.600"])
def test_the_scale_shows_three_lscs_to_each_side_so_that_noise_is_no_cliff(lsc: str, now: str) -> None:
    then = D("0.800")
    plot = Plot(
        region="Left total hip",
        series=(Point(on=date(2022, 1, 1), bmd=then), Point(on=EXAM, bmd=D(now))),
        not_comparable=(ScanGroup(reason="S/N 2", points=(Point(on=date(2020, 1, 1), bmd=D("0.805")),)),),
        band=Band(bmd=then, lsc=D(lsc)),
    )
    low, high = limits_of(marks_of(plot))
    assert low <= float(then - 3 * D(lsc))
    assert high >= float(then + 3 * D(lsc))
    assert low < float(D(now)) < high


def test_the_axis_of_age_has_the_birthdays() -> None:
    birth = date(1952, 2, 29)
    plot = replace(plot_of(hip(2024), [hip(2016)]), birth_date=birth)
    axis = plot_geometry.time_axis(plot, 140, right_margin=34, year_width=34)
    shown = {age: date.fromordinal(int(at)) for at, age in plot_geometry.age_ticks(plot, birth, axis, most=6)}
    assert list(shown) == ages_of(marks_of(plot)) != []
    for age, on in shown.items():
        assert on in (date(1952 + int(age), 2, 28), *([date(on.year, 2, 29)] if on.year % 4 == 0 else []))


def ages_of(marks: Sequence[Mark]) -> list[str]:
    """What stands beside the word *age*, from left to right."""
    texts = texts_of(marks)
    heads = [text.y for text in texts if text.text == "age"]
    return [text.text for text in texts if text.y in heads and text.text != "age"]


def test_of_scans_within_a_year_the_age_at_the_last_is_drawn_and_without_a_birth_date_none() -> None:
    near = Plot(
        region="Left total hip",
        series=(Point(on=date(2024, 4, 1), bmd=D("0.8")), Point(on=date(2024, 5, 14), bmd=D("0.8"))),
        not_comparable=(),
        band=None,
        birth_date=date(1950, 12, 24),
    )
    assert ages_of(marks_of(near)) == ["73"]
    assert ages_of(marks_of(replace(near, birth_date=None))) == []


def test_no_curve_of_a_reference_population_is_drawn() -> None:
    """Only the scans, the band of the LSC, rules, bars and words: whatever reference population the report names."""
    exam = hip(2024)
    measured = replace(exam.measurements[0], reference_population="NHANES III", t_score=D("-1.7"), z_score=D("-0.5"))
    marks = marks_of(plot_of(replace(exam, measurements=(measured,)), [hip(2022)]))
    assert len([mark for mark in marks if isinstance(mark, Disc)]) == 2, "two scans"
    lines = [mark.tone for mark in marks if isinstance(mark, Line)]
    assert lines == [Tone.AXIS, Tone.ACCENT], "the middle of the band, and what joins the scans"
    assert [mark for mark in marks if isinstance(mark, Polygon)] == []


# The table


@pytest.mark.parametrize("text", ["-10.2", "1.234", "2024-05-14", "+0.435 (+116.3 %)", "-0.435 (-88.8 %)", "0.031"])
def test_no_number_breaks_in_a_column(text: str) -> None:
    fonts = Fonts()
    wide = {
        "T": ["-10.2"],
        "Z": ["-10.2"],
        "BMD g/cm²": ["1.234"],
        "BMD then": ["1.234"],
        "LSC": ["0.031"],
        "Compared with": ["2024-05-14"],
        "Change g/cm²": ["+0.435 (+116.3 %)", "-0.435 (-88.8 %)"],
    }
    for column in page_layout._COLUMNS:
        for one in wide.get(column.head, []):
            if one == text:
                assert page_marks.wrapped(text, column.text_width, page_marks.BODY, fonts.width, bold=True) == [text]


def test_a_site_that_is_not_valid_has_these_words_on_one_line_of_the_table() -> None:
    hardware = [ClinicalContext(recorded_on=EXAM, left_hip_prosthesis=True)]
    content = content_of(hip(2024), [hip(2022)], PlotContext(records=hardware))
    assert [row.bmd for row in content.rows] == ["not valid"]
    pages = page_layout.lay_out(content, "name", Fonts().width)
    assert "not valid" in [mark.text for page in pages for mark in page if isinstance(mark, page_marks.Text)]


def test_a_number_keeps_its_unit_where_a_line_ends() -> None:
    measure = Fonts().width
    text = "a loss of -8.7 % at the spine, 0.028 g/cm2, weight 57 kg"
    for width in range(60, 300, 3):
        lines = page_marks.wrapped(text, width, page_marks.BODY, measure)
        assert " ".join(lines) == text
        assert not any(line.startswith(("%", "g/cm2", "kg")) for line in lines)


def test_numbers_of_more_than_three_decimals_are_shown_with_three() -> None:
    now, then = hip(2024, "0.80149"), hip(2022, "0.90051")
    (row,) = content_of(now, [then]).rows
    assert (row.bmd, row.bmd_then, row.change, row.lsc) == ("0.801", "0.901", "-0.099 (-11.0 %)", "0.028")


def test_breaks_and_bars_do_not_depend_on_the_order_of_what_is_on_file() -> None:
    history = [visit(year, scanner=make.HORIZON if year < 2015 else make.PRODIGY) for year in range(2010, 2024)]
    interpretation = interpreted(visit(2024), history)
    one, other = (shown(addendum_to(interpretation), interpretation, order).plots for order in (history, history[::-1]))
    assert one == other


def test_rules_near_each_other_share_their_words() -> None:
    near = [
        Break(on=date(2022, 1, day), label=label, reason="")
        for day, label in ((1, "scanner"), (3, "software"), (9, "scanner"))
    ]
    plot = replace(
        plot_of(hip(2024), [hip(2016)]), breaks=(*near, Break(on=date(2018, 1, 1), label="calibration", reason=""))
    )
    words = [text.text for text in texts_of(marks_of(plot)) if text.upright]
    assert words == ["calibration", "scanner, software"]


@pytest.mark.parametrize("height", [100, 136, 220])
@pytest.mark.parametrize("years", [(2015,), (2015, 2016), (2014, 2015, 2017, 2023), (2012, 2024)])
def test_the_label_of_a_rule_stands_above_all_scans(height: float, years: Sequence[int]) -> None:
    rules = tuple(Break(on=date(year, 1, 1), label="calibration", reason="") for year in years)
    plot = replace(plot_of(hip(2024, "0.950"), [hip(2010), hip(2013, "0.700"), hip(2015, "0.960")]), breaks=rules)
    marks = marks_of(plot, height)
    labels = [text for text in texts_of(marks) if text.upright]
    assert labels
    lowest = max(label.y + MEASURE(label.text, label.size, False) for label in labels)
    highest = min(disc.place[1] - disc.radius for disc in marks if isinstance(disc, Disc))
    assert lowest < highest


def test_the_label_of_a_rule_is_not_crossed_by_another_where_one_side_is_free() -> None:
    """Of three rules the first two share a label; that of the third would be crossed by the second on its left."""
    history = [visit(2009 + n, scanner=make.HORIZON if n in (0, 1, 5) else make.PRODIGY) for n in range(15)]
    interpretation = interpreted(visit(2024), history)
    (plot,) = shown(addendum_to(interpretation), interpretation, history).plots
    marks = marks_of(plot)
    rules = [mark.places[0][0] for mark in marks if isinstance(mark, Line) and mark.places[0][0] == mark.places[1][0]]
    labels = [text for text in texts_of(marks) if text.upright]
    assert len(rules) == 3
    for label in labels:
        assert not any(label.x - label.size * 0.8 < rule < label.x for rule in rules), label
