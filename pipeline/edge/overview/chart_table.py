"""The control chart of a phantom as a table: one row for each scan, with every number, rule and repeat."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from pipeline.clinical.phantom_chart import JudgedScan
from pipeline.clinical.phantom_qc import cumulative_deviation
from pipeline.edge.quality_control.charts import Series
from pipeline.edge.text_files import spreadsheet_text

HEADS = (
    "performed_at",
    "phantom",
    "region",
    "bmd_g_cm2",
    "deviation_percent",
    "mean_g_cm2",
    "sd_g_cm2",
    "bmc_g",
    "area_cm2",
    "rules",
    "outcome",
    "cusum_high",
    "cusum_low",
    "cumulative_deviation_g_cm2",
    "software",
    "segment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """One scan: BMD in g/cm², BMC in g, area in cm², deviations in percent of the mean of its baseline."""

    performed_at: datetime
    phantom: str
    region: str
    judged: JudgedScan
    cumulative_deviation: Decimal
    """The sum of deviations from the mean of the segment's first ten scans, in g/cm²: the plot of ANZBMS (R7.4)."""
    bmc: Decimal | None
    area: Decimal | None
    software: str
    is_typed: bool

    @property
    def rules(self) -> str:
        """The rules it broke, in words of a chart."""
        return ", ".join(rule.value for rule in self.judged.rules)


def rows(series: Series) -> Iterator[ChartRow]:
    """Yield the scans of a series, oldest first."""
    region = series.phantom.region.key
    sums = [
        total
        for _, of_segment in groupby(series.chart.scans, key=lambda judged: id(judged.segment))
        for total in cumulative_deviation([judged.scan.bmd for judged in of_segment])
    ]
    for judged, total in zip(series.chart.scans, sums, strict=True):
        scan = series.scans[judged.scan.number]
        measured = scan.values.get(region) or next(iter(scan.values.values()))
        yield ChartRow(
            performed_at=scan.performed_at,
            phantom=judged.scan.phantom,
            region=region,
            judged=judged,
            cumulative_deviation=total,
            bmc=measured.bmc,
            area=measured.area,
            software=scan.software,
            is_typed=scan.is_typed,
        )


def cells(row: ChartRow) -> tuple[str, ...]:
    """Return the cells of a row of the CSV file, under ``HEADS``; no cell begins a formula."""
    judged = row.judged
    limits = judged.limits
    return (
        row.performed_at.isoformat(sep=" ", timespec="minutes"),
        spreadsheet_text(row.phantom),
        row.region,
        str(judged.scan.bmd),
        f"{judged.percent:.2f}",
        f"{limits.mean:.4f}" if limits else "",
        f"{limits.sd:.5f}" if limits else "",
        "" if row.bmc is None else str(row.bmc),
        "" if row.area is None else str(row.area),
        row.rules,
        judged.outcome.value,
        f"{judged.cusum[0]:.2f}",
        f"{judged.cusum[1]:.2f}",
        f"{row.cumulative_deviation:.4f}",
        spreadsheet_text(row.software),
        spreadsheet_text(judged.segment.reason),
    )
