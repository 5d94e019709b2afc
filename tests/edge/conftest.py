"""The database in both its kinds: what holds for one must hold for the other."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.edge.configuration.service_settings import Engine
from pipeline.edge.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database at the present schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/dxatrend.sqlite3"
    else:
        url = request.getfixturevalue("postgresql_url")
    database = Database(url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture(params=get_args(Engine))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine of the listener: what one does, the other does too, unless a test is marked ``event_driven``."""
    engine: Engine = request.param
    if engine == "pynetdicom" and (mark := request.node.get_closest_marker("event_driven")):
        pytest.skip(mark.args[0])
    return engine
