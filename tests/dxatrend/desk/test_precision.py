"""The page Precision: the register as each role sees it, a study handed in, what it would change, and the decision."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from pipeline.edge.app import open_app
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import audit_trail, precision_register
from pipeline.edge.store.audit_trail import Event
from tests.factories import browser as browsers
from tests.factories.answered_exams import follow_all, l1_l4, receive
from tests.factories.browser import PHONE, Client, RunningDesk
from tests.factories.studies import paired_rows, study_rows, table, vertebra_rows
from tests.folders import SAMPLES

LUNAR = "Lunar Prodigy DF+1 (GE Healthcare)"


HEADERS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def clients(register_desk: RunningDesk) -> Iterator[Callable[[Role], Client]]:
    """Makes HTTP clients that are logged in with a role; they are closed at the end."""
    with ExitStack() as stack:
        yield lambda role: stack.enter_context(register_desk.client(role))


@pytest.fixture
def register_desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk whose scanners DF+1 and DF+2 have sent exams, and neither has an LSC."""
    config = browsers.configure(tmp_path)
    (config / "precision.toml").unlink()
    (config / "scanners.toml").unlink()
    with open_app(config) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        receive(app, l1_l4("0.850", study="2.25.12", date="20250101", DeviceSerialNumber="DF+2"), "2.25.3")
        follow_all(app)
    with browsers.running_desk(config) as running:
        yield running


def csv(content: bytes, name: str = "march.csv") -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": content}


def hand_in(page: Page, content: bytes, *, begins: str = "2023-01-01", why: str = "new technologists") -> None:
    page.get_by_label("Table").set_input_files(csv(content))
    page.get_by_label("Scanner", exact=True).select_option(label=LUNAR)
    page.get_by_label("First day of exams").fill(begins)
    page.get_by_label("How addenda name").fill("in vivo study, March")
    page.get_by_label("Why it was made").fill(why)
    page.get_by_role("button", name="Hand it in").click()


def test_a_study_is_handed_in_looked_at_and_accepted_by_two_people(
    register_desk: RunningDesk, browser: Browser
) -> None:
    with register_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/precision")
        expect(page.get_by_text("No change is judged here")).to_be_visible()
        expect(page.get_by_text("2 exams since, 1 with a change that was not judged")).to_be_visible()
        visitor.assert_in_order()
        page.get_by_role("link", name="Hand in a study").click()
        page.wait_for_url("**/precision/study")
        visitor.assert_in_order()
        hand_in(page, table(study_rows()))
        expect(page.get_by_role("status")).to_contain_text("Proposed as R1; nothing counts until it is accepted.")
        expect(page.get_by_text("degrees of freedom     30")).to_be_visible()
        expect(page.get_by_role("button", name="Accept R1")).to_have_count(0)
        page.get_by_role("link", name="Look what would change").click()
        expect(page.get_by_text("1 × no LSC: not judged → ▼ significant loss")).to_be_visible()
        visitor.assert_in_order()
    with register_desk.app.database.read() as connection:
        assert precision_register.version(connection) == 0, "to look changes nothing"
        views = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.VIEWED]
    assert [(view.actor, view.exam) for view in views if view.exam] == [("act", 2)], "what its addendum would say"
    with register_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/precision")
        page.get_by_role("link", name="R1").click()
        page.get_by_label("Remark").fill("checked by the physicist")
        page.get_by_role("button", name="Accept R1").click()
        expect(page.get_by_role("status")).to_contain_text("R1 is accepted.")
        expect(page.get_by_text("checked by the physicist")).to_be_visible()
        page.get_by_label("Why it was wrong").fill("the wrong scanner")
        page.get_by_role("button", name="Withdraw R1").click()
        expect(page.get_by_role("status")).to_contain_text("R1 is withdrawn.")
        hand_in(visitor.open("/precision/study"), table(study_rows(seed=2)), begins="2025-06-01")
        page.get_by_role("link", name="Look what would change").click()
        expect(page.get_by_text("No exam on this scanner since 1 Jun 2025 has an addendum yet.")).to_be_visible()
        visitor.assert_in_order()
    with register_desk.app.database.read() as connection:
        record, _ = precision_register.records(connection)
        trail = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.REGISTERED]
    assert (record.proposed_by, [one.by for one in record.decisions]) == ("act", ["configure", "configure"])
    assert [(entry.actor, entry.detail["what"]) for entry in trail] == [
        ("act", "proposed"),
        ("configure", "accepted"),
        ("configure", "withdrawn"),
        ("configure", "proposed"),
    ]


def test_the_records_of_a_study_are_accepted_together(register_desk: RunningDesk, browser: Browser) -> None:
    """R1.15: eleven sets of vertebrae come from one table."""
    with register_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/precision/study")
        hand_in(page, table(vertebra_rows()))
        expect(page.get_by_role("status")).to_contain_text("Proposed as R1, R2, R3")
        page.get_by_role("button", name="Accept the chosen ones").click()
        expect(page.get_by_role("status")).to_contain_text("choose at least one record")
        for number in (1, 2):
            page.get_by_label(f"Choose R{number}", exact=True).check()
        page.get_by_label("Remark").fill("checked")
        page.get_by_role("button", name="Accept the chosen ones").click()
        expect(page.get_by_role("status")).to_contain_text("R1, R2: accepted.")
        page.get_by_label("Choose R3").check()
        page.get_by_role("button", name="Decline them").click()
        expect(page.get_by_role("status")).to_contain_text("say why")
    with register_desk.app.database.read() as connection:
        standings = [one.standing.value for one in precision_register.records(connection)]
    assert standings == ["accepted"] * 2 + ["proposed"] * 9


def test_a_study_with_mistakes_is_refused_whole_and_the_form_keeps_what_was_filled_in(
    register_desk: RunningDesk, browser: Browser
) -> None:
    rows = study_rows(patients=14)
    rows[0]["region"] = "elbow"
    rows[5]["bmd"] = "912"
    with register_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/precision/study")
        hand_in(page, table(rows))
        note = page.locator(".note.bad")
        for mistake in ("line 2: region names no region we know", "two units: line 7", "degrees of freedom"):
            expect(note).to_contain_text(mistake)
        expect(page.get_by_label("How addenda name")).to_have_value("in vivo study, March")
        expect(page.get_by_label("Scanner", exact=True)).to_have_value("ge healthcare · lunar prodigy · df+1")
        visitor.complaints = [text for text in visitor.complaints if "422" not in text]
        visitor.assert_in_order()
        visitor.screenshot("precision mistakes")
    with register_desk.app.database.read() as connection:
        assert precision_register.records(connection) == []


def test_what_is_missing_in_the_form_and_in_the_table_is_said_at_once(clients: Callable[[Role], Client]) -> None:
    client = clients(Role.ACT)
    fields = {"token": client.token(), "valid_from": "1 March"}
    files = {"file": ("study.csv", table(study_rows(regions=("elbow",), patients=1)), "text/csv")}
    answer = client.post("/precision/study", data=fields, files=files, headers=HEADERS)
    assert answer.status_code == 422
    for mistake in (
        "Choose the scanner.",
        "First day: a date is written 2026-03-02.",
        "How addenda name the study: fill it in.",
        "line 2: region names no region we know",
    ):
        assert mistake in answer.text
    assert "No file was chosen." in client.post("/precision/study", data=fields, headers=HEADERS).text


def test_who_may_look_sees_no_labels_and_who_may_act_decides_nothing(
    clients: Callable[[Role], Client], register_desk: RunningDesk
) -> None:
    content = table(study_rows())
    client = clients(Role.ACT)
    fields = {
        "token": client.token(),
        "scanner": "ge healthcare · lunar prodigy · df+1",
        "valid_from": "2023-01-01",
        "source": "study",
        "reason": "new",
    }
    files = {"file": ("C:\\studies\\march.csv", content, "text/csv")}
    assert client.post("/precision/study", data=fields, files=files, headers=HEADERS).status_code == 303
    assert client.send_form("/precision/1/accept", {"token": client.token()}).status_code == 403
    handed_in = client.get("/precision/1/study")
    assert (handed_in.content, handed_in.headers["content-disposition"]) == (
        content,
        "attachment; filename*=utf-8''march.csv",
    )
    look = clients(Role.LOOK)
    assert "P07" in client.get("/precision/1").text
    assert "P07" not in look.get("/precision/1").text
    assert look.get("/precision/1/study").status_code == 403
    assert look.get("/precision/study").status_code == 403
    assert look.get("/precision/2").status_code == 404
    with register_desk.app.database.read() as connection:
        views = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.VIEWED]
    assert [(view.actor, view.detail["page"], view.detail["record"]) for view in views] == [
        ("act", "/precision/1/study", 1),
        ("act", "/precision/1", 1),
    ]
    configure = clients(Role.CONFIGURE)
    token = configure.token()
    configure.send_form("/precision/1/decline", {"token": token})
    assert "say why, for whoever asks later" in configure.get("/precision/1").text
    configure.send_form("/precision/1/decline", {"token": token, "reason": "other scanner"})
    configure.send_form("/precision/1/accept", {"token": token})
    assert "record 1 is declined, so it cannot be accepted" in configure.get("/precision/1").text


def test_an_upload_that_is_no_study_is_refused_by_its_size(clients: Callable[[Role], Client]) -> None:
    client = clients(Role.ACT)
    fields = {"token": client.token()}
    large = {"file": ("x.csv", b"x" * 1_000_001, "text/csv")}
    assert "larger than 1000 kB" in client.post("/precision/study", data=fields, files=large, headers=HEADERS).text
    other = {"file": ("x.csv", b"patient,scan,region,bmd\n" + b"P1,1,nowhere,x\n" * 2_000, "text/csv")}
    text = client.post("/precision/study", data=fields, files=other, headers=HEADERS).text
    assert ("line 2: " in text, "line 2000: " in text, "more.</li>" in text) == (True, False, True)
    endless = {"file": ("x.csv", b"x" * 9_000_000, "text/csv")}
    assert client.post("/precision/study", data=fields, files=endless, headers=HEADERS).status_code == 413


def test_a_scanner_is_replaced_on_the_desk(register_desk: RunningDesk, browser: Browser) -> None:
    """R2.6, R2.7"""
    phantom = [
        {"scanner": scanner, "scan": at, "region": "L1-L4", "bmd": f"{1 + at / 1000:.3f}"}
        for scanner in ("old", "new")
        for at in range(10)
    ]
    with register_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/precision/study")
        hand_in(page, table(study_rows()), begins="2020-01-01")
        page.get_by_role("button", name="Accept R1").click()
        page = visitor.open("/precision/cross-calibration")
        visitor.assert_in_order()
        visitor.screenshot("cross-calibration")
        page.locator("#phantom-file").set_input_files(csv(table(phantom)))
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("The phantom agrees within 1 %")).to_be_visible()
        page.locator("#file").set_input_files(csv(table(paired_rows()), "pairs.csv"))
        page.get_by_label("Old scanner").select_option(label=LUNAR)
        page.get_by_label("New scanner", exact=True).select_option(label=LUNAR.replace("DF+1", "DF+2"))
        page.get_by_label("First day of exams").fill("2024-06-01")
        page.get_by_label("How addenda name").fill("in vivo, May")
        page.get_by_label("Why it was made").fill("replacement")
        page.get_by_role("button", name="Hand it in").click()
        expect(page.get_by_text("new BMD =").first).to_be_visible()
        page.get_by_role("link", name="Look what would change").click()
        expect(page.get_by_text("1 × not comparable → ▼ significant loss")).to_be_visible()
        visitor.assert_in_order()
        visitor.screenshot("cross-calibration record")
        page.get_by_role("button", name="Accept R2").click()
        page = visitor.open("/precision")
        expect(page.get_by_role("heading", name="Scanners that may be compared")).to_be_visible()
        visitor.assert_in_order()


@pytest.mark.parametrize("role", [Role.LOOK, Role.READ])
def test_who_may_not_hand_in_sees_the_register_and_no_form(
    register_desk: RunningDesk, browser: Browser, role: Role
) -> None:
    with register_desk.visitor(browser, Role.ACT) as visitor:
        hand_in(visitor.open("/precision/study"), table(study_rows()))
    with register_desk.visitor(browser, role) as visitor:
        page = visitor.open("/precision")
        expect(page.get_by_role("link", name="R1")).to_be_visible()
        expect(page.get_by_role("link", name="Hand in a study")).to_have_count(0)
        expect(page.locator("main form")).to_have_count(0)
        visitor.assert_in_order()
        page.get_by_role("link", name="R1").click()
        expect(page.get_by_text("To decide needs the role configure.")).to_be_visible()
        expect(page.get_by_role("region", name="Worksheet")).to_have_count(1 if role is Role.READ else 0)
        visitor.assert_in_order()
        page = visitor.open("/precision/1?trial=1")
        expect(page.get_by_text("To look needs the role act.")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("viewport", [browsers.SCREEN, PHONE], ids=["screen", "phone"])
def test_the_pages_are_accessible_on_any_screen(
    register_desk: RunningDesk, browser: Browser, dark: bool, viewport: dict[str, int]
) -> None:
    (register_desk.config / "precision.toml").write_text((SAMPLES / "precision.toml").read_text(encoding="utf-8"))
    name = f"{'dark' if dark else 'light'} {'phone' if viewport is PHONE else 'screen'}"
    with register_desk.visitor(browser, Role.CONFIGURE, dark=dark, viewport=viewport) as visitor:
        page = visitor.open("/precision/study")
        hand_in(page, table(vertebra_rows()))
        page = visitor.open("/precision/2")
        page.get_by_role("button", name="Accept R2").click()
        for path in (
            "/precision",
            "/precision/1?trial=1",
            "/precision/2",
            "/precision/study",
            "/precision/cross-calibration",
        ):
            visitor.open(path)
            visitor.assert_in_order()
            visitor.screenshot(f"{path.strip('/').replace('/', '-').replace('?', '-')} {name}")


def test_the_register_prints_without_forms(register_desk: RunningDesk, browser: Browser) -> None:
    shutil.copy(SAMPLES / "precision.toml", register_desk.config)
    with register_desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/precision/study")
        hand_in(page, table(study_rows()))
        page.emulate_media(media="print")
        expect(page.get_by_role("button", name="Accept R1")).to_be_hidden()
        expect(page.get_by_text("degrees of freedom     30")).to_be_visible()
        visitor.screenshot("precision print")
