"""Two configurations of one store never work unnoticed, and the running service can read a new one."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from dxatrend.cli.main import main
from pipeline.edge.store.audit_schema import audit
from pipeline.edge.store.database import Database
from pipeline.edge.store.process_schema import process
from tests import peers
from tests.factories.service import Service
from tests.folders import SAMPLES

PRECISION = (SAMPLES / "precision.toml").read_text()
OTHER_PRECISION = PRECISION.replace('"0.', '"0.1')


class Running:
    """The service in processes of its own, beside commands and a look at the store in this one."""

    def __init__(self, service: Service, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        self.service, self.config, self._database, self._capsys = service, service.config, database, capsys

    def run(self, *command: str) -> tuple[int, str]:
        """One command: its exit status and what it said."""
        self._capsys.readouterr()
        status = main([*command, "--config", str(self.config)])
        output = self._capsys.readouterr()
        return status, output.out + output.err

    def processes(self) -> list[tuple[str, str]]:
        """Part and digest of the processes on file that read the configuration."""
        with self._database.read() as connection:
            query = select(process.c.part, process.c.clinical).where(process.c.clinical.is_not(None))
            rows = connection.execute(query.where(process.c.state == "running"))
            return sorted((row.part, row.clinical) for row in rows)

    def write(self, *statements: object) -> None:
        with self._database.write() as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def lscs(self) -> set[str]:
        """Which LSCs changes were judged by so far."""
        with self._database.read() as connection:
            compared = [json.loads(detail) for detail in connection.scalars(select(audit.c.detail).where(COMPARED))]
        changes = [region["since_prior"] for told in compared for region in told["regions"] if region["since_prior"]]
        return {change["lsc"]["lsc"] for change in changes if change["lsc"]}

    def send(self, sample: str) -> None:
        self.service.send(sorted((SAMPLES / sample).glob("*.dcm")))

    def hang_up(self) -> None:
        """What ``systemctl reload`` does."""
        assert self.service._process is not None
        self.service._process.send_signal(signal.SIGHUP)


COMPARED = audit.c.event == "compared"

PARTS = 4
"""Listener, worker, monitor and desk: the parts that read the clinical configuration."""


@pytest.fixture(params=["sqlite", "postgresql"])
def running(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Running]:
    """The service, running, without Prefect; its precision.toml is its own."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    monkeypatch.setenv("DXATREND_SERVICE__PREFECT__API_URL", f"http://127.0.0.1:{peers.free_port()}/api")
    service = Service(tmp_path, destination_port=peers.free_port(), settle_seconds=0, url=url)
    (service.config / "precision.toml").unlink()
    (service.config / "precision.toml").write_text(PRECISION)
    service.start()
    with closing(Database(url or f"sqlite:///{tmp_path}/dxatrend.sqlite3")) as database:
        made = Running(service, database, capsys)
        peers.wait_until(lambda: len(made.processes()) == PARTS, seconds=60, what="its parts are known")
        yield made
    service.kill()


def test_a_command_with_another_configuration_says_that_a_restart_is_needed_and_writes_nothing(
    running: Running, tmp_path: Path
) -> None:
    table = tmp_path / "context.csv"
    table.write_text("patient_id,recorded_on,menopause\nP1,2026-02-01,after\n")
    assert "restart needed" not in running.run("status")[1]
    (running.config / "precision.toml").write_text(OTHER_PRECISION)
    for command in (["check"], ["status"], ["held"]):
        assert "restart needed: the service still works with the configuration of 20" in running.run(*command)[1]
    for command in (["reprocess"], ["context", "load", str(table)], ["load", str(tmp_path)], ["release", "pacs"]):
        status, output = running.run(*command)
        assert status == 1
        assert "restart needed" in output
        assert "Nothing was changed; --force" in output
    assert running.run("context", "show", "P1")[0] == 1
    assert running.run("reprocess", "--dry-run")[0] == 0
    status, output = running.run("context", "load", str(table), "--force")
    assert (status, "1 records read" in output) == (0, True)
    running.service.stop()
    assert "restart needed" not in running.run("status")[1], "nobody works with another configuration"
    assert running.run("reprocess")[0] == 0
    assert running.run("reload") == (1, "no listener or worker of the service is running\n")


@pytest.mark.parametrize("way", ["command", "signal"])
def test_the_running_service_takes_a_new_clinical_configuration_and_keeps_the_old_one_where_the_new_has_a_mistake(
    running: Running, way: str
) -> None:
    running.send("02-spine-loss")
    peers.wait_until(running.lscs, seconds=60, what="the exams are compared")
    assert not any(lsc.startswith("0.1") for lsc in running.lscs())
    before = running.processes()

    (running.config / "rules.toml").write_text("no_such_rule = 1")
    if way == "command":
        assert running.run("reload")[0] == 2
    else:
        running.hang_up()
        logged = "the configuration cannot be used, and the one before stays: rules.toml, line 1: no_such_rule"
        log = running.service.log
        peers.wait_until(lambda: log.read_text().count(logged) == PARTS, seconds=30, what="the mistake is told")
    assert running.processes() == before

    (running.config / "rules.toml").unlink()
    (running.config / "precision.toml").write_text(OTHER_PRECISION)
    if way == "command":
        status, output = running.run("reload")
        assert status == 0, output
        assert output.count("has read its clinical configuration again") == PARTS
    else:
        running.hang_up()
        olds = {digest for _, digest in before}
        peers.wait_until(
            lambda: not any(digest in olds for _, digest in running.processes()), seconds=30, what="all have read it"
        )
    assert "restart needed" not in running.run("check")[1]
    running.send("03-gain")
    peers.wait_until(
        lambda: any(lsc.startswith("0.1") for lsc in running.lscs()), seconds=60, what="the new LSC counts"
    )


def test_what_counts_from_the_next_start_only_is_said_after_a_reload_too(running: Running) -> None:
    told = running.config / "service.toml"
    told.write_text(told.read_text().replace('name = "pacs"', 'name = "other"'))
    status, output = running.run("reload")
    assert status == 1
    assert "restart needed" in output
    assert "dxatrend reload is enough" not in output


def test_the_dead_block_nobody(running: Running) -> None:
    running.service.kill()
    (running.config / "precision.toml").write_text(OTHER_PRECISION)
    assert len(running.processes()) == PARTS, "they had no time to say that they end"
    peers.wait_until(lambda: running.run("reprocess")[0] == 0, seconds=10, what="the system knows that they are gone")
    long_ago, later = datetime.now(UTC) - timedelta(minutes=2), datetime.now(UTC) + timedelta(hours=1)
    row = {
        "part": "worker",
        "state": "running",
        "since": long_ago,
        "clinical": "-",
        "service": "-",
        "read_at": long_ago,
    }
    running.write(
        insert(process).values(owner="other-machine/1.1", seen_at=long_ago, **row),
        insert(process).values(owner="third-machine/1.1", seen_at=later, **row),
    )
    assert running.run("reprocess")[0] == 0, "one gave no sign of life, the other's clock was put back"
    running.write(update(process).values(seen_at=datetime.now(UTC)).where(process.c.owner == "third-machine/1.1"))
    status, output = running.run("reprocess")
    assert (status, "third-machine" in output) == (1, True)
