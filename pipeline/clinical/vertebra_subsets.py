"""Re-analysis of a precision study by sets of vertebrae, from the content and area of each vertebra (R1.15).

ISCD 2023 asks for an LSC of each combination of two or three vertebrae, from the same scans. BMD in g/cm2, BMC in g,
area in cm2; the BMD of a set is its content divided by its area.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

from pipeline.clinical.model import ZERO
from pipeline.clinical.precision_study import PrecisionScan
from pipeline.clinical.regions import SPINE, VERTEBRAE, Region

LEVELS = VERTEBRAE[1:5]
"""L1 to L4."""

SETS = tuple(levels for size in (4, 3, 2) for levels in combinations(LEVELS, size))
"""All four vertebrae, and the combinations of three and of two; a single one is never monitored."""

SUM_TOLERANCE = Decimal("0.01")
"""How far a printed L1-L4 may lie from the sum of its vertebrae, as a part of it: more is not rounding."""

_TEN_DECIMALS = Decimal("1e-10")
"""More than any area or content has: a quotient has no end of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertebra:
    """One vertebra of one scan: its line in the study, and content and area."""

    scan: PrecisionScan
    bmc: Decimal
    area: Decimal


def is_single_vertebra(region: Region) -> bool:
    """Whether a region is one of L1 to L4 alone."""
    return region.part == SPINE and len(region.vertebrae) == 1 and region.vertebrae[0] in LEVELS


def subset_scans(
    vertebrae: Sequence[Vertebra], printed: Sequence[PrecisionScan]
) -> tuple[list[PrecisionScan], list[str]]:
    """Return the scans of every set that the study has no line for, and every mistake in the vertebrae.

    ``printed`` are the lines of whole sets as the scanner printed them: a set printed for any scan is not computed.
    """
    scans: dict[tuple[str, str], dict[str, Vertebra]] = {}
    mistakes: list[str] = []
    for vertebra in vertebrae:
        level = vertebra.scan.region.vertebrae[0]
        of_scan = scans.setdefault((vertebra.scan.patient, vertebra.scan.scan), {})
        if level in of_scan:
            mistakes.append(f"patient {vertebra.scan.patient}, scan {vertebra.scan.scan}: {level} is there twice")
        of_scan[level] = vertebra
    for (patient, scan), of_scan in scans.items():
        if missing := [level for level in LEVELS if level not in of_scan]:
            mistakes.append(f"patient {patient}, scan {scan}: {', '.join(missing)} missing")
    whole = {(one.patient, one.scan): one for one in printed if one.region.vertebrae == LEVELS}
    if not mistakes:
        mistakes += _sums_that_differ(scans, whole)
    if mistakes:
        return [], mistakes
    known = {one.region.vertebrae for one in printed}
    missing_sets = [levels for levels in SETS if levels not in known]
    return [_computed(of_scan, levels) for levels in missing_sets for of_scan in scans.values()], []


def subset_bmd(vertebrae: Sequence[Vertebra]) -> Decimal:
    """Return the BMD of several vertebrae together: content over area, never the mean of their BMD (V19)."""
    return sum((one.bmc for one in vertebrae), ZERO) / sum((one.area for one in vertebrae), ZERO)


def _computed(of_scan: Mapping[str, Vertebra], levels: Sequence[str]) -> PrecisionScan:
    chosen = [of_scan[level] for level in levels]
    first = chosen[0].scan
    return PrecisionScan(
        patient=first.patient,
        scan=first.scan,
        region=Region(part=SPINE, vertebrae=tuple(levels)),
        bmd=subset_bmd(chosen).quantize(_TEN_DECIMALS),
        technologist=first.technologist,
        day=first.day,
    )


def _sums_that_differ(
    scans: Mapping[tuple[str, str], Mapping[str, Vertebra]], whole: Mapping[tuple[str, str], PrecisionScan]
) -> Iterator[str]:
    for (patient, scan), of_scan in scans.items():
        printed = whole.get((patient, scan))
        if printed is None:
            continue
        if abs(subset_bmd([of_scan[level] for level in LEVELS]) - printed.bmd) > SUM_TOLERANCE * printed.bmd:
            yield f"patient {patient}, scan {scan}: L1 to L4 do not add up to the L1-L4 of the same scan"
