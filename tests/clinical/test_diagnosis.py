"""Diagnostic category, its score and its reference population (R4)."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.clinical_context import ClinicalContext, Menopause
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Category, Diagnosis, Exam, Flag, Interpretation, Patient, Scale, Scanner, Sex
from tests.factories.exams import HOLOGIC, PATIENT, ROOM_2, exam, measurement

D = Decimal
NORLAND = Scanner("Norland", "XR-46", "N1")


def patient(age: int | None, sex: Sex = Sex.FEMALE) -> Patient:
    """A patient of that age on the first day of 2020."""
    return Patient(patient_id="P1", birth_date=None if age is None else date(2020 - age, 1, 1), sex=sex)


def read(
    *scores: tuple[str, str, str], who: Patient = PATIENT, history: tuple[Exam, ...] = (), **known: Any
) -> Interpretation:
    """An exam of (region, T, Z), all of 0.9 g/cm2, and what is known beside it."""
    measurements = [measurement(key, "0.9", t_score=t, z_score=z) for key, t, z in scores]
    header = {key: known.pop(key) for key in ("scanner", "menopause_age", "age") if key in known}
    contexts = [ClinicalContext(recorded_on=date(2020, 1, 1), **known)]
    return interpret(
        exam("2020-01-01", *measurements, patient=who, **header), history, ClinicalReference(), contexts=contexts
    )


def diagnosis(*scores: tuple[str, str, str], **more: Any) -> Diagnosis:
    found = read(*scores, **more).diagnosis
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("who", "known", "scale"),
    [
        (patient(49, Sex.MALE), {}, Scale.Z_SCORE),
        (patient(50, Sex.MALE), {}, Scale.T_SCORE),
        (patient(39), {}, Scale.Z_SCORE),
        (patient(40), {}, None),
        (patient(59), {}, None),
        (patient(60), {}, Scale.T_SCORE),
        (patient(45), {"menopause": Menopause.AFTER}, Scale.T_SCORE),
        (patient(45), {"menopause": Menopause.TRANSITION}, Scale.T_SCORE),
        (patient(70), {"menopause": Menopause.BEFORE}, Scale.T_SCORE),
        (patient(59), {"menopause": Menopause.BEFORE}, Scale.Z_SCORE),
        (patient(None), {"menopause": Menopause.AFTER}, Scale.T_SCORE),
        (patient(52), {"menopause_age": D(50)}, Scale.T_SCORE),
        (patient(52), {"menopause_age": D(53)}, None),
        (patient(None), {}, None),
        (patient(None, Sex.MALE), {}, None),
        (patient(60, Sex.UNKNOWN), {}, Scale.T_SCORE),
        (patient(60, Sex.OTHER), {}, Scale.T_SCORE),
        (patient(59, Sex.UNKNOWN), {}, None),
        (patient(59, Sex.OTHER), {"menopause": Menopause.AFTER}, None),
        (patient(None, Sex.MALE), {"age": D("50.0")}, Scale.T_SCORE),
    ],
)
def test_the_score_follows_from_sex_age_and_menopause(who: Patient, known: dict[str, Any], scale: Scale | None) -> None:
    """R4.1: no proxy by age between 40 and 59; men from 50 on, 50 included."""
    found = read(("L1-L4", "-1.5", "-0.5"), who=who, **known)
    assert (found.diagnosis.scale if found.diagnosis else None) is scale
    assert ("R4.1" in [rule.rule for rule in found.not_evaluated]) is (scale is None)


@pytest.mark.parametrize(
    ("who", "missing", "t_score"),
    [
        (patient(50), "menopausal status", True),
        (patient(None), "age", False),
        (patient(None, Sex.MALE), "age", False),
        (patient(59, Sex.UNKNOWN), "sex", False),
        (patient(59, Sex.OTHER), "sex as female or male", False),
    ],
)
def test_what_would_have_decided_is_named(who: Patient, missing: str, *, t_score: bool) -> None:
    """R4.1: "menopausal status not supplied"; no T-score for a patient who may be a child, or whose sex has no rule."""
    found = read(("L1-L4", "-1.5", "-0.5"), who=who)
    assert found.conclusions[2] == f"No diagnostic category: {missing} not supplied."
    assert f"diagnostic category (R4.1: {missing} not supplied)" in found.narrative.small_print[-1]
    reported = found.findings[0].measurement
    assert (reported.t_score, reported.z_score) == (D("-1.5") if t_score else None, D("-0.5"))


@pytest.mark.parametrize(
    ("score", "category"),
    [("-0.9", Category.NORMAL), ("-1.0", Category.NORMAL), ("-1.04", Category.NORMAL),
     ("-1.1", Category.LOW_BONE_MASS), ("-2.4", Category.LOW_BONE_MASS), ("-2.44", Category.LOW_BONE_MASS),
     ("-2.45", Category.OSTEOPOROSIS), ("-2.5", Category.OSTEOPOROSIS)],
)  # fmt: skip
def test_t_score_classes(score: str, category: Category) -> None:
    """R4.2: on the score as reported, one decimal."""
    assert diagnosis(("L1-L4", score, "0")).category is category


@pytest.mark.parametrize(("score", "category"), [("-1.9", Category.WITHIN_EXPECTED), ("-2.0", Category.BELOW_EXPECTED)])
def test_z_score_classes(score: str, category: Category) -> None:
    """R4.4: below 50 a man has no osteoporosis by BMD; C12: below the expected range asks for causes."""
    man = patient(40, Sex.MALE)
    found = read(("L1-L4", "-4.0", score), who=man)
    assert found.diagnosis is not None
    assert found.diagnosis.category is category
    assert ("C12" in [suggestion.rule for suggestion in found.suggestions]) is (category is Category.BELOW_EXPECTED)
    assert "T-score" not in "\n".join(found.conclusions).split("Suggestion")[0]


def test_the_lowest_valid_site_decides() -> None:
    """R4.3: L1-L4 or its subset, necks, total hips, one-third radius; one category (N3)."""
    lowest = diagnosis(("L1-L4", "-1.0", "0"), ("femoral neck right", "-1.2", "0"), ("33% radius left", "-2.6", "0"))
    assert (str(lowest.region), lowest.category) == ("33% radius left", Category.OSTEOPOROSIS)
    for ignored in (
        "L2",
        "trochanter left",
        "ward's triangle left",
        "ultradistal radius left",
        "total hip mean",
        "L3-L4",
    ):
        assert str(diagnosis(("L1-L4", "-1.0", "0"), (ignored, "-3.0", "0")).region) == "L1-L4"
    assert str(diagnosis(("L1,L3", "-1.0", "0")).region) == "L1,L3"


def test_a_bone_with_hardware_has_no_valid_score() -> None:
    """R4.3, R2.22, N5"""
    scores = ("L1-L4", "-3.0", "0"), ("total hip left", "-2.0", "0"), ("total hip right", "-1.5", "0")
    assert str(diagnosis(*scores, spinal_hardware=True).region) == "total hip left"
    assert str(diagnosis(*scores, spinal_hardware=True, left_hip_prosthesis=True).region) == "total hip right"


def test_without_a_score_there_is_no_category() -> None:
    """R4.3"""
    found = interpret(exam("2020-01-01", regions={"L1-L4": "0.9"}), [], ClinicalReference())
    assert found.diagnosis is None
    assert "R4.3" in [rule.rule for rule in found.not_evaluated]
    assert "Diagnostic category" not in "\n".join(found.conclusions)


@pytest.mark.parametrize(
    ("fracture", "category", "asked"),
    [
        (True, Category.SEVERE_OSTEOPOROSIS, False),
        (False, Category.OSTEOPOROSIS, False),
        (None, Category.OSTEOPOROSIS, True),
    ],
)
def test_severe_needs_a_fracture_on_record(fracture: bool | None, category: Category, *, asked: bool) -> None:
    """R4.2"""
    found = read(("L1-L4", "-2.5", "0"), fragility_fracture=fracture)
    assert found.diagnosis is not None
    assert found.diagnosis.category is category
    assert ("R4.2" in [rule.rule for rule in found.not_evaluated]) is asked


def earlier(on: str, t_score: str, **more: Any) -> Exam:
    return exam(on, measurement("L1-L4", "0.9", t_score=t_score), **({"scanner": ROOM_2} | more))


def test_a_diagnosis_of_osteoporosis_persists() -> None:
    """R4.8: on whichever scanner; no better category is printed, and today's score is stated."""
    found = read(("L1-L4", "-2.3", "0"), history=(earlier("2016-01-01", "-2.5"), earlier("2018-01-01", "-2.6")))
    text = "\n".join(found.conclusions)
    assert "Lowest T-score -2.3 (spine L1-L4); prior diagnostic category osteoporosis (2018-01-01)." in text
    assert "low bone mass" not in text
    assert Flag.PRIOR_DIAGNOSIS in [caution.flag for caution in found.cautions]
    again = read(("L1-L4", "-2.7", "0"), history=(earlier("2016-01-01", "-2.5"),))
    assert "Diagnostic category: osteoporosis" in "\n".join(again.conclusions)
    assert Flag.PRIOR_DIAGNOSIS not in [caution.flag for caution in again.cautions]


def test_what_was_no_diagnosis_does_not_persist() -> None:
    """R4.8, R4.1, R2.19: better scores, Z-score patients, later exams, another person's exam."""
    today = ("L1-L4", "-2.3", "0")
    assert diagnosis(today, history=(earlier("2016-01-01", "-2.4"),)).prior_osteoporosis is None
    assert diagnosis(today, history=(earlier("2021-01-01", "-2.6"),)).prior_osteoporosis is None
    assert diagnosis(today, history=(earlier("1985-01-01", "-2.6"),)).prior_osteoporosis is None
    assert diagnosis(today, history=(earlier("2000-01-01", "-2.6"),)).prior_osteoporosis is not None
    stranger = Patient(patient_id="P1", birth_date=date(1951, 1, 1))
    assert diagnosis(today, history=(earlier("2016-01-01", "-2.6", patient=stranger),)).prior_osteoporosis is None
    bare = exam("2016-01-01", regions={"L1-L4": "0.5"})
    assert diagnosis(today, history=(bare,)).prior_osteoporosis is None
    by_z = read(today, who=patient(40, Sex.MALE), history=())
    assert by_z.diagnosis is not None
    assert by_z.diagnosis.prior_osteoporosis is None


@pytest.mark.parametrize(
    ("score", "meaning"), [("-1.0", "normal"), ("-2.5", "osteoporosis"), ("-1.1", None), ("-2.4", None)]
)
def test_a_score_on_a_limit_is_flagged_whatever_the_scanner_prints(score: str, meaning: str | None) -> None:
    """R4.2: EDGE_T."""
    edges = [caution.text for caution in read(("L1-L4", score, "0")).cautions if caution.flag is Flag.EDGE_T]
    assert [f"is {meaning} by WHO" in text for text in edges] == ([True] if meaning else [])


@pytest.mark.parametrize(
    ("spine", "hip", "expected"),
    [
        ("-0.5", "-0.9", None),
        ("-0.5", "-1.5", "minor"),
        ("-2.0", "-2.6", "minor"),
        ("-0.5", "-2.6", "major"),
        ("-2.6", "-0.5", "major"),
    ],
)
def test_classes_that_differ_between_spine_and_hip_are_flagged(spine: str, hip: str, expected: str | None) -> None:
    """R3.12"""
    found = read(("L1-L4", spine, "0"), ("total hip left", hip, "0"))
    texts = [caution.text for caution in found.cautions if caution.flag is Flag.DISCORDANT_T]
    assert [bool(expected) and f"({expected} discordance)" in text for text in texts] == ([True] if expected else [])
    assert Flag.DISCORDANT_T not in [caution.flag for caution in read(("L1-L4", spine, "0")).cautions]


@pytest.mark.parametrize(
    ("scanner", "key", "bmd", "t_score", "sex", "flag"),
    [
        (HOLOGIC, "total hip left", "0.799", "-1.2", Sex.FEMALE, None),
        (HOLOGIC, "femoral neck left", "0.703", "-1.3", Sex.FEMALE, None),
        (HOLOGIC, "L1-L4", "0.864", "-1.4", Sex.FEMALE, Flag.T_INCONSISTENT),
        (HOLOGIC, "L1-L4", "0.864", "-1.7", Sex.FEMALE, None),
        (HOLOGIC, "L2-L4", "0.864", "-1.4", Sex.FEMALE, None),
        (HOLOGIC, "L1-L4", "0.864", "-1.4", Sex.MALE, None),
        (HOLOGIC, "33% radius left", "0.6", "-1.4", Sex.FEMALE, None),
        (NORLAND, "total hip left", "0.799", "2.0", Sex.FEMALE, None),
        (ROOM_2, "total hip left", "0.882", "-1.0", Sex.FEMALE, None),
        (ROOM_2, "total hip left", "0.882", "-1.2", Sex.FEMALE, Flag.T_INCONSISTENT),
        (ROOM_2, "total hip left", "0.882", "-1.2", Sex.MALE, Flag.T_INCONSISTENT),
        (HOLOGIC, "femoral neck left", "0.637", "-2.2", Sex.MALE, Flag.MALE_REFERENCE),
        (HOLOGIC, "femoral neck left", "0.637", "-2.2", Sex.FEMALE, Flag.T_INCONSISTENT),
        (HOLOGIC, "femoral neck left", "0.637", "-1.8", Sex.MALE, None),
    ],
)
def test_a_score_is_checked_against_the_reference_and_never_replaced(
    scanner: Scanner, key: str, bmd: str, t_score: str, sex: Sex, flag: Flag | None
) -> None:
    """R4.5, R4.6: within 0.15; S54's spine does not say its vertebrae and does not fit L1-L4."""
    found = interpret(
        exam("2020-01-01", measurement(key, bmd, t_score=t_score), scanner=scanner, patient=patient(70, sex)),
        [],
        ClinicalReference(),
    )
    flags = [c.flag for c in found.cautions if c.flag in (Flag.T_INCONSISTENT, Flag.MALE_REFERENCE)]
    assert flags == ([flag] if flag else [])
    assert found.diagnosis is not None
    assert found.diagnosis.score == D(t_score)


@pytest.mark.parametrize(
    ("text", "expected"), [("NHANES III White Male", True), ("NHANES III female", False), ("", False)]
)
def test_a_reference_that_is_stated_as_male_is_flagged(text: str, *, expected: bool) -> None:
    """R4.5"""
    hip = measurement("total hip left", "0.799", t_score="-1.2", reference_population=text)
    found = interpret(exam("2020-01-01", hip, patient=patient(70, Sex.MALE), scanner=HOLOGIC), [], ClinicalReference())
    assert (Flag.MALE_REFERENCE in [caution.flag for caution in found.cautions]) is expected
    woman = interpret(exam("2020-01-01", hip, patient=patient(70), scanner=HOLOGIC), [], ClinicalReference())
    assert Flag.MALE_REFERENCE not in [caution.flag for caution in woman.cautions]


def test_tbs_is_information_and_never_a_trend() -> None:
    """R2.18"""
    now, then = (
        exam(on, measurement("L1-L4", "0.9", tbs=tbs)) for on, tbs in (("2020-01-01", "1.1"), ("2018-01-01", "1.3"))
    )
    text = "\n".join(interpret(now, [then], ClinicalReference()).conclusions)
    assert "TBS 1.1 (information only)" in text
    assert "1.3" not in text
