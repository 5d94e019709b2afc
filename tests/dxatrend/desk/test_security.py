"""What the desk refuses, whoever asks: other names, forged forms, too much of anything, more than a role has."""

import contextlib
import re
import socket
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from dxatrend.desk import http_protocol, security
from dxatrend.desk import routes as desk_routes
from dxatrend.desk.application import routes
from dxatrend.desk.navigation import LABELS
from dxatrend.desk.rendering import STATIC
from dxatrend.desk.routes import DeskRoute
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import desk_accounts
from tests import peers
from tests.factories.browser import PASSWORD, RunningDesk

OPEN = {("GET", "/log-in"), ("POST", "/log-in")}
"""The only addresses that nobody need be logged in for, beside our own style sheet, script and icon."""

FORBIDDEN = [(route, role) for route in routes() for role in Role if route.role and not role.includes(route.role)]


def _address(route: DeskRoute) -> str:
    """Return an address of a route, with numbers that nothing on file has."""
    return re.sub(r"\{\w+(?::\w+)?\}", "999999999", route.path)


def _named(route: DeskRoute) -> str:
    return f"{route.method} {route.path}"


def test_only_the_log_in_is_open_to_everybody() -> None:
    assert {(route.method, route.path) for route in routes() if route.role is None} == OPEN


@pytest.mark.parametrize("route", [route for route in routes() if route.role], ids=_named)
def test_nobody_gets_in_without_a_session(desk: RunningDesk, route: DeskRoute) -> None:
    with desk.client() as client:
        client.cookies.set("dxatrend", "0" * 43)
        if route.method == "POST":
            assert client.send_form(_address(route), {"token": "0" * 64}).status_code == 403
        else:
            answer = client.get(_address(route))
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/log-in")


@pytest.mark.parametrize(
    ("route", "role"), FORBIDDEN, ids=lambda value: _named(value) if isinstance(value, DeskRoute) else value
)
def test_a_role_that_is_too_small_gets_nothing(desk: RunningDesk, route: DeskRoute, role: Role) -> None:
    with desk.client(role) as client:
        fields: dict[str, object] = {"token": client.token()}
        address = _address(route)
        answer = client.send_form(address, fields) if route.method == "POST" else client.get(address)
    assert answer.status_code == 403
    assert route.role is not None
    assert f"this needs the role {route.role.value}" in answer.text


@pytest.mark.parametrize("route", [route for route in routes() if route.method == "POST" and route.role], ids=_named)
def test_a_form_is_taken_from_a_page_of_this_session_only(desk: RunningDesk, route: DeskRoute) -> None:
    assert route.role is not None
    with desk.client(route.role) as client, desk.client(route.role) as another:
        address = _address(route)
        for fields in ({}, {"token": ""}, {"token": "0" * 64}, {"token": another.token()}, {"token": "ä"}):
            assert client.send_form(address, dict(fields)).status_code == 403
        token = client.token()
        assert client.send_form(address, {"token": token}, origin="https://evil.example").status_code == 403
        assert client.post(address, data={"token": token}).status_code == 403, "a client that says nothing"
        assert client.post(address, data={"token": token}, headers={"origin": "null"}).status_code == 403
        headers = {"sec-fetch-site": "same-site", "origin": desk.url}
        assert client.post(address, data={"token": token}, headers=headers).status_code == 403
        assert client.get("/account").status_code == 200, "and the session goes on"


def test_a_forged_log_in_is_refused(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.client() as client:
        fields: dict[str, object] = {"name": "mary", "password": PASSWORD}
        assert client.send_form("/log-in", fields, origin="https://evil.example").status_code == 403
        assert client.send_form("/log-in", fields).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example", "127.0.0.1:1", "", "x" * 300])
def test_a_request_by_another_name_is_told_the_right_one(desk: RunningDesk, host: str) -> None:
    """A page of another site whose name suddenly leads here (DNS rebinding) gets nothing."""
    with desk.client(Role.CONFIGURE) as client:
        answer = client.get("/account", headers={"host": host})
    assert answer.status_code == 421
    assert f'href="{desk.url}/"' in answer.text
    assert 'name="token"' not in answer.text


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_desk_on_loopback_answers_to_both_names_of_it(desk: RunningDesk, name: str) -> None:
    with desk.client() as client:
        assert client.get("/log-in", headers={"host": f"{name}:{desk.desk.settings.port}"}).status_code == 200


@pytest.mark.parametrize("path", ["/log-in", "/account", "/nowhere", "/static/desk.css", "/trail"])
def test_every_answer_has_the_headers_that_close_a_browsers_doors(desk: RunningDesk, path: str) -> None:
    with desk.client(Role.READ) as client:
        headers = client.get(path).headers
    assert headers["content-security-policy"] == security.CONTENT_SECURITY_POLICY
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == ("public, max-age=31536000, immutable" if "static" in path else "no-store")
    assert "server" not in headers
    assert "strict-transport-security" not in headers, "without TLS it would lock browsers out"


def test_the_cookie_is_for_us_alone(empty_desk: RunningDesk) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.client() as client:
        cookie = client.send_form("/log-in", {"name": "mary", "password": PASSWORD}).headers["set-cookie"]
    assert {part.strip() for part in cookie.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Strict"}


@pytest.mark.parametrize("path", ["/account?" + "q=" + "x" * 3000, "/" + "x" * 3000], ids=["query", "path"])
def test_an_address_that_is_too_long_is_refused(desk: RunningDesk, path: str) -> None:
    with desk.client(Role.READ) as client:
        assert client.get(path).status_code == 414


def test_a_form_that_is_too_large_is_refused_before_it_is_read(desk: RunningDesk) -> None:
    with desk.client(Role.READ) as client:
        answer = client.send_form("/account/password", {"token": client.token(), "new": "x" * 100_000})
        assert answer.status_code == 413


def test_a_form_without_an_end_is_refused_once_it_is_too_large(desk: RunningDesk) -> None:
    address = urlsplit(desk.url)
    head = (
        f"POST /account/password HTTP/1.1\r\nHost: {address.netloc}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((peers.LOOPBACK, desk.desk.settings.port), timeout=30) as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(ConnectionError):  # it is closed in the middle of a chunk
            for _ in range(1000):
                connection.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            pytest.fail("eight megabytes were taken")
        with contextlib.suppress(ConnectionError):
            assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_connection_that_asks_for_nothing_is_closed(empty_desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.3)
    with empty_desk.client() as client:
        assert client.get("/log-in").status_code == 200
        address = (peers.LOOPBACK, empty_desk.desk.settings.port)
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with socket.create_connection(address, timeout=30) as connection:
                connection.sendall(sent)
                assert connection.recv(4096) == b"", "it waits no longer"
        assert client.get("/log-in").status_code == 200


def test_a_form_that_does_not_come_to_its_end_is_given_up(desk: RunningDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_routes, "LONGEST_ANSWER", 0.5)
    head = (
        f"POST /log-in HTTP/1.1\r\nHost: {urlsplit(desk.url).netloc}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nname="
    )
    with socket.create_connection((peers.LOOPBACK, desk.desk.settings.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_head_that_does_not_end_is_answered_by_closing(desk: RunningDesk) -> None:
    with socket.create_connection(("127.0.0.1", desk.desk.settings.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"x" * 60_000)
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
    assert b" 400 " in received.partition(b"\r\n")[0]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_a_method_that_no_page_takes_is_refused(desk: RunningDesk, method: str) -> None:
    with desk.client(Role.CONFIGURE) as client:
        assert client.request(method, "/account").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/%2e%2e/application.py",
        "/static//desk.css",
        "/..%2f..%2fetc/passwd",
        "/Account",
    ],
)
def test_nothing_but_our_own_files_is_at_an_address(desk: RunningDesk, path: str) -> None:
    with socket.create_connection(("127.0.0.1", desk.desk.settings.port), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{desk.desk.settings.port}\r\n\r\n".encode())
        assert b" 404 " in connection.recv(4096).partition(b"\r\n")[0]


def test_a_text_that_no_form_of_ours_sends_is_an_error_that_says_so(desk: RunningDesk) -> None:
    with desk.client(Role.CONFIGURE) as client:
        for query in (
            "before=x",
            "before=" + "9" * 40,
            "from=yesterday",
            "from=0001-01-01",
            "what=nothing",
            "who=" + "x" * 300,
        ):
            answer = client.get(f"/trail?{query}")
            assert (answer.status_code, "This could not be read" in answer.text) == (400, True), query


def test_every_file_is_known_by_its_content_and_names_nothing_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE), path.name


def test_the_pages_of_the_head_stand_in_their_order_and_lead_somewhere(desk: RunningDesk, browser: Browser) -> None:
    with desk.visitor(browser, Role.CONFIGURE) as visitor:
        page = visitor.open("/account")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        labels = links.all_inner_texts()
        assert labels == [label for label in LABELS.values() if label in labels]
        for label in labels:
            page.get_by_role("navigation", name="Pages").get_by_role("link", name=label, exact=True).click()
            expect(page.locator("nav a[aria-current=page]")).to_have_text(label)
            visitor.assert_in_order()


def test_the_keyboard_alone_reaches_the_content_first(desk: RunningDesk, browser: Browser) -> None:
    with desk.visitor(browser, Role.READ) as visitor:
        page = visitor.open("/account")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Present password")).to_be_focused()


def test_pages_are_read_and_forms_are_sent_without_script(empty_desk: RunningDesk, browser: Browser) -> None:
    empty_desk.account("mary", Role.READ)
    with empty_desk.visitor(browser, None, script=False) as visitor:
        page = visitor.open("/log-in")
        page.get_by_label("Name").fill("mary")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="mary read").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_no_account_is_there_that_nobody_has_made(empty_desk: RunningDesk) -> None:
    with empty_desk.client() as client:
        assert "dxatrend desk user add NAME" in client.get("/log-in").text
    with empty_desk.app.database.read() as connection:
        assert desk_accounts.names(connection) == []


def test_a_link_in_a_mail_that_is_read_in_the_browser_leads_to_the_page(desk: RunningDesk, browser: Browser) -> None:
    """The cookie does not come along with it; the page of an instant asks again, and then it does."""
    with desk.visitor(browser, Role.READ) as visitor:
        elsewhere = desk.url.replace("127.0.0.1", "localhost")
        page = visitor.open(f"{elsewhere}/log-in")
        page.evaluate("address => { location.href = address }", f"{desk.url}/account?from=mail")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
        expect(page).to_have_url(f"{desk.url}/account?from=mail")
        visitor.assert_in_order()
    with desk.visitor(browser, None) as stranger:
        page = stranger.open(f"{elsewhere}/log-in")
        page.evaluate("address => { location.href = address }", f"{desk.url}/account")
        expect(page).to_have_url(re.compile("/log-in"))


def test_a_form_of_another_site_is_not_let_in_by_that(desk: RunningDesk) -> None:
    with desk.client() as client:
        answer = client.post("/account/password", headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, "http-equiv" in answer.text) == (403, False)


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", '"utf-16"', "utf-8; charset=punycode"])
def test_a_form_in_an_encoding_that_no_page_of_ours_has_is_not_decoded(desk: RunningDesk, charset: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nmary\r\n--x--\r\n'
    with desk.client() as client:
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        headers = {"sec-fetch-site": "same-origin", "content-type": kind}
        assert client.post("/log-in", content=part, headers=headers).status_code == 400
        headers = {"sec-fetch-site": "same-origin", "content-type": 'multipart/form-data; boundary=x; charset="UTF-8"'}
        answer = client.post("/log-in", content=part, headers=headers)
    assert "Log in</h1>" in answer.text, "it was read, and lacks the password"


def test_a_file_of_a_stranger_is_refused_before_it_is_read(desk: RunningDesk) -> None:
    head = (
        f"POST /precision/study HTTP/1.1\r\nHost: {urlsplit(desk.url).netloc}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 7000000\r\n\r\n--x\r\n"
    )
    with socket.create_connection((peers.LOOPBACK, desk.desk.settings.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert b" 403 " in connection.recv(4096).partition(b"\r\n")[0]
