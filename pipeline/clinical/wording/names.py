"""Names of regions, lists of days, and numbers with their printed decimals (C7, section 6)."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from pipeline.clinical.model import Caution, Finding
from pipeline.clinical.regions import FULL_SPINE, SPINE, VERTEBRAE, Region

MOST_DAYS = 5  # F4: the latest days suffice to find the others


def region_name(region: Region) -> str:
    """Return a region at the start of a sentence: ``Spine L1-L4``, ``Left total hip``, ``Mean femoral neck`` (C7)."""
    name = region_in_text(region)
    return name[0].upper() + name[1:]


def region_in_text(region: Region) -> str:
    """Return a region within a sentence: ``spine L1-L4``, ``left total hip``, ``mean femoral neck`` (C7)."""
    if region.part == SPINE:
        return f"spine {region.key}"
    return f"{region.side} {region.part}" if region.side else region.part


def site_in_text(region: Region) -> str:
    """Return the short name of a region: ``spine`` for L1-L4, others by their whole name (C7)."""
    return SPINE if region.key == FULL_SPINE else region_in_text(region)


def omitted_vertebrae(region: Region) -> tuple[str, ...]:
    """Return the vertebrae between the first and the last of a set that are not in it (C5)."""
    levels = [VERTEBRAE.index(level) for level in region.vertebrae]
    return tuple(VERTEBRAE[n] for n in range(min(levels), max(levels)) if n not in levels) if levels else ()


def days_in_words(days: Sequence[date]) -> str:
    """Return a list of days, the first five by date and the number of the others (F4)."""
    more = f" and {len(days) - MOST_DAYS} more" if len(days) > MOST_DAYS else ""
    return ", ".join(map(str, days[:MOST_DAYS])) + more


def region_names(findings: Iterable[Finding]) -> str:
    """Return the regions of findings as a list within a sentence, each once (C7)."""
    return ", ".join(dict.fromkeys(region_in_text(finding.measurement.region) for finding in findings))


def joined_texts(cautions: Iterable[Caution], findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the texts of cautions, each once; a text about several regions begins with all their names (E17)."""
    names = {region_name(finding.measurement.region) for finding in findings}
    by_text: dict[str, list[str]] = {}
    for caution in cautions:
        about, _, rest = caution.text.partition(": ")
        text, regions = (rest, [about]) if about in names else (caution.text, [])
        by_text.setdefault(text, []).extend(regions)
    return tuple(f"{_row(regions)}: {text}" if regions else text for text, regions in by_text.items())


def _row(names: Sequence[str]) -> str:
    first, *others = dict.fromkeys(names)
    return ", ".join((first, *(name[0].lower() + name[1:] for name in others)))


def bmd_in_text(bmd: Decimal) -> str:
    """Return a BMD in g/cm2 with three decimals; comparisons use the number as the scanner printed it (section 6)."""
    return f"{bmd.quantize(Decimal('0.001'), ROUND_HALF_UP):f}"


def difference_in_text(difference: Decimal) -> str:
    """Return a difference of BMD in g/cm2 with its sign and three decimals (R3.1)."""
    return f"{difference.quantize(Decimal('0.001'), ROUND_HALF_UP):+f}"


def score_in_text(score: Decimal) -> str:
    """Return a T- or Z-score with one decimal, rounded as it is classified (section 6, R4.2)."""
    return f"{score.quantize(Decimal('0.1'), ROUND_HALF_UP):f}"


def lsc_in_text(lsc: Decimal) -> str:
    """Return an LSC in g/cm2 with three decimals, rounded up so that no change looks significant that is not (R1.8)."""
    return f"{lsc.quantize(Decimal('0.001'), ROUND_CEILING):f}"


def clause(sentence: str) -> str:
    """Return a sentence as a clause of another one: without capital and full stop (E17)."""
    return sentence[0].lower() + sentence[1:].removesuffix(".")
