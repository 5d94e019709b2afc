"""Recomputed vertebra sets agree with the values printed by three real scanners."""

import csv
import os
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical.model import Exam, Scanner
from pipeline.clinical.priors import TOTAL_TOLERANCE, recomputed_bmd
from tests.factories.exams import exam, measurement

BESIDE = Path(__file__).parents[3] / "shared" / "samples"
PRINTED = Path(os.environ.get("DXATREND_SAMPLES", BESIDE)) / "numeric" / "printed_spine_results.csv"

WITHOUT_CONTENT = "ME+212290"
"""The iDXA print-out states neither content nor area: its sets cannot be recomputed, and are not."""


def printed_exams() -> list[Exam]:
    """One exam per scanner and day of the print-outs."""
    with PRINTED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    days = dict.fromkeys((row["serial"], row["scan_date"]) for row in rows)
    return [_exam([row for row in rows if (row["serial"], row["scan_date"]) == key]) for key in days]


def _exam(rows: list[dict[str, str]]) -> Exam:
    measurements = [
        measurement(
            row["region"],
            row["bmd"],
            **({"bmc": row["bmc"], "area": row["area_cm2"]} if row["bmc"] else {}),
        )
        for row in rows
    ]
    first = rows[0]
    scanner = Scanner(first["vendor"], first["model"], first["serial"])
    return exam(first["scan_date"], *measurements, scanner=scanner, software=first["software"])


@pytest.mark.skipif(not PRINTED.exists(), reason="the print-outs are not beside the repository")
def test_every_printed_set_of_vertebrae_is_its_content_over_its_area() -> None:
    """R2.12: within 0.002 g/cm2, over the print-outs of a Horizon A, a Prodigy and an iDXA."""
    agreed, silent = 0, []
    for printed in printed_exams():
        for measured in printed.measurements:
            if len(measured.region.vertebrae) < 2:
                continue
            ours = recomputed_bmd(printed, measured.region)
            if ours is None:
                silent.append(printed.scanner.serial_number)
                continue
            assert abs(ours - measured.bmd) <= TOTAL_TOLERANCE, f"{printed.scanner} {measured.region}"
            agreed += 1
    assert agreed == 17
    assert silent == [WITHOUT_CONTENT]


@pytest.mark.skipif(not PRINTED.exists(), reason="the print-outs are not beside the repository")
def test_the_mean_of_the_bmds_would_be_wrong() -> None:
    """R2.12: never the mean of vertebral BMDs."""
    prodigy = next(printed for printed in printed_exams() if printed.scanner.serial_number == "DF+500475")
    levels = [prodigy.by_region[level].bmd for level in ("L1", "L2", "L3", "L4")]
    mean = sum(levels, Decimal(0)) / 4
    assert abs(mean - prodigy.by_region["L1-L4"].bmd) > TOTAL_TOLERANCE
