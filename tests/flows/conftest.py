"""One Prefect server, which is not ours, for whatever is deployed to it or runs under it."""

from collections.abc import Iterator

import pytest

from tests import peers


@pytest.fixture(scope="package")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of its API."""
    with peers.prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url
