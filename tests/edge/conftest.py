"""Databases of both kinds, both engines of the listener, and a store with exams that have been answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.edge.app import open_app
from pipeline.edge.configuration.service_settings import Engine
from pipeline.edge.store.database import Database
from tests.factories.answered_exams import follow_all, l1_l4, receive


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


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration whose files may be changed between two openings of the app."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "{url}"
        [exam]
        late_days = 36500
        [reprocess]
        addenda_per_minute = 10000
        shards = 3
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        """)
    return tmp_path


@pytest.fixture
def two_exams(folder: Path) -> Path:
    """A patient with exams in 2022 and 2024 on one scanner, both answered; another patient with one."""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        receive(app, l1_l4("0.800", study="2.25.12", date="20240101", PatientID="P2"), "2.25.3")
        follow_all(app)
    return folder
