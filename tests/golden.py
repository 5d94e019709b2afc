"""Does a text still read as it was approved? ``UPDATE_GOLDEN=1`` approves what it is now; a person reads the diff."""

import os
from pathlib import Path


def assert_as_approved(text: str, golden: Path) -> None:
    """Compare with the approved file, or write it when asked to."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.exists(), f"{golden.name} is not approved yet; run with UPDATE_GOLDEN=1 and read it"
    assert text == golden.read_text()
