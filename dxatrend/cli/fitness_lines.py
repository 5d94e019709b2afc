"""One line for each scanner: whether it is fit by its phantom, as a row of a table and as JSON."""

from collections.abc import Sequence

from dxatrend.cli.output import print_table
from pipeline.edge.overview.scanner_fitness import ScannerFitness


def print_fitness(found: Sequence[ScannerFitness]) -> None:
    """Print one line for each scanner."""
    print_table(
        ("scanner", "serial number", "quality control", "last phantom scan", "phantom", "deviation", "stop"),
        [
            (
                one.name or f"{one.scanner.manufacturer} {one.scanner.model}",
                one.scanner.serial_number,
                one.fitness.value,
                phantom_age(one),
                one.series[0].phantom.name if one.series else "",
                f"{one.last.percent:+.2f} %" if one.last else "",
                ", ".join(str(stop.number) for stop in one.stops),
            )
            for one in found
        ],
    )


def phantom_age(one: ScannerFitness) -> str:
    """Return when a scanner last scanned a phantom, and how long ago; empty if it never did."""
    return f"{one.last_phantom_at:%Y-%m-%d} ({one.phantom_age})" if one.last_phantom_at else one.phantom_age


def as_json(one: ScannerFitness) -> dict[str, object]:
    """Return a scanner's line as JSON values; times are the scanner's own."""
    return {
        "scanner": str(one.scanner),
        "name": one.name,
        "fitness": one.fitness.value,
        "last_phantom_at": one.last_phantom_at,
        "days_ago": one.days_ago,
        "stops": [stop.number for stop in one.stops],
        "advice": one.advice,
        "unknown_phantoms": len(one.unknown),
    }
