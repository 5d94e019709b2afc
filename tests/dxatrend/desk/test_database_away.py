"""The desk while the database is away: it says so, and goes on by itself."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dxatrend.desk import routes
from pipeline.edge.configuration.desk_settings import Role
from tests import peers
from tests.factories.browser import PASSWORD, configure, running_desk


def test_a_desk_that_starts_while_the_database_is_away_says_so_and_recovers(tmp_path: Path, browser: Browser) -> None:
    with peers.postgres() as server:
        config = configure(tmp_path)
        path = config / "service.toml"
        path.write_text(path.read_text().replace("sqlite:///dxatrend.sqlite3", server.fresh_database()))
        server.stop()
        with running_desk(config) as desk, desk.visitor(browser, None) as visitor:
            page = visitor.open("/", status=503)
            expect(page.get_by_role("heading", level=1)).to_have_text("The database does not answer")
            visitor.assert_in_order()
            visitor.screenshot("database away")
            with desk.client() as client:
                assert client.get("/static/desk.css").status_code == 200

            server.start()
            page = visitor.open("/log-in")
            desk.account("mary", Role.READ)
            page.get_by_label("Name").fill("mary")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            page.goto("/account")

            server.stop()
            page.reload()
            expect(page.get_by_role("heading", level=1)).to_have_text("The database does not answer")
            server.start()
            page.reload()
            expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_a_desk_whose_disk_comes_late_opens_the_store_then(tmp_path: Path) -> None:
    config = configure(tmp_path)
    path = config / "service.toml"
    path.write_text(path.read_text().replace("dxatrend.sqlite3", "disk/dxatrend.sqlite3"))
    (tmp_path / "disk").touch()
    with running_desk(config) as desk, desk.client() as client:
        assert client.get("/log-in").status_code == 503
        (tmp_path / "disk").unlink()
        assert client.get("/log-in").status_code == 200


def test_a_database_that_hangs_is_told_of_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(routes, "LONGEST_ANSWER", 0.5)
    with running_desk(configure(tmp_path)) as desk, desk.client() as client:
        database = desk.app.database
        with database.write():  # as somebody who holds the lock would
            started = time.monotonic()
            answer = client.send_form("/log-in", {"name": "mary", "password": PASSWORD})
            assert time.monotonic() - started < 8, "it does not wait for the lock"
        assert answer.status_code == 503
        assert "It is not known whether what you asked for was done" in answer.text
        peers.wait_until_logged("a page took longer than", caplog)
        monkeypatch.undo()
        assert client.get("/log-in").status_code == 200


def test_an_error_of_ours_is_a_page_that_tells_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running_desk(configure(tmp_path)) as desk, desk.client(Role.READ) as client:
        monkeypatch.setattr(desk.desk.renderer, "render", _fails_once(desk.desk.renderer.render))
        answer = client.get("/account")
        assert (answer.status_code, "Mrs Miller" in answer.text) == (500, False)
        assert client.get("/account").status_code == 200
    assert "a page failed: ValueError" in caplog.text
    assert "Mrs Miller" not in caplog.text


def _fails_once(render: Callable[..., str]) -> Callable[..., str]:
    failed: list[bool] = []

    def failing(template: str, values: dict[str, object]) -> str:
        if not failed:
            failed.append(True)
            raise ValueError("Mrs Miller")
        return render(template, values)

    return failing
