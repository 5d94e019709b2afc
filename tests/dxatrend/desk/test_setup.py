"""Set-up: what a person has to add is on the page, for whoever may configure, whatever devices have sent."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import rejected_callers, scanners, senders
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor
from pipeline.edge.store.senders import Sender
from tests import peers
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, RunningDesk

HOSTILE = ("<script>alert(1)</script>"[:16], "\x1b[2J\x07", '"; DROP TABLE--')


def reject(desk: RunningDesk, title: str, host: str = "192.0.2.17", called: str = "DXATREND") -> None:
    now = datetime.now(UTC)
    caller = RejectedCaller(
        calling_ae_title=title,
        host=host,
        called_ae_title=called,
        reason=RejectedFor.NOT_CONFIGURED if called == "DXATREND" else RejectedFor.OTHER_CALLED,
        times=3,
        first_at=now,
        last_at=now,
    )
    with desk.app.database.write() as connection:
        rejected_callers.record(connection, [caller])


def see_scanner(desk: RunningDesk, machine: Scanner, *callers: str) -> None:
    now = datetime.now(UTC)
    with desk.app.database.write() as connection:
        number = scanners.number_of(connection, machine, station_name="<b>DXA1", institution="\u202eHospital", at=now)
        for title in callers:
            senders.record(connection, number, Sender(ae_title=title, host="192.0.2.9"), bound=False, at=now)


def configure_with(folder: Path, text: str) -> None:
    path = folder / "service.toml"
    path.write_text(path.read_text() + text)


@pytest.fixture
def busy_desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk with rejected callers of every kind and scanners that lack everything."""
    config = browsers.configure(tmp_path)
    configure_with(config, '\n[[listener.caller]]\nae_title = "MOVED"\nhost = "192.0.2.10"\n')
    with browsers.running_desk(config) as desk:
        for title in (*HOSTILE, "SCANNER7", "MOVED"):
            reject(desk, title)
        reject(desk, "SCANNER8", host="192.0.2.18", called="WRONG_TITLE")
        see_scanner(desk, Scanner("GE Healthcare", "Lunar iDXA <i>", ""))
        see_scanner(desk, Scanner("Hologic", "Horizon W", "1; touch hacked"), "FIRST", "SECOND")
        yield desk


@pytest.mark.parametrize(("viewport", "dark"), [(browsers.SCREEN, False), (browsers.SCREEN, True), (PHONE, False)])
def test_the_page_is_in_order_whatever_devices_call_themselves(
    busy_desk: RunningDesk, browser: Browser, viewport: dict[str, int], dark: bool
) -> None:
    with busy_desk.visitor(browser, Role.CONFIGURE, viewport=viewport, dark=dark) as visitor:
        page = visitor.open("/setup")
        visitor.screenshot(f"setup-{viewport['width']}-{'dark' if dark else 'light'}")
        visitor.assert_in_order()
        rows = page.get_by_role("table").get_by_role("row")
        assert rows.count() == 1 + len(HOSTILE) + 3
        assert page.locator("script").count() == 1, "our own"
        assert page.locator("b, i").count() == 0


def test_the_lines_of_a_caller_are_shown_whole(busy_desk: RunningDesk, browser: Browser) -> None:
    with busy_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup")
        row = page.get_by_role("row").filter(has_text="SCANNER7")
        assert row.locator("pre").inner_text() == '[[listener.caller]]\nae_title = "SCANNER7"\nhost = "192.0.2.17"'
        moved = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="MOVED"))
        assert moved.locator("pre").inner_text() == 'host = "192.0.2.17"'
        assert (
            "change the AE title that it calls to DXATREND"
            in page.get_by_role("row").filter(has_text="SCANNER8").inner_text()
        )


def test_what_scanners_lack_is_shown_with_what_to_do(busy_desk: RunningDesk, browser: Browser) -> None:
    with busy_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup")
        lacking = page.get_by_role("region", name="Scanners that lack something")
        assert 'serial_number = ""' in lacking.inner_text()
        assert r'institution = "\U0000202eHospital"' in lacking.inner_text()
        assert "dxatrend precision study.csv --serial-number '1; touch hacked'" in lacking.inner_text()
        check = page.get_by_role("region", name="Check", exact=True).inner_text()
        assert "Horizon W" not in check, "it is said once"
        lacking.get_by_role("button", name="Confirm SECOND at 192.0.2.9").click()
        expect(page.get_by_role("status")).to_contain_text("confirmed")
        assert "SECOND" not in page.get_by_role("region", name="Scanners that lack something").inner_text()


@pytest.mark.parametrize("role", [None, Role.LOOK, Role.READ, Role.ACT])
def test_only_who_may_configure_sees_it_or_does_anything(busy_desk: RunningDesk, role: Role | None) -> None:
    with busy_desk.client(role) as client:
        answer = client.get("/setup")
        assert answer.status_code == (303 if role is None else 403)
        assert "SCANNER7" not in answer.text
        for path in ("/setup/ask", "/setup/confirm"):
            token = client.token() if role else "none"
            assert client.send_form(path, {"token": token, "sender": 1}).status_code == 403
    with busy_desk.app.database.read() as connection:
        assert senders.unconfirmed_senders(connection), "nothing was confirmed"


def test_in_an_empty_installation_the_first_steps_are_shown_and_nothing_is_ticked(
    empty_desk: RunningDesk, browser: Browser
) -> None:
    with empty_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup")
        visitor.assert_in_order()
        visitor.screenshot("setup-empty")
        assert page.locator(".step.open").count() == 7
        page.get_by_label("Its AE title").fill("ORTHANC")
        page.get_by_label("Address or name of its machine").fill("192.0.2.20")
        page.get_by_label("Port").fill("4242")
        page.get_by_role("button", name="Show the lines to add").click()
        lines = page.locator(".step pre.copy").first.inner_text()
        assert lines == '[[destination]]\nname = "pacs"\nae_title = "ORTHANC"\nhost = "192.0.2.20"\nport = 4242'
        visitor.assert_in_order()
        configure_with(empty_desk.desk.folder, f"\n{lines}\n")
        visitor.open("/setup")
        assert page.locator(".step.done").count() == 1
        assert "restart needed" in page.locator(".note.bad").first.inner_text()


def test_what_was_entered_wrongly_about_a_pacs_is_said_at_its_field(empty_desk: RunningDesk, browser: Browser) -> None:
    with empty_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup?ae_title=%5C&host=pacs&port=70000")
        visitor.assert_in_order()
        assert page.locator(".field.wrong").count() == 2
        assert page.locator(".step pre.copy").count() == 1, "only the address to listen on"


def test_errors_in_the_files_are_shown_before_anybody_restarts(empty_desk: RunningDesk, browser: Browser) -> None:
    empty_desk.account("early", Role.LOOK)
    (empty_desk.desk.folder / "rules.toml").write_text("usual_interval = <script>")
    (empty_desk.desk.folder / "precision.toml").write_text("[[lsc]]\nlsc = 1\n")
    with empty_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup")
        visitor.assert_in_order()
        problems = page.locator(".note.bad").all_inner_texts()
        assert any(problem.startswith("rules.toml, line 1: ") for problem in problems)
        assert any(problem.startswith("precision.toml, line 1: lsc.") for problem in problems)


def test_each_destination_is_asked_when_somebody_wants_it(
    tmp_path: Path, browser: Browser, orthanc: peers.Orthanc
) -> None:
    config = browsers.configure(tmp_path / "desk")
    for name, port in (("pacs", orthanc.dicom_port), ("away", peers.free_port())):
        configure_with(
            config,
            f'\n[[destination]]\nname = "{name}"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {port}\n',
        )
    with browsers.running_desk(config) as desk, desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/setup")
        assert "destination pacs" not in page.content()
        page.get_by_role("button", name="Ask each of them now").click()
        expect(page.get_by_role("list", name="Who answers")).to_contain_text("destination pacs: answers")
        assert "destination away: " in page.locator(".note.bad").all_inner_texts()[0]
        visitor.assert_in_order()
