"""The desk over TLS, and behind a proxy that says who has logged in to it."""

import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import DeskSettings, Role
from pipeline.edge.operations import desk_accounts
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from tests import peers
from tests.factories.browser import PASSWORD, RunningDesk, configure, running_desk
from tests.factories.certificates import Authority

SITE = "https://dxa.example.org"
PROXY = f"""
    socket = "desk.sock"
    url = "{SITE}"
    [desk.proxy]
    user_header = "X-Remote-User"
"""


@pytest.fixture
def behind_proxy(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk on a Unix socket, with an account of the role act that only the proxy can name."""
    with running_desk(configure(tmp_path, desk=PROXY)) as desk:
        desk_accounts.add(desk.app.database, "mary", Role.ACT, None)
        yield desk


def proxy(desk: RunningDesk, user: str | None, **headers: str) -> httpx.Client:
    """Return what a proxy is to the desk: it connects to the socket and says who has logged in."""
    named = {} if user is None else {"X-Remote-User": user}
    transport = httpx.HTTPTransport(uds=str(desk.desk.settings.socket))
    return httpx.Client(transport=transport, base_url=SITE.replace("https", "http"), headers={**named, **headers})


def test_over_tls_the_cookie_is_bound_to_the_host_and_the_browser_stays_with_https(
    tmp_path: Path, browser: Browser
) -> None:
    identity = Authority(tmp_path / "ca").sign("desk")
    tls = f'[desk.tls]\ncertificate = "{identity.certificate}"\nkey = "{identity.key}"'
    with running_desk(configure(tmp_path, desk=tls)) as desk:
        assert desk.url.startswith("https://127.0.0.1:")
        desk.account("mary", Role.READ)
        context = ssl.create_default_context(cafile=str(identity.ca))
        with httpx.Client(base_url=desk.url, verify=context, trust_env=False) as client:
            form = {"name": "mary", "password": PASSWORD}
            answer = client.post("/log-in", data=form, headers={"sec-fetch-site": "same-origin"})
            assert answer.headers["set-cookie"].startswith("__Host-dxatrend=")
            assert "; Secure" in answer.headers["set-cookie"]
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert client.get("/account").status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(desk.url.replace("https", "http"), trust_env=False)
        with desk.visitor(browser, None) as visitor:
            page = visitor.open("/account")
            page.get_by_label("Name").fill("mary")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
            visitor.assert_in_order()


def test_a_tls_of_the_last_decade_is_refused(tmp_path: Path) -> None:
    identity = Authority(tmp_path / "ca").sign("desk")
    tls = f'[desk.tls]\ncertificate = "{identity.certificate}"\nkey = "{identity.key}"'
    with running_desk(configure(tmp_path, desk=tls)) as desk:
        command = [peers.program("openssl"), "s_client", "-connect", f"127.0.0.1:{desk.desk.settings.port}"]

        def is_taken(version: str) -> bool:
            asked = subprocess.run([*command, version, "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True)
            return asked.returncode == 0

        assert {version: is_taken(version) for version in ("-tls1", "-tls1_1", "-tls1_2")} == {
            "-tls1": False,
            "-tls1_1": False,
            "-tls1_2": True,
        }


def test_whom_the_proxy_names_is_let_in_with_the_role_of_the_account(behind_proxy: RunningDesk) -> None:
    with proxy(behind_proxy, "Mary", **{"X-Forwarded-For": "10.9.9.9, 192.0.2.44"}) as client:
        first = client.get("/account")
        assert first.status_code == 200
        assert first.headers["set-cookie"].startswith("__Host-dxatrend=")
        assert "Log out" not in first.text, "that is the proxy's to do"
        client.cookies.set("__Host-dxatrend", first.headers["set-cookie"].partition("=")[2].partition(";")[0])
        assert "set-cookie" not in client.get("/account").headers
        assert client.get("/trail").status_code == 403
    with behind_proxy.app.database.read() as connection:
        entries = [one.entry for one in audit_trail.find(connection)]
    assert [(e.actor, e.host) for e in entries if e.event is Event.LOGGED_IN] == [("mary", "192.0.2.44")]


def test_another_user_of_the_proxy_does_not_take_over_a_session(behind_proxy: RunningDesk) -> None:
    desk_accounts.add(behind_proxy.app.database, "tom", Role.LOOK, None)
    with proxy(behind_proxy, "mary") as client:
        cookie = client.get("/account").headers["set-cookie"].partition(";")[0]
    with proxy(behind_proxy, "tom", Cookie=cookie) as client:
        assert '<bdi>tom</bdi> <span class="role">look</span>' in client.get("/account").text
    with proxy(behind_proxy, None, Cookie=cookie) as client:
        assert client.get("/account").status_code == 303, "without the proxy's word an account has no way in"


@pytest.mark.parametrize("user", ["stranger", "../mary", "mary smith"])
def test_whoever_has_no_account_is_told_so(behind_proxy: RunningDesk, user: str) -> None:
    with proxy(behind_proxy, user) as client:
        answer = client.get("/account")
    assert (answer.status_code, "nobody has given you a role" in answer.text) == (403, True)


@pytest.mark.parametrize("user", ["", "x" * 65, "ma\x07ry"])
def test_a_name_that_is_none_is_nobody(behind_proxy: RunningDesk, user: str) -> None:
    with proxy(behind_proxy, user) as client:
        try:
            assert client.get("/account").status_code in (303, 400)
        except httpx.LocalProtocolError:
            assert not user.isprintable()


def test_a_header_that_comes_twice_names_nobody(behind_proxy: RunningDesk) -> None:
    """A proxy that adds its header to the one a browser has sent would let the browser choose."""
    with proxy(behind_proxy, None) as client:
        headers = [("X-Remote-User", "mary"), ("X-Remote-User", "tom")]
        assert client.get("/account", headers=headers).status_code == 303


def test_a_role_for_everybody_whom_the_proxy_knows(tmp_path: Path) -> None:
    with running_desk(configure(tmp_path, desk=f'{PROXY}\nrole = "read"')) as desk, proxy(desk, "anybody") as client:
        assert '<span class="role">read</span>' in client.get("/account").text
        desk_accounts.add(desk.app.database, "anybody", Role.LOOK, None)
        assert '<span class="role">look</span>' in client.get("/account").text


def test_the_socket_is_for_our_user_and_group_alone(behind_proxy: RunningDesk) -> None:
    path = behind_proxy.desk.settings.socket
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_socket_that_a_killed_desk_has_left_is_replaced(tmp_path: Path) -> None:
    config = configure(tmp_path, desk=PROXY)
    for _ in range(2):
        with running_desk(config) as desk, proxy(desk, None) as client:
            assert client.get("/log-in").status_code == 200


def test_the_header_of_anybody_but_the_proxy_says_nothing(tmp_path: Path) -> None:
    port = peers.free_port()
    behind = f"""
        url = "http://127.0.0.1:{port}"
        [desk.proxy]
        address = ["127.0.0.2"]
        user_header = "X-Remote-User"
    """
    config = configure(tmp_path, desk=behind)
    path = config / "service.toml"
    path.write_text(
        "\n".join(path.read_text().splitlines()).replace("[desk]\n        port = ", f"[desk]\n        port = {port} # ")
    )
    with running_desk(config) as desk:
        desk_accounts.add(desk.app.database, "mary", Role.CONFIGURE, None)

        def status(address: str) -> int:
            transport = httpx.HTTPTransport(local_address=address)
            with httpx.Client(transport=transport, base_url=desk.url, headers={"X-Remote-User": "mary"}) as client:
                return client.get("/account").status_code

        assert status("127.0.0.2") == 200
        assert status("127.0.0.1") == 303


def test_outside_a_request_nobody_but_the_user_of_the_machine_acts() -> None:
    with events.acting(events.Operator(name="mary", host="192.0.2.1")):
        assert events.operator().name == "mary"
    assert events.operator().name != "mary"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"host": "0.0.0.0"}, "needs desk.tls, or desk.proxy"),
        ({"host": "0.0.0.0", "tls": {"certificate": "a", "key": "b"}}, "which address people type"),
        ({"proxy": {}}, "needs the address of the proxy"),
        ({"proxy": {"address": ["127.0.0.1"]}}, "needs desk.url"),
        ({"proxy": {"address": ["proxy.example"]}, "url": SITE}, "an IP address is needed"),
        ({"proxy": {"address": ["127.0.0.1"], "role": "read"}, "url": SITE}, "whom desk.proxy.user_header names"),
        ({"socket": "desk.sock"}, "desk.socket is for a proxy"),
        ({"url": "dxa.example.org"}, "the desk is at https://name"),
        ({"url": "https://dxa.example.org:0"}, "the desk is at https://name"),
        ({"url": f"{SITE}/desk"}, "without anything after it"),
        ({"url": "http://x", "tls": {"certificate": "a", "key": "b"}}, "begins with https://"),
        ({"proxy": {"address": ["127.0.0.1"], "user_header": "X Y"}, "url": SITE}, "should match pattern"),
    ],
    ids=str,
)
def test_a_setting_that_would_open_a_door_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DeskSettings(**settings)
