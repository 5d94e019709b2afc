"""What does an addendum say differently from the one it supersedes, in one line?"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from pipeline.sr import codes
from pipeline.sr.tree import Code, Item, read_tree


def what_changed(addendum: Item, predecessor: Dataset) -> str:
    """The regions whose result or BMD differs, now and before, in words without a patient's data.

    Raises:
        UnreadableReport: the predecessor has no content tree.
    """
    before, now = dict(_said(read_tree(predecessor))), dict(_said(addendum))
    changes = [
        *(_difference(key, now[key], before[key]) for key in now if key in before),
        *(f"{key}: new" for key in now if key not in before),
        *(f"{key}: no longer measured" for key in before if key not in now),
    ]
    changed = "; ".join(filter(None, changes))
    return f"Replaces an earlier addendum. {f'Changed: {changed}' if changed else 'No result and no BMD changed'}."


_Verdict = tuple[Code | None, str]
"""The result of a region, and its BMD as printed."""


def _said(root: Item) -> Iterator[tuple[str, _Verdict]]:
    """What an addendum says overall, and of each region by its key."""
    for item in root.walk():
        if _is(item, codes.OVERALL):
            yield "overall", (item.code, "")
        elif _is(item, codes.MEASUREMENT_GROUP):
            keys = (child.value for child in item.children if _is(child, codes.TRACKING_IDENTIFIER))
            results = (child.code for child in item.children if _is(child, codes.RESULT))
            numbers = (child.value for child in item.children if child.value_type == "NUM")
            yield next(keys, ""), (next(results, None), next(numbers, ""))  # the first number of a group is its BMD


def _difference(key: str, now: _Verdict, before: _Verdict) -> str:
    (result, bmd), (old_result, old_bmd) = now, before
    parts = []
    if _identity(result) != _identity(old_result):
        parts.append(f"{_words(result)} (was: {_words(old_result)})")
    if bmd != old_bmd:
        parts.append(f"BMD {bmd} g/cm2 (was: {old_bmd or 'not stated'})")
    return f"{key}: {', '.join(parts)}" if parts else ""


def _words(code: Code | None) -> str:
    return code.meaning[:1].lower() + code.meaning[1:] if code else "not stated"


def _is(item: Item, concept: Code) -> bool:
    return _identity(item.concept) == concept.identity


def _identity(code: Code | None) -> tuple[str, str] | None:
    return code.identity if code else None
