"""A Prefect server that answers is understood, and one that answers nothing or something else counts as silent."""

import contextlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import prefect_calls
from flows.prefect_calls import PrefectCalls, PrefectSilentError
from flows.prefect_runner import ServerState, prefect_state
from pipeline.edge.configuration.service_settings import PrefectSettings
from tests import peers
from tests.factories.certificates import Authority
from tests.factories.http_servers import Asked, HttpServer, serving

VERSION = (200, "application/json", b'"3.8.8"')


def _ask(url: str) -> object:
    with contextlib.closing(PrefectCalls(url, seconds=10)) as calls:
        return calls.get("/version").json()


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """An authority that is the only one httpx trusts."""
    authority = Authority(tmp_path / "authority")
    monkeypatch.setattr("certifi.where", lambda: str(authority.certificate))
    prefect_calls._tls.cache_clear()
    yield authority
    prefect_calls._tls.cache_clear()


def _tls(authority: Authority, address: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = authority.sign("prefect", address=address)
    context.load_cert_chain(server.certificate, server.key)
    return context


def test_questions_reach_the_paths_below_the_url_also_on_another_connection() -> None:
    def answer(asked: Asked) -> tuple[int, str, bytes]:
        return 200, "application/json", json.dumps([asked.method, asked.path, asked.headers["authorization"]]).encode()

    server = HttpServer(answer)
    login = {"Authorization": "Basic x"}
    with contextlib.closing(PrefectCalls(f"http://{peers.LOOPBACK}:{server.port}/api/", seconds=10)) as calls:
        with serving(server):
            assert calls.get("/token?client=us", login).json() == ["GET", "/api/token?client=us", "Basic x"]
        calls.close()
        with serving(server):
            assert calls.post("/runs", {"limit": 1}, login).json() == ["POST", "/api/runs", "Basic x"]
    assert json.loads(server.asked[-1].body) == {"limit": 1}
    assert server.asked[-1].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "answer",
    [None, (200, "text/html", b"<p>welcome</p>"), (200, "application/json", b"\xff"), (503, "text/plain", b"1")],
    ids=["closed", "a page", "no text", "a failure"],
)
def test_no_answer_and_one_that_is_no_json_are_silence(answer: tuple[int, str, bytes] | None) -> None:
    server = HttpServer(lambda _: answer)
    with serving(server), pytest.raises(PrefectSilentError):
        _ask(f"http://{peers.LOOPBACK}:{server.port}/api")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "http://x:port", "http://[::1", f"http://{'x' * 64}.test", "/"]
)
def test_nobody_and_an_impossible_address_are_silence(url: str, tmp_path: Path) -> None:
    url = url.format(port=peers.free_port())
    with pytest.raises(PrefectSilentError):
        _ask(url)
    assert prefect_state(PrefectSettings(home=tmp_path, api_url=url)) is ServerState.SILENT


def test_over_tls_a_server_is_believed_whose_certificate_is_for_its_address(trusted: Authority) -> None:
    server = HttpServer(lambda _: VERSION)
    with serving(server, _tls(trusted, peers.LOOPBACK)):
        assert _ask(f"https://{peers.LOOPBACK}:{server.port}") == "3.8.8"


def test_over_tls_a_server_with_a_certificate_for_another_address_is_told_nothing(trusted: Authority) -> None:
    server = HttpServer(lambda _: VERSION)
    with serving(server, _tls(trusted, "192.0.2.1")), pytest.raises(PrefectSilentError):
        _ask(f"https://{peers.LOOPBACK}:{server.port}")
    assert server.asked == []


def test_over_tls_a_server_that_nobody_known_has_signed_is_told_nothing(tmp_path: Path) -> None:
    server = HttpServer(lambda _: VERSION)
    with serving(server, _tls(Authority(tmp_path / "authority"), peers.LOOPBACK)), pytest.raises(PrefectSilentError):
        _ask(f"https://{peers.LOOPBACK}:{server.port}")
    assert server.asked == []


def test_an_ipv6_address_without_a_port_is_called_at_the_usual_one() -> None:
    """Python's own client would take its last group for the port."""
    connection = prefect_calls._connection("http", "2001:db8::5", None, 1)
    assert (connection.host, connection.port) == ("2001:db8::5", 80)
