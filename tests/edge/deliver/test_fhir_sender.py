"""A FHIR server has a result when it says that the whole transaction was carried out."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from dxatrend.cli.main import main
from pipeline.edge.app import App
from tests.factories import outboxes
from tests.factories.http_servers import Asked, HttpServer, serving
from tests.factories.outboxes import visit
from tests.factories.reports import container, region

DESTINATION = """
[[destination]]
name = "records"
kind = "fhir"
url = "http://127.0.0.1:{port}/fhir"
patient_system = "urn:oid:1.2.3"
"""
JSON = "application/fhir+json"


class FhirServer(HttpServer):
    """A server that keeps what is put to it, after fhir.resources has judged it."""

    def __init__(self) -> None:
        super().__init__(self._carry_out)
        self.kept: dict[str, Any] = {}

    def _carry_out(self, asked: Asked) -> tuple[int, str, bytes]:
        if asked.method == "GET":
            return 200, JSON, b'{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}'
        Bundle.model_validate_json(asked.body)
        entries = json.loads(asked.body)["entry"]
        self.kept |= {entry["request"]["url"]: entry["resource"] for entry in entries}
        told = [{"response": {"status": "201 Created"}} for _ in entries]
        return 200, JSON, json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": told}).encode()

    def of_kind(self, kind: str) -> list[Any]:
        return [resource for resource in self.kept.values() if resource["resourceType"] == kind]


def app_for(folder: Path, port: int, more: str = "") -> Iterator[App]:
    with outboxes.outbox_of(folder, DESTINATION.format(port=port) + more) as app:
        outboxes.receive(app, visit(2022, "0.960"), visit(2024, "0.912"))
        yield app


def _carried_out_without_an_answer(carry_out: Callable[[Asked], object], asked: Asked) -> None:
    carry_out(asked)


def test_a_result_is_there_once_however_often_it_is_sent(tmp_path: Path) -> None:
    server = FhirServer()
    for app in app_for(tmp_path, server.port):
        answer = server.answer
        server.answer = partial(_carried_out_without_an_answer, answer)
        with serving(server):
            assert outboxes.deliver(app) == (0, 1)
        outboxes.wait_is_over(app)
        server.answer = answer
        with serving(server):
            assert outboxes.deliver(app) == (1, 0)
            assert outboxes.deliver(app) == (1, 0)
        assert len(server.of_kind("DiagnosticReport")) == 2
        assert len(server.of_kind("Device")) == 1
        assert {one["subject"]["identifier"]["system"] for one in server.of_kind("Observation")} == {"urn:oid:1.2.3"}


def test_a_correction_replaces_the_report(tmp_path: Path) -> None:
    server = FhirServer()
    for app in app_for(tmp_path, server.port):
        with serving(server):
            assert outboxes.deliver(app) == (2, 0)
            before = len(server.of_kind("Observation"))
            hip = container("Left Femur", region("Total", "0.801"))
            outboxes.receive(app, visit(2024, part=2, content=hip))
            assert outboxes.deliver(app) == (1, 0)
        assert len(server.of_kind("DiagnosticReport")) == 2
        assert len(server.of_kind("Observation")) > before


def _partly(asked: Asked) -> tuple[int, str, bytes]:
    told = [{"response": {"status": "201"}}, {"response": {"status": "422"}}]
    return 200, JSON, json.dumps({"type": "transaction-response", "entry": told}).encode()


ANSWERS: dict[str, tuple[Callable[[Asked], tuple[int, str, bytes] | None], str]] = {
    "422": (lambda asked: (422, JSON, b'{"resourceType": "OperationOutcome"}'), "refused"),
    "400": (lambda asked: (400, JSON, b""), "refused"),
    "401": (lambda asked: (401, JSON, b""), "outage"),
    "503": (lambda asked: (503, JSON, b""), "outage"),
    "200 and a page": (lambda asked: (200, "text/html", b"<html>"), "outage"),
    "200 and a part": (_partly, "outage"),
    "200 and a deep nest": (lambda asked: (200, JSON, b"[" * 100_000), "outage"),
    "no answer": (lambda asked: None, "outage"),
}


@pytest.mark.parametrize(("answer", "became"), ANSWERS.values(), ids=ANSWERS)
def test_whatever_a_server_answers_nothing_is_lost(
    tmp_path: Path, answer: Callable[[Asked], tuple[int, str, bytes] | None], became: str
) -> None:
    server = FhirServer()
    for app in app_for(tmp_path, server.port):
        carry_out, server.answer = server.answer, answer
        with serving(server):
            delivered, postponed = outboxes.deliver(app)
        assert (delivered, postponed == 2) == (0, became == "refused")
        assert "Marked" not in str(outboxes.problems(app))
        outboxes.wait_is_over(app)
        server.answer = carry_out
        with serving(server):
            assert outboxes.deliver(app)[0] + outboxes.deliver(app)[0] == 2


def test_pages_come_with_the_report_and_are_no_delivery_of_their_own(tmp_path: Path) -> None:
    server = FhirServer()
    for app in app_for(tmp_path, server.port, 'content = ["sr", "pdf"]\n'):
        assert outboxes.states(app) == ["waiting", "waiting"]
        with serving(server):
            assert outboxes.deliver(app) == (2, 0)
        assert all(one["presentedForm"][0]["data"].startswith("JVBERi0") for one in server.of_kind("DiagnosticReport"))


def test_check_asks_for_its_capabilities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = FhirServer()
    for app in app_for(tmp_path, server.port):
        with serving(server):
            main(["check", "--config", str(app.folder)])
            assert "destination records: answers" in capsys.readouterr().out
            server.answer = lambda asked: (200, JSON, b'{"fhirVersion": "5.0.0"}')
            main(["check", "--config", str(app.folder)])
            assert "tells of another version of FHIR than R4" in capsys.readouterr().out
