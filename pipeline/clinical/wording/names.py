"""Names of regions and lists of days, as a radiologist writes them."""

from collections.abc import Iterable, Sequence
from datetime import date

from pipeline.clinical.model import Finding
from pipeline.clinical.regions import SPINE, Region

MOST_DAYS = 5  # F4: the latest are enough to find the others


def region_name(region: Region) -> str:
    """A region as a radiologist writes it: ``Spine L1-L4``, ``Left total hip``, ``Mean femoral neck`` (C7)."""
    if region.part == SPINE:
        return f"Spine {region.key}"
    name = f"{region.side} {region.part}" if region.side else region.part
    return name[0].upper() + name[1:]


def days_in_words(days: Sequence[date]) -> str:
    """Days in a row, and how many more there are than are named (F4)."""
    more = f" and {len(days) - MOST_DAYS} more" if len(days) > MOST_DAYS else ""
    return ", ".join(map(str, days[:MOST_DAYS])) + more


def region_names(findings: Iterable[Finding]) -> str:
    """The regions of some findings in a row (C7)."""
    return ", ".join(region_name(finding.measurement.region) for finding in findings)
