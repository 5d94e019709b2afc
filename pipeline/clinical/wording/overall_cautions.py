"""Cautions about the overall result: a partial basis, a suspect spine, chance (R3)."""

from collections.abc import Sequence

from pipeline.clinical.model import Caution, Flag, Result
from pipeline.clinical.rules import Rules

# R3.9: why a site does not count.
WHY_PARTIAL = {
    Result.NO_PRIOR: "has no earlier exam",
    Result.NOT_COMPARABLE: "could not be compared",
    Result.NO_LSC: "could not be judged without a facility LSC",
}


def partial(site: str, result: Result | None, *, left_out: bool, invalid: bool, against_baseline: bool) -> Caution:
    """R3.9: the overall result rests on one site only; ``result`` is that of the other site, if measured.

    ``left_out``: the gain of a suspect spine is not counted. ``invalid``: the site is not valid. ``against_baseline``:
    the result since the baseline is partial.
    """
    why = "is not valid" if invalid else "was not measured"
    if result is not None:
        uncounted = "is not counted, as its gain is suspect" if left_out else "has a change that must not be counted"
        why = WHY_PARTIAL.get(result, uncounted)
    which = "result since the baseline" if against_baseline else "overall result"
    return Caution(flag=Flag.PARTIAL, text=f"The {which} is partial: the {site} {why}.")


def spine_suspect(signs: Sequence[str]) -> Caution:
    """R3.11: the signs of degeneration or an artefact that make the spine suspect."""
    text = f"The BMD of the spine may be raised by degeneration or an artefact: {'; '.join(signs)}."
    return Caution(flag=Flag.SPINE_SUSPECT, text=text, review=True)


def suspect_artefact() -> Caution:
    """R3.9, R3.11: the spine gained, and signs in the scans make it suspect."""
    text = "The gain at the spine is not counted: it may come from degeneration or an artefact."
    return Caution(flag=Flag.SUSPECT_ARTEFACT, text=text, review=True)


def hip_preferred(rules: Rules) -> Caution:
    """R3.10: from that age degeneration raises spine BMD (Black)."""
    text = f"Spine and hip differ; from age {rules.degenerative_age} on the hip is the more reliable site for change."
    return Caution(flag=Flag.HIP_PREFERRED, text=text)


def one_of_many(comparisons: int) -> Caution:
    """R3.6: of several comparisons one may be significant by chance."""
    text = f"Only one of {comparisons} comparisons is significant, and by a small margin: it may be chance."
    return Caution(flag=Flag.ONE_OF_MANY, text=text)


def regression_to_the_mean() -> Caution:
    """R3.7: of those who lost most in a first year on therapy, most gained in the next (Cummings 2000)."""
    text = (
        "The loss is that of a first interval on therapy: most patients who lose then gain in the next; it wants "
        "confirmation."
    )
    return Caution(flag=Flag.REGRESSION_TO_THE_MEAN, text=text)
