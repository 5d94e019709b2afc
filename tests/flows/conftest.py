"""One Prefect server, which is not ours, for whatever is deployed to it or runs under it."""

from collections.abc import Iterator

import pytest

from tests import peers
from tests.peers import PrefectServer


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """The server, for one module: what runs on it takes the few places there are for runs of a flow."""
    with peers.prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server
