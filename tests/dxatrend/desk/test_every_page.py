"""What holds for every page of the desk, those to come included: its frame, its forms, and what its role may see."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import select

from dxatrend.desk.application import routes
from dxatrend.desk.routes import DeskRoute
from pipeline.edge.app import open_app
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.edge.store.schema import exam, patient
from tests.factories import browser as browsers
from tests.factories.answered_exams import follow_all, l1_l4, lsc, receive
from tests.factories.browser import RunningDesk
from tests.factories.held_things import hold_things
from tests.folders import SAMPLES

PAGES = [route for route in routes() if route.method == "GET" and route.role is not None]


HOSTILE = "<script>alert(1)</script>\u202e" + "骨" * 30
"""Markup, a sign that turns the direction of what follows, and more letters than a column is wide."""

OTHER_WORDS = {"Lunar", "Hologic", "Reports", "Sample"}
"""Words of the sample patients' names that stand on pages with another meaning."""


class Outline(HTMLParser):
    """The elements of a page with their attributes, in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def full_desk(sample_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A desk with sample patients and something of each kind that can be held."""
    folder = tmp_path_factory.mktemp("full")
    config = browsers.configure(folder)
    shutil.copy(sample_store / "dxatrend.sqlite3", folder)
    with browsers.running_desk(config) as desk:
        hold_things(desk.app, caller="SCANNER1")
        yield desk


@pytest.fixture(scope="module")
def hostile_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A desk whose only patient has names that would be markup, and whose dry run would change an addendum."""
    folder = tmp_path_factory.mktemp("hostile")
    config = browsers.configure(folder)
    (config / "precision.toml").unlink()
    (config / "precision.toml").write_text(lsc())
    names = {"PatientName": HOSTILE, "PatientID": "<script>1", "AccessionNumber": "<img src=x>"}
    site = {"InstitutionName": HOSTILE, "StationName": "<b>", "SpecificCharacterSet": "ISO_IR 192"}
    with open_app(config) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", **names, **site), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101", **names, **site), "2.25.2")
        follow_all(app)
    (config / "precision.toml").write_text("")
    with browsers.running_desk(config) as desk:
        requested_runs.request(desk.app, Scope(), dry_run=True)
        requested_runs.requested_loop(lambda: False).poll(desk.app)
        yield desk


def assert_frame(text: str) -> None:
    """Require the frame of every page, and no script, style, form or link of its own."""
    page = Outline(text)
    assert [tag for tag, _ in page.elements if tag in ("h1", "main", "header", "footer")] == [
        "header",
        "main",
        "h1",
        "footer",
    ]
    assert [attributes["lang"] for attributes in page.all("html")] == ["en"]
    assert page.all("style") == page.all("iframe") == page.all("object") == page.all("embed") == []
    assert [attributes["src"].partition("?")[0] for attributes in page.all("script")] == ["/static/desk.js"]
    every = [(tag, name) for tag, attributes in page.elements for name in attributes]
    assert [(tag, name) for tag, name in every if name == "style" or name.startswith("on")] == []
    tokens = sum(attributes.get("name") == "token" for attributes in page.all("input"))
    posted = [attributes for attributes in page.all("form") if attributes.get("method") == "post"]
    assert tokens == len(posted), "each form that does something carries the token of the session"
    targets = [a.get("href", "") for a in page.all("a")] + [f.get("action", "") for f in page.all("form")]
    assert [target for target in targets if not re.match(r"/(?!/)|#|\?", target)] == []


def addresses(route: DeskRoute) -> list[str]:
    """Return addresses of a route, with the first numbers there are."""
    numbers = (1, 2) if "{" in route.path else (1,)
    return [re.sub(r"\{\w+(?::\w+)?\}", str(number), route.path) for number in numbers]


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.path)
def test_every_page_has_the_frame_and_no_script_style_or_form_of_its_own(
    full_desk: RunningDesk, route: DeskRoute
) -> None:
    with full_desk.client(Role.CONFIGURE) as client:
        for address in addresses(route):
            answer = client.get(address)
            assert answer.status_code in (200, 303, 404), f"{address}: {answer.status_code}"
            if answer.status_code != 200 or not answer.headers["content-type"].startswith("text/html"):
                continue
            assert_frame(answer.text)


@pytest.mark.parametrize("route", PAGES, ids=lambda route: route.path)
def test_a_hostile_name_is_text_on_every_page(hostile_desk: RunningDesk, route: DeskRoute) -> None:
    with hostile_desk.client(Role.CONFIGURE) as client:
        for address in addresses(route):
            answer = client.get(address)
            if answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"):
                assert_frame(answer.text)
                assert "\u202e" not in answer.text, f"{address} turns the words around a name"


def test_the_hostile_name_is_shown_so_the_test_above_could_fail(hostile_desk: RunningDesk) -> None:
    with hostile_desk.client(Role.CONFIGURE) as client:
        for address in ("/patients/1", "/exams/2"):
            assert "&lt;script&gt;" in client.get(address).text
        assert "Significant loss" in client.get("/reprocessing").text, "the dry run lists the patient's exam"


def test_the_role_look_sees_no_name_and_no_id_of_a_patient_on_any_page(full_desk: RunningDesk) -> None:
    with full_desk.app.database.read() as connection:
        ids = set(connection.scalars(select(patient.c.patient_id)))
        studies = set(connection.scalars(select(exam.c.study_instance_uid)))
    reports = [dcmread(path, specific_tags=["PatientName"]) for path in SAMPLES.glob("*/*-1.dcm")]
    names = {part for report in reports for part in re.split(r"[\W_]+", str(report.PatientName))}
    secret = {text for text in ids | studies | names if len(text) > 3} - OTHER_WORDS
    assert len(secret) > 20
    shown: dict[str, set[str]] = {}
    with full_desk.client(Role.LOOK) as client:
        for route in PAGES:
            for address in addresses(route):
                text = client.get(address).text
                shown[address] = {word for word in secret if word in text}
    assert {address: words for address, words in shown.items() if words} == {}


def test_the_role_read_does_see_them_so_the_test_above_could_fail(full_desk: RunningDesk) -> None:
    with full_desk.app.database.read() as connection:
        number, identifier = connection.execute(select(patient.c.id, patient.c.patient_id).limit(1)).one()
    with full_desk.client(Role.READ) as client:
        assert identifier in client.get(f"/patients/{number}").text


@pytest.mark.parametrize("number", ["0", "-1", "1e3", "９", "9" * 18, "9" * 40, "%00", "1%2f2", "../1"])
def test_a_guessed_number_leads_nowhere(full_desk: RunningDesk, number: str) -> None:
    with full_desk.client(Role.CONFIGURE) as client:
        for route in PAGES:
            if "{" in route.path:
                address = re.sub(r"\{\w+(?::\w+)?\}", number, route.path)
                assert client.get(address).status_code in (303, 404), address
