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
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store.schema import exam, patient
from tests.factories import browser as browsers
from tests.factories.browser import RunningDesk
from tests.factories.held_things import hold_things
from tests.folders import SAMPLES

PAGES = [route for route in routes() if route.method == "GET" and route.role is not None]


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
            page = Outline(answer.text)
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
