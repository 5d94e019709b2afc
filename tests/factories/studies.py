"""Precision and cross-calibration studies as tables, generated or typed."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np

from pipeline.clinical.regions import VERTEBRAE


def table(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as the content of a CSV file."""
    lines = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for line in lines for name in line)))
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()


def study_rows(
    *, regions: Sequence[str] = ("L1-L4",), patients: int = 30, scans: int = 2, sd: float = 0.01, seed: int = 1
) -> list[dict[str, object]]:
    """Return the lines of a study with a known spread, each scan on a day of its own, by two technologists."""
    random = np.random.default_rng(seed)
    return [
        {
            "patient": f"P{patient + 1:02}",
            "scan": scan + 1,
            "region": region,
            "bmd": f"{0.7 + 0.02 * patient + random.normal(0, sd):.3f}",
            "technologist": "KL" if patient % 2 else "MB",
            "date": f"2025-11-{1 + scan + patient % 20:02}",
        }
        for patient in range(patients)
        for region in regions
        for scan in range(scans)
    ]


def vertebra_rows(*, patients: int = 30, scans: int = 2, seed: int = 1) -> list[dict[str, object]]:
    """Return the lines of L1 to L4 with content and area, as a scanner prints them."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for patient in range(patients):
        areas = random.uniform(11, 17, 4)
        densities = random.uniform(0.75, 1.15, 4)
        for scan in range(scans):
            for level, area, density in zip(VERTEBRAE[1:5], areas, densities, strict=True):
                measured = Decimal(f"{area + random.normal(0, 0.1):.2f}")
                content = Decimal(f"{float(measured) * (density + random.normal(0, 0.012)):.2f}")
                rows.append(
                    {
                        "patient": f"P{patient + 1:02}",
                        "scan": scan + 1,
                        "region": level,
                        "bmd": f"{content / measured:.3f}",
                        "bmc": content,
                        "area": measured,
                        "date": f"2025-11-{1 + scan:02}",
                    }
                )
    return rows


def paired_rows(
    *,
    region: str = "L1-L4",
    patients: int = 30,
    scans: int = 2,
    slope: float = 1.02,
    intercept: float = 0.01,
    seed: int = 1,
) -> list[dict[str, object]]:
    """Return the lines of a cross-calibration: each patient once on the old and ``scans`` times on the new scanner."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for patient in range(patients):
        true = 0.6 + 0.02 * patient
        interaction = random.normal(0, 0.008)
        measured = [("old", 1, true + random.normal(0, 0.01))]
        measured += [
            ("new", scan + 1, intercept + slope * true + interaction + random.normal(0, 0.01)) for scan in range(scans)
        ]
        rows += [
            {
                "patient": f"P{patient + 1:02}",
                "scanner": scanner,
                "scan": scan,
                "region": region,
                "bmd": f"{bmd:.3f}",
                "date": f"2026-01-{1 + scan:02}",
            }
            for scanner, scan, bmd in measured
        ]
    return rows
