"""A real Chromium that visits a running desk: log-in as each role, accessibility, policy messages, colours."""

import contextlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response

from dxatrend.desk import server
from dxatrend.desk.application import application
from dxatrend.desk.desk import Desk
from dxatrend.desk.identity import cookie_name
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import drain
from pipeline.edge.history.import_files import import_paths
from pipeline.edge.operations import desk_accounts, desk_log_in
from tests import peers
from tests.folders import SAMPLES

PHONE = {"width": 360, "height": 740}
SCREEN = {"width": 1280, "height": 800}

PASSWORD = "a long way to Tipperary"
"""The password of every account that ``RunningDesk.account`` makes."""


@contextmanager
def running_desk(config: Path) -> Iterator["RunningDesk"]:
    """Serve the desk of a configuration folder from this process, until the block ends."""
    settings, _ = load_configuration(config)
    desk = Desk(config, settings)
    web = server.web_server(application(desk), desk.settings)
    with closing(desk), server.listen(desk.settings) as listening:
        thread = threading.Thread(target=web.run, args=([listening],), name="desk")
        thread.start()
        try:
            peers.wait_until(lambda: web.started, what="the desk listens")
            yield RunningDesk(config, desk)
        finally:
            web.should_exit = True
            thread.join()


class RunningDesk:
    """A desk that answers, and how a test gets in."""

    def __init__(self, config: Path, desk: Desk) -> None:
        self.config, self.desk = config, desk
        self.url = desk.settings.address

    @property
    def app(self) -> App:
        """The application context of the desk itself."""
        return self.desk.app()

    def account(self, name: str, role: Role, password: str = PASSWORD) -> None:
        """Add an account."""
        desk_accounts.add(self.app.database, name, role, password)

    def cookie(self, role: Role) -> dict[str, str]:
        """Return the cookie of a new session with a role; its account is called like the role."""
        name = role.value
        database = self.app.database
        with contextlib.suppress(desk_accounts.AccountError):  # an earlier visit has made it
            self.account(name, role)
        token = desk_log_in.begin_trusted(database, name, host=peers.LOOPBACK, idle=self.desk.idle)
        return {cookie_name(self.desk.settings): token.secret}

    def client(self, role: Role | None = None) -> "Client":
        """Return an HTTP client, logged in with a role or not at all."""
        return Client(self.url, self.cookie(role) if role else {})

    @contextmanager
    def visitor(
        self,
        browser: Browser,
        role: Role | None,
        *,
        viewport: dict[str, int] = SCREEN,
        dark: bool = False,
        script: bool = True,
    ) -> Iterator["Visitor"]:
        """Open a browser of its own, logged in with a role or not at all."""
        context = browser.new_context(
            base_url=self.url,
            viewport={"width": viewport["width"], "height": viewport["height"]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            ignore_https_errors=True,
            reduced_motion="reduce",
        )
        if role is not None:
            secure = self.desk.settings.is_https
            for name, value in self.cookie(role).items():
                context.add_cookies([{"name": name, "value": value, "url": self.url, "secure": secure}])
        try:
            yield Visitor(context)
        finally:
            context.close()


class Client(httpx.Client):
    """An HTTP client that says what a browser says of where a form came from."""

    def __init__(self, url: str, cookies: dict[str, str]) -> None:
        super().__init__(base_url=url, cookies=cookies, trust_env=False, verify=False, timeout=30)

    def send_form(self, path: str, fields: dict[str, object], *, origin: str | None = None) -> httpx.Response:
        """Send a form as a page of the desk does, or as a page of another origin does."""
        own = origin is None
        headers = {
            "origin": origin or str(self.base_url).rstrip("/"),
            "sec-fetch-site": "same-origin" if own else "cross-site",
        }
        return self.post(path, data=fields, headers=headers)

    def token(self, path: str = "/account") -> str:
        """Return the token of the forms of this session."""
        return self.get(path).raise_for_status().text.partition('name="token" value="')[2].partition('"')[0]


class Visitor:
    """One browser window; it remembers whatever the browser complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._elsewhere: list[str] = []
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._note_address(request.url))

    def open(self, path: str, *, status: int = 200) -> Page:
        """Go to a page; the test fails unless it answers with this status."""
        response = self.page.goto(path)
        assert isinstance(response, Response)
        assert response.status == status, f"{path}: {response.status}"
        return self.page

    def assert_in_order(self) -> None:
        """Require a page without complaint: accessible, within our policy, ours alone, and no wider than the window."""
        complaints = [text for text in self.complaints if "status of" not in text]  # an error page is meant to be one
        assert not complaints, f"the browser complains: {complaints}"
        assert not self._elsewhere, f"the page asks other machines: {self._elsewhere}"
        assert not (found := accessibility_problems(self.page)), "\n".join(found)
        wider = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"the page is {wider} pixels wider than its window"
        assert self.page.locator("h1").count() == 1

    def screenshot(self, name: str) -> None:
        """Save the whole page as a picture to look at, where DESK_SCREENSHOTS names a folder."""
        if folder := os.environ.get("DESK_SCREENSHOTS"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note_address(self, address: str) -> None:
        host = urlsplit(address).hostname
        if host is not None and host not in (peers.LOOPBACK, "localhost"):
            self._elsewhere.append(address)


def accessibility_problems(page: Page) -> list[str]:
    """Return what axe-core finds wrong by WCAG 2.1 A and AA and its best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def colours(place: Locator) -> Counter[tuple[int, int, int]]:
    """Return how many pixels of each colour a part of a page has."""
    picture = Image.open(BytesIO(place.screenshot())).convert("RGB")
    pixels = cast("tuple[tuple[int, int, int], ...]", picture.get_flattened_data())
    return Counter(pixels)


def close_to(colour: tuple[int, int, int], wanted: str, *, tolerance: int = 24) -> bool:
    """Return whether a colour is the one written as ``#rrggbb``, but for the softening of edges."""
    aims = (int(wanted[position : position + 2], 16) for position in (1, 3, 5))
    return all(abs(part - aim) <= tolerance for part, aim in zip(colour, aims, strict=True))


def pixels_of(place: Locator, wanted: str) -> int:
    """Return how many pixels of a part of a page have about the colour ``#rrggbb``."""
    return sum(count for colour, count in colours(place).items() if close_to(colour, wanted))


def configure(folder: Path, *, desk: str = "", more: str = "") -> Path:
    """Write a configuration with the sample scanners and their LSCs, and a desk on a free port of loopback."""
    config = folder / "config"
    config.mkdir(parents=True)
    for name in ("scanners.toml", "precision.toml"):
        shutil.copy(SAMPLES / name, config)
    (config / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///dxatrend.sqlite3"
        [exam]
        settle_seconds = 0
        late_days = 36500
        time_zone = "Europe/Berlin"
        [desk]
        port = {peers.free_port()}
        {desk}
        {more}
        """)
    return config


def load_samples(config: Path, patients: Sequence[str] = ()) -> None:
    """Read and follow up the reports of sample patients, by their folders; of all where none is named."""
    folders = [SAMPLES / name for name in patients] or [path.parent for path in SAMPLES.glob("*/expected.json")]
    files = sorted(path for folder in folders for path in folder.glob("*.dcm"))
    with open_app(config) as app:
        import_paths(app, iter(files), deliver=True)
        while extract_waiting(app):
            pass
        drain(app, lambda: False)
