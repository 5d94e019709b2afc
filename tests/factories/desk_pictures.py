"""Pictures of the desk for the README, taken from the demonstration: ``make pictures`` writes them.

They show invented patients, and are small: few colours, and no more of a page than a screen shows.
"""

import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, ViewportSize

from tests import peers
from tests.factories import demonstration
from tests.folders import ROOT

TODAY, PATIENT = (ROOT / "docs" / f"desk-{name}.png" for name in ("today", "patient"))
SHOWN = "SAMPLE-02"
"""The patient of the README's addendum: a spine that loses more than its LSC."""

ROLE = "act"
"""Whose pages are shown: those of the technologist at seven in the morning."""

SCREEN: ViewportSize = {"width": 1280, "height": 1000}
MARGIN = 24
COLOURS = 256


def take() -> None:
    """Play the demonstration, open its desk, and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        demonstration.run(Path(name), "demo").check_returncode()
        with demonstration.running_desk(Path(name)) as (address, passwords), peers.chromium() as browser:
            page = browser.new_context(base_url=address, viewport=SCREEN, reduced_motion="reduce").new_page()
            page.goto("/")
            page.get_by_label("Name").fill(ROLE)
            page.get_by_label("Password").fill(passwords[ROLE])
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("navigation", name="Pages").wait_for()
            _save(page, TODAY)
            page.get_by_role("navigation", name="Pages").get_by_role("link", name="Patients").click()
            page.get_by_label("Patient ID").fill(SHOWN)
            page.get_by_role("button", name="Find").click()
            page.locator("svg.chart").first.wait_for()
            _save(page, PATIENT, until=page.locator(".trend svg.chart").first)


def _save(page: Page, path: Path, *, until: Locator | None = None) -> None:
    """Save what the screen shows of a page, or the page down to the end of a part of it."""
    box = until.bounding_box() if until is not None else None
    height = round(box["y"] + box["height"]) + MARGIN if box else SCREEN["height"]
    shown = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": SCREEN["width"], "height": height})
    picture = Image.open(BytesIO(shown)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    take()
