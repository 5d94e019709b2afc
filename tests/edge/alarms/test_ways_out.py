"""A message gets out by a real mail server, a real web server and Apprise; what cannot be sent says why, not what."""

import json
import ssl
from pathlib import Path

import pytest

from pipeline.edge.alarms import ways_out
from pipeline.edge.alarms.ways_out import (
    SIGNATURE,
    TIMESTAMP,
    NotSentError,
    secret_problems,
    send_by_apprise,
    send_heartbeat,
    send_mail,
    send_webhook,
    signature,
)
from pipeline.edge.configuration.alarm_settings import (
    AlarmsSettings,
    AppriseSettings,
    HeartbeatSettings,
    MailSettings,
    WebhookSettings,
)
from tests import peers
from tests.factories.certificates import Authority, Identity
from tests.factories.http_servers import trickling
from tests.factories.receivers import PASSWORD, USER, MailServer, mail_server, web_server

CONTENT = {"subject": "[dxatrend here] pacs takes no addenda\nBcc: x@example.org", "text": "Grüße\n", "alarms": []}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Authority(tmp_path_factory.mktemp("tls") / "authority").sign("mail", address="127.0.0.1")


def context_of(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def settings(server: MailServer, **changed: object) -> MailSettings:
    given = {"to": ("a@example.org", "b@example.org"), "sender": "dxatrend@example.org", "host": "127.0.0.1"}
    return MailSettings.model_validate({**given, "port": server.port, "security": "none", **changed})


def test_a_mail_has_both_receivers_a_subject_of_one_line_and_its_text():
    with mail_server() as server:
        send_mail(settings(server), CONTENT, "dxatrend-7")
        (mail,) = server.mails
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["Subject"] == "[dxatrend here] pacs takes no addenda Bcc: x@example.org"
    assert mail["Bcc"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].startswith("<dxatrend-7@")
    assert mail.get_content().split() == ["Grüße"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd does not see its own TLS
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_over_tls_with_a_log_in_from_a_file(security: str, identity: Identity, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o640)
    with mail_server(**{security: context_of(identity)}) as server:
        logged_in = {"user": USER, "password_file": password, "ca": identity.ca, "security": security}
        send_mail(settings(server, **logged_in), CONTENT, "1")
        assert len(server.mails) == 1
        assert server.was_encrypted == [security == "starttls"]  # aiosmtpd does not tell of TLS from the start


def test_a_wrong_password_an_unknown_authority_and_a_mail_server_that_is_away_are_told_without_the_password(
    identity: Identity,
):
    with mail_server(starttls=context_of(identity)) as server:
        wrong = settings(server, user=USER, password="secret of mine", ca=identity.ca, security="starttls")
        with pytest.raises(NotSentError, match="answered 535") as refused:
            send_mail(wrong, CONTENT, "1")
        assert "secret" not in str(refused.value)
        with pytest.raises(NotSentError, match=r"TLS: .*certificate"):
            send_mail(settings(server, security="starttls"), CONTENT, "1")
        with pytest.raises(NotSentError):
            send_mail(settings(server, security="none"), CONTENT, "1")
        away = settings(server, port=peers.free_port())
    with pytest.raises(NotSentError, match="Connection refused"):
        send_mail(away, CONTENT, "1")


def test_a_password_file_that_everybody_can_read_is_not_used(tmp_path: Path):
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    with mail_server() as server, pytest.raises(NotSentError, match="everybody can read"):
        send_mail(settings(server, user=USER, password_file=password), CONTENT, "1")


def test_a_webhook_is_signed_so_that_its_receiver_can_check_it(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("key of the webhook\n")
    secret.chmod(0o600)
    with web_server() as server:
        send_webhook(WebhookSettings(url=f"{server.url}/hook", secret_file=secret), CONTENT, "dxatrend-7")
        ((asked, headers, body),) = server.requests
    assert asked == "POST /hook"
    assert json.loads(body) == {"id": "dxatrend-7", **CONTENT}
    assert headers[SIGNATURE] == signature("key of the webhook", headers[TIMESTAMP], body)
    assert headers[SIGNATURE] != signature("another key", headers[TIMESTAMP], body)


@pytest.mark.parametrize("status", [302, 401, 500])
def test_a_webhook_that_is_not_answered_with_2xx_is_not_sent(status: int):
    with web_server() as server:
        server.status = status
        with pytest.raises(NotSentError, match=f"127.0.0.1 answered {status}"):
            send_webhook(WebhookSettings(url=server.url), CONTENT, "1")
        assert len(server.requests) == 1


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise looks whether it is there
def test_a_service_that_apprise_knows_gets_the_message(tmp_path: Path):
    with web_server() as server:
        url = tmp_path / "url"
        url.write_text(server.url.replace("http:", "json:") + "/room")
        url.chmod(0o600)
        send_by_apprise(AppriseSettings(url_file=url), CONTENT)
        ((asked, _, body),) = server.requests
        server.status = 500
        with pytest.raises(NotSentError, match="could not send"):
            send_by_apprise(AppriseSettings(url_file=url), CONTENT)
    assert asked == "POST /room"
    assert json.loads(body)["message"].strip() == "Grüße"
    with pytest.raises(NotSentError, match="does not know"):
        send_by_apprise(AppriseSettings(url="nothing://of-the-kind"), CONTENT)


def test_a_heartbeat_asks_for_its_url():
    with web_server() as server:
        send_heartbeat(HeartbeatSettings(url=f"{server.url}/ping/1"))
        assert [asked for asked, _, _ in server.requests] == ["GET /ping/1"]


def test_a_web_server_that_answers_without_end_keeps_no_alarm_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with trickling(endless_body=True) as server:
        send_webhook(WebhookSettings(url=f"http://127.0.0.1:{server.port}"), CONTENT, "1")
        assert not server.is_over
    monkeypatch.setattr(ways_out, "SECONDS", 1)
    with trickling() as server, pytest.raises(NotSentError, match=r"127\.0\.0\.1: \w+"):
        send_heartbeat(HeartbeatSettings(url=f"http://127.0.0.1:{server.port}"))
    assert not server.is_over


def test_a_check_finds_every_secret_that_cannot_be_used(tmp_path: Path):
    (tmp_path / "empty").touch(0o600)
    given = {
        "mail": {"to": ["a@b"], "sender": "a@b", "host": "127.0.0.1", "user": "u", "password_file": tmp_path / "none"},
        "webhook": {"url": "https://localhost", "secret_file": tmp_path / "empty"},
        "apprise": {"url": "json://localhost"},
    }
    assert list(secret_problems(AlarmsSettings.model_validate(given))) == [
        "alarms.mail.password_file: No such file or directory",
        "alarms.webhook.secret_file: the file is empty",
    ]
