"""Matching of an exam with its history (R2)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import permutations

import pytest

from pipeline.clinical.model import Epoch, Exam, Measurement, Obstacle, Patient, Refusal, Scanner, Sex
from pipeline.clinical.priors import Match, match, recomputed_bmd, shared_bmds, subset_bmd, total_agrees
from pipeline.clinical.regions import parse_region
from tests.factories.exams import HOLOGIC, NAMELESS, PATIENT, ROOM_1, ROOM_2, epoch, exam, measurement

SPINE = {"L1-L4": "0.900"}
NOW = exam("2020-01-01", regions=SPINE)
LAST = exam("2018-01-01", regions=SPINE)
FIRST = exam("2015-01-01", regions=SPINE)


def only(now: Exam, *history: Exam, epochs: Sequence[Epoch] = ()) -> Match:
    """The match of an exam with one measurement."""
    (found,) = match(now, history, epochs)
    return found


def obstacles(found: Match) -> list[Obstacle]:
    return [refusal.obstacle for refusal in found.refusals]


def vertebrae(*levels: str) -> list[Measurement]:
    """Single vertebrae of 1.000 g/cm2, 10 cm2 each, but for L1 with 0.800."""
    bmc = {"L1": "8"}
    return [
        measurement(level, "0.800" if level == "L1" else "1.000", area="10", bmc=bmc.get(level, "10"))
        for level in levels
    ]


def test_the_prior_is_the_latest_and_the_baseline_the_first_whatever_the_order() -> None:
    """R3.2"""
    for history in permutations((LAST, FIRST, NOW)):
        found = only(NOW, *history)
        assert (found.prior, found.baseline, found.refusals) == (LAST, FIRST, ())


def test_without_an_earlier_exam_there_is_nothing_to_say() -> None:
    found = only(NOW)
    assert (found.prior, found.baseline, found.refusals) == (None, None, ())


def test_a_later_exam_and_the_exam_itself_are_never_priors() -> None:
    """The same study is the same exam, read again; a later exam has not happened yet."""
    itself = exam("2019-06-01", regions=SPINE, uid=NOW.study_instance_uid)
    assert only(NOW, itself, exam("2020-01-02", regions=SPINE)) == only(NOW)


def test_two_exams_of_one_day_tell_precision_not_change() -> None:
    """R2.21"""
    found = only(NOW, exam("2020-01-01", regions=SPINE, uid="other"), LAST)
    assert found.prior == LAST
    assert obstacles(found) == [Obstacle.SAME_DAY]
    assert "same day" in found.refusals[0].text


def test_another_scanner_of_the_same_model_is_another_scanner() -> None:
    """R2.1, R2.2: the refusal names both by serial number."""
    found = only(NOW, exam("2018-01-01", regions=SPINE, scanner=ROOM_2))
    assert found.prior is None
    assert obstacles(found) == [Obstacle.OTHER_SCANNER]
    assert "DF+500475" in found.refusals[0].text
    assert "DF+500476" in found.refusals[0].text


@pytest.mark.parametrize(("now", "then"), [(NAMELESS, NAMELESS), (ROOM_1, NAMELESS), (NAMELESS, ROOM_1)])
def test_a_scanner_without_a_serial_number_is_never_compared(now: Scanner, then: Scanner) -> None:
    """R2.1: two empty serial numbers are not one scanner."""
    found = only(exam("2020-01-01", regions=SPINE, scanner=now), exam("2018-01-01", regions=SPINE, scanner=then))
    assert obstacles(found) == [Obstacle.SCANNER_UNKNOWN]
    assert "serial number not stated" in found.refusals[0].text


def test_another_makers_scanner_is_never_compared_even_on_the_common_scale() -> None:
    """R2.3: standardised BMD cannot compare one person."""
    found = only(NOW, exam("2018-01-01", regions=SPINE, scanner=HOLOGIC))
    assert obstacles(found) == [Obstacle.OTHER_SCANNER]


def test_a_new_calibration_epoch_ends_the_series() -> None:
    """R2.6, R2.8"""
    found = only(NOW, LAST, FIRST, epochs=[epoch("2016-01-01"), epoch("2014-01-01")])
    assert (found.prior, found.baseline) == (LAST, LAST)
    assert only(NOW, LAST, epochs=[epoch("2018-01-02")]).refusals[0].obstacle is Obstacle.OTHER_EPOCH
    assert "tube replaced" in only(NOW, LAST, epochs=[epoch("2020-01-01")]).refusals[0].text


@pytest.mark.parametrize(
    "unbroken",
    [
        epoch("2018-01-01"),
        epoch("2020-01-02"),
        epoch("2019-01-01", cross_calibrated=True),
        epoch("2019-01-01", scanner=ROOM_2),
    ],
)
def test_an_epoch_that_does_not_lie_between_two_exams_leaves_them_comparable(unbroken: Epoch) -> None:
    """R2.6: before both, after both, cross-calibrated, or another scanner's."""
    assert only(NOW, LAST, epochs=[unbroken]).prior == LAST


def test_a_refusal_older_than_the_prior_is_not_worth_saying_unless_it_is_the_last_on_another_scanner() -> None:
    """F4: an exam on a replaced scanner does not vanish once the new one has a prior."""
    old = exam("2016-01-01", regions=SPINE, scanner=HOLOGIC)
    new = exam("2019-01-01", regions=SPINE, scanner=HOLOGIC)
    newer = exam("2019-06-01", regions=SPINE, scanner=HOLOGIC)
    assert [refusal.exam for refusal in only(NOW, LAST, old).refusals] == [old]
    between = exam("2017-01-01", regions=SPINE)
    assert only(NOW, LAST, between, old).refusals == ()
    unidentified = exam("2017-01-01", regions=SPINE, scanner=NAMELESS)
    assert only(NOW, LAST, unidentified, old).refusals == ()
    found = only(NOW, LAST, old, new, newer)
    assert [refusal.exam for refusal in found.refusals] == [newer]  # the latest of each reason and scanner
    assert [refusal.exam for refusal in only(NOW, old, new).refusals] == [new]
    on_another_scanner = exam("2017-01-01", regions=SPINE, scanner=ROOM_2)
    nobody_knows = exam("2016-06-01", regions=SPINE, scanner=NAMELESS)
    assert [refusal.exam for refusal in only(NOW, nobody_knows, old, new, on_another_scanner).refusals] == [
        new,
        on_another_scanner,
        nobody_knows,
    ]


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (Patient(patient_id="P2", issuer="HOSPITAL"), "PatientID"),
        (Patient(patient_id="P1", issuer="CLINIC"), "IssuerOfPatientID"),
        (Patient(patient_id="P1", birth_date=date(1950, 5, 6)), "PatientBirthDate"),
        (Patient(patient_id="P1", sex=Sex.MALE), "PatientSex"),
        (Patient(patient_id=""), "PatientID"),
    ],
)
def test_one_identity_conflict_stops_every_comparison(other: Patient, field: str) -> None:
    """R2.19: quarantine, no comparison; the field is named, its value is not."""
    stranger = exam("2010-01-01", regions={"total hip left": "0.700"}, patient=other)
    found = only(NOW, LAST, stranger)
    assert found.prior is None
    assert obstacles(found) == [Obstacle.ID_CONFLICT]
    assert f"does not agree with this one in {field}." in found.refusals[0].text
    assert "1950" not in found.refusals[0].text


def test_an_exam_without_a_patient_id_is_nobodys() -> None:
    """R2.19"""
    nobody = exam("2020-01-01", regions=SPINE, patient=Patient(patient_id=""))
    earlier = exam("2018-01-01", regions=SPINE, patient=Patient(patient_id=""))
    assert obstacles(only(nobody, earlier)) == [Obstacle.ID_CONFLICT]


def test_what_one_exam_does_not_know_of_the_patient_is_no_conflict() -> None:
    """R2.19"""
    assert PATIENT.birth_date is not None
    thin = exam("2018-01-01", regions=SPINE, patient=Patient(patient_id="P1"))
    assert only(NOW, thin).prior == thin


def test_left_compares_with_left_only() -> None:
    """R2.16: sides, and single hip against mean, are never compared."""
    left = exam("2020-01-01", regions={"total hip left": "0.8"})
    for side in ("right", "mean"):
        found = only(left, exam("2018-01-01", regions={f"total hip {side}": "0.8"}))
        assert obstacles(found) == [Obstacle.OTHER_SIDE]
        assert side in found.refusals[0].text


def test_a_region_compares_with_itself_only() -> None:
    """R2.11"""
    neck = exam("2020-01-01", regions={"femoral neck left": "0.8"})
    found = only(neck, exam("2018-01-01", regions={"total hip left": "0.8"}))
    assert obstacles(found) == [Obstacle.OTHER_REGION]
    assert "reports no femoral neck left" in found.refusals[0].text


def test_an_exam_of_another_site_is_no_obstacle() -> None:
    hip = exam("2018-01-01", regions={"total hip left": "0.8"})
    assert only(NOW, hip) == only(NOW)
    assert only(NOW, exam("2018-01-01", regions={"total hip left": "0.8"}, scanner=HOLOGIC)) == only(NOW)
    assert only(NOW, hip, FIRST).comparable == (FIRST,)


def test_a_region_that_is_not_monitored_is_refused_once() -> None:
    """R2.17, R1.15"""
    regions = {"trochanter left": "0.7"}
    found = only(*(exam(f"{year}-01-01", regions=regions) for year in (2020, 2018, 2016)))
    assert obstacles(found) == [Obstacle.NOT_FOR_MONITORING]
    assert found.refusals[0].text == "Left trochanter is not used for monitoring."
    assert found.comparable == ()
    assert only(exam("2020-01-01", regions={"L2": "0.7"}), LAST).refusals[0].obstacle is Obstacle.NOT_FOR_MONITORING


def test_other_vertebrae_without_content_and_area_are_not_compared() -> None:
    """R2.12"""
    found = only(NOW, exam("2018-01-01", regions={"L2-L4": "0.950"}))
    assert obstacles(found) == [Obstacle.OTHER_VERTEBRAE]
    assert "(L2-L4) than L1-L4" in found.refusals[0].text
    alone = only(NOW, exam("2018-01-01", regions={"L2": "0.950"}))
    assert "single vertebrae only" in alone.refusals[0].text


def test_other_vertebrae_are_compared_on_those_both_include() -> None:
    """R2.12: content over area, sum by sum, in whichever exam lacks the set."""
    whole = exam("2018-01-01", *vertebrae("L1", "L2", "L3", "L4"), measurement("L1-L4", "0.950"))
    part = exam("2020-01-01", measurement("L2-L4", "0.980"))
    found = only(part, whole)
    assert (found.prior, found.refusals) == (whole, ())
    reading = shared_bmds(part.measurements[0], part, whole)
    assert reading is not None
    assert (str(reading.region), str(reading.now), str(reading.then)) == ("L2-L4", "0.980", "1.000")

    later = exam("2022-01-01", *whole.measurements)
    back = shared_bmds(later.measurements[4], later, part)
    assert back is not None
    assert (str(back.region), str(back.now), str(back.then)) == ("L2-L4", "1.000", "0.980")


def test_of_several_sets_the_one_that_shares_most_is_used() -> None:
    """R2.12"""
    now = exam("2020-01-01", *vertebrae("L1", "L2", "L3", "L4"), measurement("L1-L4", "0.950"))
    then = exam("2018-01-01", regions={"L3-L4": "0.9", "L2-L4": "0.91", "L2-L3": "0.93"})
    reading = shared_bmds(now.measurements[4], now, then)
    assert reading is not None
    assert (str(reading.region), str(reading.then)) == ("L2-L4", "0.91")


def test_two_shared_vertebrae_are_enough() -> None:
    """R1.15, R2.13"""
    now = exam("2020-01-01", *vertebrae("L1", "L2"), measurement("L1-L2", "0.9"))
    then = exam("2018-01-01", *vertebrae("L1", "L2", "L4"), measurement("L1-L2,L4", "1.0"))
    reading = shared_bmds(now.measurements[2], now, then)
    assert reading is not None
    assert (str(reading.region), str(reading.now), str(reading.then)) == ("L1-L2", "0.9", "0.900")


def test_one_shared_vertebra_is_not_enough() -> None:
    """R1.15, R2.13"""
    now = exam("2020-01-01", *vertebrae("L1", "L2"), measurement("L1-L2", "0.9"))
    then = exam("2018-01-01", *vertebrae("L2", "L3", "L4"), measurement("L2-L4", "1.0"))
    assert shared_bmds(now.measurements[2], now, then) is None


def test_a_total_that_is_not_the_sum_of_its_vertebrae_wants_a_look() -> None:
    """R2.12: within 0.002 g/cm2, else REVIEW."""
    levels = vertebrae("L1", "L2", "L3", "L4")
    for total, agrees in (("0.952", True), ("0.948", True), ("0.953", False), ("0.947", False)):
        whole = exam("2018-01-01", *levels, measurement("L1-L4", total))
        assert total_agrees(whole, whole.measurements[4]) is agrees


def test_a_set_is_recomputed_only_from_complete_vertebrae() -> None:
    """R2.12: absence degrades, it does not fail."""
    some = exam("2018-01-01", *vertebrae("L1", "L2"), measurement("L3", "1.0", bmc="10"), measurement("L4", "1.0"))
    assert recomputed_bmd(some, parse_region("L1-L2")) == Decimal("0.900")
    assert recomputed_bmd(some, parse_region("L1-L3")) is None
    assert recomputed_bmd(some, parse_region("L1,L4")) is None
    assert recomputed_bmd(some, parse_region("L2,L5")) is None
    assert subset_bmd(some, parse_region("L3")) == 1
    half = exam("2018-01-01", *(measurement(level, "1.0", bmc="10.005", area="10") for level in ("L1", "L2")))
    assert recomputed_bmd(half, parse_region("L1-L2")) == Decimal("1.001")
    dust = exam("2018-01-01", *(measurement(level, "0.1", bmc="0.001", area="10") for level in ("L1", "L2")))
    assert recomputed_bmd(dust, parse_region("L1-L2")) is None


def test_an_exam_of_the_evening_before_is_of_the_same_visit() -> None:
    """R2.21: parts of one exam on both sides of midnight show precision, not change."""
    after = replace(NOW, performed_at=datetime(2020, 1, 1, 0, 30))
    before = replace(exam("2019-12-31", regions=SPINE), performed_at=datetime(2019, 12, 31, 23, 30))
    assert obstacles(only(after, before)) == [Obstacle.SAME_DAY]
    assert only(after, before).prior is None


def test_of_the_excluded_measurements_the_latest_before_the_exam_is_named() -> None:
    """R2.22, F4: in whatever order they are on file, and on whatever scanner; nothing of the day itself."""
    made = {day: exam(day, regions=SPINE) for day in ("2014-01-01", "2018-01-01", "2020-01-01")}
    made["2016-01-01"] = exam("2016-01-01", regions=SPINE, scanner=ROOM_2)
    region = parse_region("L1-L4")
    excluded = [(region, Refusal(obstacle=Obstacle.INVALID_SITE, exam=one, text="not valid")) for one in made.values()]
    for order in permutations(excluded):
        (found,) = match(NOW, [], excluded=order)
        assert [refusal.exam.performed_on for refusal in found.refusals] == [date(2018, 1, 1)]
