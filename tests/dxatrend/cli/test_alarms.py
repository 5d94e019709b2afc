"""``dxatrend alarms``: what is raised and what to do; shelve it, and try whether messages get out."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dxatrend.cli.main import main
from pipeline.edge.alarm_kinds import ALL
from pipeline.edge.store import destination_outages
from pipeline.edge.store.audit_schema import audit
from tests import peers
from tests.factories.receivers import mail_server, web_server
from tests.factories.watched import watched

DESTINATION = """
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
"""
AT_ONCE = 'off = ["backup_old"]\nhold_off_minutes = { destination_away = 0 }\n'


def run(folder: Path, *command: str) -> int:
    return main(["--config", str(folder), "alarms", *command])


def test_an_alarm_is_listed_with_what_to_do_shelved_with_who_and_why_and_told_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with watched(tmp_path, AT_ONCE, rest=DESTINATION) as department:
        with department.app.database.write() as connection:
            destination_outages.record_failure(
                connection, "pacs", wait=timedelta(hours=1), detail="away", at=department.now
            )
        department.look()
        assert run(tmp_path) == 0
        listed = capsys.readouterr().out
        assert "medium: pacs takes no addenda" in listed
        assert "dxatrend release pacs    [destination_away:pacs]" in listed
        tomorrow = str((datetime.now(UTC) + timedelta(days=1)).date())
        shelf = ("shelve", "destination_away:pacs", "--until", tomorrow, "--reason", "upgrade")
        assert run(tmp_path, *shelf) == 0
        capsys.readouterr()
        assert run(tmp_path) == 0
        assert ": upgrade" in capsys.readouterr().out
        with department.app.database.read() as connection:
            (detail,) = connection.scalars(select(audit.c.detail).where(audit.c.event == "shelved"))
        assert json.loads(detail)["reason"] == "upgrade"
        assert run(tmp_path, "unshelve", "destination_away:pacs") == 0
        assert run(tmp_path, "unshelve", "destination_away:pacs") == 1
        capsys.readouterr()
        assert run(tmp_path, "--json") == 0
        (found,) = json.loads(capsys.readouterr().out)["raised"]
        assert (found["kind"], found["subject"], found["shelf"]) == ("destination_away", "pacs", None)


@pytest.mark.parametrize(
    ("alarm", "until", "problem"),
    [("nothing", "2099-01-01", "no alarm is called 'nothing'"), ("held", "2020-01-01", "until is a day from")],
)
def test_what_cannot_be_shelved_is_told_why(
    alarm: str, until: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with watched(tmp_path):
        assert run(tmp_path, "shelve", alarm, "--until", until, "--reason", "x") == 1
    assert problem in capsys.readouterr().err


def test_every_kind_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--kinds") == 0
    listed = capsys.readouterr().out
    assert all(kind.name in listed for kind in ALL)
    assert "… takes no addenda" in listed


def test_a_test_goes_out_by_every_way_and_says_which_one_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mail_server() as mail, web_server() as web:
        ways = f"""
        [alarms.mail]
        to = ["admin@example.org"]
        sender = "dxatrend@example.org"
        host = "127.0.0.1"
        port = {mail.port}
        security = "none"
        [alarms.webhook]
        url = "http://127.0.0.1:{peers.free_port()}"
        [alarms.heartbeat]
        url = "{web.url}"
        """
        with watched(tmp_path, ways):
            assert run(tmp_path, "test") == 1
        said = capsys.readouterr().out.splitlines()
        assert said[0] == "mail: sent"
        assert said[1].startswith("webhook: 127.0.0.1: ")
        assert said[2] == "heartbeat: heard"
        assert mail.subjects == ["Test: alarms get here"]


def test_a_test_without_any_way_out_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(tmp_path):
        assert run(tmp_path, "test") == 1
    assert "no way out is set" in capsys.readouterr().err
