"""The database in both its kinds: what holds for one must hold for the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.edge.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database at the present schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/dxatrend.sqlite3"
    else:
        url = request.getfixturevalue("postgresql_url")
    open_app = Database(url)
    open_app.migrate()
    yield open_app
    open_app.close()
