"""Today says first what is not as it should be; what is held is explained, and released or set aside by whoever may."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select, update

from dxatrend.desk.identity import UNATTENDED
from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations.release import parse_printed_number, release_held
from pipeline.edge.overview.held_reasons import EXPLANATIONS
from pipeline.edge.store import audit_trail, destination_outages, held_work, processes, scanners
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.desk_schema import desk_session
from pipeline.edge.store.processes import ProcessState
from pipeline.edge.store.schema import receipt
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, RunningDesk, pixels_of
from tests.factories.damaged_contents import DAMAGES, damage_content
from tests.factories.held_things import UNKNOWN_NAME, HeldThings, hold_things

DESTINATION = """
    [[destination]]
    name = "pacs"
    ae_title = "PACS"
    host = "127.0.0.1"
    port = 9
    """
HOSTILE = "<script>alert('x')</script>\u202e" + "骨" * 64


@pytest.fixture(scope="module")
def troubled(sample_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningDesk, HeldThings]]:
    """A desk whose listener cannot listen, whose PACS is away, and where something of each kind is held."""
    folder = tmp_path_factory.mktemp("troubled")
    config = browsers.configure(folder, more=DESTINATION)
    shutil.copy(sample_store / "dxatrend.sqlite3", folder)
    with browsers.running_desk(config) as desk:
        things = hold_things(desk.app, caller="SCANNER1")
        now = datetime.now(UTC)
        reason = "cannot listen: Address already in use (port 104)"
        with desk.app.database.write() as connection:
            processes.record_end(
                connection, "listener", ProcessState.CANNOT_START, reason=reason, at=now, owner="elsewhere/17.1"
            )
            processes.register(connection, "worker", None, at=now, owner="elsewhere/18.1")
            destination_outages.record_failure(
                connection, "pacs", wait=timedelta(hours=1), detail="no TCP connection", at=now
            )
            machine = Scanner(HOSTILE, "Model", "S1")
            scanners.number_of(connection, machine, station_name="", institution="", at=now)
        yield desk, things


@pytest.fixture
def held(sample_store: Path, tmp_path: Path) -> Iterator[tuple[RunningDesk, HeldThings]]:
    """A desk of its own for one test, where something of each kind is held."""
    config = browsers.configure(tmp_path, more=DESTINATION)
    shutil.copy(sample_store / "dxatrend.sqlite3", tmp_path)
    with browsers.running_desk(config) as desk:
        yield desk, hold_things(desk.app)


def waiting(desk: RunningDesk) -> set[str]:
    with desk.app.database.read() as connection:
        return {one.number for one in held_work.held(connection)}


def trail(desk: RunningDesk, event: Event) -> list[Entry]:
    with desk.app.database.read() as connection:
        return [one.entry for one in audit_trail.find(connection) if one.entry.event is event]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["screen", "phone"])
def test_the_pages_are_accessible_within_our_policy_and_as_wide_as_their_window(
    troubled, browser, dark, viewport
) -> None:
    desk, things = troubled
    window = {} if viewport is None else {"viewport": viewport}
    with desk.visitor(browser, Role.ACT, dark=dark, **window) as visitor:
        for path in ("/", "/held", f"/held/{things.unknown}", f"/held/{things.exam}", "/held/set-aside"):
            visitor.open(path)
            visitor.assert_in_order()
            visitor.screenshot(f"today {path.replace('/', ' ')} {'dark' if dark else 'light'} {window and 'phone'}")


def test_what_does_not_work_comes_first_with_what_to_do(troubled, browser) -> None:
    desk, _ = troubled
    with desk.visitor(browser, Role.LOOK) as visitor:
        notes = visitor.open("/").locator(".note")
        expect(notes.nth(0)).to_contain_text("cannot listen: Address already in use (port 104)")
        expect(notes.nth(0)).to_contain_text("Scanners cannot send")
        expect(notes.nth(1)).to_contain_text("pacs takes no addenda")
        expect(notes.nth(1)).to_contain_text("then try now")
        expect(notes.nth(2)).to_contain_text("6 things are held for a person to decide")
        assert pixels_of(notes.nth(0), "#b3261e") > 100, "what is bad is red, not black"
        listener = visitor.page.get_by_role("row").filter(has_text="listener")
        expect(listener).to_contain_text("cannot start")


def test_a_service_in_order_says_so(sample_store: Path, tmp_path: Path, browser: Browser) -> None:
    with browsers.running_desk(browsers.configure(tmp_path)) as desk:
        with desk.app.database.write() as connection:
            for part in ("listener", "worker"):
                processes.register(connection, part, None, at=datetime.now(UTC), owner="elsewhere/17.1")
        with desk.visitor(browser, Role.LOOK) as visitor:
            page = visitor.open("/")
            expect(page.locator(".note.bad")).to_have_count(0)
            expect(page.get_by_text("There has been no backup yet.")).to_be_visible()
            visitor.assert_in_order()


def test_today_refreshes_itself(troubled, browser, monkeypatch) -> None:
    monkeypatch.setattr("dxatrend.desk.pages.today.REFRESH_SECONDS", 1)
    desk, _ = troubled
    with desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/")
        with page.expect_request(lambda request: "dxatrend-refresh" in request.headers, timeout=30_000):
            pass
        expect(page.get_by_role("heading", name="Today")).to_be_visible()


@pytest.mark.parametrize(("role", "is_kept"), [(Role.LOOK, True), (Role.READ, False)])
def test_a_refresh_keeps_a_screen_on_the_wall_logged_in_and_nobody_who_sees_patients(held, role, is_kept) -> None:
    desk, _ = held
    with desk.client(role) as client:
        long_ago = datetime.now(UTC) - desk.desk.idle * 0.9
        with desk.app.database.write() as connection:
            connection.execute(update(desk_session).values(seen_at=long_ago))
        client.get("/", headers={UNATTENDED: "1"}).raise_for_status()
    with desk.app.database.read() as connection:
        (seen_at,) = connection.scalars(select(desk_session.c.seen_at)).all()
    assert (seen_at > long_ago) is is_kept


def test_what_is_held_is_decided_without_script(held, browser) -> None:
    desk, things = held
    with desk.visitor(browser, Role.ACT, script=False) as visitor:
        page = visitor.open("/held")
        page.get_by_role("checkbox", name=things.delivery, exact=True).check()
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_role("status")).to_have_text("1 thing is tried again.")
    assert things.delivery not in waiting(desk)


def test_a_destination_is_tried_now_by_whoever_may_act(held, browser) -> None:
    desk, _ = held
    with desk.app.database.write() as connection:
        destination_outages.record_failure(
            connection, "pacs", wait=timedelta(hours=1), detail="no TCP connection", at=datetime.now(UTC)
        )
    with desk.visitor(browser, Role.READ) as visitor:
        expect(visitor.open("/").get_by_role("button", name="Try now")).to_have_count(0)
    with desk.visitor(browser, Role.ACT) as visitor:
        visitor.open("/").get_by_role("button", name="Try now pacs").first.click()
        expect(visitor.page.get_by_role("status")).to_contain_text("to pacs is tried now")
    with desk.app.database.read() as connection:
        assert destination_outages.current(connection, "pacs") is None
    assert [(one.actor, one.detail["number"]) for one in trail(desk, Event.RELEASED)] == [("act", "pacs")]


def test_each_thing_is_explained_in_the_words_of_the_manual(troubled, browser) -> None:
    desk, _ = troubled
    with desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/held")
        for reason in ("unknown_dialect", "not_dicom", "id_conflict", "refused", "not_reported", "unexpected"):
            known = EXPLANATIONS[reason]
            section = page.locator("section").filter(has=page.get_by_text(reason, exact=True))
            expect(section).to_contain_text(known.summary.replace("`", ""))
            expect(section).to_contain_text(known.advice.replace("`", ""))
        expect(page.get_by_role("button", name="Release")).to_have_count(0)
        expect(page.get_by_role("checkbox")).to_have_count(0)


def test_what_is_held_is_filtered_by_reason_scanner_and_age(troubled, browser) -> None:
    desk, things = troubled
    with desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/held")
        links = page.locator("tbody th a")
        expect(links).to_have_count(len(things))
        page.get_by_label("Reason").select_option("not_dicom")
        page.get_by_role("button", name="Show").click()
        expect(links).to_have_text([things.broken])
        page.get_by_role("link", name="All").click()
        page.get_by_label("Held for").select_option("1")
        page.get_by_role("button", name="Show").click()
        expect(links.filter(has_text=re.compile(f"^{things.exam}$"))).to_have_count(0)
        expect(links.filter(has_text=re.compile(f"^{things.broken}$"))).to_have_count(1)
        page.get_by_role("link", name="All").click()
        page.get_by_label("From").select_option("archive")
        page.get_by_role("button", name="Show").click()
        expect(links).to_have_text([things.query])


def test_the_report_is_an_outline_with_what_was_used_and_only_for_whoever_may_see_patients(held, browser) -> None:
    desk, things = held
    with desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open(f"/held/{things.exam}")
        expect(page.get_by_text("Used of report")).to_have_count(0)
        expect(page.locator("pre")).to_have_count(0)
    assert trail(desk, Event.VIEWED) == []
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open(f"/held/{things.exam}")
        expect(page.get_by_role("table", name=re.compile("Used of report")).first).to_contain_text("L1-L4")
        expect(page.locator("pre").first).to_contain_text("NUM")
        expect(page.get_by_role("link", name=f"Exam {things.exam}")).to_be_visible()
        page = visitor.open(f"/held/{things.unknown}")
        expect(page.locator(".note.bad")).to_contain_text("No dialect knows this kind of report")
        expect(page.get_by_text("Nothing of it was used.")).to_be_visible()
        expect(page.locator("pre").first).to_contain_text("0.95 g/cm2")
        page = visitor.open(f"/held/{things.broken}")
        expect(page.get_by_text("Nothing of it was used.")).to_be_visible()
    seen = {(one.actor, one.exam, one.receipt) for one in trail(desk, Event.VIEWED)}
    assert ("read", int(things.exam[1:]), None) in seen
    assert ("read", None, int(things.unknown)) in seen


def test_a_held_report_whose_bytes_are_damaged_can_still_be_decided_on(held) -> None:
    desk, things = held
    with desk.client(Role.ACT) as client:
        for damage in DAMAGES:
            with desk.app.database.write() as connection:
                damage_content(connection, int(things.unknown), damage)
            text = client.get(f"/held/{things.unknown}").raise_for_status().text
            assert f"The bytes of receipt {things.unknown} are damaged or gone" in text
            assert ">Release<" in text


def test_the_ticked_things_are_released_under_the_name_of_who_did_it(held, browser) -> None:
    desk, things = held
    with desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/held")
        for number in (things.exam, things.delivery):
            page.get_by_role("checkbox", name=number, exact=True).check()
        page.get_by_role("button", name="Release").click()
        expect(page.get_by_role("status")).to_have_text("2 things are tried again.")
    assert waiting(desk) == set(things) - {things.exam, things.delivery}
    assert {(one.actor, one.detail["number"]) for one in trail(desk, Event.RELEASED)} == {
        ("act", things.exam),
        ("act", things.delivery),
    }


def test_a_thing_is_set_aside_with_a_reason_and_taken_back(held, browser) -> None:
    desk, things = held
    with desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/held")
        page.get_by_role("checkbox", name=things.unknown, exact=True).check()
        page.get_by_role("button", name="Set aside").click()
        expect(page.get_by_role("status")).to_contain_text("say why")
        assert things.unknown in waiting(desk)
        page.get_by_role("checkbox", name=things.unknown, exact=True).check()
        page.get_by_label("Why it is set aside").fill(f"a kidney, not a bone {HOSTILE}")
        page.get_by_role("button", name="Set aside").click()
        expect(page.get_by_role("status")).to_have_text("1 thing is set aside.")
        assert things.unknown not in waiting(desk)
        page.get_by_role("link", name="What was set aside").click()
        row = page.get_by_role("row").filter(has_text="a kidney, not a bone <script>")
        expect(row).to_contain_text("act")
        visitor.assert_in_order()
        row.get_by_role("checkbox").check()
        page.get_by_role("button", name="wait for a decision again").click()
        expect(page.get_by_role("status")).to_contain_text("waits for a decision again")
    assert things.unknown in waiting(desk)
    assert [(one.actor, one.detail["undo"]) for one in trail(desk, Event.SET_ASIDE)] == [("act", False), ("act", True)]


def test_why_something_was_set_aside_may_name_a_patient_and_is_not_for_the_role_look(held) -> None:
    desk, things = held
    with desk.client(Role.ACT) as client:
        client.send_form("/held/set-aside", {"token": client.token(), "number": things.exam, "why": "Mrs Jones"})
    for role, is_shown in ((Role.LOOK, False), (Role.READ, True)):
        with desk.client(role) as client:
            for path in ("/held/set-aside", f"/held/{things.exam}"):
                assert ("Mrs Jones" in client.get(path).raise_for_status().text) is is_shown


def test_all_of_one_reason_are_decided_with_one_tick(held, browser) -> None:
    desk, things = held
    with desk.app.database.write() as connection:
        mine = receipt.c.id == int(things.unknown)
        connection.execute(update(receipt).where(mine).values(reason="not_dicom"))
    with desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/held")
        page.get_by_label("all 2 listed here").check()
        page.get_by_label("Why it is set aside").fill("sent by mistake")
        page.get_by_role("button", name="Set aside").click()
        expect(page.get_by_role("status")).to_have_text("2 things are set aside.")
        visitor.assert_in_order()
    assert waiting(desk) == set(things) - {things.unknown, things.broken}


def test_the_second_of_two_operators_hears_that_it_was_done_and_by_whom(held, browser) -> None:
    desk, things = held
    with desk.visitor(browser, Role.ACT) as second, desk.visitor(browser, Role.CONFIGURE) as first:
        for visitor in (second, first):
            visitor.open("/held").get_by_role("checkbox", name=things.exam, exact=True).check()
        first.page.get_by_role("button", name="Release").click()
        expect(first.page.get_by_role("status")).to_contain_text("1 thing is tried again.")
        second.page.get_by_role("button", name="Release").click()
        told = second.page.get_by_role("status")
        expect(told).to_contain_text(f"{things.exam} was released already, by configure")
        expect(told).to_contain_text("You have changed nothing.")
    assert [one.actor for one in trail(desk, Event.RELEASED)] == ["configure"]


def test_what_went_on_by_itself_is_said_so(held) -> None:
    desk, things = held
    with desk.client(Role.ACT) as client:
        with desk.app.database.write() as connection:
            mine = receipt.c.id == int(things.unknown)
            connection.execute(update(receipt).where(mine).values(state="waiting"))
        client.send_form("/held/release", {"token": client.token(), "number": things.unknown, "back": "/held"})
        assert f"{things.unknown} no longer waits for a decision: it went on by itself." in client.get("/held").text


@pytest.mark.parametrize("role", [None, Role.LOOK, Role.READ])
def test_nobody_else_releases_sets_aside_or_tries_now(troubled, role) -> None:
    desk, things = troubled
    with desk.client(role) as client:
        fields = {"token": client.token() if role else "", "number": things.exam, "why": "x", "destination": "pacs"}
        for path in ("/held/release", "/held/set-aside", "/held/take-back", "/try-now"):
            assert client.send_form(path, fields).status_code == 403
    assert things.exam in waiting(desk)


@pytest.mark.parametrize("number", ["E999999", "X1", "0", "9" * 30, "E1'--", "..%2f..%2fsetup"])
def test_a_number_of_nothing_held_is_at_no_address(troubled, number) -> None:
    desk, _ = troubled
    with desk.client(Role.READ) as client:
        assert client.get(f"/held/{number}").status_code == 404


@pytest.mark.parametrize(
    "query", ["age=2", "age=%27", "reason=" + "x" * 300, "from=" + "x" * 5000, "reason=%3Cscript%3E", "from=%E2%80%AE"]
)
def test_a_query_of_another_form_is_refused_or_finds_nothing(troubled, query) -> None:
    desk, _ = troubled
    with desk.client(Role.READ) as client:
        answer = client.get(f"/held?{query}")
        assert answer.status_code in (400, 414) or "Nothing of that kind is held." in answer.text
        assert "<script>" not in answer.text.replace('<script src="/static', "")


def test_a_form_leads_back_to_our_own_page_only(held) -> None:
    desk, things = held
    with desk.client(Role.ACT) as client:
        fields = {"token": client.token(), "number": things.exam, "back": "https://elsewhere.example/"}
        assert client.send_form("/held/release", fields).headers["location"] == "/held"


def test_hostile_names_stay_text_and_the_role_look_sees_no_patient(troubled, browser) -> None:
    desk, things = troubled
    with desk.visitor(browser, Role.LOOK) as visitor:
        for path in ("/", "/held", f"/held/{things.unknown}", "/held/set-aside"):
            page = visitor.open(path)
            assert UNKNOWN_NAME.strip("^") not in page.content()
            assert page.evaluate("document.scripts.length") == 1
        expect(visitor.open("/").get_by_role("row").filter(has_text="<script>alert('x')</script>")).to_be_visible()
        assert "\u202e" not in visitor.page.content()
        visitor.assert_in_order()


def test_a_released_thing_is_released_by_the_command_line_as_well(held) -> None:
    desk, things = held
    assert release_held(desk.app.database, parse_printed_number(things.exam))
    with desk.client(Role.LOOK) as client:
        assert client.get(f"/held/{things.exam}").status_code == 404
