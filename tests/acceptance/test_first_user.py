"""The path of a first-time user, by clicks: from an empty installation to the first addendum in the PACS.

The parts are real: DCMTK as the scanner, Orthanc as the PACS, Chromium as the browser. On the shell the user types only
what a page shows, and into ``service.toml`` goes only what a page shows.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Locator, Page

from tests import peers
from tests.factories.browser import PASSWORD, Visitor
from tests.folders import SAMPLES

pytestmark = pytest.mark.slow

REPORT = SAMPLES / "01-stable" / "2020-02-11-1.dcm"
PROGRAMS = Path(sys.executable).parent


class Shell:
    """A shell in which the user starts the service, and stops it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        self.config.mkdir(parents=True)
        self._environment = {
            **os.environ,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "DXATREND_CONFIG": str(self.config),
        }
        self._log = folder / "service.log"
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, command: str, typed: str) -> None:
        """Run a command that reads what is typed."""
        subprocess.run(shlex.split(command), env=self._environment, input=typed, text=True, check=True, timeout=60)

    def start(self, command: str) -> None:
        """Start the service, after stopping it where it runs."""
        self.stop()
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(shlex.split(command), env=self._environment, stdout=log, stderr=log)

    def stop(self) -> None:
        """Stop the service, as Ctrl-C does."""
        if self._running is not None:
            self._running.send_signal(signal.SIGINT)
            self._running.wait(60)
            self._running = None


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """The shell of the user."""
    opened = Shell(tmp_path)
    yield opened
    opened.stop()


def test_a_first_time_user_comes_from_an_empty_installation_to_the_first_addendum_in_the_pacs(
    shell: Shell,
    browser: Browser,
    orthanc: peers.Orthanc,
    record_property: Callable[[str, object], None],
    tmp_path: Path,
) -> None:
    listener, desk = peers.free_port(), peers.free_port()
    service_file = shell.config / "service.toml"
    service_file.write_text(  # only what two installations on one machine must differ in, and a shorter wait
        f"[listener]\nport = {listener}\n[desk]\nport = {desk}\n[prefect]\nport = {peers.free_port()}\n"
        "[exam]\nsettle_seconds = 1\n"
    )

    def send() -> bool:
        return peers.storescu([REPORT], port=listener, called="DXATREND", calling="DXA1").returncode == 0

    began = time.monotonic()
    shell.start("dxatrend serve")
    visitor = Visitor(browser.new_context(base_url=f"http://127.0.0.1:{desk}"))
    page = visitor.page
    open_when_it_answers(page, "/")

    # Nobody has an account: the page says what to type.
    shell.run(page.locator("pre").inner_text().replace("NAME", "mary"), typed=f"{PASSWORD}\n")
    log_in(page)
    to_setup(page).click()

    # The PACS: what it is called goes into the form, and the lines from the page into the file.
    page.get_by_label("Its AE title").fill(orthanc.ae_title)
    page.get_by_label("Address or name of its machine").fill(orthanc.host)
    page.get_by_label("Port").fill(str(orthanc.dicom_port))
    page.get_by_role("button", name="Show the lines to add").click()
    copy(page.locator('.step pre[data-file="service.toml"]').inner_text(), service_file)

    # The scanner: its first report is rejected, and the page shows by itself how to let it in.
    to_setup(page).click()
    assert not send()
    row = page.get_by_role("row").filter(has_text="DXA1")
    row.wait_for(timeout=180_000)
    copy(row.locator("pre").inner_text(), service_file)
    visitor.assert_in_order()
    restart = page.get_by_role("region", name="Callers that were rejected").locator("pre.command").inner_text()
    shell.start(restart)

    # From here on the list ticks itself.
    open_when_it_answers(page, "/setup")
    visitor.complaints.clear()  # that nobody answered while the service restarted
    step(page, "The service runs").wait_for(timeout=180_000)
    assert step(page, "A PACS is to get the addenda").count() == step(page, "A scanner may send").count() == 1
    page.get_by_role("button", name="Ask each of them now").click()
    assert "destination pacs: answers" in page.get_by_role("list", name="Who answers").inner_text()
    to_setup(page).click()
    peers.wait_until(send, seconds=60, what="the listener takes the report")
    page.get_by_text("Addenda reach the PACS").wait_for(timeout=300_000)
    seconds = time.monotonic() - began

    visitor.assert_in_order()
    assert page.get_by_text("None in the last 30 days.").count() == 1, "the scanner that is let in is no longer listed"
    (series,) = orthanc.find("Series", Modality="SR")
    assert orthanc.rest(f"/series/{series}")["MainDicomTags"]["Manufacturer"]
    record_property("seconds from an empty installation to the first addendum", round(seconds))
    print(f"from an empty installation to the first addendum in the PACS: {seconds:.0f} s")


def to_setup(page: Page) -> Locator:
    """Return the link to Set-up in the head of every page."""
    return page.get_by_role("navigation", name="Pages").get_by_role("link", name="Set-up")


def step(page: Page, title: str) -> Locator:
    """Return a step of the list once it is ticked."""
    return page.locator(".step.done").filter(has_text=re.compile(title))


def copy(lines: str, into: Path) -> None:
    """Add lines that a page shows to a file."""
    into.write_text(f"{into.read_text()}\n{lines}\n")


def log_in(page: Page) -> None:
    """Log in as mary."""
    page.reload()
    page.get_by_label("Name").fill("mary")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    to_setup(page).wait_for()


def open_when_it_answers(page: Page, path: str) -> None:
    """Reload a page until the desk answers, as somebody does who has just started the service."""

    def answers() -> bool:
        try:
            response = page.goto(path)
        except Error:  # the browser says that nobody is there
            return False
        return response is not None and response.ok

    peers.wait_until(answers, seconds=240, what="the desk answers")
