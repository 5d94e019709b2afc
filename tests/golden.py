"""Compare a text with its approved version; ``UPDATE_GOLDEN=1`` approves the present one: read the diff."""

import os
from pathlib import Path


def assert_as_approved(text: str, golden: Path) -> None:
    """Compare with the approved file, or write it when asked to."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert golden.exists(), f"{golden.name} is not approved yet; run with UPDATE_GOLDEN=1 and read it"
    assert text == golden.read_text()
