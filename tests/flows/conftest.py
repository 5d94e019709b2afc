"""One Prefect server, which is not ours, for whatever is deployed to it or runs under it."""

from collections.abc import Iterator

import pytest

from tests import peers
from tests.peers import PrefectServer


@pytest.fixture(scope="package")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The server."""
    with peers.prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server
