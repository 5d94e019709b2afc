"""A desk with sample patients: made once, as that takes seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import browser as browsers
from tests.factories.browser import RunningDesk

PATIENTS = ("01-stable", "02-spine-loss", "05-other-machine", "14-letters", "17-withdrawn")
"""The sample patients on file: a stable one, a loss, another machine, names in many scripts, a withdrawn exam."""


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration folder whose store has the sample patients; copy it before you change it."""
    folder = tmp_path_factory.mktemp("samples")
    browsers.load_samples(browsers.configure(folder), PATIENTS)
    return folder


@pytest.fixture(scope="module")
def desk(sample_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A running desk on a store of its own with the sample patients, for the tests of one module."""
    folder = tmp_path_factory.mktemp("desk")
    config = browsers.configure(folder)
    shutil.copy(sample_store / "dxatrend.sqlite3", folder)
    with browsers.running_desk(config) as running:
        yield running


@pytest.fixture
def empty_desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A running desk of its own for one test, with nothing on file and no account."""
    with browsers.running_desk(browsers.configure(tmp_path)) as running:
        yield running
