"""Sum up in one line how an addendum differs from the one that it supersedes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.sr import codes
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_item import Item


def revision_note(addendum: Item, predecessor: Item, corrected: Sequence[str] = ()) -> str:
    """Return results, numbers and cautions that differ, by region, now and before; no patient data is in it.

    ``corrected`` names the attributes of patient and study that changed.
    """
    now, before = read_back(addendum), read_back(predecessor)
    changes = [
        *_differences("overall", _overall(now), _overall(before)),
        *(
            change
            for key, values in now.regions.items()
            if key in before.regions
            for change in _differences(key, values, before.regions[key])
        ),
        *(f"{key}: new" for key in now.regions if key not in before.regions),
        *(f"{key}: no longer measured" for key in before.regions if key not in now.regions),
    ]
    header = f" Corrected: {', '.join(corrected)}." if corrected else ""
    changed = f"Changed: {'; '.join(changes)}" if changes else "No result and no number changed"
    return f"Replaces an earlier addendum.{header} {changed}."


_MEASURED = {
    "BMD": ("BMD", " g/cm2"),
    "T_SCORE": ("T-score", ""),
    "Z_SCORE": ("Z-score", ""),
    "BMC": ("BMC", " g"),
    "AREA": ("area", " cm2"),
    "PYA": ("percent of young adult", " %"),
    "PAM": ("percent of age-matched", " %"),
}
"""Name and unit of each measured value."""

_COMPARISON = {
    "PRIOR_DATE": ("prior of", ""),
    "PRIOR_BMD": ("prior BMD", " g/cm2"),
    "LSC": ("LSC", " g/cm2"),
    "BASELINE_DATE": ("baseline of", ""),
    "BASELINE_BMD": ("baseline BMD", " g/cm2"),
}
"""Name and unit of what a region was compared with; listed only if both addenda have it, else the result says it."""

_CODES = {
    "RESULT": "",
    "BRESULT": "since baseline ",
    "CATEGORY": "category ",
    "FLAG": "cautions ",
    "OBSTACLE": "not compared because of ",
}

_OF_BASELINE = frozenset(["BASELINE_DATE", "BASELINE_BMD", "BRESULT"])

_Values = Mapping[str, tuple[str, ...]]


def _overall(addendum: ReadBack) -> _Values:
    baseline, category = addendum.whole.get("BOVERALL", ()), addendum.whole.get("CATEGORY", ())
    return {"RESULT": (addendum.overall,), "BRESULT": baseline, "CATEGORY": category, "FLAG": addendum.flags}


def _differences(key: str, now: _Values, before: _Values) -> Iterator[str]:
    both = now.keys() & before.keys()
    numbers = _MEASURED | {name: words for name, words in _COMPARISON.items() if name in both}
    parts = {
        **{name: _code(words, now.get(name, ()), before.get(name, ())) for name, words in _CODES.items()},
        **{name: _number(*words, now.get(name, ()), before.get(name, ())) for name, words in numbers.items()},
    }
    if "BASELINE_STUDY" in now and now["BASELINE_STUDY"] == now.get("PRIOR_STUDY"):  # the prior says the same
        parts = {name: part for name, part in parts.items() if name not in _OF_BASELINE}
    if changed := ", ".join(filter(None, parts.values())):
        yield f"{key}: {changed}"


def _code(words: str, now: Iterable[str], before: Iterable[str]) -> str:
    new, old = (", ".join(sorted({codes.words(value) for value in values})) or "none" for values in (now, before))
    return f"{words}{new} (was: {old})" if new != old else ""


def _number(words: str, unit: str, now: Iterable[str], before: Iterable[str]) -> str:
    new, old = (_printed(next(iter(values), "")) for values in (now, before))
    return f"{words} {new}{unit} (was: {old})" if new != old else ""


def _printed(value: str) -> str:
    """Return a number as it is, a date with hyphens."""
    if len(value) == 8 and value.isdecimal():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return value or "not stated"
