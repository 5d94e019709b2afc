"""Patients and exams at the desk: found, shown, explained, corrected; by whom, and by nobody else."""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import insert, select

from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import drain
from pipeline.edge.operations import exam_corrections
from pipeline.edge.store import audit_trail, history_queries, patient_file, receipt_contents, receipts, work_queue
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import addendum, delivery, exam, receipt_content
from pipeline.edge.store.schema_base import State
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, Client, RunningDesk, pixels_of
from tests.factories.damaged_contents import damage_content, damages
from tests.factories.instances import NOW
from tests.factories.reports import encode, region, report, spine

HOSTILE = ("<script>alert(1)</script>^Eve", "abc\u202egnp.exe^Mallory", "漢" * 64, '"><img src=x onerror=alert(1)>')
PROTECTED = ("/patients", "/patients/1", "/exams/1", "/addenda/1/pages", "/addenda/1/pdf", "/addenda/1/file")
LIGHT = {"line": "#0b5f78", "band": "#cfe3ea"}
DARK = {"line": "#7cc7de", "band": "#24414c"}


def trail(desk: RunningDesk, event: Event) -> list[Entry]:
    with desk.app.database.read() as connection:
        return [one.entry for one in audit_trail.find(connection) if one.entry.event is event]


def number_of(desk: RunningDesk, text: str) -> int:
    with desk.app.database.read() as connection:
        (found,) = patient_file.find(connection, text)
    return found.number


def exams_of(desk: RunningDesk, patient: int) -> list[int]:
    with desk.app.database.read() as connection:
        return [row.number for row in patient_file.exams_of(connection, [patient], most=50)]


def work(desk: RunningDesk) -> None:
    while extract_waiting(desk.app):
        pass
    drain(desk.app, lambda: False)


def receive(desk: RunningDesk, sent: Dataset, uid: str) -> None:
    sent.SOPInstanceUID = uid
    instance = Instance(
        sop_class_uid=str(sent.SOPClassUID),
        sop_instance_uid=uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=encode(sent),
    )
    with desk.app.database.write() as connection:
        receipts.store(connection, instance, calling_ae_title="SCANNER1", at=NOW)
    work(desk)


@pytest.fixture
def own_desk(sample_store: Path, tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk that one test may change."""
    config = browsers.configure(tmp_path)
    shutil.copy(sample_store / "dxatrend.sqlite3", tmp_path)
    with browsers.running_desk(config) as running:
        yield running


@pytest.fixture
def clients() -> Iterator[Callable[..., Client]]:
    """Make HTTP clients of a desk, and close them."""
    with ExitStack() as stack:
        yield lambda of, role=None: stack.enter_context(of.client(role))


# Seen


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("viewport", [browsers.SCREEN, PHONE], ids=["screen", "phone"])
def test_the_pages_are_in_order_and_the_plot_has_its_colours(desk, browser, dark, viewport) -> None:
    colours = DARK if dark else LIGHT
    patient = number_of(desk, "SAMPLE-02")
    with desk.visitor(browser, Role.ACT, dark=dark, viewport=viewport) as visitor:
        page = visitor.open(f"/patients/{patient}")
        visitor.assert_in_order()
        plot = page.locator("svg.chart").first
        assert pixels_of(plot, colours["line"]) > 300, "the line and the marks"
        assert pixels_of(plot, colours["band"]) > 3000, "the band"
        for path in (f"/exams/{exams_of(desk, patient)[0]}", f"/patients/{patient}/context", "/patients"):
            visitor.open(path)
            visitor.assert_in_order()


def test_a_patient_on_paper_has_the_plot_and_no_button(desk, browser) -> None:
    with desk.visitor(browser, Role.ACT, dark=True) as visitor:
        page = visitor.open(f"/patients/{number_of(desk, 'SAMPLE-02')}")
        page.emulate_media(media="print")
        assert pixels_of(page.locator("svg.chart").first, LIGHT["line"]) > 300
        expect(page.get_by_role("button", name="Ask")).to_have_count(0)
        assert page.pdf().startswith(b"%PDF")


def test_the_present_exam_differs_by_its_shape_and_the_band_moves_to_the_baseline(desk, browser) -> None:
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open(f"/patients/{number_of(desk, 'SAMPLE-01')}")
        plot = page.locator("svg.chart").first
        assert plot.locator(".chart-ring").count() == 2, "the exam and its line of the legend"
        expect(plot).to_contain_text("about the prior of 2022-02-15")
        page.get_by_role("link", name="baseline").click()
        expect(page).to_have_url(re.compile(r"about=baseline"))
        expect(plot).to_contain_text("about the baseline of 2020-02-11")
        visitor.assert_in_order()


def test_what_a_destination_never_gets_because_a_later_addendum_took_its_place_does_not_wait(own_desk, browser) -> None:
    number = exams_of(own_desk, number_of(own_desk, "SAMPLE-02"))[0]
    with own_desk.app.database.write() as connection:
        mine = select(addendum.c.id).where(addendum.c.exam_id == number, addendum.c.rendering_of_id.is_(None))
        waiting = {"destination": "ris", "size": 1, "state": State.WAITING, "due_at": NOW}
        made = insert(delivery).values(addendum_id=mine.limit(1).scalar_subquery(), **waiting).returning(delivery.c.id)
        detail = "a later addendum takes its place"
        work_queue.ignore(connection, delivery, connection.scalars(made).one(), reason="superseded", detail=detail)
    with own_desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open(f"/exams/{number}")
        expect(page.get_by_text("not sent").first).to_be_attached()
        expect(page.get_by_text("a later addendum takes its place").first).to_be_attached()
        expect(page.get_by_text("next try")).to_have_count(0)


def test_without_script_every_sentence_opens_to_its_rule_numbers_and_lsc(desk, browser) -> None:
    number = exams_of(desk, number_of(desk, "SAMPLE-02"))[0]
    with desk.visitor(browser, Role.READ, script=False) as visitor:
        page = visitor.open(f"/exams/{number}")
        sentence = page.locator("details.why", has_text="ignificant loss since").first
        rule = sentence.get_by_text("equals or exceeds the LSC")
        expect(rule).not_to_be_visible()
        sentence.locator("summary").click()
        expect(rule).to_be_visible()
        expect(sentence.get_by_text(re.compile("30 patients × 2 scans")).first).to_be_visible()
        expect(sentence.get_by_role("link", name=re.compile("receipt")).first).to_be_visible()
        expect(page.locator(".stages .word")).to_have_text(
            ["receive", "extract", "match", "compare", "interpret", "author", "deliver"]
        )


def test_another_machine_is_told_in_the_table_and_as_a_rule_in_the_plot(desk, browser) -> None:
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open(f"/patients/{number_of(desk, 'SAMPLE-05')}")
        expect(page.locator(".chart-break-name").first).to_have_text("scanner")
        expect(page.locator("td.differs .otherwise").first).to_have_text("differs")


def test_a_withdrawn_exam_shows_no_number_and_why(own_desk, clients) -> None:
    patient = number_of(own_desk, "SAMPLE-01")
    number = exams_of(own_desk, patient)[0]
    exam_corrections.withdraw(own_desk.app.database, number, "scanned under a wrong name")
    work(own_desk)
    client = clients(own_desk, Role.READ)
    text = client.get(f"/exams/{number}").text
    assert "scanned under a wrong name. It takes part in no comparison." in text
    assert 'id="results"' not in text
    assert 'id="trends"' not in text
    assert f'href="/exams/{number}"' in client.get(f"/patients/{patient}").text


# Found


def test_a_patient_is_found_by_a_form_and_stands_in_no_address(desk, browser) -> None:
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open("/patients")
        page.get_by_label("Patient ID, accession number").fill("SMP24022001")
        page.get_by_role("button", name="Find").click()
        expect(page).to_have_url(re.compile(r"/patients/\d+$"))
        expect(page.get_by_role("heading", level=1)).to_have_text("Sample, Stable")
        page.goto("/patients")
        page.get_by_label("Patient ID, accession number").fill("nobody")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_text("Nothing on file")).to_be_visible()
        visitor.assert_in_order()


@pytest.mark.parametrize("text", ["%", "SAMPLE-0", "' OR 1=1 --", "*", "\0", "a" * 64])
def test_nobody_is_found_by_part_of_an_id(desk, text, clients) -> None:
    client = clients(desk, Role.READ)
    answer = client.send_form("/patients", {"text": text, "issuer": "", "token": client.token()})
    assert answer.status_code == 200
    assert "<table" not in answer.text


# Who may


@pytest.mark.parametrize("path", PROTECTED)
def test_the_role_look_sees_no_patient_and_nobody_else_does(desk, path, clients) -> None:
    assert clients(desk, Role.LOOK).get(path).status_code == 403
    assert clients(desk).get(path).headers["location"].startswith("/log-in")


@pytest.mark.parametrize("path", ["/patients/1/context", "/patients/1/merge/2"])
def test_who_may_only_read_changes_nothing(desk, path, clients) -> None:
    client = clients(desk, Role.READ)
    assert client.get(path).status_code == 403
    answer = client.send_form(path, {"token": client.token(), "recorded_on": "2024-01-01", "therapy": "none"})
    assert answer.status_code == 403
    for path in ("/patients/1/ask", "/patients/1/merge", "/exams/1/release"):
        assert client.send_form(path, {"token": client.token()}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        *("/patients/999999", "/exams/999999", "/addenda/999999/pdf", "/receipts/999999/file", "/patients/0"),
        *("/patients/-1", "/patients/1'", "/patients/99999999999999999999", "/addenda/1/pages/99", "/exams/1/../2x"),
    ],
)
def test_a_guessed_number_leads_nowhere(desk, path, clients) -> None:
    assert clients(desk, Role.ACT).get(path).status_code == 404


def test_the_history_of_a_browser_names_no_patient(desk, clients) -> None:
    client = clients(desk, Role.ACT)
    patient, other = number_of(desk, "SAMPLE-02"), number_of(desk, "SAMPLE-01")
    name = client.get(f"/patients/{patient}").text.partition("<h1><bdi>")[2].partition("</bdi>")[0]
    assert name
    own = f"/patients/{patient}"
    for path in (own, f"{own}/context", f"{own}/merge/{other}", f"/exams/{exams_of(desk, patient)[0]}"):
        text = client.get(path).raise_for_status().text
        title = text.partition("<title>")[2].partition("</title>")[0]
        assert title.endswith("dxatrend")
        assert name not in title
        assert "SAMPLE" not in title


def test_every_look_at_a_patient_is_in_the_trail_with_who(own_desk, clients) -> None:
    client = clients(own_desk, Role.READ)
    patient = number_of(own_desk, "SAMPLE-01")
    number = exams_of(own_desk, patient)[0]
    for path in (f"/patients/{patient}", f"/exams/{number}", f"/addenda/{number}/file"):
        client.get(path).raise_for_status()
    looks = trail(own_desk, Event.VIEWED)
    assert [(entry.actor, entry.patient) for entry in looks] == [("read", patient)] * 3
    assert looks[1].exam == number


def test_the_trail_says_who_released_merged_asked_and_recorded(own_desk, browser) -> None:
    patient, other = number_of(own_desk, "SAMPLE-01"), number_of(own_desk, "SAMPLE-02")
    number = exams_of(own_desk, patient)[0]
    with own_desk.app.database.write() as connection:
        work_queue.hold(connection, exam, number, reason="contradictory", detail="two values of L1-L4")
    with own_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open(f"/exams/{number}")
        expect(page.get_by_text("two values of L1-L4").first).to_be_visible()
        visitor.assert_in_order()
        page.get_by_role("button", name="Try it again").click()
        expect(page.get_by_role("status")).to_contain_text("is tried again")
        page.goto(f"/patients/{patient}")
        page.get_by_text("Another id is this person").click()
        page.get_by_label("The other Patient ID").fill("SAMPLE-02")
        page.get_by_label("Its issuer").fill("SAMPLES")
        page.get_by_role("button", name="Compare the two").click()
        expect(page.get_by_text("They differ in")).to_be_visible()
        visitor.assert_in_order()
        page.get_by_role("button", name="merge").click()
        expect(page.get_by_role("status")).to_contain_text("count as one person")
        visitor.assert_in_order()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status")).to_contain_text("undone")
    merges = trail(own_desk, Event.MERGED)
    assert [(entry.actor, entry.detail["old"], entry.detail["undo"]) for entry in merges] == [
        ("act", other, False),
        ("act", other, True),
    ]
    assert [entry.actor for entry in trail(own_desk, Event.RELEASED)] == ["act"]


def test_an_exam_is_withdrawn_with_a_reason_and_brought_back(own_desk, browser) -> None:
    number = exams_of(own_desk, number_of(own_desk, "SAMPLE-01"))[1]
    with own_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open(f"/exams/{number}")
        page.get_by_text("This exam must not count").click()
        page.get_by_label("Reason").fill("scanned <u>twice</u>")
        page.get_by_role("button", name="Withdraw").click()
        expect(page.get_by_role("status")).to_contain_text("is withdrawn")
        expect(page.get_by_text("scanned <u>twice</u>. It takes part")).to_be_visible()
        visitor.assert_in_order()
        page.get_by_role("button", name="Let it count again").click()
        expect(page.get_by_role("status")).to_contain_text("counts again")
    found = [(entry.actor, entry.exam, entry.detail["undo"]) for entry in trail(own_desk, Event.WITHDRAWN)]
    assert found == [("act", number, False), ("act", number, True)]


def test_what_another_person_has_done_already_is_told_and_done_once(own_desk, clients) -> None:
    number = exams_of(own_desk, number_of(own_desk, "SAMPLE-01"))[1]
    with own_desk.app.database.write() as connection:
        work_queue.hold(connection, exam, number, reason="contradictory", detail="two values of L1-L4")
    one, other = clients(own_desk, Role.ACT), clients(own_desk, Role.ACT)
    tokens = [client.token() for client in (one, other)]

    def send(client: Client, token: str) -> str:
        client.send_form(f"/exams/{number}/release", {"token": token})
        return client.get(f"/exams/{number}").text

    with ThreadPoolExecutor(2) as both:
        told = "".join(both.map(send, (one, other), tokens))
    assert "is tried again" in told
    assert "is not held any longer" in told
    assert len(trail(own_desk, Event.RELEASED)) == 1


def test_clinical_context_is_recorded_shown_with_who_and_examined_again(own_desk, browser) -> None:
    patient = number_of(own_desk, "SAMPLE-02")
    with own_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open(f"/patients/{patient}/context")
        page.get_by_label("Day on which it is true").fill("2019-01-01")
        page.get_by_label("mg prednisone a day").fill("many")
        page.get_by_role("button", name="Record").click()
        expect(page.get_by_text("A number is written")).to_be_visible()
        visitor.assert_in_order()
        page.get_by_label("mg prednisone a day").fill("7,5")
        page.get_by_label("Osteoporosis therapy").select_option("antiresorptive")
        page.get_by_label("Who says so").fill("order <b>")
        page.get_by_role("button", name="Record").click()
        expect(page.get_by_role("status")).to_contain_text("examined again")
        row = page.get_by_role("row", name=re.compile("antiresorptive"))
        expect(row).to_contain_text("7.5")
        expect(row).to_contain_text("by act")
        expect(row).to_contain_text("order <b>")
        visitor.assert_in_order()
        work(own_desk)
        page.reload()
        assert page.locator(".chart-therapy").count() > 0, "a bar below the years"
    (entry,) = trail(own_desk, Event.CONTEXT_LOADED)
    assert (entry.actor, entry.patient) == ("act", patient)


def test_archives_are_asked_again_and_the_page_says_what_they_answered(sample_store, tmp_path, browser) -> None:
    pacs = """
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        history = true
        """
    config = browsers.configure(tmp_path, more=pacs)
    shutil.copy(sample_store / "dxatrend.sqlite3", tmp_path)
    with browsers.running_desk(config) as asking, asking.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/patients/1")
        page.get_by_role("button", name="Ask pacs now").click()
        expect(page.get_by_role("status")).to_contain_text("pacs will be asked now")
        expect(page.get_by_role("row", name=re.compile("pacs"))).to_contain_text("not yet")
        visitor.assert_in_order()
        with asking.app.database.write() as connection:
            query = history_queries.claim(connection, "pacs", at=datetime.now(UTC))
            assert query is not None
            history_queries.record_response(connection, query.number, instances=2, at=datetime.now(UTC))
        page.reload()
        expect(page.get_by_role("row", name=re.compile("pacs"))).to_contain_text("2 new reports")
        expect(page.get_by_role("button", name="Ask pacs again")).to_be_visible()
        assert [(entry.actor, entry.patient) for entry in trail(asking, Event.ASKED)] == [("act", 1)]


def test_a_record_that_says_nothing_is_not_stored(own_desk, clients) -> None:
    client = clients(own_desk, Role.ACT)
    fields = {"recorded_on": "2024-01-01", "source": "order", "token": client.token()}
    answer = client.send_form("/patients/1/context", fields)
    assert answer.status_code == 400
    assert "Nothing is stated" in answer.text
    assert trail(own_desk, Event.CONTEXT_LOADED) == []


# Documents


def test_the_received_bytes_and_the_addendum_are_downloaded_as_they_are(desk, tmp_path, clients) -> None:
    patient = number_of(desk, "SAMPLE-01")
    number = exams_of(desk, patient)[0]
    client = clients(desk, Role.READ)
    with desk.app.database.read() as connection:
        (row,) = patient_file.reports_of(connection, number)
        (kept,) = receipts.load(connection, [row.receipt])
    answer = client.get(f"/receipts/{row.receipt}/file").raise_for_status()
    assert answer.content.endswith(kept.instance.data_set)
    assert answer.headers["content-disposition"].startswith("attachment")
    (tmp_path / "file.dcm").write_bytes(answer.content)
    assert dcmread(tmp_path / "file.dcm").SOPInstanceUID == kept.instance.sop_instance_uid
    (tmp_path / "addendum.dcm").write_bytes(client.get(f"/addenda/{number}/file").raise_for_status().content)
    assert dcmread(tmp_path / "addendum.dcm").Manufacturer == "dxatrend"


@damages
def test_pages_say_so_where_the_bytes_of_a_report_are_damaged(desk, clients, damage) -> None:
    patient = number_of(desk, "SAMPLE-01")
    number = exams_of(desk, patient)[0]
    client = clients(desk, Role.READ)
    with desk.app.database.write() as connection:
        (row,) = patient_file.reports_of(connection, number)
        content = connection.scalar(
            select(receipt_content.c.content).where(receipt_content.c.receipt_id == row.receipt)
        )
        damage_content(connection, row.receipt, damage)
    said = f"The bytes of receipt {row.receipt} are damaged or gone: have the object sent again, or restore a backup."
    try:
        assert said in client.get(f"/exams/{number}").raise_for_status().text
        assert said in client.get(f"/patients/{patient}").raise_for_status().text
        download = client.get(f"/receipts/{row.receipt}/file")
        assert (download.status_code, said in download.text) == (404, True)
        assert "error in dxatrend" not in download.text
    finally:
        with desk.app.database.write() as connection:
            receipt_contents.mend(connection, row.receipt, content)
    assert said not in client.get(f"/exams/{number}").raise_for_status().text


def test_the_pages_of_an_addendum_are_drawn_on_demand(desk, browser, clients) -> None:
    number = exams_of(desk, number_of(desk, "SAMPLE-02"))[0]
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open(f"/addenda/{number}/pages")
        visitor.assert_in_order()
        assert page.locator("img.sheet-image").first.evaluate("image => image.naturalWidth") == 1024
    client = clients(desk, Role.READ)
    assert client.get(f"/addenda/{number}/pdf").raise_for_status().content.startswith(b"%PDF")
    assert not client.get(f"/addenda/{number}/pages/1").is_error


# Hostile names


def test_no_name_becomes_markup_and_none_turns_the_words_around_it(own_desk, browser) -> None:
    for position, name in enumerate(HOSTILE):
        header = {"PatientID": f"H{position}", "PatientName": name, "SpecificCharacterSet": "ISO_IR 192"}
        sent = report(spine(region("L1-L4", "0.912")), StudyInstanceUID=f"2.25.7{position}", **header)
        receive(own_desk, sent, f"2.25.8{position}")
    with own_desk.visitor(browser, Role.ACT, viewport=PHONE) as visitor:
        for position in range(len(HOSTILE)):
            patient = number_of(own_desk, f"H{position}")
            for path in (f"/patients/{patient}", f"/exams/{exams_of(own_desk, patient)[0]}"):
                page = visitor.open(path)
                visitor.assert_in_order()
                assert "\u202e" not in page.content()
                assert page.locator("img[src=x]").count() == 0
                assert "alert(1)" not in "".join(page.locator("script").all_text_contents())
