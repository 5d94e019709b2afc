"""A department with a phantom, on either kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories.phantoms import PhantomDepartment, phantom_department


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.sqlite3"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def department(url: str, tmp_path: Path) -> Iterator[PhantomDepartment]:
    """A scanner that scans its phantom, and patients."""
    with phantom_department(tmp_path, url) as made:
        yield made
