"""The page Alarms: what is wrong and what to do, first; a person may hear nothing of it until a day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from pipeline.edge.alarms.watch import Watcher
from pipeline.edge.app import App
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import destination_outages, housekeeping_log, receipts
from pipeline.edge.store.audit_schema import audit
from tests import peers
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, RunningDesk
from tests.factories.instances import instance

MORE = f"""
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {peers.free_port()}
        [alarms]
        off = ["disk_filling", "lsc_ends", "no_listener", "no_worker"]
        [alarms.mail]
        to = ["admin@example.org"]
        sender = "dxatrend@example.org"
        host = "127.0.0.1"
        port = {peers.free_port()}
        security = "none"
"""


@pytest.fixture
def alarmed(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk whose PACS has been away for hours, and whose mail server does not answer."""
    with browsers.running_desk(browsers.configure(tmp_path, more=MORE)) as running:
        begin = datetime.now(UTC) - timedelta(hours=3)
        with running.app.database.write() as connection:
            destination_outages.record_failure(
                connection, "pacs", wait=timedelta(hours=1), detail="no association: Connection refused", at=begin
            )
            receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=begin - timedelta(days=3))
        look(running.app, begin)
        yield running


def look(app: App, begin: datetime, minutes: int = 20) -> None:
    """Watch for some minutes, and once more now."""
    now = begin
    watcher = Watcher(app, clock=lambda: now)
    for _ in range(minutes // 2):
        watcher.poll(app)
        now += timedelta(minutes=2)
    now = datetime.now(UTC)
    watcher.poll(app)


def test_the_page_says_what_is_wrong_and_what_to_do_on_a_screen_a_phone_in_the_dark_and_without_script(
    alarmed: RunningDesk, browser: Browser
) -> None:
    for name, how in (
        ("screen", {}),
        ("phone", {"viewport": PHONE}),
        ("dark", {"dark": True}),
        ("plain", {"script": False}),
    ):
        with alarmed.visitor(browser, Role.ACT, **how) as visitor:
            page = visitor.open("/alarms")
            assert page.get_by_role("heading", name="pacs takes no addenda").count() == 1
            assert page.get_by_text("dxatrend release pacs").count() == 1
            visitor.assert_in_order() if how.get("script", True) else None
            visitor.screenshot(f"alarms-{name}")


def test_an_alarm_is_shelved_by_a_named_person_and_told_again(alarmed: RunningDesk, browser: Browser) -> None:
    with alarmed.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/alarms")
        note = page.locator(".note", has_text="pacs takes no addenda")
        note.get_by_text("Tell nobody for some days").click()
        note.get_by_label("Why; others read it").fill("upgrade of the PACS")
        note.get_by_role("button", name="Tell nobody until then").click()
        expect(page.get_by_text("upgrade of the PACS, says act")).to_have_count(1)
        visitor.assert_in_order()
        visitor.screenshot("alarms-shelved")
        with alarmed.app.database.read() as connection:
            (entry,) = connection.execute(select(audit).where(audit.c.event == "shelved")).all()
        assert entry.actor == "act"
        with alarmed.client(Role.LOOK) as client:
            looked = client.get("/alarms").raise_for_status().text
        assert "upgrade of the PACS" not in looked, "what a person types may name a patient"
        assert "the reason is only for the role read" in looked
        with alarmed.client(Role.READ) as client:
            assert "upgrade of the PACS" in client.get("/alarms").raise_for_status().text
        page.get_by_role("button", name="Tell it again").click()
        expect(page.get_by_text("upgrade of the PACS")).to_have_count(0)


def test_who_may_only_look_shelves_nothing(alarmed: RunningDesk) -> None:
    client = alarmed.client(Role.LOOK)
    assert "Tell nobody" not in client.get("/alarms").raise_for_status().text
    fields: dict[str, object] = {
        "token": client.token(),
        "alarm": "destination_away:pacs",
        "until": "2099-01-01",
        "reason": "x",
    }
    assert client.send_form("/alarms/shelve", fields).status_code == 403


def test_a_day_that_is_none_or_past_shelves_nothing(alarmed: RunningDesk) -> None:
    client = alarmed.client(Role.ACT)
    for until in ("tomorrow", "2020-01-01"):
        fields: dict[str, object] = {
            "token": client.token(),
            "alarm": "destination_away:pacs",
            "until": until,
            "reason": "x",
        }
        assert client.send_form("/alarms/shelve", fields).status_code == 303
        assert "Nothing was changed" in client.get("/alarms").text
    assert client.send_form("/alarms/shelve", {"token": client.token(), "alarm": "nothing"}).status_code == 400


def test_without_an_alarm_the_page_says_so(empty_desk: RunningDesk, browser: Browser) -> None:
    with empty_desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/alarms")
        assert page.get_by_text("No alarm is raised").count() == 1
        assert page.get_by_text("Nobody is told").count() == 1
        visitor.assert_in_order()
        visitor.screenshot("alarms-none")


def test_the_first_page_tells_of_an_alarm_that_no_trouble_of_the_moment_shows(
    empty_desk: RunningDesk, browser: Browser
) -> None:
    with empty_desk.app.database.write() as connection:
        housekeeping_log.record_done(connection, housekeeping_log.BROKEN_AUDIT_TRAIL, at=datetime.now(UTC))
    look(empty_desk.app, datetime.now(UTC) - timedelta(minutes=20))
    with empty_desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/")
        assert page.get_by_role("heading", name="The audit trail was changed: its chain is broken").count() == 1
        visitor.assert_in_order()
        visitor.screenshot("today-with-alarm")
