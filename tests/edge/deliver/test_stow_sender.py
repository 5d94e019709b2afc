"""An addendum is stored over DICOMweb when the archive names it among what it stored, and never because it said 200."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge import http_client
from pipeline.edge.app import App
from pipeline.edge.peer_problems import Problem
from tests import peers
from tests.factories import outboxes
from tests.factories.certificates import Authority
from tests.factories.http_servers import Asked, HttpServer, serving, trickling
from tests.factories.outboxes import visit

DESTINATION = """
[[destination]]
name = "archive"
kind = "stow"
url = "http://127.0.0.1:{port}/dicom-web"
proof = "{proof}"
"""
JSON = "application/dicom+json"


@pytest.fixture
def orthanc_dicomweb(tmp_path: Path) -> Iterator[peers.Orthanc]:
    """An archive that speaks DICOMweb, empty."""
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with peers.orthanc(folder, dicomweb=True) as archive:
        yield archive


def app_for(folder: Path, port: int, *, proof: str = "none", more: str = "", scheme: str = "http") -> Iterator[App]:
    destination = DESTINATION.format(port=port, proof=proof).replace("http:", f"{scheme}:") + more
    with outboxes.outbox_of(folder, destination) as app:
        outboxes.receive(app, visit(2022, "0.960"), visit(2024, "0.912"))
        yield app


@pytest.mark.parametrize("proof", ["none", "find"])
def test_orthanc_has_what_was_stored_bit_for_bit_and_once(
    tmp_path: Path, orthanc_dicomweb: peers.Orthanc, proof: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for app in app_for(tmp_path, orthanc_dicomweb.http_port, proof=proof):
        assert outboxes.deliver(app) == (2, 0)
        for exam in (1, 2):
            (addendum,) = outboxes.addenda(app, exam)
            (found,) = orthanc_dicomweb.find("Instance", SOPInstanceUID=addendum.sop_instance_uid)
            assert orthanc_dicomweb.file(found).endswith(addendum.data_set)
        main(["check", "--config", str(app.folder)])
        assert "destination archive: answers" in capsys.readouterr().out
        assert main(["release", "archive", "--config", str(app.folder)]) == 0


def stored(asked: Asked, *, failed: int | None = None, uid: str = "") -> bytes:
    """What an archive says of the instance it was sent."""
    begin = asked.body.index(b"\x08\x00\x18\x00UI") + 8
    own = asked.body[begin : asked.body.index(b"\x08\x00", begin)].rstrip(b"\0").decode("ascii")
    item: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid or own]}}
    if failed is not None:
        item["00081197"] = {"vr": "US", "Value": [failed]}
    return json.dumps({"00081198" if failed is not None else "00081199": {"vr": "SQ", "Value": [item]}}).encode()


ANSWERS: dict[str, tuple[Callable[[Asked], tuple[int, str, bytes] | None], str]] = {
    "failed, out of resources": (lambda asked: (409, JSON, stored(asked, failed=0xA700)), "outage"),
    "failed": (lambda asked: (409, JSON, stored(asked, failed=0xC000)), "refused"),
    "200, but failed": (lambda asked: (200, JSON, stored(asked, failed=0x0122)), "refused"),
    "200, and nothing said": (lambda asked: (200, JSON, b"{}"), "outage"),
    "200, and another instance": (lambda asked: (200, JSON, stored(asked, uid="2.25.4711")), "outage"),
    "200, and a page": (lambda asked: (200, "text/html", b"<html>Log in</html>"), "outage"),
    "200, and a deep nest": (lambda asked: (200, JSON, b"[" * 100_000), "outage"),
    "400": (lambda asked: (400, JSON, b""), "refused"),
    "415": (lambda asked: (415, "text/plain", b"no"), "refused"),
    "401": (lambda asked: (401, "text/plain", b""), "outage"),
    "404": (lambda asked: (404, "text/plain", b""), "outage"),
    "a redirection": (lambda asked: (302, "text/plain", b""), "outage"),
    "503": (lambda asked: (503, "text/plain", b""), "outage"),
    "no answer": (lambda asked: None, "outage"),
}


@pytest.mark.parametrize(("answer", "became"), ANSWERS.values(), ids=ANSWERS)
def test_whatever_an_archive_answers_nothing_counts_as_stored_that_it_does_not_name(
    tmp_path: Path, answer: Callable[[Asked], tuple[int, str, bytes] | None], became: str
) -> None:
    server = HttpServer(answer)
    for app in app_for(tmp_path, server.port):
        with serving(server):
            delivered, postponed = outboxes.deliver(app)
        assert delivered == 0
        assert postponed == {"refused": 2, "outage": len(outboxes.problems(app))}[became]
        assert outboxes.states(app) == ["waiting", "waiting"]
        outboxes.wait_is_over(app)
        server.answer = lambda asked: (200, JSON, stored(asked))
        with serving(server):
            assert outboxes.deliver(app)[0] + outboxes.deliver(app)[0] == 2


def test_an_archive_that_hangs_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "RESPONSE_SECONDS", 1)

    def hang(asked: Asked) -> tuple[int, str, bytes]:
        time.sleep(3)
        return 200, JSON, stored(asked)

    server = HttpServer(hang)
    for app in app_for(tmp_path, server.port):
        with serving(server):
            assert outboxes.deliver(app) == (0, 1)
        silent = Problem.SILENT.describe(at=f"127.0.0.1 port {server.port}")
        assert outboxes.problems(app) == [("silent", silent)]


def test_an_answer_that_trickles_in_for_ever_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "CONNECTION_SECONDS", 1)
    monkeypatch.setattr(http_client, "RESPONSE_SECONDS", 1)
    with trickling() as server:
        for app in app_for(tmp_path, server.port):
            assert outboxes.deliver(app) == (0, 1)
            ((reason, _),) = outboxes.problems(app)
            assert reason in ("silent", "closed")
        assert not server.is_over, "we did not wait for its end"


def test_a_token_that_no_header_can_have_is_told_and_not_quoted(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cr\u00e9t")
    secret.chmod(0o600)
    for app in app_for(tmp_path, peers.free_port(), more=f'[destination.login]\ntoken_file = "{secret}"\n'):
        assert outboxes.deliver(app) == (0, 0)
        said = str(outboxes.status(app, "archive"))
        assert "login.token" in said
        assert "s3cr" not in said


def test_what_is_stored_but_not_found_is_asked_for_again(tmp_path: Path) -> None:
    server = HttpServer(lambda asked: (200, JSON, stored(asked)) if asked.method == "POST" else (204, JSON, b""))
    for app in app_for(tmp_path, server.port, proof="find"):
        with serving(server):
            assert outboxes.deliver(app) == (0, 2)
        assert {reason for reason, _ in outboxes.problems(app)} == {"not_found_yet"}


@pytest.mark.parametrize(
    ("login", "header"),
    [
        ('token_file = "{file}"', "Bearer s3cret"),
        ('token_variable = "ARCHIVE_SECRET"', "Bearer s3cret"),
        ('user = "dxa"\npassword_file = "{file}"', "Basic ZHhhOnMzY3JldA=="),
        ('user = "dxa"\npassword_variable = "ARCHIVE_SECRET"', "Basic ZHhhOnMzY3JldA=="),
    ],
)
def test_a_login_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, header: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    monkeypatch.setenv("ARCHIVE_SECRET", "s3cret")
    server = HttpServer(lambda asked: (200, JSON, stored(asked)))
    more = f"[destination.login]\n{login.format(file=secret)}\n"
    for app in app_for(tmp_path, server.port, more=more):
        with serving(server):
            assert outboxes.deliver(app) == (2, 0)
        assert {asked.headers["authorization"] for asked in server.asked} == {header}


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o644)
    for app in app_for(tmp_path, peers.free_port(), more=f'[destination.login]\ntoken_file = "{secret}"\n'):
        assert outboxes.deliver(app) == (0, 0)
        assert "chmod 600" in str(outboxes.status(app, "archive"))


@pytest.mark.parametrize("knows_us", [True, False])
def test_over_tls_both_sides_may_show_certificates(tmp_path: Path, knows_us: bool) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours = authority.sign("archive"), authority.sign("dxatrend")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.load_verify_locations(theirs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    tls = f'[destination.tls]\nca = "{authority.certificate}"\n'
    tls += f'certificate = "{ours.certificate}"\nkey = "{ours.key}"\n' if knows_us else ""
    server = HttpServer(lambda asked: (200, JSON, stored(asked)))
    for app in app_for(tmp_path, server.port, more=tls, scheme="https"):
        with serving(server, context):
            assert outboxes.deliver(app)[0] == (2 if knows_us else 0)


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        ('url = "ftp://x"', "url: a URL of this kind is https://host:port/path"),
        ('url = "https://x:0/"', "url: a URL of this kind is https://host:port/path"),
        ('url = "https://dxa:secret@x/"', "url: host, port and path alone; a login has a section of its own"),
        (
            'url = "http://archive.example/dicom-web"\n[destination.login]\ntoken_variable = "X"',
            "login and tls need",
        ),
        ('url = "https://x/"\n[destination.login]\nuser = "dxa"', "login: one of token_file, token_variable"),
        ('url = "https://x/"\n[destination.tls]\nkey = "x"', "tls: certificate and key belong together"),
    ],
)
def test_a_url_or_login_that_cannot_be_meant_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, mistake: str
) -> None:
    (tmp_path / "service.toml").write_text(f'[[destination]]\nname = "archive"\nkind = "stow"\n{lines}\n')
    assert main(["check", "--config", str(tmp_path)]) != 0
    said = capsys.readouterr()
    assert mistake in said.out + said.err
    assert "secret" not in said.out + said.err
