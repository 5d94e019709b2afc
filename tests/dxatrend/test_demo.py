"""The demonstration ends with a table of results and with how to look, and the desk shows what it says."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.factories import demonstration

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the demonstration was played, and what it has printed."""
    folder = tmp_path_factory.mktemp("demo")
    ended = demonstration.run(folder, "demo")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder, ended.stdout


def test_it_ends_with_a_table_of_results_and_two_lines(played: tuple[Path, str]) -> None:
    lines = played[1].rstrip().splitlines()
    assert len(lines) < 60
    head = next(number for number, line in enumerate(lines) if line.startswith("patient"))
    *rows, summary, how_to_look = lines[head + 1 :]
    assert any(re.search(r"SAMPLE-02 .*2023-12-06 +declined: L1-L4 loss +yes", row) for row in rows)
    assert any(re.search(r"SAMPLE-07 .*no statement: no LSC +yes", row) for row in rows)
    assert "all as they should be" in summary
    assert how_to_look.endswith(".venv/bin/dxatrend desk --demo")


def test_its_desk_shows_the_same_data_to_accounts_made_for_the_occasion(
    played: tuple[Path, str], browser: Browser
) -> None:
    folder, _ = played
    with demonstration.running_desk(folder) as (address, passwords):
        assert address.startswith("http://127.0.0.1:")
        assert len(set(passwords.values())) == 4
        page = browser.new_context(base_url=address).new_page()
        page.goto("/setup")
        page.get_by_label("Name").fill("configure")
        page.get_by_label("Password").fill(passwords["configure"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Set-up").wait_for()
        assert page.locator(".note.bad").count() == 0
        assert "Addenda reach the PACS" in page.content()
        assert "Lunar iDXA" in page.get_by_role("region", name="Scanners that lack something").inner_text()


def test_without_a_demonstration_its_desk_says_how_to_get_one(tmp_path: Path) -> None:
    ended = demonstration.run(tmp_path, "desk", "--demo")
    assert ended.returncode == 1
    assert "make demo" in ended.stderr
    assert not list(tmp_path.iterdir()), "nothing is made"
