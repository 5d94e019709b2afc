"""Suggestions for misspelt keys, files and choices of the configuration: "did you mean …?"."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error that suggests the known name most like this one; empty where none is alike."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
