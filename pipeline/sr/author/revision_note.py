"""What does an addendum say differently from the one it supersedes, in one line?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.sr import codes
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import Item


def revision_note(addendum: Item, predecessor: Item, corrected: Sequence[str] = ()) -> str:
    """Each region's results, numbers and cautions that differ, now and before, in words without a patient's data.

    ``corrected`` names what of the header is told otherwise.
    """
    now, before = read_back(addendum), read_back(predecessor)
    changes = [
        *_differences("overall", _overall(now), _overall(before)),
        *(
            change
            for key, told in now.regions.items()
            if key in before.regions
            for change in _differences(key, told, before.regions[key])
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
"""What was measured, in words, and its unit."""

_COMPARISON = {
    "PRIOR_DATE": ("prior of", ""),
    "PRIOR_BMD": ("prior BMD", " g/cm2"),
    "LSC": ("LSC", " g/cm2"),
    "BASELINE_DATE": ("baseline of", ""),
    "BASELINE_BMD": ("baseline BMD", " g/cm2"),
}
"""What it was compared with; told when both say it, as a result that changed says the rest."""

_CODES = {
    "RESULT": "",
    "BRESULT": "since baseline ",
    "CATEGORY": "category ",
    "FLAG": "cautions ",
    "OBSTACLE": "not compared because of ",
}

_OF_BASELINE = frozenset(["BASELINE_DATE", "BASELINE_BMD", "BRESULT"])

_Told = Mapping[str, tuple[str, ...]]


def _overall(said: ReadBack) -> _Told:
    baseline, category = said.whole.get("BOVERALL", ()), said.whole.get("CATEGORY", ())
    return {"RESULT": (said.overall,), "BRESULT": baseline, "CATEGORY": category, "FLAG": said.flags}


def _differences(key: str, now: _Told, before: _Told) -> Iterator[str]:
    both = now.keys() & before.keys()
    numbers = _MEASURED | {name: words for name, words in _COMPARISON.items() if name in both}
    parts = {
        **{name: _code(words, now.get(name, ()), before.get(name, ())) for name, words in _CODES.items()},
        **{name: _number(*words, now.get(name, ()), before.get(name, ())) for name, words in numbers.items()},
    }
    if "BASELINE_STUDY" in now and now["BASELINE_STUDY"] == now.get("PRIOR_STUDY"):  # it would be said twice
        parts = {name: part for name, part in parts.items() if name not in _OF_BASELINE}
    if changed := ", ".join(filter(None, parts.values())):
        yield f"{key}: {changed}"


def _code(words: str, now: Iterable[str], before: Iterable[str]) -> str:
    told, was = (", ".join(sorted({codes.words(value) for value in values})) or "none" for values in (now, before))
    return f"{words}{told} (was: {was})" if told != was else ""


def _number(words: str, unit: str, now: Iterable[str], before: Iterable[str]) -> str:
    told, was = (_printed(next(iter(values), "")) for values in (now, before))
    return f"{words} {told}{unit} (was: {was})" if told != was else ""


def _printed(value: str) -> str:
    """A number as it is, a date with its hyphens."""
    if len(value) == 8 and value.isdecimal():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return value or "not stated"
