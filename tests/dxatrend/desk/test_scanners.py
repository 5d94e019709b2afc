"""Scanners at the desk: who is fit, the control chart on screen and on one page of paper, remedies and service."""

import csv
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.quality_control import stops
from pipeline.edge.store import audit_trail, phantom_scans, qc_stops, scanners
from pipeline.edge.store.audit_trail import Entry, Event
from pipeline.edge.store.phantom_scans import NewPhantomScan, PhantomValues
from tests import peers
from tests.factories import browser as browsers
from tests.factories.browser import PHONE, SCREEN, RunningDesk
from tests.factories.phantoms import IN_CONTROL

PHANTOM = """
[[scanner]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
name = "Room 2"
[[phantom]]
name = "Spine phantom 7"
kind = "Hologic <b>spine</b>"
patient_id = ["QC-7*"]
region = "L1-L4"
"""


@pytest.fixture
def stopped_desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk with a scanner whose phantom was confirmed to be out yesterday, and one without a phantom."""
    config = browsers.configure(tmp_path)
    (config / "scanners.toml").write_text(PHANTOM)
    (config / "precision.toml").unlink()
    with browsers.running_desk(config) as desk:
        app, now = desk.app, datetime.now(UTC)
        with app.database.write() as connection:
            machine = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
            number = scanners.number_of(connection, machine, station_name="", institution="", at=now)
            scanners.number_of(connection, Scanner("Hologic", "Horizon", "1"), station_name="", institution="", at=now)
            found = [_scan(day, 0, IN_CONTROL[day % 5]) for day in range(2, 40)]
            found += [_scan(1, minutes, bmd) for minutes, bmd in ((0, "1.2030"), (10, "1.2010"), (20, "1.2020"))]
            phantom_scans.record_typed(connection, number, found, at=now)
            assert stops.update(connection, app.reference_data, number, at=now) == 1
        yield desk


def _scan(days_ago: int, minutes: int, bmd: str) -> NewPhantomScan:
    day = datetime.now(UTC).date() - timedelta(days=days_ago)
    values = PhantomValues(bmd=Decimal(bmd), bmc=Decimal("62.61"), area=Decimal("53.20"))
    at = datetime.combine(day, time(7, minutes))
    return NewPhantomScan(phantom="Spine phantom 7", performed_at=at, region="L1-L4", values=values)


@pytest.mark.parametrize(("dark", "viewport"), [(False, SCREEN), (True, SCREEN), (False, PHONE)])
def test_the_pages_are_in_order_and_say_what_is_wrong_first(
    stopped_desk: RunningDesk, browser: Browser, *, dark: bool, viewport: dict[str, int]
) -> None:
    with stopped_desk.visitor(browser, Role.CONFIGURE, dark=dark, viewport=viewport) as visitor:
        page = visitor.open("/scanners")
        visitor.assert_in_order()
        rows = page.locator("tbody tr")
        assert "stopped" in rows.nth(0).inner_text()
        assert "no phantom scans" in rows.nth(1).inner_text()
        assert "Name its phantom as [[phantom]] in scanners.toml" in rows.nth(1).inner_text()
        page.get_by_role("link", name="Room 2").click()
        page.wait_for_url("**/qc")
        visitor.assert_in_order()
        chart = page.locator("svg.chart")
        assert chart.locator(".qc-stop").count() == 1
        assert chart.locator("path.qc-out").count() == 2, "the scan, and its meaning in the legend"
        assert "1-3s, 1.5 %" in chart.locator(".qc-rule").first.text_content()  # type: ignore[operator]
        if not dark and viewport == SCREEN:
            assert browsers.pixels_of(chart, "#fceae8") > 500, "the days of the stop"
            assert browsers.pixels_of(chart, "#cfe3ea") > 5_000, "the band of 2 SD"


def test_a_remedy_and_a_good_scan_end_a_stop_and_the_page_says_who_did_it(
    stopped_desk: RunningDesk, browser: Browser
) -> None:
    app = stopped_desk.app
    with stopped_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/scanners/1/qc")
        assert page.get_by_text("It was not the scanner").count() == 0, "that needs the role configure"
        note = page.locator(".note.bad")
        note.get_by_label("What was done").fill("detector replaced <i>")
        note.get_by_role("button").click()
        expect(page.locator(".message")).to_contain_text("ends with the next good scan")
        assert "detector replaced <i>" in page.locator("table").filter(has_text="Fit again").inner_text()
        now = datetime.now(UTC)
        with app.database.write() as connection:
            phantom_scans.record_typed(connection, 1, [_scan(0, 0, "1.1770")], at=now)
            stops.update(connection, app.reference_data, 1, at=now)
            (stop,) = qc_stops.of_scanner(connection, 1)
        assert (stop.remedied_by, stop.is_open) == ("act", False)
        page.reload()
        assert page.locator(".note.bad").count() == 0
        assert page.locator(".facts .state.good").inner_text() == "fit"


def test_work_on_the_scanner_is_recorded_and_drawn(stopped_desk: RunningDesk, browser: Browser) -> None:
    with stopped_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/scanners/1/qc")
        page.locator("#service-what").fill("lamp cleaned")
        page.locator("#service-on").fill(f"{date.today() - timedelta(days=5)}")  # noqa: DTZ011 - the browser's day
        page.get_by_role("button", name="Record it").click()
        expect(page.locator(".chart-break-name", has_text="lamp cleaned")).to_have_count(1)


def test_the_chart_prints_on_one_page_with_a_line_for_the_signature(
    stopped_desk: RunningDesk, browser: Browser, tmp_path: Path
) -> None:
    with stopped_desk.visitor(browser, Role.LOOK) as visitor:
        page = visitor.open("/scanners/1/qc")
        assert not page.locator(".signature").is_visible()
        page.pdf(path=tmp_path / "qc.pdf", format="A4")
    command = [peers.program("pdftotext"), str(tmp_path / "qc.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert text.count("\f") == 1, "one page"
    assert "Looked at by" in text
    assert "Spine phantom 7" in text


def test_the_csv_file_has_every_scan(stopped_desk: RunningDesk) -> None:
    with stopped_desk.client(Role.LOOK) as client:
        answer = client.get("/scanners/1/qc.csv").raise_for_status()
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(StringIO(answer.text.lstrip("\ufeff"))))
    assert len(rows) == 41
    assert [row["outcome"] for row in rows].count("confirmed") == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/scanners/9/qc", 404), ("/scanners/9/qc.csv", 404), ("/scanners/1/qc?span=9y", 400)]
)
def test_what_is_not_there_is_said(stopped_desk: RunningDesk, path: str, status: int) -> None:
    with stopped_desk.client(Role.LOOK) as client:
        assert client.get(path).status_code == status


@pytest.mark.parametrize(
    ("role", "fields", "status"),
    [
        (Role.READ, {"stop": "1", "what": "x"}, 403),
        (Role.ACT, {"stop": "1", "what": "x", "annul": "yes"}, 403),
        (Role.ACT, {"stop": "7", "what": "x"}, 404),
        (Role.ACT, {"stop": "1", "what": "x", "on": "yesterday"}, 303),
        (Role.ACT, {"stop": "1", "what": " "}, 303),
    ],
)
def test_a_remedy_that_may_or_can_not_be_changes_nothing(
    stopped_desk: RunningDesk, role: Role, fields: dict[str, object], status: int
) -> None:
    with stopped_desk.client(role) as client:
        answer = client.send_form("/scanners/1/remedy", {**fields, "token": client.token()})
        assert answer.status_code == status
    with stopped_desk.app.database.read() as connection:
        assert [stop.remedy for stop in qc_stops.of_scanner(connection, 1)] == [""]


def table(*lines: str) -> FilePayload:
    text = "\n".join(("date,phantom,bmd", *lines)) + "\n"
    return {"name": "log.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_scans_of_a_table_are_checked_and_then_loaded_under_the_name_of_who_did_it(
    stopped_desk: RunningDesk, browser: Browser
) -> None:
    """Years of them, which are larger than any other form."""
    days = [date(2010, 1, 1) + timedelta(days=number) for number in range(2_500)]
    history = table(*(f"{day},Spine phantom 7,{IN_CONTROL[day.day % 5]}" for day in days))
    with stopped_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/scanners/1/qc")
        page.get_by_role("link", name="Load scans").click()
        page.wait_for_url("**/history")
        visitor.assert_in_order()
        page.get_by_label("Table").set_input_files(history)
        page.get_by_role("button", name="Check it").click()
        expect(page.locator(".note.good")).to_contain_text("2,500 scans, from 1 Jan 2010 to 4 Nov 2016")
        visitor.assert_in_order()
        assert imports_of(stopped_desk) == [], "to check takes nothing"
        page.get_by_label("Table").set_input_files(history)
        page.get_by_role("button", name="Load it").click()
        expect(page.locator(".message")).to_contain_text("2,500 scans from 2010-01-01 to 2016-11-04 are on file now.")
    (entry,) = imports_of(stopped_desk)
    assert (entry.actor, entry.detail["scans"]) == ("act", 2_500)
    assert scans_of(stopped_desk) == 2_541


def test_all_mistakes_of_a_table_are_shown_and_nothing_is_taken(stopped_desk: RunningDesk, browser: Browser) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    wrong = table(
        "2020-03-02,Spine phantom 7,1.177",
        "2020-03-02,Spine phantom 7,1.178",
        f"{yesterday},Spine phantom 7,1.177",
        "2020-03-04,Another <i>phantom</i>,1.177",
        "2020-03-05,Spine phantom 7,1177",
    )
    with stopped_desk.visitor(browser, Role.ACT) as visitor:
        page = visitor.open("/scanners/1/history")
        for button in ("Check it", "Load it"):
            page.get_by_label("Table").set_input_files(wrong)
            page.get_by_role("button", name=button).click()
            note = page.locator(".note.bad")
            expect(note.get_by_role("listitem")).to_have_text(
                [
                    "line 3: a scan of this phantom on 2020-03-02 is in line 2 too",
                    f"line 4: a scan of this phantom on {yesterday} is on file already",
                    "line 5: phantom is none of scanners.toml, which names Spine phantom 7",
                    "line 6: bmd is not between 0 and 10 (g/cm2, g, cm2)",
                ]
            )
    assert scans_of(stopped_desk) == 41
    assert imports_of(stopped_desk) == []


def test_history_is_loaded_by_those_who_may_act_only(stopped_desk: RunningDesk) -> None:
    with stopped_desk.client(Role.READ) as client:
        assert client.get("/scanners/1/history").status_code == 403
        assert "Load scans" not in client.get("/scanners/1/qc").text
    with stopped_desk.client(Role.ACT) as client:
        assert client.get("/scanners/9/history").status_code == 404


def scans_of(desk: RunningDesk) -> int:
    with desk.app.database.read() as connection:
        return phantom_scans.how_many(connection, 1)[0]


def imports_of(desk: RunningDesk) -> list[Entry]:
    with desk.app.database.read() as connection:
        return [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.QC_IMPORTED]
