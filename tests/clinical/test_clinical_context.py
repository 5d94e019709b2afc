"""Records of clinical context combine field by field: visit facts hold on their own days, states until another record.

E7 throughout, except where a test says otherwise.
"""

from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clinical.clinical_context import (
    FIELDS,
    NUMBERS,
    QUALIFIES,
    VISIT_FACTS,
    ClinicalContext,
    ContextOnDay,
    FractureSite,
    ImpossibleContextError,
    Kind,
    Menopause,
    Therapy,
    context_on,
    kind_of,
)
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Category, Flag, Interpretation, Patient, Sex
from pipeline.clinical.regions import Side
from tests.factories.exams import REFERENCE, exam, measurement

D = Decimal
DAY = date(2020, 1, 1)
SOMETHING: dict[str, Any] = {
    "menopause": Menopause.AFTER,
    "therapy": Therapy.ANTIRESORPTIVE,
    "therapy_since": date(2014, 1, 1),
    "glucocorticoid_mg": D("7.5"),
    "glucocorticoid_months": D(6),
    "fracture_site": FractureSite.HIP,
    "peak_height_cm": D(172),
    "frax_hip_percent": D(4),
    "frax_major_percent": D(25),
    "frax_source": "FRAX 4.4",
    "non_dominant_arm": Side.LEFT,
    **{field.name: True for field in fields(ClinicalContext) if field.type in ("bool | None", bool | None)},
}
STATES = [field for field in FIELDS if field not in VISIT_FACTS]


def record(on: date | str, **values: Any) -> ClinicalContext:
    return ClinicalContext(recorded_on=date.fromisoformat(on) if isinstance(on, str) else on, **values)


def values_of(context: ClinicalContext) -> dict[str, Any]:
    return {name: getattr(context, name) for name in FIELDS if getattr(context, name) not in (None, "")}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_nobody_has_is_refused_and_not_repeated(name: str) -> None:
    for value in ("NaN", "-1", "Infinity", "9999"):
        with pytest.raises(ImpossibleContextError, match=rf"^{name} is not a number from 0 to below {NUMBERS[name]}$"):
            ClinicalContext(recorded_on=date(2020, 1, 1), **{name: Decimal(value)})  # type: ignore[arg-type] # numbers only


def test_an_arm_is_left_or_right() -> None:
    with pytest.raises(ImpossibleContextError, match=r"^non_dominant_arm is neither left nor right$"):
        record(DAY, non_dominant_arm=Side.MEAN)


def test_unknown_is_the_default_of_everything() -> None:
    """Section 5.1: never "no"."""
    blank = ClinicalContext(recorded_on=date(2020, 1, 1))
    assert {getattr(blank, field.name) for field in fields(blank)[1:]} == {None, "", ()}


def test_without_records_nothing_is_known() -> None:
    nothing = context_on([], DAY)
    assert (values_of(nothing), values_of(nothing.recent), nothing.entries) == ({}, {}, ())


def test_every_field_is_a_visit_fact_or_a_state() -> None:
    assert set(SOMETHING) == set(FIELDS), "the tests below know every field"
    assert {name for name in FIELDS if kind_of(name) is Kind.VISIT_FACT} == {
        "calcium_tablet",
        "contrast",
        "spine_artefact",
        "pregnancy",
        "stress_fracture_suspected",
    }


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("calcium_tablet", 0),
        ("contrast", 0),
        ("spine_artefact", 0),
        ("pregnancy", 280),
        ("stress_fracture_suspected", 90),
    ],
)
def test_a_visit_fact_counts_on_its_days_and_on_no_other(name: str, days: int) -> None:
    for answer in (True, False):
        for age, counts in ((-1, False), (0, True), (days, True), (days + 1, False), (4000, False)):
            found = context_on([record(DAY - timedelta(days=age), **{name: answer})], DAY)
            assert getattr(found, name) is (answer if counts else None), age
            assert getattr(found.recent, name) is (answer if counts else None), age


@pytest.mark.parametrize("name", STATES)
def test_a_state_lasts_until_another_record_changes_it(name: str) -> None:
    old = record("1995-05-01", **{name: SOMETHING[name]})
    silent = record("2019-05-01", source="questionnaire", calcium_tablet=True)
    for records in ([old], [old, silent], [silent, old]):
        assert getattr(context_on(records, DAY), name) == SOMETHING[name]
    assert getattr(context_on([old], date(1995, 4, 30)), name) in (None, "")


@pytest.mark.parametrize("name", STATES)
def test_a_state_is_recent_for_twenty_four_months_to_the_day(name: str) -> None:
    for on, recent in (("2018-01-01", True), ("2017-12-31", False), ("2020-01-01", True), ("1990-01-01", False)):
        found = context_on([record(on, **{name: SOMETHING[name]})], DAY)
        assert getattr(found, name) == SOMETHING[name]
        assert (getattr(found.recent, name) == SOMETHING[name]) is recent, on


def test_months_count_to_their_last_day_where_the_day_is_missing() -> None:
    leap = [record("2016-02-29", cancer_therapy=True)]
    assert context_on(leap, date(2018, 2, 28)).recent.cancer_therapy
    assert context_on(leap, date(2018, 3, 1)).recent.cancer_therapy
    assert context_on(leap, date(2018, 3, 2)).recent.cancer_therapy is None


def test_a_later_record_wins_field_by_field_whatever_order_they_came_in() -> None:
    """Of two of one day the one loaded later counts."""
    first = record("2018-01-01", cancer_therapy=True, menopause=Menopause.TRANSITION, source="order")
    second = record("2019-01-01", menopause=Menopause.AFTER)
    later = record("2019-01-01", cancer_therapy=False)
    for records in ([first, second, later], [second, later, first]):
        found = context_on(records, DAY)
        assert (found.menopause, found.cancer_therapy) == (Menopause.AFTER, False)
    corrected = record("2019-01-01", cancer_therapy=True)
    assert context_on([first, later, corrected], DAY).cancer_therapy is True
    assert context_on([corrected, later], DAY).cancer_therapy is False


def test_each_field_names_the_record_it_rests_on() -> None:
    found = context_on(
        [record("2015-05-01", source="order", cancer_therapy=True), record("2019-01-01", rapid_loss_risk=True)], DAY
    )
    cancer, risk = found.entry("cancer_therapy"), found.entry("rapid_loss_risk")
    assert cancer is not None
    assert risk is not None
    assert (cancer.recorded_on, cancer.source) == (date(2015, 5, 1), "order")
    assert (risk.recorded_on, risk.source) == (date(2019, 1, 1), "")
    assert found.entry("therapy") is None


def test_a_record_can_say_that_nothing_is_known_any_more() -> None:
    """A record about another patient must be revoked without recording "no"."""
    wrong = record("2019-01-01", therapy=Therapy.ANABOLIC, therapy_since=date(2018, 1, 1), cancer_therapy=True)
    back = record("2019-01-01", unknown=("therapy",))
    found = context_on([wrong, back], DAY)
    assert (found.therapy, found.therapy_since, found.cancer_therapy) == (None, None, True)
    assert context_on([back, wrong], DAY).therapy is Therapy.ANABOLIC
    assert context_on([record(DAY, pregnancy=True), record(DAY, unknown=("pregnancy",))], DAY).pregnancy is None


@pytest.mark.parametrize("name", QUALIFIES)
def test_what_qualifies_another_field_ends_with_it_and_is_confirmed_with_it(name: str) -> None:
    """The start of one therapy is not the start of the next, nor one risk computed with the other of years before."""
    other = QUALIFIES[name][0]
    changed = {**SOMETHING, "therapy": Therapy.ANABOLIC, "glucocorticoid_mg": D(0), "fragility_fracture": False}
    changed |= {"frax_hip_percent": D(1), "frax_major_percent": D(9)}
    both = record("2015-05-01", **{name: SOMETHING[name], other: SOMETHING[other]})
    ended = context_on([both, record("2019-06-01", **{other: changed[other]})], DAY)
    assert getattr(ended, other) == changed[other]
    assert getattr(ended, name) in (None, "")
    confirmed = context_on([both, record("2019-06-01", **{other: SOMETHING[other]})], DAY)
    assert getattr(confirmed.recent, name) == SOMETHING[name]


def test_a_start_recorded_later_belongs_to_the_therapy_already_recorded() -> None:
    records = [record("2018-06-01", therapy=Therapy.ANABOLIC), record("2019-06-01", therapy_since=date(2018, 5, 1))]
    assert values_of(context_on(records, DAY)) == {"therapy": Therapy.ANABOLIC, "therapy_since": date(2018, 5, 1)}


def test_a_fracture_site_is_a_fracture_and_the_gravest_counts() -> None:
    """E14: hip and vertebra count by themselves, and a later fracture of the wrist does not undo them."""
    assert record(DAY, fracture_site=FractureSite.OTHER).fragility_fracture is True
    with pytest.raises(ImpossibleContextError, match=r"^fracture_site is set, but fragility_fracture is no$"):
        record(DAY, fracture_site=FractureSite.HIP, fragility_fracture=False)
    sites = [record(f"201{n}-01-01", fracture_site=site) for n, site in enumerate(FractureSite)]
    assert context_on(sites, DAY).fracture_site is FractureSite.HIP
    assert context_on(sites[1:], DAY).fracture_site is FractureSite.VERTEBRA
    assert context_on(sites[:0:-1], DAY).fracture_site is FractureSite.VERTEBRA
    ended = context_on([*sites, record("2019-01-01", fragility_fracture=False)], DAY)
    assert (ended.fragility_fracture, ended.fracture_site) == (False, None)
    combined = context_on(
        [*sites, record("2019-01-01", fragility_fracture=False), record(DAY, fracture_site="other")], DAY
    )
    assert (combined.fragility_fracture, combined.fracture_site) == (True, FractureSite.OTHER)


_RECORDS = st.lists(
    st.builds(
        lambda on, names, back: record(on, unknown=back, **{name: SOMETHING[name] for name in names}),
        st.dates(date(2010, 1, 1), date(2021, 1, 1)),
        st.sets(st.sampled_from(FIELDS)),
        st.lists(st.sampled_from(FIELDS), max_size=2).map(tuple),
    ),
    max_size=5,
)


@given(records=_RECORDS, day=st.dates(date(2012, 1, 1), date(2021, 1, 1)))
def test_a_record_older_than_its_validity_changes_nothing(records: list[ClinicalContext], day: date) -> None:
    """What is too old for a visit fact, and what is written down later, might as well not be there."""
    worn_out = [record(day - timedelta(days=days + 1), **{name: True}) for name, days in VISIT_FACTS.items()]
    later = record(day + timedelta(days=1), **SOMETHING)
    silent = [r for r in records if r.recorded_on > day] + [later]
    plain = [r for r in records if r.recorded_on <= day]

    def without_recent_visit_facts(found: ContextOnDay) -> dict[str, Any]:
        return {name: value for name, value in values_of(found).items() if name not in VISIT_FACTS}

    assert context_on([*plain, *silent], day) == context_on(plain, day)
    aged = context_on([*worn_out, *plain], day)
    assert without_recent_visit_facts(aged) == without_recent_visit_facts(context_on(plain, day))
    assert set(values_of(context_on(plain, day).recent)) <= set(values_of(context_on(plain, day)))


def interpreted(context: list[ClinicalContext], *, age: int = 68, **more: Any) -> Interpretation:
    """The interpretation for a woman with low bone mass, unchanged in two years."""
    patient = Patient(patient_id="P1", issuer="H", birth_date=date(2020 - age, 1, 1), sex=Sex.FEMALE)
    spine = {"t_score": "-2.3", "z_score": "-1.1"} | more
    visits = [
        exam(
            on,
            measurement("L1-L4", "0.905", **spine),
            measurement("total hip left", "0.800", t_score="-1.7", z_score="-0.5"),
            patient=patient,
            height_cm=D(160),
        )
        for on in ("2020-01-01", "2018-01-01")
    ]
    return interpret(visits[0], visits[1:], REFERENCE, contexts=context)


VISIT_FACTS_TOLD = {name: True for name in VISIT_FACTS}
SUGGESTING: dict[str, Any] = {
    "glucocorticoid_mg": D("7.5"),
    "glucocorticoid_months": D(6),
    "cancer_therapy": True,
    "rapid_loss_risk": True,
    "reported_vertebral_fracture": True,
    "fracture_on_therapy": True,
    "hyperparathyroidism": True,
    "frax_hip_percent": D(4),
    "frax_major_percent": D(25),
}


def test_visit_facts_of_years_ago_are_not_todays() -> None:
    """Calcium, contrast, pregnancy and a suspected stress fracture of 2015 say nothing of 2020 (R2.22, R5.6)."""
    nothing, old = interpreted([]), interpreted([record("2015-05-01", **VISIT_FACTS_TOLD)])
    assert old.conclusions == nothing.conclusions
    today = interpreted([record(DAY, **VISIT_FACTS_TOLD)])
    assert Flag.INVALIDATED in {c.flag for f in today.findings for c in f.cautions}
    assert "pregnancy" in "\n".join(today.conclusions)
    assert "R5.6" in {s.rule for s in today.suggestions}


def test_an_old_state_is_quoted_with_its_date_and_suggests_nothing_alone() -> None:
    nothing = interpreted([])
    old = interpreted([record("2017-12-31", **SUGGESTING, source="order")])
    assert [s.rule for s in old.suggestions] == [s.rule for s in nothing.suggestions]
    assert [s.text for s in old.suggestions] == [s.text for s in nothing.suggestions]
    assert "Risk factors on record (2017-12-31, order): reported vertebral fracture, " in "\n".join(old.conclusions)
    recent = interpreted([record("2018-01-01", **SUGGESTING)])
    assert {"R5.1", "R5.2", "R5.4", "R5.5"} <= {s.rule for s in recent.suggestions}
    assert "1 year" in "".join(s.text for s in recent.suggestions if s.rule == "R5.1")


def test_an_old_risk_computed_opens_nothing_and_an_old_therapy_forbids_it_still() -> None:
    """R5.8: FRAX holds for the untreated; who was treated once may be treated still."""
    untreated = record("2019-01-01", therapy=Therapy.NONE, menopause=Menopause.AFTER)
    risk = {"frax_hip_percent": D(4), "frax_major_percent": D(25)}
    rules = [
        {s.rule for s in interpreted([untreated, record(on, **risk)]).suggestions}
        for on in ("2018-01-01", "2017-12-31")
    ]
    assert ["R5.8" in found for found in rules] == [True, False]
    treated = [record("2015-01-01", therapy=Therapy.ANABOLIC), record("2019-01-01", **risk)]
    assert "R5.8" not in {s.rule for s in interpreted(treated).suggestions}


def test_an_old_therapy_is_quoted_and_is_no_reason_to_speak_of_response() -> None:
    treated = {"therapy": Therapy.ANTIRESORPTIVE, "therapy_since": date(2014, 1, 1)}
    text = "\n".join(interpreted([record("2015-05-01", **treated)]).conclusions)
    assert "response" not in text
    assert "Risk factors on record (2015-05-01): antiresorptive therapy." in text


def test_risk_factors_are_listed_record_by_record_the_newest_first() -> None:
    found = interpreted(
        [
            record("2010-03-01", fracture_site=FractureSite.VERTEBRA, source="order"),
            record("2019-03-01", cancer_therapy=True),
            record("2019-06-01", menopause=Menopause.AFTER),
        ]
    )
    assert (
        "Risk factors on record (2019-03-01): cancer therapy; (2010-03-01, order): fragility fracture (vertebra)."
        in found.conclusions
    )


@pytest.mark.parametrize(
    ("menopause", "on", "age", "category"),
    [
        (Menopause.AFTER, "1990-01-01", 50, Category.LOW_BONE_MASS),
        (Menopause.TRANSITION, "1990-01-01", 50, Category.LOW_BONE_MASS),
        (Menopause.BEFORE, "2018-01-01", 50, Category.WITHIN_EXPECTED),
        (Menopause.BEFORE, "2017-12-31", 50, None),
        (Menopause.BEFORE, "2017-12-31", 60, Category.LOW_BONE_MASS),
        (Menopause.BEFORE, "2017-12-31", 39, Category.WITHIN_EXPECTED),
    ],
)
def test_menopause_once_come_stays_and_not_yet_come_holds_for_a_time(
    menopause: Menopause, on: str, age: int, category: Category | None
) -> None:
    """R4.1"""
    diagnosis = interpreted([record(on, menopause=menopause)], age=age).diagnosis
    assert (diagnosis.category if diagnosis else None) == category


def test_an_earlier_diagnosis_is_judged_by_what_held_on_its_own_day() -> None:
    """R4.8: a T-score of a patient classified by Z-score then was no osteoporosis; a hip since replaced was."""
    patient = Patient(patient_id="P1", issuer="H", birth_date=date(1970, 1, 1), sex=Sex.FEMALE)
    then, now = (
        exam(on, measurement("total hip left", bmd, t_score=t, z_score=t), patient=patient)
        for on, bmd, t in (("2018-01-01", "0.600", "-2.9"), ("2020-01-01", "0.800", "-1.7"))
    )

    def prior_osteoporosis(*records: ClinicalContext) -> bool:
        found = interpret(now, [then], REFERENCE, contexts=[record("2019-12-01", menopause=Menopause.AFTER), *records])
        return found.diagnosis is not None and found.diagnosis.prior_osteoporosis is not None

    assert prior_osteoporosis()
    assert not prior_osteoporosis(record("2017-01-01", menopause=Menopause.BEFORE))
    assert prior_osteoporosis(record("2017-01-01", menopause=Menopause.TRANSITION))
    assert not prior_osteoporosis(
        record("2017-01-01", left_hip_prosthesis=True), record(DAY, left_hip_prosthesis=False)
    )
