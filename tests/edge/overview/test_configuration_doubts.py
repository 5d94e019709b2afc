"""Settings without a mistake may still be wrong together: each such thing is told with what to do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.configuration_doubts import certificate_doubts, configuration_doubts
from pipeline.edge.overview.expiries import certificates_running_out
from tests.factories.certificates import Authority

GOOD = """
[[listener.caller]]
ae_title = "SCANNER1"
host = "192.0.2.10"
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "192.0.2.20"
port = 104
"""
OTHER = GOOD.partition("[[destination]]")[2].replace('"pacs"', '"other"')
HL7 = '[[destination]]\nname = "{}"\nkind = "hl7"\nhost = "ris"\nport = 2575\nmapping = "../ris.toml"\n'
FHIR = '[[destination]]\nname = "{}"\nkind = "fhir"\nurl = "https://fhir.example.org{}"\n'
MAPPING = '[[obx]]\ntype = "TX"\nvalue = "{impression}"\ncode = "A^B^L"\n'


def doubts(folder: Path, text: str, **environment: str) -> list[CheckResult]:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "service.toml").write_text(text)
    (folder / "ris.toml").write_text(MAPPING)
    settings, _ = load_configuration(folder / "config")
    return configuration_doubts(settings.service, environment)


def test_settings_that_serve_leave_no_doubt(tmp_path: Path) -> None:
    assert doubts(tmp_path, GOOD, DXATREND_CONFIG="/etc/dxatrend", DXATREND_SERVICE__LISTENER__PORT="104") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            GOOD.partition("[[destination]]")[0],
            "destination: addenda go nowhere, as no [[destination]] is listed; add the PACS",
        ),
        (
            "[[destination]]" + GOOD.partition("[[destination]]")[2],
            "listener.caller: no scanner may send, as no [[listener.caller]] is listed; add one for each; once one was "
            "rejected, dxatrend status and the page Set-up have its lines",
        ),
        (
            GOOD.replace('host = "192.0.2.10"', 'host = "192.0.2.10"\necho_only = true'),
            "listener.caller: no scanner may send, as no [[listener.caller]] is listed; add one for each; once one was "
            "rejected, dxatrend status and the page Set-up have its lines",
        ),
        (
            GOOD.replace('host = "192.0.2.10"', ""),
            "listener.caller SCANNER1: without a host its AE title is the only secret: anyone who knows it can send in "
            "its name",
        ),
        (
            GOOD + "[[destination]]" + OTHER,
            "destination pacs and other: both are the same system, which gets every addendum twice; remove one of them",
        ),
        (
            GOOD + HL7.format("one") + HL7.format("two"),
            "destination one and two: both are the same system, which gets every addendum twice; remove one of them",
        ),
        (
            GOOD + FHIR.format("one", "") + FHIR.format("two", "/"),
            "destination one and two: both are the same system, which gets every addendum twice; remove one of them",
        ),
    ],
)
def test_what_is_doubtful_is_told_and_the_service_goes_on(tmp_path: Path, text: str, told: str) -> None:
    assert [(one.level, one.text) for one in doubts(tmp_path, text)] == [(Level.ADVICE, told)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[desk]\nport = 11112",
            "listener.port and desk.port: both are 11112, and only one of them can listen there; give one of them "
            "another port",
        ),
        (
            "[prefect]\nport = 8470",
            "desk.port and prefect.port: both are 8470, and only one of them can listen there; give one of them "
            "another port",
        ),
        (
            "[monitor]\nport = 11112\nhost = '0.0.0.0'",
            "listener.port and monitor.port: both are 11112, and only one of them can listen there; give one of them "
            "another port",
        ),
        (
            "[adt]\nport = 4200\n[[adt.caller]]\nhost = '192.0.2.40'",
            "adt.port and prefect.port: both are 4200, and only one of them can listen there; give one of them another "
            "port",
        ),
        (
            "[[destination]]\nname = 'own'\nae_title = 'X'\nhost = 'localhost'\nport = 11112",
            "destination own: this is our own listener: every addendum would come back; enter the address and port of "
            "the PACS",
        ),
        (
            "[alarms.webhook]\nurl = 'https://x.example.org'\nca = 'ca.pem'",
            "alarms.webhook.ca: {}/ca.pem: No such file or directory",
        ),
        ("[alarms.webhook]\nurl = 'https://x.example.org'\nca = '.'", "alarms.webhook.ca: {}: Is a directory"),
        (
            FHIR.format("fhir", "") + "[destination.login]\ntoken_file = 'token'",
            "destination fhir: login.token_file: {}/token: No such file or directory",
        ),
    ],
)
def test_what_cannot_work_is_a_problem(tmp_path: Path, text: str, told: str) -> None:
    found = doubts(tmp_path, GOOD + text)
    assert [(one.level, one.text) for one in found] == [(Level.PROBLEM, told.format(tmp_path / "config"))]


@pytest.mark.parametrize(
    "text",
    [
        "[monitor]\nport = 11112\nhost = '192.0.2.1'",
        "[desk]\nenabled = false\nport = 11112",
        "[prefect]\nport = 11112\napi_url = 'http://prefect.example.org:4200/api'",
        "[[destination]]\nname = 'other'\nae_title = 'OTHER'\nhost = '192.0.2.20'\nport = 104",
    ],
)
def test_ports_and_systems_that_differ_are_not_told(tmp_path: Path, text: str) -> None:
    assert doubts(tmp_path, GOOD + text) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DXATREND_STORE_URL", "; did you mean DXATREND_SERVICE__STORE__URL?"),
        ("DXATREND_SERVICE_LISTENER_PORT", "; did you mean DXATREND_SERVICE__LISTENER__PORT?"),
        ("DXATREND_CONFIGS", "; did you mean DXATREND_CONFIG?"),
        ("DXATREND_NOTES", ""),
    ],
)
def test_a_variable_with_single_underscores_is_told_with_the_one_that_was_meant(
    tmp_path: Path, name: str, hint: str
) -> None:
    (one,) = doubts(tmp_path, GOOD, **{name: "secret"})
    assert one == CheckResult(
        Level.ADVICE,
        f"{name} (environment): it has no effect: file, section and key are set apart by two underscores{hint}",
    )


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (31, None),
        (30, "desk.tls.certificate: this certificate ends in 30 days, on {}; renew it"),
        (1, "desk.tls.certificate: this certificate ends in 1 day, on {}; renew it"),
        (0, "desk.tls.certificate: this certificate ends today; renew it"),
        (-1, "desk.tls.certificate: this certificate has ended on {}; renew it"),
    ],
)
def test_a_certificate_that_ends_is_told_a_month_before(tmp_path: Path, days: int, told: str | None) -> None:
    ours = Authority(tmp_path / "tls").sign("desk", days=60)
    doubts(tmp_path, GOOD + f'[desk.tls]\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"')
    service = load_configuration(tmp_path / "config")[0].service
    ((last_day, what),) = [
        (one.last_day, one.what)
        for one in certificates_running_out(service, datetime.now(UTC).date() + timedelta(36_500))
    ]
    on = last_day - timedelta(days=days)
    found = certificate_doubts(certificates_running_out(service, on), on=on)
    assert what == "desk.tls.certificate"
    assert [one.text for one in found] == ([told.format(last_day)] if told else [])
    assert [one.level for one in found] == ([Level.PROBLEM if days < 0 else Level.ADVICE] if told else [])
