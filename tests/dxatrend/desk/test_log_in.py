"""Who gets into the desk, and who does not."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select, update

from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import desk_accounts
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from pipeline.edge.store.desk_schema import desk_account, desk_session, desk_throttle
from tests.factories.browser import PASSWORD, PHONE, SCREEN, Client, RunningDesk

IDLE = timedelta(minutes=30)
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


@pytest.mark.parametrize(
    ("viewport", "dark"), [(SCREEN, False), (SCREEN, True), (PHONE, False)], ids=["light", "dark", "phone"]
)
def test_the_log_in_and_the_account_are_accessible(desk, browser, viewport, dark, request) -> None:
    name = request.node.callspec.id
    with desk.visitor(browser, None, dark=dark, viewport=viewport) as visitor:
        visitor.open("/log-in?next=/held")
        visitor.assert_in_order()
        visitor.screenshot(f"log-in {name}")
    with desk.visitor(browser, Role.CONFIGURE, dark=dark, viewport=viewport) as visitor:
        visitor.open("/account")
        visitor.assert_in_order()
        visitor.screenshot(f"account {name}")


def test_a_wrong_password_an_unknown_name_and_no_name_get_the_same_answer(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    answers = set()
    for name, password in [("mary", "wrong wrong wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("mary", "x" * 5000)]:
        with empty_desk.client() as client:
            answer = client.send_form("/log-in", {"name": name, "password": password})
            assert "set-cookie" not in answer.headers
            answers.add((answer.status_code, WRONG in answer.text))
    assert answers == {(403, True)}


def test_a_refused_log_in_is_in_the_audit_trail_without_what_was_typed(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.client() as client:
        client.send_form("/log-in", {"name": "mary", "password": "my secret of old"})
        client.send_form("/log-in", {"name": "my secret of old", "password": "mary"})
    refused = [entry for entry in _trail(empty_desk) if entry.event is Event.LOG_IN_REFUSED]
    assert [(entry.actor, entry.outcome) for entry in refused] == [
        ("mary", Outcome.MINOR_FAILURE),
        ("unknown", Outcome.MINOR_FAILURE),
    ]
    database = empty_desk.app.database.path
    assert database is not None
    stored = b"".join(path.read_bytes() for path in database.parent.glob("dxatrend.sqlite3*"))
    assert b"secret of old" not in stored
    assert PASSWORD.encode() not in stored


def test_after_five_wrong_passwords_a_name_has_to_wait_even_with_the_right_one(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    empty_desk.account("tom", Role.READ)
    with empty_desk.client() as client:
        statuses = [
            client.send_form("/log-in", {"name": "mary", "password": "wrong wrong wrong"}).status_code for _ in range(6)
        ]
        _wait_longer(empty_desk)
        right = client.send_form("/log-in", {"name": "mary", "password": PASSWORD})
        other = client.send_form("/log-in", {"name": "tom", "password": PASSWORD})
    assert statuses[:4] == [403] * 4
    assert 429 in statuses[4:]
    assert (right.status_code, "The next one is heard in" in right.text) == (429, True)
    assert other.status_code == 303
    assert len([entry for entry in _trail(empty_desk) if entry.event is Event.LOG_IN_REFUSED]) <= 5


def test_another_password_set_on_the_machine_ends_the_wait(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.client() as client:
        for _ in range(5):
            client.send_form("/log-in", {"name": "mary", "password": "wrong wrong wrong"})
        _wait_longer(empty_desk)
        desk_accounts.set_password(empty_desk.app.database, "mary", "another way to Tipperary")
        answer = client.send_form("/log-in", {"name": "mary", "password": "another way to Tipperary"})
    assert answer.status_code == 303


def test_a_session_ends_with_the_log_out_on_every_page(empty_desk: RunningDesk) -> None:
    with empty_desk.client(Role.READ) as client:
        cookies = dict(client.cookies)
        token = client.token()
        client.send_form("/log-out", {"token": token})
    with empty_desk.client() as client:
        client.cookies.update(cookies)
        assert client.get("/account").headers["location"] == "/log-in?next=/account"
        assert client.send_form("/account/password", {"token": token}).status_code == 403


@pytest.mark.parametrize(
    ("column", "ago"),
    [("seen_at", IDLE), ("created_at", timedelta(hours=12)), ("created_at", timedelta(hours=-1))],
    ids=["idle", "twelve hours", "before the clock was set back"],
)
def test_a_session_ends_by_itself(empty_desk: RunningDesk, column: str, ago: timedelta) -> None:
    with empty_desk.client(Role.READ) as client:
        assert client.get("/account").status_code == 200
        with empty_desk.app.database.write() as connection:
            connection.execute(update(desk_session).values({column: datetime.now(UTC) - ago}))
        assert client.get("/account").status_code == 303


def test_a_page_that_refreshes_itself_keeps_no_session_alive(empty_desk: RunningDesk) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)

    def seen_at(client: Client, headers: dict[str, str]) -> datetime:
        with empty_desk.app.database.write() as connection:
            connection.execute(update(desk_session).values(seen_at=before))
        assert client.get("/account", headers=headers).status_code == 200
        with empty_desk.app.database.read() as connection:
            found: datetime = connection.execute(select(desk_session.c.seen_at)).scalar_one()
        return found

    with empty_desk.client(Role.READ) as client:
        assert seen_at(client, {"dxatrend-refresh": "1"}) == before
        assert seen_at(client, {}) > before


def test_an_account_without_its_role_or_password_is_logged_out_or_down_at_once(empty_desk: RunningDesk) -> None:
    database = empty_desk.app.database
    with empty_desk.client(Role.CONFIGURE) as client:
        assert client.get("/trail").status_code == 200
        desk_accounts.set_role(database, "configure", Role.LOOK)
        assert client.get("/trail").status_code == 403
        assert client.get("/account").status_code == 200
        desk_accounts.remove(database, "configure")
        assert client.get("/account").status_code == 303


def test_the_database_knows_neither_the_token_of_a_session_nor_a_password(empty_desk: RunningDesk) -> None:
    (secret,) = empty_desk.cookie(Role.READ).values()
    with empty_desk.app.database.read() as connection:
        (session,) = connection.execute(select(desk_session)).all()
        (account,) = connection.execute(select(desk_account)).all()
    assert secret not in map(str, session)
    assert account.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    with empty_desk.client() as client:
        client.cookies.set("dxatrend", session.digest)
        assert client.get("/account").status_code == 303


def test_a_person_changes_the_password_and_only_this_browser_stays(empty_desk: RunningDesk, browser: Browser) -> None:
    with empty_desk.client(Role.READ) as elsewhere, empty_desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open("/account")
        page.get_by_label("Present password").fill(PASSWORD)
        page.get_by_label("New password").fill("another way to Tipperary")
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_role("status")).to_contain_text("You have another password")
        visitor.assert_in_order()
        page.reload()
        expect(page.get_by_role("status")).to_have_count(0)
        assert elsewhere.get("/account").status_code == 303
        page.get_by_label("Present password").fill(PASSWORD)
        page.get_by_label("New password").fill("a third way to Tipperary")
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_role("status")).to_contain_text("Your present password is another one")
    changes = [entry for entry in _trail(empty_desk) if entry.event is Event.ACCOUNT_CHANGED]
    assert [(entry.actor, entry.detail["change"]) for entry in changes][1:] == [("read", "password")]


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "https://evil.example", "javascript:x", "/log-out"]
)
def test_the_log_in_leads_to_pages_of_ours_only(empty_desk: RunningDesk, path: str) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.client() as client:
        answer = client.send_form("/log-in", {"name": "mary", "password": PASSWORD, "next": path})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def _wait_longer(desk: RunningDesk) -> None:
    """Make the wait that the failures have earned long enough for a slow machine."""
    with desk.app.database.write() as connection:
        waiting = desk_throttle.c.due_at > desk_throttle.c.failed_at
        connection.execute(update(desk_throttle).where(waiting).values(due_at=datetime.now(UTC) + timedelta(minutes=5)))


def test_whoever_finds_an_open_session_cannot_guess_its_password_without_end(empty_desk: RunningDesk) -> None:
    with empty_desk.client(Role.READ) as client:
        token = client.token()
        fields: dict[str, object] = {"token": token, "present": "wrong wrong wrong", "new": "a third way to Tipperary"}
        for _ in range(5):
            client.send_form("/account/password", fields)
        _wait_longer(empty_desk)
        client.send_form("/account/password", {**fields, "present": PASSWORD})
        assert "Too many attempts" in client.get("/account").text
    refused = [entry for entry in _trail(empty_desk) if entry.event is Event.LOG_IN_REFUSED]
    assert [(entry.actor, entry.host) for entry in refused] == [("read", "127.0.0.1")] * 5


def test_a_password_keeps_the_spaces_at_its_ends(empty_desk: RunningDesk) -> None:
    new = " another way to Tipperary "
    with empty_desk.client(Role.READ) as client:
        client.send_form("/account/password", {"token": client.token(), "present": PASSWORD, "new": new})
    with empty_desk.client() as client:
        assert client.send_form("/log-in", {"name": "read", "password": new}).status_code == 303
