"""The database is kept healthy at night, and by day when the night was missed."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.edge.house import opened
from pipeline.edge.upkeep import OVERDUE, DamagedStore, is_overdue, keep_house
from tests.edge.make import NOW

DIALECTS = Path(__file__).parents[2] / "config" / "dialects"


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration whose store is of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    (tmp_path / "dialects").symlink_to(DIALECTS)
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "{url}"')
    return tmp_path


def test_housekeeping_is_not_overdue_on_the_first_day_and_is_after_a_missed_night(config: Path) -> None:
    with opened(config) as house:
        assert not is_overdue(house, NOW)
        assert not is_overdue(house, NOW + OVERDUE)
        assert is_overdue(house, NOW + OVERDUE + timedelta(seconds=1))


def test_keeping_house_is_remembered(config: Path) -> None:
    with opened(config) as house:
        assert not is_overdue(house, NOW - timedelta(days=30))
        assert keep_house(house) >= 0
        assert not is_overdue(house, NOW)


def test_a_damaged_database_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "dialects").symlink_to(DIALECTS)
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    with opened(tmp_path) as house:
        house.database.tidy()
    store = tmp_path / "store.sqlite3"
    content = bytearray(store.read_bytes())
    content[-4096:-3896] = b"\xff" * 200  # one page, and none that is needed to start
    store.write_bytes(content)
    with opened(tmp_path) as house, pytest.raises(DamagedStore):
        keep_house(house)
