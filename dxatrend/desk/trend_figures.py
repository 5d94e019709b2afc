"""Trend plots and their tables, as a page shows them."""

from dataclasses import dataclass

from markupsafe import Markup

from dxatrend.desk.charts.trend import Reference, trend_plot
from pipeline.edge.overview.examined import Examined
from pipeline.edge.overview.trend_table import TrendRow
from pipeline.sr.render.plots import Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendFigure:
    """One region: the plot as SVG, the reasons of its breaks, and its scans."""

    region: str
    svg: Markup
    plot: Plot
    rows: tuple[TrendRow, ...]

    @property
    def breaks(self) -> tuple[str, ...]:
        """What lies between the scans, the first one first."""
        return tuple(f"{one.on}: {one.reason}" for one in sorted(self.plot.breaks, key=lambda one: one.on))

    @property
    def columns(self) -> frozenset[str]:
        """The columns that some scan has something to say in."""
        return frozenset(name for name, _ in _COLUMNS if any(getattr(row, name) not in ("", None) for row in self.rows))

    @property
    def heads(self) -> tuple[str | tuple[str, str], ...]:
        """The heads of the table: day, the columns that are shown, and what each scan served as."""
        return ("Exam", *(head for name, head in _COLUMNS if name in self.columns or name in ("bmd", "scanner")), "Use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """The trends that a page shows, and which earlier exam their bands are about."""

    figures: tuple[TrendFigure, ...]
    reference: Reference

    @property
    def have_band(self) -> bool:
        """Whether any shows the LSC about an earlier exam."""
        return any(figure.plot.band for figure in self.figures)

    @property
    def have_baseline(self) -> bool:
        """Whether the band may be about the baseline as well."""
        return any(figure.plot.baseline_band for figure in self.figures)


_COLUMNS: tuple[tuple[str, str | tuple[str, str]], ...] = (
    ("age", ("Age", "number")),
    ("bmd", ("BMD g/cm²", "number")),
    ("t_score", ("T", "number")),
    ("z_score", ("Z", "number")),
    ("vertebrae", "Vertebrae"),
    ("scanner", "Scanner"),
    ("software", "Software"),
    ("mode", "Scan mode"),
)


def trends_of(examined: Examined | None, *, about: str | None) -> Trends:
    """Return a figure for each region that has more than one scan to show, with the bands that a visitor has chosen."""
    reference = Reference.BASELINE if about == Reference.BASELINE else Reference.PRIOR
    figures = tuple(
        TrendFigure(
            region=trend.plot.region,
            svg=trend_plot(trend.plot, f"trend-{number}", reference),
            plot=trend.plot,
            rows=trend.rows,
        )
        for number, trend in enumerate(examined.trends if examined else (), 1)
    )
    return Trends(figures=figures, reference=reference)
