"""Names of regions, lists of days, and numbers in the decimals that are printed (C7, section 6)."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from pipeline.clinical.model import Caution, Finding
from pipeline.clinical.regions import SPINE, VERTEBRAE, Region

MOST_DAYS = 5  # F4: the latest are enough to find the others

FULL_SPINE = "L1-L4"  # R2.17: the set that is meant by "spine" alone


def region_name(region: Region) -> str:
    """A region at the head of a sentence: ``Spine L1-L4``, ``Left total hip``, ``Mean femoral neck`` (C7)."""
    name = region_in_text(region)
    return name[0].upper() + name[1:]


def region_in_text(region: Region) -> str:
    """A region within a sentence: ``spine L1-L4``, ``left total hip``, ``mean femoral neck`` (C7)."""
    if region.part == SPINE:
        return f"spine {region.key}"
    return f"{region.side} {region.part}" if region.side else region.part


def site_in_text(region: Region) -> str:
    """A region where levels would only lengthen the sentence: ``spine`` for L1-L4, others by their whole name (C7)."""
    return SPINE if region.key == FULL_SPINE else region_in_text(region)


def omitted_vertebrae(region: Region) -> tuple[str, ...]:
    """The vertebrae between the first and the last of a set that are not in it (C5)."""
    levels = [VERTEBRAE.index(level) for level in region.vertebrae]
    return tuple(VERTEBRAE[n] for n in range(min(levels), max(levels)) if n not in levels) if levels else ()


def days_in_words(days: Sequence[date]) -> str:
    """Days in a row, and how many more there are than are named (F4)."""
    more = f" and {len(days) - MOST_DAYS} more" if len(days) > MOST_DAYS else ""
    return ", ".join(map(str, days[:MOST_DAYS])) + more


def region_names(findings: Iterable[Finding]) -> str:
    """The regions of some findings in a row, each once, within a sentence (C7)."""
    return ", ".join(dict.fromkeys(region_in_text(finding.measurement.region) for finding in findings))


def joined_texts(cautions: Iterable[Caution], told: Iterable[Finding]) -> tuple[str, ...]:
    """The texts of cautions, each once; what is said of several regions with all their names before it (E17)."""
    names = {region_name(finding.measurement.region) for finding in told}
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
    """A BMD in g/cm2 with three decimals; what is compared is the number as the scanner told it (section 6)."""
    return f"{bmd.quantize(Decimal('0.001'), ROUND_HALF_UP):f}"


def difference_in_text(difference: Decimal) -> str:
    """A difference of BMD in g/cm2 with its sign and three decimals (R3.1)."""
    return f"{difference.quantize(Decimal('0.001'), ROUND_HALF_UP):+f}"


def score_in_text(score: Decimal) -> str:
    """A T- or Z-score with one decimal, rounded as it is classified (section 6, R4.2)."""
    return f"{score.quantize(Decimal('0.1'), ROUND_HALF_UP):f}"


def lsc_in_text(lsc: Decimal) -> str:
    """An LSC with three decimals, rounded up so that no change looks significant that is not (R1.8, section 6)."""
    return f"{lsc.quantize(Decimal('0.001'), ROUND_CEILING):f}"


def clause(sentence: str) -> str:
    """A sentence as a part of another one: without its capital and its full stop (E17)."""
    return sentence[0].lower() + sentence[1:].removesuffix(".")
