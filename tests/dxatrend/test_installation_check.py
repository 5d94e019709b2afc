"""What ``dxatrend check`` prints is data, from which the desk shows the same."""

import socket
import ssl
import threading
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from dxatrend.installation_check import check
from pipeline.edge.app import open_app
from pipeline.edge.overview.check_result import Level
from pipeline.edge.store import caller_certificates
from pipeline.edge.store.caller_certificates import CallerCertificate
from pipeline.edge.store.database import Database
from tests import peers
from tests.factories.certificates import Authority

TODAY = date(2026, 3, 1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with an LSC that has expired, a caller without host and a destination that is away."""
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{tmp_path}/store.sqlite3"
        [[listener.caller]]
        ae_title = "ANYBODY"
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = {peers.free_port()}
        [prefect]
        port = {peers.free_port()}
        """)
    with open_app(tmp_path):
        pass
    return tmp_path


def test_each_result_says_whether_something_must_be_corrected(config: Path) -> None:
    found = {result.text: result.level for result in check(config, on=TODAY)}
    assert found.pop("the Prefect server does not answer") is Level.ADVICE, "the work goes on without it"
    (problem,) = (text for text, level in found.items() if level is Level.PROBLEM)
    assert problem.startswith("destination pacs: ")
    (advice,) = (text for text, level in found.items() if level is Level.ADVICE)
    assert advice.startswith("listener.caller ANYBODY: ")


def test_the_command_prints_the_texts_in_their_order_and_fails_where_there_is_a_problem(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--config", str(config)]) == 1
    assert capsys.readouterr().out.splitlines() == [result.text for result in check(config, on=TODAY)]


def test_a_store_that_does_not_exist_yet_is_a_problem_and_is_not_made(config: Path) -> None:
    (config / "store.sqlite3").unlink()
    problems = [result.text for result in check(config, on=TODAY) if result.level is Level.PROBLEM]
    assert any("there is no store" in problem for problem in problems)
    assert not (config / "store.sqlite3").exists()


def test_strict_fails_where_a_person_should_look_at_something(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts: 0 where all is well, 1 where anything is doubtful; without it what works is no failure."""
    sent = config / "sent"
    sent.mkdir()
    text = (config / "service.toml").read_text()
    text = text[: text.index("[[destination]]")] + f'[[destination]]\nname = "x"\nkind = "folder"\nfolder = "{sent}"\n'
    (config / "service.toml").write_text(text)
    assert main(["check", "--config", str(config)]) == 0
    assert main(["check", "--strict", "--config", str(config)]) == 1
    assert main(["status", "--config", str(config)]) == 0
    assert main(["status", "--strict", "--config", str(config)]) == 1
    assert "without a host its AE title is the only secret" in capsys.readouterr().out


def test_check_and_status_judge_by_the_same_words(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{config}/store.sqlite3"\n[desk]\nport = 11112\n'
        "[alarms.webhook]\nurl = 'https://x.example.org'\nca = 'ca.pem'\n"
    )
    assert main(["check", "--config", str(config)]) == 1
    checked = capsys.readouterr().out.splitlines()
    assert main(["status", "--config", str(config)]) == 0
    shown = capsys.readouterr().out.splitlines()
    for told in (
        "listener.port and desk.port: both are 11112, and only one of them can listen there; give one of them another "
        "port",
        f"alarms.webhook.ca: {config}/ca.pem: No such file or directory",
        "destination: addenda go nowhere, as no [[destination]] is listed; add the PACS",
    ):
        assert told in checked
        assert told in shown


def test_a_disk_below_its_reserve_is_a_problem(config: Path) -> None:
    text = (config / "service.toml").read_text()
    (config / "service.toml").write_text(text.replace("[store]", "[store]\nreserve_mb = 1_000_000_000"))
    problems = [result.text for result in check(config, on=TODAY) if result.level is Level.PROBLEM]
    assert any(problem.startswith("store.reserve_mb: ") for problem in problems)


def test_a_folder_of_backups_that_can_only_be_read_is_a_problem(config: Path) -> None:
    """Else it is known in the morning after the first night only."""
    with peers.small_disk(config / "disk", megabytes=1) as disk, (config / "service.toml").open("a") as file:
        file.write(f'\n[backup]\nfolder = "{disk.folder}/not/there/yet"\n')
        file.flush()
        told = f"backup.folder: {disk.folder}/not/there/yet: nothing can be written there"
        for is_protected in (False, True):
            disk.write_protect(is_protected)
            problems = [result.text for result in check(config, on=TODAY) if result.level is Level.PROBLEM]
            assert any(problem.startswith(told) for problem in problems) is is_protected


def test_a_folder_of_backups_that_others_can_write_to_is_told(config: Path) -> None:
    """They could put a store of theirs in the place of a backup."""
    folder = config / "backups"
    folder.mkdir()
    with (config / "service.toml").open("a") as file:
        file.write(f'\n[backup]\nfolder = "{folder}"\n')
    told = f"backup.folder: every user can write to {folder}, "
    for mode in (0o700, 0o777):
        folder.chmod(mode)
        advice = [result.text for result in check(config, on=TODAY) if result.level is Level.ADVICE]
        assert any(one.startswith(told) for one in advice) is (mode == 0o777)


def test_a_certificate_that_a_destination_shows_is_told_a_month_before_its_end(tmp_path: Path) -> None:
    """Nobody else notices that a PACS's certificate ends: the day after, every delivery fails."""
    authority = Authority(tmp_path / "authority")
    theirs = authority.sign("pacs", days=20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    with socket.create_server((peers.LOOPBACK, 0)) as server:
        (tmp_path / "ris.toml").write_text('[[obx]]\ntype = "TX"\nvalue = "{impression}"\ncode = "A^B^L"\n')
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "service.toml").write_text(
            f"""
            [[destination]]
            name = "ris"
            kind = "hl7"
            host = "{peers.LOOPBACK}"
            port = {server.getsockname()[1]}
            mapping = "../ris.toml"
            [destination.tls]
            ca = "{authority.certificate}"
            [prefect]
            port = {peers.free_port()}
            """
        )
        thread = threading.Thread(target=_shake_hands, args=(server, context), daemon=True)
        thread.start()
        found = [result.text for result in check(tmp_path / "config", on=datetime.now(UTC).date())]
        server.shutdown(socket.SHUT_RDWR)  # else accept() never ends
        thread.join(30)
    ends = datetime.now(UTC).date() + timedelta(days=20)
    told = "; ask whoever runs it to renew it; after that day nothing is sent there"
    assert f"destination ris: the certificate that it shows ends on {ends}{told}" in found


@pytest.mark.parametrize(
    ("title", "days", "away", "told"),
    [
        ("SCANNER1", 31, 0, None),
        ("SCANNER1", 20, 0, "this certificate ends in 20 days, on {}; renew it"),
        ("SCANNER1", -3, 5, "this certificate has ended on {}; renew it"),
        ("SCANNER1", 20, 31, None),
        ("SCANNER1", -31, 32, None),
        ("FORMER", 20, 0, None),
    ],
    ids=["ends late", "ends soon", "has ended", "calls no longer", "has long ended", "is no caller any more"],
)
def test_a_certificate_that_a_caller_has_shown_is_told_a_month_before_its_end(
    tmp_path: Path, title: str, days: int, away: int, told: str | None
) -> None:
    """The day after, the scanner can send nothing, and it is the only one to know why."""
    ours = Authority(tmp_path / "authority").sign("dxatrend")
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "service.toml").write_text(
        f"""
        [store]
        url = "{store}"
        [[listener.caller]]
        ae_title = "SCANNER1"
        [listener.tls]
        {ours.toml}
        [prefect]
        port = {peers.free_port()}
        """
    )
    today = datetime.now(UTC)
    last_day = today.date() + timedelta(days=days)
    shown = CallerCertificate(
        calling_ae_title=title, host="192.0.2.10", last_day=last_day, seen_at=today - timedelta(days=away)
    )
    with closing(Database(store)) as database:
        database.migrate()
        with database.write() as connection:
            caller_certificates.record(connection, [shown])
    results = [one.text for one in check(tmp_path / "config", on=today.date()) if "192.0.2.10" in one.text]
    assert results == ([f"certificate of SCANNER1 at 192.0.2.10: {told.format(last_day)}"] if told else [])


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    """Answer connections over TLS until the server is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)
