"""Who watches, and what becomes of a message: one process at a time, retry until it is out, and nobody told twice."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from pipeline.edge.alarms.watch import Watcher
from pipeline.edge.store import alarm_messages, alarms, destination_outages, work_queue
from pipeline.edge.store.alarm_schema import alarm, alarm_message, alarm_watch
from tests.factories.receivers import mail_server, web_server
from tests.factories.watched import Watched, watched

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DESTINATION = """
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
"""
AT_ONCE = 'off = ["backup_old"]\nhold_off_minutes = { destination_away = 0 }\n'


def mail_settings(port: int) -> str:
    return f"""
        [alarms.mail]
        to = ["admin@example.org"]
        sender = "dxatrend@example.org"
        host = "127.0.0.1"
        port = {port}
        security = "none"
        """


def lose_the_pacs(department: Watched) -> None:
    with department.app.database.write() as connection:
        destination_outages.record_failure(connection, "pacs", wait=HOUR, detail="away", at=department.now)


def test_a_service_where_nothing_is_wrong_raises_nothing_and_sends_nothing(tmp_path: Path):
    with mail_server() as mail, watched(tmp_path, mail_settings(mail.port)) as department:
        department.pass_time(20 * MINUTE, every=2 * MINUTE)
        assert department.raised() == []
        assert mail.mails == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_one_process_watches_and_another_takes_over_when_it_is_gone(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    url = request.getfixturevalue("postgresql_url") if kind == "postgresql" else ""
    with watched(tmp_path, AT_ONCE, url=url, rest=DESTINATION) as department:
        department.look()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
            with department.app.database.write() as connection:
                connection.execute(
                    update(alarm_watch).values(
                        lease_owner=work_queue.owner(other.pid), leased_until=department.now + MINUTE
                    )
                )
            lose_the_pacs(department)
            department.look()
            assert department.raised() == [], "the other one watches"
        department.look()
        assert department.raised() == [("destination_away", "pacs")]


def test_a_lease_from_before_the_clock_was_set_back_keeps_nobody_from_watching(tmp_path: Path):
    with watched(tmp_path, AT_ONCE, rest=DESTINATION) as department:
        with department.app.database.write() as connection:
            alarms.lease(connection, at=department.now)
            far = department.now + 30 * DAY
            connection.execute(update(alarm_watch).values(lease_owner="elsewhere/1.1", leased_until=far))
        lose_the_pacs(department)
        department.look()
        assert department.raised() == [("destination_away", "pacs")]


def test_a_message_waits_for_a_mail_server_that_is_away_while_the_webhook_has_it_at_once(tmp_path: Path):
    with mail_server() as mail, web_server() as web:
        mail.refuses = "451 4.3.0 try again later"
        ways = f'{mail_settings(mail.port)}\n        [alarms.webhook]\n        url = "{web.url}"'
        with watched(tmp_path, AT_ONCE + ways, rest=DESTINATION) as department:
            department.look()
            lose_the_pacs(department)
            department.look(after=MINUTE)
            assert len(web.requests) == 1
            department.pass_time(10 * MINUTE, every=2 * MINUTE)
            assert mail.mails == []
            mail.refuses = None
            department.pass_time(20 * MINUTE, every=2 * MINUTE)
            assert mail.subjects == ["pacs takes no addenda"]
            assert len(web.requests) == 1


def test_messages_that_do_not_get_out_are_an_alarm_that_withholds_the_heartbeat_and_are_given_up_in_the_end(
    tmp_path: Path,
):
    with mail_server() as mail, web_server() as web:
        mail.refuses = "550 5.7.1 no"
        ways = f'{mail_settings(mail.port)}\n        [alarms.heartbeat]\n        url = "{web.url}"'
        with watched(tmp_path, AT_ONCE + ways, rest=DESTINATION) as department:
            department.look()
            assert len(web.requests) == 1
            lose_the_pacs(department)
            department.pass_time(70 * MINUTE, every=2 * MINUTE)
            assert ("messages_stuck", "mail") in department.raised()
            heard = len(web.requests)
            department.pass_time(20 * MINUTE, every=2 * MINUTE)
            assert len(web.requests) == heard
            department.look(after=4 * DAY)
            with department.app.database.read() as connection:
                states = connection.execute(select(alarm_message.c.state, alarm_message.c.reason)).all()
            assert ("ignored", alarm_messages.GIVEN_UP) in states


def test_a_watcher_that_is_started_again_tells_nothing_twice(tmp_path: Path):
    with (
        mail_server() as mail,
        watched(tmp_path, AT_ONCE + mail_settings(mail.port), rest=DESTINATION) as department,
    ):
        department.look()
        lose_the_pacs(department)
        department.look(after=MINUTE)
        department.watcher = Watcher(department.app, clock=lambda: department.now)
        department.pass_time(30 * MINUTE, every=2 * MINUTE)
        assert mail.subjects == ["pacs takes no addenda"]


def test_a_message_gives_times_in_the_zone_of_the_department_and_a_link_to_its_desk(tmp_path: Path):
    ways = 'desk_url = "https://desk.example.org/"\nsite = "Radiology North"\n'
    with (
        mail_server() as mail,
        watched(tmp_path, AT_ONCE + ways + mail_settings(mail.port), rest=DESTINATION) as department,
    ):
        department.look()
        lose_the_pacs(department)
        department.look(after=MINUTE)
        (sent,) = mail.mails
    zone = department.app.settings.service.exam.zone
    assert sent["Subject"].startswith("[dxatrend Radiology North] ")
    assert f"since {(department.now - MINUTE).astimezone(zone):%Y-%m-%d %H:%M %Z}" in mail.text
    assert "Page: https://desk.example.org/" in mail.text
    assert "Command: dxatrend release pacs" in mail.text


def test_alarms_and_messages_go_at_the_end_of_their_time(tmp_path: Path):
    with watched(tmp_path, AT_ONCE, rest=DESTINATION) as department:
        with department.app.database.write() as connection:
            alarm_messages.add(connection, ["mail"], json.loads("{}"), at=department.now - 100 * DAY)
            connection.execute(update(alarm_message).values(state="done"))
        lose_the_pacs(department)
        department.look()
        with department.app.database.write() as connection:
            destination_outages.end(connection, "pacs")
        department.pass_time(30 * MINUTE, every=2 * MINUTE)
        department.look(after=400 * DAY)
        lose_the_pacs(department)
        department.look(after=MINUTE)
        with department.app.database.read() as connection:
            assert connection.scalars(select(alarm.c.kind).where(alarm.c.ended_at.is_not(None))).all() == []
            assert connection.scalars(select(alarm_message.c.id)).all() == []
