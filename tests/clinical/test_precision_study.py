"""Evaluation of a precision study (R1)."""

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from pipeline.clinical.model import Scanner
from pipeline.clinical.precision_study import (
    PrecisionScan,
    PrecisionStudy,
    UnfitStudyError,
    evaluate_study,
    toml_block,
    upper_limit_factor,
    worksheet,
)
from pipeline.clinical.regions import parse_region
from tests.factories.exams import ROOM_1

D = Decimal


def scan(patient: str, number: str, bmd: str, *, region: str = "L1-L4", by: str = "") -> PrecisionScan:
    return PrecisionScan(patient=patient, scan=number, region=parse_region(region), bmd=D(bmd), technologist=by)


def pairs(count: int, difference: str = "0.014", *, region: str = "L1-L4", by: str = "") -> list[PrecisionScan]:
    """So many patients, each scanned twice, their scans that far apart."""
    return [
        scan(f"{by}{n}", str(i), str(1 + D(difference) * i), region=region, by=by) for n in range(count) for i in (0, 1)
    ]


def unfit(scans: list[PrecisionScan]) -> tuple[str, ...]:
    with pytest.raises(UnfitStudyError) as refused:
        evaluate_study(scans)
    return refused.value.reasons


def block(
    evaluated: PrecisionStudy, scanner: Scanner = ROOM_1, source: str = "in vivo", region: str | None = None
) -> str:
    return toml_block(
        evaluated,
        scanner=scanner,
        valid_from=date(2020, 1, 1),
        valid_until=date(2030, 1, 1),
        source=source,
        region=parse_region(region) if region else None,
    )


def test_unequal_repeats_weigh_by_degrees_of_freedom() -> None:
    """R1.4: two patients, SD 0.010 of three scans and 0.020 of two: sqrt((2 x 0.0001 + 1 x 0.0004) / 3)."""
    three = [scan("A", str(i), bmd) for i, bmd in enumerate(("0.990", "1.000", "1.010"))]
    two = [scan("B", "1", "1.000"), scan("B", "2", "1.0282842712")]
    found = evaluate_study([*three, *two])
    assert [patient.sd.quantize(D("0.000001")) for patient in found.patients] == [D("0.010000"), D("0.020000")]
    assert found.precision_error.quantize(D("0.00000001")) == (D("0.0006") / 3).sqrt().quantize(D("0.00000001"))
    assert found.degrees_of_freedom == 3


def test_percent_cv_is_shown_and_never_decides() -> None:
    """R1.5: ISCD advises against it; the LSC comes from g/cm2."""
    found = evaluate_study(pairs(30))
    assert found.percent.quantize(D("0.01")) == D("0.98")
    assert found.lsc == D("2.77") * found.precision_error


def test_a_study_below_30_degrees_of_freedom_is_shown_and_refused() -> None:
    """R1.1, R1.2"""
    small = evaluate_study(pairs(29))
    assert small.objections == ("29 degrees of freedom; 15 patients x 3 scans or 30 x 2 give 30 (R1.2)",)
    assert "NOT FOR CLINICAL USE: 29 degrees of freedom" in worksheet(small)
    with pytest.raises(UnfitStudyError, match="29 degrees"):
        block(small)
    assert evaluate_study(pairs(30)).objections == ()


def test_scans_that_were_copied_are_no_study() -> None:
    copied = evaluate_study(pairs(30, "0"))
    assert copied.objections == ("all repeats are equal: the scans were copied, not repeated",)


def test_all_errors_of_a_study_are_reported_together() -> None:
    assert unfit([]) == ("there are no scans",)
    reasons = unfit(
        [scan("A", "1", "1"), scan("B", "1", "1"), scan("B", "1", "NaN"), scan("C", "1", "930", region="L2-L4")]
    )
    assert reasons == (
        "scans of several regions: L1-L4, L2-L4",
        "patient A was scanned once",
        "patient B has two scans of one label",
        "patient C was scanned once",
        "patient B, scan 1: BMD is not a number of g/cm2",
        "patient C, scan 1: BMD is not a number of g/cm2",
    )


def test_technologists_are_judged_alone_and_pooled_as_variances() -> None:
    """R1.6, R1.10: a patient of two technologists counts for the facility only."""
    mixed = [scan("M", "1", "1.000", by="ann"), scan("M", "2", "1.030", by="bob"), *pairs(1, "0.010")]
    found = evaluate_study([*pairs(20, "0.010", by="ann"), *pairs(15, "0.030", by="bob"), *mixed])
    assert [(own.technologist, own.degrees_of_freedom) for own in found.technologists] == [("ann", 20), ("bob", 15)]
    ann, bob = (own.precision_error for own in found.technologists)
    assert ann.quantize(D("0.00001")) == D("0.00707")
    assert found.degrees_of_freedom == 37
    pooled = ((20 * ann**2 + 15 * bob**2 + bob**2 + ann**2) / 37).sqrt()
    assert found.precision_error.quantize(D("0.00000001")) == pooled.quantize(D("0.00000001"))
    assert any("technologist bob: 2.0" in doubt and "(R1.6)" in doubt for doubt in found.doubts)
    assert not any("ann" in doubt for doubt in found.doubts)
    assert "technologist ann: 0.007071 g/cm2, 0.7" in worksheet(found)


def test_an_lsc_out_of_the_usual_range_is_doubted() -> None:
    """R1.14, R1.6"""
    assert evaluate_study(pairs(30, "0.020")).doubts == ()
    assert "outside the usual" in evaluate_study(pairs(30, "0.004")).doubts[0]
    coarse = evaluate_study(pairs(30, "0.040")).doubts
    assert len(coarse) == 2
    assert "the study: 2.7" in coarse[1]
    assert "worse than the 1.9 % ISCD accepts" in coarse[1]
    radius = evaluate_study(pairs(30, "0.031", region="33% radius left")).doubts
    assert len(radius) == 1


def test_the_worksheet_can_be_checked_by_hand() -> None:
    found = worksheet(evaluate_study([*pairs(15, "0.020", by="ann"), *pairs(15, "0.010", by="bob")]))
    assert "ann0                 2    1.0100    0.014142  ann" in found
    for line in (
        "Precision study of L1-L4",
        "mean BMD               1.008 g/cm2",
        "precision error        0.011180 g/cm2 (RMS-SD)",
        "degrees of freedom     30",
        "upper 90 % limit       0.014241 g/cm2",
        "LSC (2.77 x error)     0.03097 g/cm2 at 95 % confidence",
    ):
        assert line in found.splitlines()
    assert "please check" not in found


def test_a_study_becomes_an_entry_of_precision_toml() -> None:
    """R1.12: the entry says whose, where, how many and from when."""
    scanner = Scanner('G"E', "Lunar\\iDXA", "ME+1\n")
    text = block(evaluate_study(pairs(30, "0.020")), scanner, "study of January\t2020", "L1-L4")
    (entry,) = tomllib.loads(text)["lsc"]
    assert entry == {
        "manufacturer": 'G"E',
        "model": "Lunar\\iDXA",
        "serial_number": "ME+1\n",
        "region": "L1-L4",
        "same_day": "FILL IN",
        "precision_error": "0.014142",
        "patients": 30,
        "repeats": 2,
        "valid_from": date(2020, 1, 1),
        "valid_until": date(2030, 1, 1),
        "source": "study of January\t2020",
    }
    hips = block(evaluate_study(pairs(30, "0.020", region="total hip left")), region="total hip")
    assert tomllib.loads(hips)["lsc"][0]["region"] == "total hip"


def test_an_entry_of_unequal_repeats_claims_no_more_than_was_known() -> None:
    """R1.2: 14 x 3 and 2 x 2 scans know as much as 30 pairs."""
    triplets = [scan(f"t{n}", str(i), str(1 + D("0.010") * i)) for n in range(14) for i in range(3)]
    (entry,) = tomllib.loads(block(evaluate_study([*triplets, *pairs(3)])))["lsc"]
    assert (entry["patients"], entry["repeats"]) == (31, 2)


@pytest.mark.parametrize(("freedom", "published"), [(14, "1.460"), (20, "1.358"), (60, "1.179"), (100, "1.133")])
def test_the_upper_limit_is_that_of_the_chi_square_tables(freedom: int, published: str) -> None:
    """R1.2: sqrt(df / chi-square at 5 %), from tables."""
    assert abs(upper_limit_factor(freedom) - D(published)) < D("0.002")


def test_a_study_is_of_one_day_as_soon_as_one_patient_was_scanned_twice_on_it() -> None:
    """R1.15: and unknown while one day is unknown."""
    one, other = date(2026, 1, 5), date(2026, 1, 6)

    def of_days(*days: tuple[date | None, date | None]) -> PrecisionStudy:
        scans = [(f"P{n}", str(i), day) for n, pair in enumerate(days) for i, day in enumerate(pair)]
        return evaluate_study([replace(scan(p, i, f"0.9{i}{p[1:]}"), day=day) for p, i, day in scans])

    assert of_days((one, other), (one, other)).same_day is False
    assert of_days((one, one), (other, other)).same_day is True
    mixed = of_days((one, other), (other, other), (None, one))
    assert mixed.same_day is True
    assert mixed.doubts[-1] == "1 of 3 patients were scanned twice on one day: taken as a study of one day (R1.15)"
    unstated = of_days((one, other), (None, other))
    assert unstated.same_day is None
    assert "repeated on one day    unknown; fill in same_day\n" in worksheet(unstated)
    assert "repeated on one day    yes" in worksheet(mixed)


def test_an_entry_states_whether_its_scans_were_of_one_day() -> None:
    """R1.15: by the days of the study; where they are unknown, an entry of four vertebrae asks for it."""
    dated = [replace(scan, day=date(2024, 3, 1)) for scan in pairs(30)]
    assert tomllib.loads(block(evaluate_study(dated)))["lsc"][0]["same_day"] is True
    assert "fill in" in tomllib.loads(block(evaluate_study(pairs(30))))["lsc"][0]["same_day"].lower()
