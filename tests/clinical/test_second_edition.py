"""The second edition of the rules: invalid sites, children, implausible changes, both overall results."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clinical.clinical_context import ClinicalContext, FractureSite, Menopause, context_on
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Category, Exam, Flag, Interpretation, Obstacle, Overall, Patient, Result, Sex
from pipeline.clinical.rules import Rules
from pipeline.clinical.validity import invalid_because
from pipeline.sr.author.content import document
from pipeline.sr.author.readback import read_back
from tests.clinical.test_properties import contexts, exams, histories, one_patient, records, same_patient
from tests.factories.exams import LSCS, PATIENT, REFERENCE, ROOM_1, ROOM_2, exam, lsc, measurement

D = Decimal
THEN = {"L1-L4": "0.900", "total hip left": "0.800", "total hip right": "0.800"}
ALL_LSCS = (*LSCS, lsc("33% radius", "0.025"))
ALL_REFERENCE = ClinicalReference(lscs=ALL_LSCS)


def on(day: str, **known: Any) -> ClinicalContext:
    """A record of one day."""
    return ClinicalContext(recorded_on=date.fromisoformat(day), **known)


def interpreted(
    now: dict[str, str],
    then: dict[str, str] = THEN,
    *,
    before: str = "2018-01-01",
    contexts: Sequence[ClinicalContext] = (),
    **reference: Any,
) -> Interpretation:
    """An exam of 2020 beside one earlier exam."""
    known = replace(ALL_REFERENCE, **reference)
    return interpret(exam("2020-01-01", regions=now), [exam(before, regions=then)], known, contexts=contexts)


def flags_of(found: Interpretation, region: str) -> set[Flag]:
    """The cautions of one region."""
    return {c.flag for f in found.findings if str(f.measurement.region) == region for c in f.cautions}


# Invalid sites


@pytest.mark.parametrize("recorded", ["2017-06-01", "2018-01-01", "2019-06-01", "2020-01-01"])
@pytest.mark.parametrize(
    ("noted", "region"),
    [
        ({"spinal_hardware": True}, "L1-L4"),
        ({"left_hip_prosthesis": True}, "total hip left"),
        ({"right_hip_prosthesis": True}, "total hip right"),
    ],
)
def test_a_bone_with_hardware_on_the_day_of_either_exam_is_judged_nowhere(
    noted: dict[str, bool], region: str, recorded: str
) -> None:
    """R2.22, N5: no comparison, no number, no part in an overall result, no baseline."""
    now = THEN | {region: "0.500"}
    found = interpreted(now, contexts=[on(recorded, **noted)])
    (finding,) = [f for f in found.findings if str(f.measurement.region) == region]
    assert (finding.result, finding.valid, finding.since_prior) == (Result.NOT_COMPARABLE, False, None)
    assert Obstacle.INVALID_SITE in [refusal.obstacle for refusal in finding.refusals]
    assert (found.overall, found.overall_since_baseline) == (Overall.STABLE, Overall.STABLE)
    assert "0.500" not in " ".join(found.conclusions)
    assert finding not in (*found.counted, *found.counted_since_baseline)


@pytest.mark.parametrize(
    ("fact", "invalid"),
    [
        ("calcium_tablet", {"L1-L4"}),
        ("spine_artefact", {"L1-L4"}),
        ("contrast", {"L1-L4", "total hip left", "total hip right"}),
    ],
)
@pytest.mark.parametrize("recorded", ["2018-01-01", "2020-01-01", "2019-12-31", "2018-01-02"])
def test_a_fact_of_one_visit_takes_out_the_sites_of_that_visit_alone(
    fact: str, invalid: set[str], recorded: str
) -> None:
    """R2.22"""
    found = interpreted(THEN, contexts=[on(recorded, **{fact: True})])
    out = {
        str(f.measurement.region)
        for f in found.findings
        if any(refusal.obstacle is Obstacle.INVALID_SITE for refusal in f.refusals)
    }
    assert out == (invalid if recorded in ("2018-01-01", "2020-01-01") else set())


def test_an_invalid_prior_is_passed_over_for_an_older_one_and_is_no_baseline() -> None:
    """R2.22, R3.2: and a first valid exam is a first exam."""
    visits = [exam(f"{year}-01-01", regions={"L1-L4": "0.900"}) for year in (2014, 2016, 2018)]
    now = exam("2020-01-01", regions={"L1-L4": "0.905"})
    prior_out = interpret(now, visits, ALL_REFERENCE, contexts=[on("2018-01-01", calcium_tablet=True)])
    (finding,) = prior_out.findings
    assert finding.since_prior is not None
    assert finding.since_prior.reference.performed_on == date(2016, 1, 1)
    assert [refusal.exam.performed_on for refusal in finding.refusals] == [date(2018, 1, 1)]
    first_out = interpret(now, visits, ALL_REFERENCE, contexts=[on("2014-01-01", calcium_tablet=True)])
    (finding,) = first_out.findings
    assert finding.since_baseline is not None
    assert finding.since_baseline.reference.performed_on == date(2016, 1, 1)
    alone = interpret(now, visits[:1], ALL_REFERENCE, contexts=[on("2014-01-01", calcium_tablet=True)])
    assert alone.overall is Overall.NO_PRIOR
    assert "No earlier valid exam" in alone.conclusions[1]


def test_of_an_invalid_site_no_score_is_written_anywhere() -> None:
    """N5: neither in words nor in codes; nor has it a part in the category."""
    spine = measurement("L1-L4", "0.900", t_score="-3.1", z_score="-2.9", percent_young_adult="70", tbs="1.2")
    hip = measurement("total hip left", "0.800", t_score="-1.2")
    found = interpret(exam("2020-01-01", spine, hip), [], REFERENCE, contexts=[on("2019-01-01", spinal_hardware=True)])
    coded = read_back(document(found)).regions["L1-L4"]
    assert {"T_SCORE", "Z_SCORE", "PYA"}.isdisjoint(coded)
    assert coded["OBSTACLE"] == ("INVALID_SITE",)
    assert coded["FLAG"] == ("INVALIDATED",)
    assert found.diagnosis is not None
    assert found.diagnosis.category is Category.LOW_BONE_MASS


@given(same_patient, histories, st.lists(contexts, max_size=2), st.lists(records, max_size=3))
@settings(max_examples=60, deadline=None)
def test_an_invalid_site_never_changes_an_overall_result(
    now: Exam, history: list[Exam], known: list[ClinicalContext], lscs: list[Any]
) -> None:
    """R2.22: everything is as if it had not been measured."""

    def stripped(visit: Exam) -> Exam:
        context = context_on(known, visit.performed_on)
        left = tuple(m for m in visit.measurements if not invalid_because(m.region, context))
        return replace(visit, measurements=left)

    given_all = interpret(now, history, ClinicalReference(lscs=tuple(lscs)), contexts=known)
    without = interpret(
        stripped(now), [stripped(visit) for visit in history], ClinicalReference(lscs=tuple(lscs)), contexts=known
    )
    assert given_all.overall is without.overall
    assert given_all.overall_since_baseline is without.overall_since_baseline


# Below 20 years


@pytest.mark.parametrize(("born", "child"), [("2000-01-02", True), ("2000-01-01", False)])
@pytest.mark.parametrize("sex", list(Sex))
def test_below_twenty_nothing_is_judged_by_adult_rules(born: str, sex: Sex, *, child: bool) -> None:
    """R4.1: BMD and Z-score as printed, no T-score, no category, no overall result, no suggestion."""
    who = Patient(patient_id="P1", birth_date=date.fromisoformat(born), sex=sex)
    spine = measurement("L1-L4", "0.900", t_score="-2.8", z_score="-2.1", percent_young_adult="75")
    now = exam("2020-01-01", spine, patient=who)
    then = exam("2018-01-01", regions={"L1-L4": "0.800"}, patient=who)
    found = interpret(now, [then], REFERENCE)
    (finding,) = found.findings
    assert (Obstacle.PAEDIATRIC in [refusal.obstacle for refusal in finding.refusals]) is True
    assert finding.since_prior is None
    if child:
        assert (finding.measurement.t_score, finding.measurement.z_score) == (None, D("-2.1"))
        assert (found.overall, found.diagnosis, found.suggestions) == (Overall.INDETERMINATE, None, ())
        assert "growth must be taken into account" in " ".join(found.conclusions)
        assert "-2.8" not in " ".join(found.conclusions)


@given(exams(), st.lists(exams(), max_size=3), st.lists(contexts, max_size=2), st.integers(0, 19))
@settings(max_examples=60, deadline=None)
def test_no_addendum_below_twenty_has_a_t_score_a_category_or_a_result(
    now: Exam, history: list[Exam], known: list[ClinicalContext], age: int
) -> None:
    """R4.1"""
    born = date(now.performed_on.year - age, 1, 1)
    young = replace(now, patient=replace(now.patient, birth_date=born))
    past = [replace(visit, patient=young.patient) for visit in history]
    found = interpret(young, past, REFERENCE, contexts=known)
    content = read_back(document(found))
    assert content.overall == content.whole["BOVERALL"][0] == "INDETERMINATE"
    assert "CATEGORY" not in content.whole
    assert all({"T_SCORE", "PYA", "DIFF", "BDIFF"}.isdisjoint(interpreted) for interpreted in content.regions.values())
    assert not any("T-score" in text or "category" in text for text in found.conclusions)


# Odd changes


@pytest.mark.parametrize(
    ("before", "bmd", "doubted"),
    [
        ("2019-01-01", "1.080", False),
        ("2019-01-01", "1.081", True),
        ("2019-01-01", "0.765", False),
        ("2019-01-01", "0.764", True),
        ("2019-08-01", "1.081", True),
        ("2018-01-01", "1.259", False),
        ("2018-01-01", "1.260", True),
        ("2018-01-01", "0.631", False),
        ("2018-01-01", "0.630", True),
    ],
)
@pytest.mark.parametrize("region", ["L1-L4", "total hip left", "femoral neck right", "33% radius left"])
def test_a_change_larger_than_bone_changes_is_doubted_and_counts_nowhere(
    region: str, before: str, bmd: str, *, doubted: bool
) -> None:
    """R3.1: above 20 % gained or 15 % lost a year; below one year as it stands. 2019 has less than 365.25 days."""
    found = interpreted({region: bmd}, {region: "0.900"}, before=before)
    assert (Flag.IMPLAUSIBLE_CHANGE in flags_of(found, region)) is doubted
    (finding,) = found.findings
    assert finding.plausible is not doubted
    if doubted:
        assert found.counted == found.counted_since_baseline == ()
        assert found.overall is Overall.INDETERMINATE
        assert "check identity, side, positioning and analysis" in " ".join(found.narrative.impression)
        assert " %" not in " ".join(found.narrative.impression)


@pytest.mark.parametrize(("before", "soon"), [("2019-10-01", False), ("2019-10-02", True), ("2019-12-29", True)])
@pytest.mark.parametrize("spine", ["0.900", "0.870", "0.930"])
def test_below_three_months_no_change_has_a_part_in_the_result_whatever_it_is(
    before: str, spine: str, *, soon: bool
) -> None:
    """R5.3: judged by what precedes the exam, never by its own result."""
    found = interpreted({"L1-L4": spine}, {"L1-L4": "0.900"}, before=before)
    assert (Flag.TOO_SOON in flags_of(found, "L1-L4")) is soon
    assert (found.overall is Overall.INDETERMINATE) is soon
    exam_wide = [c for c in found.cautions if c.flag is Flag.TOO_SOON]
    assert bool(exam_wide) is not soon


def hips(left: tuple[str, str], right: tuple[str, str], day: str, part: str = "total hip") -> Exam:
    """Both sides, each with BMD and area."""
    return exam(
        day,
        measurement(f"{part} left", left[0], **({"area": left[1]} if left[1] else {})),
        measurement(f"{part} right", right[0], **({"area": right[1]} if right[1] else {})),
    )


@pytest.mark.parametrize(
    ("left", "right", "exchanged"),
    [
        (("0.890", "34"), ("0.800", "30"), True),
        (("0.800", "30"), ("0.890", "34"), False),
        (("0.890", "30"), ("0.800", "34"), False),
        (("0.890", ""), ("0.800", "30"), False),
        (("0.890", "34"), ("0.880", "33"), False),
    ],
)
@pytest.mark.parametrize("part", ["total hip", "femoral neck"])
def test_sides_that_fit_each_other_better_may_have_been_exchanged(
    left: tuple[str, str], right: tuple[str, str], part: str, *, exchanged: bool
) -> None:
    """R2.16: in BMD and in area, and one worse than its LSC."""
    then = hips(("0.800", "30"), ("0.890", "34"), "2018-01-01", part)
    found = interpret(hips(left, right, "2020-01-01", part), [then], REFERENCE)
    for side in ("left", "right"):
        assert (Flag.SIDES_EXCHANGED in flags_of(found, f"{part} {side}")) is exchanged
    unknown = interpret(hips(left, right, "2020-01-01", part), [then], ClinicalReference())
    assert Flag.SIDES_EXCHANGED not in flags_of(unknown, f"{part} left")


def test_sides_that_hardly_differ_are_not_called_exchanged() -> None:
    """R2.16: noise within the LSC."""
    then = hips(("0.800", "30"), ("0.810", "31"), "2018-01-01")
    found = interpret(hips(("0.810", "31"), ("0.800", "30"), "2020-01-01"), [then], REFERENCE)
    assert Flag.SIDES_EXCHANGED not in flags_of(found, "total hip left")
    one = interpret(exam("2020-01-01", regions={"total hip left": "0.9"}), [then], REFERENCE)
    assert Flag.SIDES_EXCHANGED not in flags_of(one, "total hip left")
    half = exam("2018-01-01", regions={"total hip left": "0.800"})
    other = interpret(hips(("0.810", "31"), ("0.800", "30"), "2020-01-01"), [half], REFERENCE)
    assert Flag.SIDES_EXCHANGED not in flags_of(other, "total hip left")


# Both overall results


@pytest.mark.parametrize(
    ("first", "prior", "now", "overall", "since_baseline"),
    [
        ("1.000", "0.915", "0.900", Overall.STABLE, Overall.DECLINED),
        ("0.800", "0.885", "0.900", Overall.STABLE, Overall.IMPROVED),
        ("0.900", "0.950", "0.900", Overall.DECLINED, Overall.STABLE),
        ("0.900", "0.850", "0.900", Overall.IMPROVED, Overall.STABLE),
    ],
)
@pytest.mark.parametrize(
    ("region", "patient"), [("L1-L4", PATIENT), ("total hip right", PATIENT), ("33% radius left", PATIENT)]
)
def test_prior_and_baseline_have_an_overall_result_each(
    region: str, patient: Patient, first: str, prior: str, now: str, overall: Overall, since_baseline: Overall
) -> None:
    """R3.3, R5.1, R5.4: coded and in words; a loss since the baseline is treated as any loss."""
    visits = [exam("2010-01-01", regions={region: first}), exam("2018-01-01", regions={region: prior})]
    found = interpret(exam("2020-01-01", regions={region: now}, patient=patient), visits, ALL_REFERENCE)
    assert (found.overall, found.overall_since_baseline) == (overall, since_baseline)
    content = read_back(document(found))
    assert (content.overall, content.whole["BOVERALL"]) == (overall, (since_baseline,))
    lost = Overall.DECLINED in (overall, since_baseline)
    rules = [(s.rule, s.text) for s in found.suggestions]
    assert any(rule == "R5.4" for rule, _ in rules) is lost
    assert any(rule == "R5.1" and "about 1 year" in text for rule, text in rules) is lost
    assert "2010-01-01" in found.narrative.impression[0]


@given(same_patient, histories)
@settings(max_examples=80, deadline=None)
def test_a_significant_change_since_the_baseline_is_in_the_impression(now: Exam, history: list[Exam]) -> None:
    """R3.3: whatever the prior says."""
    found = interpret(now, history, ALL_REFERENCE)
    text = " ".join(found.narrative.impression)
    for finding in found.counted_since_baseline:
        change = finding.since_baseline
        assert change is not None
        if change.result in (Result.GAIN, Result.LOSS):
            assert str(change.reference.performed_on) in text


@given(same_patient, histories, st.lists(contexts, max_size=2))
@settings(max_examples=80, deadline=None)
def test_response_and_loss_never_stand_without_what_they_need(
    now: Exam, history: list[Exam], known: list[ClinicalContext]
) -> None:
    """R3.9"""
    found = interpret(now, history, ALL_REFERENCE, contexts=known)
    words = " ".join(found.conclusions)
    changes = [c for f in found.findings for c in (f.since_prior, f.since_baseline) if c is not None]
    lost = any(change.result is Result.LOSS for change in changes)
    if "counts as response" in words:
        assert found.response
        assert not lost
        assert Overall.DECLINED not in (found.overall, found.overall_since_baseline)
    if "ignificant loss" in words:
        assert lost


# Categories, fractures, height, target


def scored(day: str, t_score: str, region: str = "femoral neck left", **more: Any) -> Exam:
    """One region with its T-score."""
    return exam(day, measurement(region, "0.700", t_score=t_score), **more)


@pytest.mark.parametrize(
    ("then", "now", "changed"),
    [
        ("-2.2", "-2.8", (Category.LOW_BONE_MASS, Category.OSTEOPOROSIS)),
        ("-0.9", "-1.1", (Category.NORMAL, Category.LOW_BONE_MASS)),
        ("-1.1", "-0.9", (Category.LOW_BONE_MASS, Category.NORMAL)),
        ("-2.4", "-1.1", None),
        ("-2.6", "-2.2", None),
    ],
)
@pytest.mark.parametrize("scanner", [ROOM_1, ROOM_2])
def test_another_category_than_at_the_last_exam_is_stated(
    then: str, now: str, changed: tuple[Category, Category] | None, scanner: Any
) -> None:
    """R4.2, R4.8: on whichever scanner; never for the better where osteoporosis persists."""
    found = interpret(scored("2020-01-01", now), [scored("2018-01-01", then, scanner=scanner)], REFERENCE)
    change = found.category_change
    assert (None if change is None else (change.before.category, change.now.category)) == changed
    if change is not None:
        assert change.then == D(then)
        text = " ".join(found.narrative.impression)
        assert f"{then} → {now}" in text
        assert read_back(document(found)).whole["PCATEGORY"] == (change.before.category,)


def test_a_category_by_another_score_or_none_is_no_change_of_category() -> None:
    """R4.1, R4.2"""
    who = Patient(patient_id="P1", birth_date=date(1970, 1, 1), sex=Sex.FEMALE)
    before = exam("2018-01-01", measurement("L1-L4", "0.7", t_score="-2.0", z_score="-2.2"), patient=who)
    now = exam("2021-01-01", measurement("L1-L4", "0.7", t_score="-2.0", z_score="-2.2"), patient=who)
    known = [on("2018-01-01", menopause=Menopause.BEFORE), on("2020-01-01", menopause=Menopause.AFTER)]
    assert interpret(now, [before], REFERENCE, contexts=known).category_change is None
    unscored = exam("2019-01-01", regions={"L1-L4": "0.7"}, patient=who)
    assert interpret(now, [unscored], REFERENCE, contexts=known).category_change is None
    other = exam("2018-01-01", measurement("total hip left", "0.7", t_score="-0.5"), patient=who)
    found = interpret(now, [other], REFERENCE, contexts=[on("2017-01-01", menopause=Menopause.AFTER)])
    assert found.category_change is not None
    assert found.category_change.then is None


@pytest.mark.parametrize(
    ("site", "t_score", "born", "told_so"),
    [
        (FractureSite.HIP, "-0.5", 1950, True),
        (FractureSite.VERTEBRA, "0.5", 1950, True),
        (FractureSite.OTHER, "-0.5", 1950, False),
        (FractureSite.OTHER, "-1.6", 1950, True),
        (None, "-1.6", 1950, True),
        (None, "-0.9", 1950, False),
        (FractureSite.HIP, "-2.5", 1950, False),
        (FractureSite.HIP, "-1.6", 1985, False),
    ],
)
@pytest.mark.parametrize("sex", [Sex.FEMALE, Sex.MALE])
def test_a_fragility_fracture_may_make_the_diagnosis(
    site: FractureSite | None, t_score: str, born: int, sex: Sex, *, told_so: bool
) -> None:
    """R4.2, R4.8: AACE 2020, BHOF 2022; not in those classified by Z-score."""
    who = Patient(patient_id="P1", birth_date=date(born, 1, 1), sex=sex)
    now = exam("2020-01-01", measurement("L1-L4", "0.9", t_score=t_score, z_score="-1.0"), patient=who)
    found = interpret(now, [], REFERENCE, contexts=[on("2019-06-01", fragility_fracture=True, fracture_site=site)])
    assert any(s.rule == "R4.2" and "clinical diagnosis" in s.text for s in found.suggestions) is told_so


@pytest.mark.parametrize(
    ("heights", "lost"),
    [
        (("165", "163"), "2"),
        (("165", "163.1"), None),
        (("167", "164.5", "163"), "4"),
        (("160", "163"), None),
        (("",), None),
    ],
)
def test_height_lost_between_exams_is_flagged(heights: tuple[str, ...], lost: str | None) -> None:
    """R5.2: 2 cm and more, since the last exam with a height, else since the first."""
    days = ("2014-01-01", "2016-01-01", "2020-01-01")[-len(heights) :]
    visits = [exam(d, regions=THEN, height_cm=D(h) if h else None) for d, h in zip(days, heights, strict=True)]
    found = interpret(visits[-1], visits[:-1], REFERENCE)
    texts = [c.text for c in found.cautions if c.flag is Flag.HEIGHT_LOSS]
    assert [text.split()[2] for text in texts] == ([lost] if lost else [])


def test_the_distance_to_the_departments_target_is_stated_where_it_has_one() -> None:
    """R4.2: ASBMR/BHOF 2024; by the T-score alone."""
    now = scored("2020-01-01", "-2.4")
    assert interpret(now, [], REFERENCE).target is None
    aimed = interpret(now, [], ClinicalReference(lscs=LSCS, rules=Rules(t_score_target=D("-2.0"))))
    assert aimed.target is not None
    assert aimed.target.distance == D("0.4")
    assert "0.4 still missing" in " ".join(aimed.conclusions)
    assert read_back(document(aimed)).whole["TARGET_DISTANCE"] == ("0.4",)
    reached = interpret(now, [], ClinicalReference(lscs=LSCS, rules=Rules(t_score_target=D("-2.5"))))
    assert "reached" in " ".join(reached.conclusions)


@pytest.mark.parametrize(
    ("t_score", "known", "weight", "normal"),
    [
        ("-0.9", {}, "70", True),
        ("-1.1", {}, "70", False),
        ("-0.9", {"fragility_fracture": True}, "70", False),
        ("-0.9", {"glucocorticoid_mg": D("2.5")}, "70", False),
        ("-0.9", {"hyperparathyroidism": True}, "70", False),
        ("-0.9", {}, "57.5", False),
        ("-0.9", {}, "57.6", True),
    ],
)
def test_with_normal_bmd_and_no_risk_the_next_exam_is_in_two_to_three_years(
    t_score: str, known: dict[str, Any], weight: str, *, normal: bool
) -> None:
    """R5.1: by setting up to five."""
    now = scored("2020-01-01", t_score, weight_kg=D(weight))
    found = interpret(now, [], REFERENCE, contexts=[on("2019-06-01", **known)])
    assert any("2 to 3 years" in s.text for s in found.suggestions) is normal
    five = interpret(
        now,
        [],
        ClinicalReference(lscs=LSCS, rules=Rules(normal_interval_years=5)),
        contexts=[on("2019-06-01", **known)],
    )
    assert any("2 to 5 years" in s.text for s in five.suggestions) is normal
    two = interpret(
        now,
        [],
        ClinicalReference(lscs=LSCS, rules=Rules(normal_interval_years=2)),
        contexts=[on("2019-06-01", **known)],
    )
    assert not any(" to " in s.text for s in two.suggestions if s.rule == "R5.1")


def test_the_interval_and_the_earliest_day_of_a_change_follow_from_the_lsc() -> None:
    """R1.7, R2.21: the difference less and plus the LSC; LSC over the rate, from this exam on."""
    found = interpreted({"L1-L4": "0.860"}, {"L1-L4": "0.900"})
    (finding,) = found.findings
    assert finding.since_prior is not None
    assert finding.since_prior.interval == (D("-0.0623"), D("-0.0177"))
    assert finding.detectable_on == date(2021, 2, 11)  # 730 days x 0.0223 / 0.040 = 406.975, whole days upwards
    small = interpreted({"L1-L4": "0.899"}, {"L1-L4": "0.900"})
    assert small.findings[0].detectable_on is None  # 44 years
    assert small.findings[0].since_prior is not None
    assert small.findings[0].since_prior.interval is None
    assert interpreted({"L1-L4": "0.900"}, {"L1-L4": "0.900"}).findings[0].detectable_on is None
    assert interpreted({"L1-L4": "0.860"}, {"L1-L4": "0.900"}, before="2019-02-01").findings[0].detectable_on is None
    assert interpreted({"L1-L4": "0.860"}, {"L1-L4": "0.900"}, lscs=()).findings[0].detectable_on is None


def test_a_changed_reference_population_is_named_with_the_one_before() -> None:
    """R4.5"""

    def of(day: str, population: str) -> Exam:
        return exam(day, measurement("total hip left", "0.8", t_score="-1", reference_population=population))

    changed = interpret(of("2020-01-01", "White female"), [of("2018-01-01", "Black female")], REFERENCE)
    (caution,) = [c for c in changed.findings[0].cautions if c.flag is Flag.REFERENCE_CHANGED]
    assert "White female and was Black female on 2018-01-01" in caution.text
    for now, then in (("White  FEMALE", "White female"), ("", "White female"), ("White female", "")):
        same = interpret(of("2020-01-01", now), [of("2018-01-01", then)], REFERENCE)
        assert Flag.REFERENCE_CHANGED not in flags_of(same, "total hip left")


@given(same_patient, histories)
@settings(max_examples=40, deadline=None)
def test_a_fact_of_another_visit_changes_nothing(now: Exam, history: list[Exam]) -> None:
    """R2.22, section 5.1: context older than its validity."""
    assert one_patient.birth_date is not None
    old = on("1960-01-01", calcium_tablet=True, contrast=True, spine_artefact=True, pregnancy=True)
    assert interpret(now, history, REFERENCE, contexts=[old]) == interpret(now, history, REFERENCE)
