"""The Trail page: who did what, found by day, kind, person and patient, and as CSV."""

import csv
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from dxatrend.desk.pages.trail import ENTRIES, WORDS
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations.release import release_destination
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Entry, Event
from tests.factories.browser import PHONE, RunningDesk

NASTY = '<script>alert("x")</script>\u202eevil'


def _record(desk: RunningDesk, *entries: Entry) -> None:
    with desk.app.database.write() as connection:
        audit_trail.record(connection, *entries)


def test_the_trail_shows_what_people_did_the_newest_first(desk: RunningDesk, browser: Browser) -> None:
    with desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/trail")
        first = page.locator("tbody tr").first
        expect(first).to_contain_text("configure")
        expect(first).to_contain_text("looked at this trail")
        expect(page.locator("tbody")).not_to_contain_text("received a report")
        visitor.assert_in_order()
        visitor.screenshot("trail")
        page.get_by_label("What", exact=True).select_option(label="everything")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("tbody")).to_contain_text("compared an exam")


def test_the_trail_fits_a_phone_and_the_dark(desk: RunningDesk, browser: Browser) -> None:
    with desk.visitor(browser, Role.CONFIGURE, viewport=PHONE, dark=True) as visitor:
        visitor.open("/trail?what=all")
        visitor.assert_in_order()
        visitor.screenshot("trail phone dark")


def test_a_name_that_is_markup_is_shown_as_it_is_and_turns_nothing_around(desk: RunningDesk, browser: Browser) -> None:
    nasty = Entry(event=Event.REFUSED_CALLER, at=datetime.now(UTC), actor=NASTY, host=NASTY, detail={"reason": NASTY})
    _record(desk, nasty)
    with desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/trail?what=refused_caller")
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody td").nth(1).locator("bdi")).to_have_text(NASTY.replace("\u202e", "\ufffd"))
        visitor.assert_in_order()


@pytest.mark.parametrize("kind", ["people", "all", Event.VIEWED.value])
def test_a_long_trail_is_turned_page_by_page_and_no_entry_is_lost_or_shown_twice(
    empty_desk: RunningDesk, kind: str
) -> None:
    now = datetime.now(UTC)
    same_moment = [Entry(event=Event.VIEWED, at=now, actor=f"n{n}", patient=1) for n in range(2 * ENTRIES + 3)]
    _record(empty_desk, *same_moment, Entry(event=Event.VIEWED, at=now - timedelta(days=99), actor="old"))
    seen: list[str] = []
    with empty_desk.client(Role.CONFIGURE) as client:
        address = f"/trail?what={kind}"
        while address:
            text = client.get(address).text
            seen += [part.partition("</bdi>")[0] for part in text.split('<td data-label="Who"><div><bdi>')[1:]]
            address = text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    viewers = [name for name in seen if name.startswith("n")]
    assert viewers == [f"n{n}" for n in reversed(range(2 * ENTRIES + 3))]
    assert "old" not in seen, "older than the days that are asked for"


def test_entries_are_found_by_person_by_patient_and_by_day(empty_desk: RunningDesk) -> None:
    now = datetime.now(UTC)
    _record(
        empty_desk,
        Entry(event=Event.VIEWED, at=now, actor="mary", patient=7),
        Entry(event=Event.VIEWED, at=now, actor="tom", patient=8),
        Entry(event=Event.RELEASED, at=now - timedelta(days=400), actor="mary"),
    )
    with empty_desk.client(Role.CONFIGURE) as client:

        def rows(query: str) -> int:
            return client.get(f"/trail?{query}").text.count('<td data-label="Who">')

        assert rows("who=mary") == 1
        assert rows("who=mary&from=2020-01-01") == 2
        assert rows("patient=8&what=all") == 1
        assert rows("what=released") == 0
        assert rows("what=released&from=2020-01-01") == 1
        assert rows("what=viewed&until=2020-01-01&from=2019-01-01") == 0


def test_the_csv_has_every_entry_and_no_formula(empty_desk: RunningDesk) -> None:
    many = [Entry(event=Event.VIEWED, at=datetime.now(UTC), actor='=HYPERLINK("x")', patient=1)] * 1200
    _record(empty_desk, *many)
    with empty_desk.client(Role.CONFIGURE) as client:
        answer = client.get("/trail.csv?what=viewed")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert len(rows) == 1200
    assert {row["who"] for row in rows} == {'\'=HYPERLINK("x")'}


def test_whoever_looks_at_the_trail_is_in_it(empty_desk: RunningDesk) -> None:
    with empty_desk.client(Role.CONFIGURE) as client:
        client.get("/trail?who=mary")
        client.get("/trail?who=mary&before=999999", headers={"dxatrend-refresh": "1"})
        client.get("/trail.csv")
    with empty_desk.app.database.read() as connection:
        looks = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.EXPORTED]
    assert [(entry.actor, entry.host, entry.detail["page"]) for entry in looks] == [
        ("configure", "127.0.0.1", "/trail"),
        ("configure", "127.0.0.1", "/trail"),
        ("configure", "127.0.0.1", "/trail.csv"),
    ]
    assert looks[1].detail["before"] == 999999


def test_every_kind_of_event_has_words() -> None:
    assert set(WORDS) == set(Event)


def test_what_a_command_does_is_told_of_the_user_of_the_machine(empty_desk: RunningDesk) -> None:
    release_destination(empty_desk.app.database, "pacs")
    with empty_desk.app.database.read() as connection:
        (entry,) = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.RELEASED]
    assert entry.actor not in ("", "configure")
