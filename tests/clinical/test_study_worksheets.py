"""The worksheets of precision and cross-calibration studies, against an independent computation in numpy."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.clinical.cross_calibration import cross_calibration_doubts
from pipeline.clinical.cross_calibration_study import (
    PairedScan,
    cross_calibration_of_study,
    evaluate_pairs,
    evaluate_phantom,
)
from pipeline.clinical.precision_study import PrecisionScan, UnfitStudyError, evaluate_study
from pipeline.clinical.regions import VERTEBRAE, parse_region
from pipeline.clinical.study_worksheets import cross_calibration_worksheet, phantom_worksheet
from pipeline.clinical.vertebra_subsets import SETS, Vertebra, subset_scans
from tests.factories.exams import ROOM_1, ROOM_2

SPINE = parse_region("L1-L4")
NECK = parse_region("femoral neck left")

bmds = st.integers(500, 1500).map(lambda thousandths: Decimal(thousandths) / 1000)


@given(
    st.lists(st.lists(bmds, min_size=2, max_size=4), min_size=15, max_size=35),
    st.lists(st.integers(0, 2), min_size=35, max_size=35),
)
def test_a_precision_study_equals_its_computation_in_numpy(patients: list[list[Decimal]], who: list[int]) -> None:
    """R1.3, R1.4, R1.5, R1.7, R1.10: variances by numpy, n - 1 below, weighted by degrees of freedom."""
    scans = [
        PrecisionScan(patient=str(p), scan=str(s), region=SPINE, bmd=bmd, technologist=f"T{who[p]}")
        for p, own in enumerate(patients)
        for s, bmd in enumerate(own)
    ]
    found = evaluate_study(scans)

    def pooled(chosen: list[NDArray[np.float64]]) -> tuple[float, float, int]:
        df = np.array([len(own) - 1 for own in chosen])
        variances = np.array([own.var(ddof=1) for own in chosen])
        relative = np.array([own.var(ddof=1) / own.mean() ** 2 for own in chosen])
        return float(np.sqrt(df @ variances / df.sum())), float(100 * np.sqrt(df @ relative / df.sum())), int(df.sum())

    arrays = [np.array([float(bmd) for bmd in own]) for own in patients]
    error, percent, freedom = pooled(arrays)
    assert float(found.precision_error) == pytest.approx(error, rel=1e-12, abs=1e-15)
    assert float(found.percent) == pytest.approx(percent, rel=1e-12, abs=1e-12)
    assert float(found.lsc) == pytest.approx(2.77 * error, rel=1e-12, abs=1e-15)
    assert float(found.mean) == pytest.approx(float(np.concatenate(arrays).mean()), rel=1e-12)
    assert found.degrees_of_freedom == freedom
    for own in found.technologists:
        theirs = [array for at, array in enumerate(arrays) if f"T{who[at]}" == own.technologist]
        assert float(own.precision_error) == pytest.approx(pooled(theirs)[0], rel=1e-12, abs=1e-15)
        assert own.degrees_of_freedom == pooled(theirs)[2]


@given(st.integers(0, 2**32 - 1))
def test_the_sets_of_vertebrae_equal_their_computation_in_numpy(seed: int) -> None:
    """R1.15, V19: content over area for each set, then the same evaluation; and no single vertebra."""
    random = np.random.default_rng(seed)
    area = random.uniform(10, 18, (15, 3, 4)).round(2)
    bmc = (area * random.uniform(0.6, 1.3, (15, 3, 4))).round(2)
    vertebrae = [
        Vertebra(
            scan=PrecisionScan(
                patient=str(p),
                scan=str(s),
                region=parse_region(level),
                bmd=Decimal(f"{bmc[p, s, v] / area[p, s, v]:.3f}"),
            ),
            bmc=Decimal(f"{bmc[p, s, v]:.2f}"),
            area=Decimal(f"{area[p, s, v]:.2f}"),
        )
        for p in range(15)
        for s in range(3)
        for v, level in enumerate(VERTEBRAE[1:5])
    ]
    scans, mistakes = subset_scans(vertebrae, [])
    assert mistakes == []
    assert {scan.region.vertebrae for scan in scans} == set(SETS)
    assert all(scan.region.monitorable for scan in scans)
    for levels in SETS:
        at = [VERTEBRAE.index(level) - 1 for level in levels]
        bmd = bmc[:, :, at].sum(axis=2) / area[:, :, at].sum(axis=2)
        expected = np.sqrt(bmd.var(axis=1, ddof=1).mean())
        found = evaluate_study([scan for scan in scans if scan.region.vertebrae == levels])
        assert float(found.precision_error) == pytest.approx(float(expected), rel=1e-7)


def test_vertebrae_that_do_not_fit_are_all_named() -> None:
    def vertebra(patient: str, level: str, bmc: str, area: str) -> Vertebra:
        scan = PrecisionScan(patient=patient, scan="1", region=parse_region(level), bmd=Decimal("0.9"))
        return Vertebra(scan=scan, bmc=Decimal(bmc), area=Decimal(area))

    whole = [PrecisionScan(patient="B", scan="1", region=SPINE, bmd=Decimal("0.950"))]
    incomplete = [vertebra("A", "L1", "9", "10"), vertebra("A", "L1", "9", "10"), vertebra("A", "L3", "9", "10")]
    assert subset_scans(incomplete, [])[1] == [
        "patient A, scan 1: L1 is there twice",
        "patient A, scan 1: L2, L4 missing",
    ]
    other = [vertebra("B", level, "9", "10") for level in VERTEBRAE[1:5]]
    assert subset_scans(other, whole) == (
        [],
        ["patient B, scan 1: L1 to L4 do not add up to the L1-L4 of the same scan"],
    )


def test_a_set_that_the_scanner_has_printed_is_not_computed() -> None:
    vertebrae = [
        Vertebra(
            scan=PrecisionScan(patient="A", scan="1", region=parse_region(level), bmd=Decimal("0.9")),
            bmc=Decimal(9),
            area=Decimal(10),
        )
        for level in VERTEBRAE[1:5]
    ]
    printed = [PrecisionScan(patient="A", scan="1", region=SPINE, bmd=Decimal("0.901"))]
    computed = {scan.region.key for scan in subset_scans(vertebrae, printed)[0]}
    assert "L1-L4" not in computed
    assert {"L1-L3", "L1,L3", "L2-L4"} <= computed


def pairs(
    olds: list[Decimal], news: Sequence[tuple[Decimal, ...]], *, days: tuple[int, int] = (0, 5)
) -> list[PairedScan]:
    begin = date(2026, 1, 1)
    scans = [
        PairedScan(patient=str(p), on_new=False, scan="1", region=SPINE, bmd=old, day=begin + timedelta(days=days[0]))
        for p, old in enumerate(olds)
    ]
    scans += [
        PairedScan(patient=str(p), on_new=True, scan=str(s), region=SPINE, bmd=bmd, day=begin + timedelta(days=days[1]))
        for p, own in enumerate(news)
        for s, bmd in enumerate(own)
    ]
    return scans


@given(
    st.lists(st.tuples(bmds, bmds, bmds), min_size=30, max_size=40).filter(
        lambda rows: len({old for old, *_ in rows}) > 2
    )
)
def test_a_cross_calibration_equals_its_computation_in_numpy(rows: list[tuple[Decimal, Decimal, Decimal]]) -> None:
    """R2.10: least squares by numpy.linalg, SEE with n - 2, and the GLSC of its formula."""
    scans = pairs([old for old, *_ in rows], [(one, two) for _, one, two in rows])
    (found,) = evaluate_pairs(scans, {"L1-L4": Decimal("0.010")})
    data = np.array([[float(value) for value in row] for row in rows])
    x, y = data[:, 0], data[:, 1:].mean(axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(np.column_stack([np.ones_like(x), x]), y, rcond=None)
    see = np.sqrt(((y - intercept - slope * x) ** 2).sum() / (len(x) - 2))
    error = np.sqrt(data[:, 1:].var(axis=1, ddof=1).mean())
    assert float(found.slope) == pytest.approx(float(slope), rel=1e-8, abs=1e-10)
    assert float(found.intercept) == pytest.approx(float(intercept), rel=1e-8, abs=1e-10)
    assert float(found.residual_sd) == pytest.approx(float(see), rel=1e-8, abs=1e-10)
    assert float(found.precision_error_new) == pytest.approx(float(error), rel=1e-10, abs=1e-12)
    assert float(found.glsc) == pytest.approx(float(1.96 * np.sqrt(see**2 + error**2 / 2)), abs=6e-6)


def sound(patients: int = 30, **options: tuple[int, int]) -> list[PairedScan]:
    random = np.random.default_rng(3)
    olds = [Decimal(f"{0.6 + 0.02 * p:.3f}") for p in range(patients)]
    news = [
        (
            Decimal(f"{0.02 + 0.98 * float(old) + shift + random.normal(0, 0.01):.3f}"),
            Decimal(f"{0.02 + 0.98 * float(old) + shift + random.normal(0, 0.01):.3f}"),
        )
        for old, shift in zip(olds, random.normal(0, 0.015, patients), strict=True)
    ]
    return pairs(olds, news, **options)


def test_a_sound_study_becomes_a_cross_calibration_without_doubts() -> None:
    (study,) = evaluate_pairs(sound(), {"L1-L4": Decimal("0.010")})
    assert study.objections == study.doubts == ()
    made = cross_calibration_of_study(study, old=ROOM_2, new=ROOM_1, valid_from=date(2026, 2, 1), source="in vivo")
    assert cross_calibration_doubts(made) == ()
    assert (made.patients, made.scans_on_new, made.precision_error_old) == (30, 2, Decimal("0.010000"))
    text = cross_calibration_worksheet(study)
    assert "patients               30, 2 scans of each on the new scanner" in text
    assert f"new BMD =              {made.intercept} + {made.slope} x old BMD" in text
    assert "NOT FOR CLINICAL USE" not in text


def test_a_study_that_must_not_be_used_says_why() -> None:
    """R2.7"""
    (few,) = evaluate_pairs(sound(29), {})
    assert few.objections == ("29 patients; 30 are needed (R2.7)",)
    with pytest.raises(UnfitStudyError) as refused:
        cross_calibration_of_study(few, old=ROOM_2, new=ROOM_1, valid_from=date(2026, 2, 1), source="in vivo")
    assert refused.value.reasons == (
        "L1-L4: 29 patients; 30 are needed (R2.7)",
        "L1-L4: the old scanner has no LSC on file: its own precision is needed beside the study (R2.10)",
    )
    (late,) = evaluate_pairs(sound(days=(0, 61)), {})
    assert "more than 60 days between the scans of 0, 1, 2" in late.objections[0]
    assert "NOT FOR CLINICAL USE: more than 60 days" in cross_calibration_worksheet(late)
    falling = [
        PairedScan(patient=s.patient, on_new=s.on_new, scan=s.scan, region=NECK, bmd=2 - s.bmd if s.on_new else s.bmd)
        for s in sound()
    ]
    (study,) = evaluate_pairs(falling, {})
    assert any("does not rise" in objection for objection in study.objections)


def test_every_fault_of_every_region_is_reported_together() -> None:
    scans = [scan for scan in sound() if not (scan.patient == "3" and scan.on_new and scan.scan == "1")]
    scans = [scan for scan in scans if not (scan.patient == "5" and not scan.on_new)]
    scans.append(PairedScan(patient="Z", on_new=False, scan="1", region=NECK, bmd=Decimal(800)))
    with pytest.raises(UnfitStudyError) as refused:
        evaluate_pairs(scans, {})
    assert refused.value.reasons == (
        "L1-L4: patient 3 has 1 scans on the new scanner; two are needed (R2.7)",
        "L1-L4: patient 5 has 0 scans on the old scanner; one is needed (R2.7)",
        "femoral neck left: patient Z, scan 1: BMD is not a number of g/cm2",
        "femoral neck left: patient Z has 0 scans on the new scanner; two are needed (R2.7)",
    )


def phantom(old: str, new: str, scans: int = 10) -> list[PairedScan]:
    return [
        PairedScan(patient="", on_new=on_new, scan=str(at), region=SPINE, bmd=Decimal(bmd) + Decimal(at % 3) / 1000)
        for on_new, bmd in ((False, old), (True, new))
        for at in range(scans)
    ]


def test_a_phantom_within_one_percent_agrees_and_beyond_it_calls_for_the_manufacturer() -> None:
    """R2.6"""
    (near,) = evaluate_phantom(phantom("1.000", "1.009"))
    assert near.holds
    assert "difference             0.90 % of the old mean" in phantom_worksheet(near)
    (far,) = evaluate_phantom(phantom("1.000", "1.012"))
    assert not far.holds
    assert "MORE THAN 1 %" in phantom_worksheet(far)
    with pytest.raises(UnfitStudyError, match="9 scans on the old and 9 on the new scanner; 10 on each"):
        evaluate_phantom(phantom("1.000", "1.000", scans=9))
