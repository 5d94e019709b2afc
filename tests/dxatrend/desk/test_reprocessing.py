"""Reprocessing at the desk: what would change is shown before it is done, and the workers do it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.clinical.model import Patient
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store import audit_trail, outbox
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.sr import codes
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, RunningDesk

ABOUT = Patient(patient_id="SAMPLE-02", issuer="SAMPLES")


@pytest.fixture
def changed_desk(sample_store: Path, tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk whose LSCs have run out since its exams were answered: every judged change would be withdrawn."""
    config = browsers.configure(tmp_path)
    shutil.copy(sample_store / "dxatrend.sqlite3", tmp_path)
    (config / "precision.toml").unlink()
    with browsers.running_desk(config) as running:
        yield running


def work(desk: RunningDesk) -> None:
    """Do what a worker does in one poll."""
    requested_runs.requested_loop(lambda: False).poll(desk.app)


def issued(desk: RunningDesk) -> int:
    with desk.app.database.read() as connection:
        return sum(len(outbox.addenda(connection, exam)) for exam in range(1, 30))


def find_out(page: Page) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name="Find out what would change").click()


def test_nothing_is_shown_before_anybody_has_asked(desk: RunningDesk, browser: Browser) -> None:
    for role in (Role.READ, Role.CONFIGURE):
        with desk.visitor(browser, role) as visitor:
            page = visitor.open("/reprocessing")
            visitor.assert_in_order()
            assert "Nobody has asked yet." in page.content()
            assert page.get_by_role("button", name="Find out").count() == (role is Role.CONFIGURE)


@pytest.mark.parametrize(("viewport", "dark"), [(browsers.SCREEN, False), (browsers.SCREEN, True), (PHONE, False)])
def test_a_dry_run_is_watched_and_then_shown_as_before_and_after(
    changed_desk: RunningDesk, browser: Browser, viewport: dict[str, int], dark: bool
) -> None:
    before = issued(changed_desk)
    with changed_desk.visitor(browser, Role.CONFIGURE, viewport=viewport, dark=dark) as visitor:
        page = visitor.open("/reprocessing")
        find_out(page)
        visitor.assert_in_order()
        assert "Waits for a worker" in page.content()
        work(changed_desk)
        page.get_by_text("would be superseded", exact=False).first.wait_for()  # the page asks for itself
        page.reload()
        visitor.screenshot(f"reprocessing-{viewport['width']}-{'dark' if dark else 'light'}")
        visitor.assert_in_order()
        table = page.get_by_role("table", name="Before and after")
        assert table.get_by_role("row").filter(has_text="declined").filter(has_text="indeterminate").count() > 0
        sentences = table.locator("td.sentences")
        assert "Significant loss" in " ".join(sentences.all_inner_texts())
        assert page.get_by_text("result since the prior exam").first.is_hidden()
    assert issued(changed_desk) == before, "nothing was changed"


def test_whose_addenda_were_shown_is_in_the_audit_trail(changed_desk: RunningDesk) -> None:
    requested_runs.request(changed_desk.app, Scope(), dry_run=True)
    work(changed_desk)
    with changed_desk.client(Role.READ) as client:
        page = client.get("/reprocessing").text
    assert "Significant loss" in page
    assert codes.words("LSC") in page
    assert codes.words("CI_LOW") not in page, "numbers of a change stand in the sentences that may have them (N6)"
    with changed_desk.app.database.read() as connection:
        found = [one.entry for one in audit_trail.find(connection, about=ABOUT)]
    viewed = [entry for entry in found if entry.event is Event.VIEWED]
    assert {(entry.actor, entry.detail["page"]) for entry in viewed} == {("read", "/reprocessing")}
    assert all(entry.exam for entry in viewed)


def test_a_run_is_begun_and_done_by_the_worker_under_the_name_of_who_has_begun_it(
    changed_desk: RunningDesk, browser: Browser
) -> None:
    before = issued(changed_desk)
    with changed_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/reprocessing")
        page.get_by_role("button", name="Supersede them now").click()
        expect(page.get_by_role("status")).to_contain_text("has begun")
        assert issued(changed_desk) == before, "nothing is done in the request"
        work(changed_desk)
        visitor.open("/reprocessing")
        row = page.get_by_role("table", name="Runs").get_by_role("row").nth(1)
        assert "finished" in row.inner_text()
        assert "configure" in row.inner_text()
        visitor.screenshot("reprocessing-done")
        visitor.assert_in_order()
    assert issued(changed_desk) > before
    with changed_desk.app.database.read() as connection:
        requested, finished = (
            one.entry for one in audit_trail.find(connection) if one.entry.event is Event.REPROCESSED
        )
    assert (requested.actor, finished.detail["requested_by"]) == ("configure", "configure")


def test_a_run_is_stopped(changed_desk: RunningDesk, browser: Browser) -> None:
    with changed_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/reprocessing")
        page.get_by_role("button", name="Supersede them now").click()
        page.get_by_role("button", name="Stop run 1").click()
        expect(page.get_by_role("status")).to_contain_text("Run 1 is stopped")
        assert "stopped by configure" in page.get_by_role("table", name="Runs").inner_text()
        visitor.assert_in_order()


def test_only_the_exams_that_are_named_are_looked_at(changed_desk: RunningDesk, browser: Browser) -> None:
    with changed_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/reprocessing")
        page.get_by_label("Exams on").select_option(index=1)
        page.get_by_label("Exams since").fill("2023-01-01")
        find_out(page)
        assert "since 2023-01-01" in page.get_by_role("table", name="Runs").inner_text()


def test_files_with_errors_are_named_and_no_dry_run_begins(changed_desk: RunningDesk, browser: Browser) -> None:
    with changed_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/reprocessing")
        (changed_desk.desk.folder / "rules.toml").write_text("usual_interval_months = <script>")
        find_out(page)
        assert "rules.toml, line 1: " in page.get_by_role("status").inner_text()
        assert "Nobody has asked yet." in page.content()


@pytest.mark.parametrize("role", [None, Role.LOOK, Role.READ, Role.ACT])
def test_who_may_not_configure_begins_and_stops_nothing(changed_desk: RunningDesk, role: Role | None) -> None:
    with changed_desk.client(role) as client:
        seen = client.get("/reprocessing").status_code
        assert seen == (303 if role is None else 403 if role is Role.LOOK else 200)
        token = client.token() if role else "none"
        for path in ("/reprocessing/dry-run", "/reprocessing/begin", "/reprocessing/stop"):
            assert client.send_form(path, {"token": token, "run": 1}).status_code == 403


@pytest.mark.parametrize(
    "fields", [{"scanner": "999"}, {"scanner": "x"}, {"since": "yesterday"}, {"since": "9" * 50}], ids=str
)
def test_what_the_form_cannot_mean_is_refused(changed_desk: RunningDesk, fields: dict[str, object]) -> None:
    with changed_desk.client(Role.CONFIGURE) as client:
        answer = client.send_form("/reprocessing/begin", {"token": client.token(), **fields})
        assert answer.status_code == 400
        assert "There was none yet" in client.get("/reprocessing").text
