"""An installation makes each of its secrets once."""

from pathlib import Path

from pipeline.edge.app import open_app
from pipeline.edge.store import installation_secrets
from tests.factories.answered_exams import in_both_databases


@in_both_databases
def test_a_secret_is_made_once_and_is_another_for_each_purpose(folder: Path) -> None:
    found = []
    for purpose in ("anonymity", "anonymity", "another"):
        with open_app(folder) as app, app.database.write() as connection:
            found.append(installation_secrets.secret(connection, purpose))
    first, again, other = found
    assert first == again
    assert first != other
    assert len(first) == 32
