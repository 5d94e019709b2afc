"""Who gets into the desk, and who does not."""

import re

import pytest
from playwright.sync_api import Browser, expect

from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event
from tests.factories.browser import PASSWORD, PHONE, RunningDesk

WRONG = "This name and password do not belong together."


def _trail(desk: RunningDesk) -> list[Entry]:
    with desk.app.database.read() as connection:
        return [one.entry for one in audit_trail.find(connection)]


def test_a_person_logs_in_with_name_and_password_and_out_again(empty_desk: RunningDesk, browser: Browser) -> None:
    empty_desk.account("mary", Role.ACT)
    with empty_desk.visitor(browser, None) as visitor:
        page = visitor.open("/account")
        expect(page).to_have_url(re.compile("/log-in"))
        visitor.assert_in_order()
        page.get_by_label("Name").fill("Mary")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(re.compile("/account$"))
        expect(page.get_by_role("link", name="mary act")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(re.compile("/log-in$"))
        page.goto("/account")
        expect(page).to_have_url(re.compile("/log-in"))
    who = [(entry.event, entry.actor, entry.host) for entry in _trail(empty_desk) if entry.actor == "mary"]
    assert who == [(Event.LOGGED_IN, "mary", "127.0.0.1"), (Event.LOGGED_OUT, "mary", "127.0.0.1")]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["screen", "phone"])
def test_the_log_in_and_the_account_are_accessible(desk, browser, dark, viewport) -> None:
    window = {} if viewport is None else {"viewport": viewport}
    with desk.visitor(browser, None, dark=dark, **window) as visitor:
        visitor.open("/log-in")
        visitor.assert_in_order()
        visitor.screenshot(f"log-in {'dark' if dark else 'light'} {'phone' if viewport else 'screen'}")
    with desk.visitor(browser, Role.CONFIGURE, dark=dark, **window) as visitor:
        for path in ("/account", "/"):
            visitor.open(path)
            visitor.assert_in_order()
            visitor.screenshot(f"{path.strip('/')} {'dark' if dark else 'light'} {'phone' if viewport else 'screen'}")
