"""A database that does not answer is told, and its end, without any database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.edge.alarms.store_outage import StoreOutage
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import ServiceSettings
from tests.factories.receivers import mail_server

MINUTE = timedelta(minutes=1)


def settings(folder: Path, port: int) -> ServiceSettings:
    (folder / "service.toml").write_text(f"""
        [alarms.mail]
        to = ["admin@example.org"]
        sender = "dxatrend@example.org"
        host = "127.0.0.1"
        port = {port}
        security = "none"
        """)
    loaded, _ = load_configuration(folder)
    return loaded.service


class Outage:
    """An outage with a clock that is moved."""

    def __init__(self, service: ServiceSettings) -> None:
        self.now = datetime.now(UTC)
        self.outage = StoreOutage(service, clock=lambda: self.now)

    def fail(self, minutes: int) -> None:
        for _ in range(minutes):
            self.outage.failed("OperationalError")
            self.now += MINUTE


def test_a_database_that_is_away_is_told_after_five_minutes_once_and_its_end_once(tmp_path: Path):
    with mail_server() as mail:
        played = Outage(settings(tmp_path, mail.port))
        played.fail(5)
        assert mail.mails == []
        played.fail(30)
        assert mail.subjects == ["The database does not answer: nothing is received and nothing delivered"]
        played.outage.works()
        played.outage.works()
        assert len(mail.mails) == 2
        assert mail.subjects[1].startswith("Over after 35 min: ")


def test_a_database_that_is_away_for_a_moment_is_not_told(tmp_path: Path):
    with mail_server() as mail:
        played = Outage(settings(tmp_path, mail.port))
        played.fail(4)
        played.outage.works()
        played.fail(4)
        assert mail.mails == []


def test_what_could_not_be_sent_is_sent_at_the_next_look(tmp_path: Path):
    with mail_server() as mail:
        mail.refuses = "451 4.3.0 later"
        played = Outage(settings(tmp_path, mail.port))
        played.fail(8)
        assert mail.mails == []
        mail.refuses = None
        played.fail(2)
        assert len(mail.mails) == 1
