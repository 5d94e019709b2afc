"""Comparison across two cross-calibrated scanners (R2.7 to R2.10)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.cross_calibration import (
    cross_calibration_doubts,
    cross_calibration_for,
    cross_calibration_objections,
    predict,
)
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import (
    CrossCalibration,
    Finding,
    Flag,
    ImpossibleMeasurementError,
    Obstacle,
    Result,
)
from pipeline.clinical.regions import parse_region
from tests.factories.exams import HOLOGIC, LSCS, NAMELESS, REFERENCE, ROOM_1, ROOM_2, day, epoch, exam

D = Decimal
SPINE = CrossCalibration(
    old=ROOM_2,
    new=ROOM_1,
    region=parse_region("L1-L4"),
    intercept=D("0.010"),
    slope=D("1.02"),
    residual_sd=D("0.015"),
    precision_error_old=D("0.010"),
    precision_error_new=D("0.010"),
    patients=30,
    scans_on_new=2,
    valid_from=day("2019-01-01"),
    source="in vivo cross-calibration, January 2019",
)
NOW = exam("2020-01-01", regions={"L1-L4": "0.900"})
OLD = exam("2018-01-01", regions={"L1-L4": "0.900"}, scanner=ROOM_2)
OLDER = exam("2015-01-01", regions={"L1-L4": "0.950"}, scanner=ROOM_2)


def find(*history: Any, **reference: Any) -> Finding:
    return interpret(NOW, history, replace(REFERENCE, **({"cross_calibrations": (SPINE,)} | reference))).findings[0]


def test_a_cross_calibrated_scanner_compares_by_the_generalised_lsc() -> None:
    """R2.7, R2.10: on the new scanner's scale; GLSC .03250 for SEE .015, PE .010, two scans."""
    found = find(OLD, OLDER)
    change = found.since_prior
    assert change is not None
    assert (str(change.reference_bmd), str(change.difference), change.result) == (
        "0.928",
        "-0.028",
        Result.NO_SIGNIFICANT_CHANGE,
    )
    assert change.lsc is not None
    assert (change.lsc.lsc, change.lsc.generalised) == (D("0.03250"), True)
    assert found.since_baseline is not None
    assert found.since_baseline.result is Result.LOSS
    assert found.refusals == ()
    assert Flag.CROSS_CALIBRATED in [caution.flag for caution in found.cautions]
    interpretation = interpret(NOW, [OLD, OLDER], ClinicalReference(lscs=LSCS, cross_calibrations=(SPINE,)))
    text = "\n".join(interpretation.conclusions)
    assert "on GE Healthcare Lunar Prodigy (serial number DF+500476), cross-calibrated with this scanner" in text
    assert interpretation.trends == ()


def test_without_configuration_two_scanners_are_never_compared() -> None:
    """R2.8, R2.9: pooling is off by default."""
    assert [refusal.obstacle for refusal in find(OLD, cross_calibrations=()).refusals] == [Obstacle.OTHER_SCANNER]


def test_once_the_scanner_has_its_own_history_the_old_one_is_left() -> None:
    """R2.7: later scans compare with scans on the new system."""
    own = exam("2017-01-01", regions={"L1-L4": "0.890"})
    found = find(OLD, OLDER, own)
    assert found.since_prior is not None
    assert found.since_prior.reference == own
    assert [refusal.exam for refusal in found.refusals] == [OLD]


@pytest.mark.parametrize(
    "useless",
    [
        replace(SPINE, old=HOLOGIC),
        replace(SPINE, new=HOLOGIC),
        replace(SPINE, region=parse_region("L2-L4")),
        replace(SPINE, valid_from=day("2020-01-02")),
        replace(SPINE, patients=29),
        replace(SPINE, intercept=D("-2")),
    ],
)
def test_a_cross_calibration_serves_its_scanners_region_and_days_only(useless: CrossCalibration) -> None:
    """R2.7, R2.10"""
    assert find(OLD, cross_calibrations=(useless,)).result is Result.NOT_COMPARABLE


def test_an_epoch_that_broke_either_scanner_breaks_the_cross_calibration() -> None:
    """R2.6: the old scanner between exam and study, the new one since the study."""
    for begins, scanner, result in (
        ("2018-01-01", ROOM_2, Result.NO_SIGNIFICANT_CHANGE),
        ("2018-01-02", ROOM_2, Result.NOT_COMPARABLE),
        ("2019-06-01", ROOM_2, Result.NO_SIGNIFICANT_CHANGE),
        ("2017-06-01", ROOM_2, Result.NO_SIGNIFICANT_CHANGE),
        ("2019-06-01", ROOM_1, Result.NOT_COMPARABLE),
        ("2018-06-01", ROOM_1, Result.NO_SIGNIFICANT_CHANGE),
    ):
        assert find(OLD, epochs=(epoch(begins, scanner=scanner),)).result is result
    recent = find(OLD, OLDER, epochs=(epoch("2017-06-01", scanner=ROOM_2),))
    assert recent.since_baseline is not None
    assert recent.since_baseline.reference == OLD


def test_of_two_old_scanners_the_last_one_used_serves() -> None:
    third = exam("2019-01-01", regions={"L1-L4": "0.900"}, scanner=HOLOGIC)
    both = (SPINE, replace(SPINE, old=HOLOGIC))
    found = find(OLD, OLDER, third, cross_calibrations=both)
    assert found.since_baseline is not None
    assert found.since_baseline.reference == third
    assert find(OLD, third).since_prior is not None


def test_a_side_has_its_own_line_or_shares_one() -> None:
    """R2.7: each skeletal site used."""
    both = replace(SPINE, region=parse_region("total hip"))
    left = replace(both, region=parse_region("total hip left"), valid_from=day("2018-01-01"))
    newer = replace(both, valid_from=day("2019-06-01"))

    def chosen(key: str, *cross_calibrations: CrossCalibration) -> CrossCalibration | None:
        return cross_calibration_for(cross_calibrations, ROOM_2, ROOM_1, parse_region(key), date(2020, 1, 1))

    assert chosen("total hip left", both, left) == left
    assert chosen("total hip right", both, left, newer) == newer
    assert chosen("total hip mean", both) is None


def test_a_cross_calibration_that_cannot_be_used_says_why() -> None:
    """R2.1, R2.7, R2.17"""
    assert cross_calibration_objections(SPINE) == ()
    bad = replace(SPINE, old=ROOM_1, region=parse_region("L2"), patients=29)
    assert cross_calibration_objections(bad) == (
        "names one scanner twice",
        "L2 is not used for monitoring (R2.17)",
        "rests on fewer than 30 patients (R2.7)",
    )
    assert "names no two scanners" in cross_calibration_objections(replace(SPINE, old=NAMELESS))[0]


def test_a_line_better_than_the_scanners_is_doubted() -> None:
    """R2.10: plausibility."""
    assert cross_calibration_doubts(SPINE) == ()
    (doubt,) = cross_calibration_doubts(replace(SPINE, residual_sd=D("0.005")))
    assert "better than the scanners' own precision" in doubt


@pytest.mark.parametrize("name", ["slope", "residual_sd", "precision_error_old", "precision_error_new", "intercept"])
def test_numbers_that_no_cross_calibration_yields_are_refused(name: str) -> None:
    with pytest.raises(ImpossibleMeasurementError, match=name):
        replace(SPINE, **{name: D("NaN")})  # type: ignore[arg-type] # numbers only
    with pytest.raises(ImpossibleMeasurementError, match="scans_on_new"):
        replace(SPINE, scans_on_new=0)


def test_a_line_that_leaves_the_range_of_bone_foretells_nothing() -> None:
    assert predict(SPINE, D("0.900")) == D("0.928")
    assert predict(replace(SPINE, intercept=D("-1")), D("0.900")) is None
