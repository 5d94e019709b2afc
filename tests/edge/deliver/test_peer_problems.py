"""Whatever is wrong with a destination is told in one sentence that says what it is, and what to do.

Each peer here is real: DCMTK, Orthanc, pynetdicom, web servers, HL7 receivers, TLS by OpenSSL's certificates.
"""

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, EnhancedSRStorage, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from pipeline.edge.configuration.destination_settings import DicomDestination, StowDestination
from pipeline.edge.configuration.section import ClientTlsSettings, TlsSettings
from pipeline.edge.connection_failures import unavailable
from pipeline.edge.deliver.mllp import MllpConnection
from pipeline.edge.deliver.stow_sender import StowSender
from pipeline.edge.dicom_net import client
from pipeline.edge.dicom_net.client import associate, echo
from pipeline.edge.peer_problems import PeerError, Problem
from tests import peers
from tests.factories.certificates import Authority, Identity
from tests.factories.hl7_receivers import Receiver, python_hl7_server
from tests.factories.http_servers import HttpServer, serving


@dataclass(frozen=True, slots=True)
class Pki:
    """Certificates of both sides: ours, theirs, and those with something wrong."""

    authority: Authority
    ours: Identity
    theirs: Identity
    elsewhere: Identity
    expired: Identity
    stranger: Identity

    @property
    def tls(self) -> TlsSettings:
        return self.ours.settings

    def unknown_there(self) -> TlsSettings:
        """A certificate of ours that they have not heard of, while we trust theirs."""
        return self.stranger.settings.model_copy(update={"ca": self.authority.certificate})


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    authority = Authority(folder / "authority")
    return Pki(
        authority=authority,
        ours=authority.sign("ours"),
        theirs=authority.sign("theirs"),
        elsewhere=authority.sign("elsewhere", address="192.0.2.1"),
        expired=authority.sign("expired", days=-1),
        stranger=Authority(folder / "another").sign("stranger"),
    )


def _echo(port: int, tls: TlsSettings | None = None, *, host: str = peers.LOOPBACK) -> PeerError:
    to = DicomDestination(name="pacs", ae_title="PACS", host=host, port=port, tls=tls)
    with pytest.raises(PeerError) as told:
        echo(to, "DXATREND")
    return told.value


def _stow(port: int, scheme: str = "http", tls: ClientTlsSettings | None = None) -> PeerError:
    url = f"{scheme}://{peers.LOOPBACK}:{port}/dicom-web"
    with pytest.raises(PeerError) as told:
        StowSender(StowDestination(name="archive", kind="stow", url=url, tls=tls)).check()
    return told.value


def _mllp(port: int, tls: ssl.SSLContext | None = None) -> PeerError:
    try:
        with MllpConnection(peers.LOOPBACK, port, tls) as connection:
            connection.send(b"MSH|^~\\&|DXATREND\r")
            connection.receive(until=time.monotonic() + 30)
    except PeerError as told:
        return told
    pytest.fail("it was answered")


def _web(status: int = 204, body: bytes = b"") -> HttpServer:
    return HttpServer(lambda asked: (status, "text/plain", body))


def _server_context(identity: Identity, authority: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.certificate)
    return context


@contextmanager
def _peer(behave: Callable[[socket.socket], object]) -> Iterator[int]:
    """Anything that listens, and does something with each connection before it closes it."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    behave(connection)

    with socket.create_server((peers.LOOPBACK, peers.free_port())) as server:
        server.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def _says(answer: bytes) -> Callable[[socket.socket], object]:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        connection.recv(4096)

    return behave


@contextmanager
def _application_entity(
    *, calling: Sequence[str] = (), called: bool = False, most: int = 10, answer: int = 0
) -> Iterator[int]:
    ae = AE(ae_title="OTHER" if called else "PACS")
    ae.require_calling_aet, ae.require_called_aet = list(calling), called
    ae.maximum_associations = most
    ae.add_supported_context(Verification)
    port = peers.free_port()
    handlers = [(evt.EVT_C_ECHO, lambda event: answer)]
    server = ae.start_server((peers.LOOPBACK, port), block=False, evt_handlers=handlers)
    try:
        yield port
    finally:
        server.shutdown()


def test_nobody_there_is_told_from_a_name_without_an_address() -> None:
    told = _echo(port := peers.free_port())
    assert str(told) == (
        f"nobody listens at 127.0.0.1 port {port} (connection refused); "
        "start the system there, or correct host and port"
    )
    assert _stow(peers.free_port()).problem is Problem.NOT_LISTENING
    assert _mllp(peers.free_port()).problem is Problem.NOT_LISTENING
    assert _echo(104, host="no..name").problem is Problem.NAME_UNKNOWN


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), Problem.NO_ROUTE),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Problem.NO_ROUTE),
        (TimeoutError("timed out"), Problem.NOT_REACHED),
        (OSError(errno.EMFILE, "Too many open files"), Problem.NOT_CONNECTED),
    ],
)
def test_what_no_machine_here_can_play_is_told_by_the_error_of_the_system(error: OSError, problem: Problem) -> None:
    assert unavailable(error, at="192.0.2.1 port 104", tls=False).problem is problem


def test_a_queue_that_is_full_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel drops what comes to a full queue, so nobody answers, as behind a firewall."""
    monkeypatch.setattr(client, "CONNECTION_SECONDS", 0.5)
    with socket.create_server((peers.LOOPBACK, peers.free_port()), backlog=0) as full, ExitStack() as waiting:
        for _ in range(4):
            caller = waiting.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        assert _echo(full.getsockname()[1]).problem is Problem.NOT_REACHED


@pytest.mark.parametrize(
    ("peer", "problem"),
    [
        (lambda: _application_entity(calling=["SOMEBODY"]), Problem.CALLING_TITLE),
        (lambda: _application_entity(called=True), Problem.CALLED_TITLE),
        (lambda: _application_entity(answer=0x0122), Problem.STATUS),
    ],
)
def test_a_rejection_says_whose_title_is_wrong(
    peer: Callable[[], AbstractContextManager[int]], problem: Problem
) -> None:
    with peer() as port:
        told = _echo(port)
    assert told.problem is problem
    if problem is Problem.CALLING_TITLE:
        assert str(told).startswith("it does not know our AE title DXATREND; have it registered there")


def test_orthanc_tells_that_it_is_called_otherwise(orthanc: peers.Orthanc) -> None:
    told = _echo(orthanc.dicom_port)
    assert str(told) == "it is not called PACS; correct ae_title to its own"


def test_who_is_full_is_told_from_who_does_not_want_us() -> None:
    with _application_entity(most=1) as port:
        to = DicomDestination(name="pacs", ae_title="PACS", host=peers.LOOPBACK, port=port)
        with associate(to, "DXATREND"):
            assert _echo(port).problem is Problem.REJECTED_NOW


def test_dcmtk_rejects_without_a_reason(tmp_path: Path) -> None:
    with peers.storescp(tmp_path / "archive", options=["--refuse"]) as port:
        assert {_echo(port).problem for _ in range(10)} == {Problem.REJECTED}


def test_what_a_peer_does_not_take_is_named() -> None:
    with _application_entity() as port:
        to = DicomDestination(name="pacs", ae_title="PACS", host=peers.LOOPBACK, port=port)
        with (
            associate(to, "DXATREND", [EnhancedSRStorage]) as association,
            pytest.raises(PeerError) as no,
        ):
            client.require_contexts(association, [EnhancedSRStorage], ours="DXATREND")
    assert "it does not take Enhanced SR Storage" in str(no.value)
    ae = AE(ae_title="PACS")
    ae.add_supported_context(CTImageStorage, ImplicitVRLittleEndian)
    server = ae.start_server((peers.LOOPBACK, port := peers.free_port()), block=False)
    try:
        assert _echo(port).problem is Problem.CLASSES
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", Problem.SPEAKS_OTHERWISE),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Problem.SPEAKS_HTTP),
        (b"\x0bMSH|^~\\&|THEM\r\x1c\r", Problem.SPEAKS_HL7),
        (b"\x15\x03\x03\x00\x02\x02\x46", Problem.WANTS_TLS),
        (b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00", Problem.ABORTED),
    ],
)
def test_a_stranger_at_the_port_is_told_by_what_it_says(answer: bytes, problem: Problem) -> None:
    with _peer(_says(answer)) as port:
        assert _echo(port).problem is problem


def test_who_closes_the_connection_or_is_silent_is_told_so(monkeypatch: pytest.MonkeyPatch, pki: Pki) -> None:
    with _peer(lambda connection: None) as port:
        assert _echo(port).problem is Problem.CLOSED
        assert _echo(port, pki.tls).problem is Problem.CLOSED_TLS
        assert _stow(port).problem is Problem.CLOSED
        assert _mllp(port).problem is Problem.CLOSED
    monkeypatch.setattr(client, "RESPONSE_SECONDS", 0.5)
    monkeypatch.setattr(client, "CONNECTION_SECONDS", 0.5)
    with python_hl7_server(receiver := Receiver()):
        assert _echo(receiver.port).problem is Problem.SILENT
        assert _echo(receiver.port, pki.tls).problem is Problem.SILENT


def test_a_web_server_where_dicom_was_expected(monkeypatch: pytest.MonkeyPatch, pki: Pki) -> None:
    """It waits for the end of a line that a request of DICOM does not have."""
    monkeypatch.setattr(client, "RESPONSE_SECONDS", 0.5)
    with serving(server := _web()):
        assert _echo(server.port).problem is Problem.SPEAKS_HTTP
        assert _echo(server.port, pki.tls).problem is Problem.LACKS_TLS


def test_dcmtk_over_tls(tmp_path: Path, pki: Pki) -> None:
    for number, (identity, tls, problem) in enumerate(
        (
            (pki.theirs, None, Problem.WANTS_TLS),
            (pki.theirs, pki.unknown_there(), Problem.CERTIFICATE_REJECTED),
            (pki.theirs, pki.stranger.settings, Problem.CERTIFICATE_AUTHORITY),
            (pki.elsewhere, pki.tls, Problem.CERTIFICATE_NAME),
            (pki.expired, pki.tls, Problem.CERTIFICATE_EXPIRED),
        )
    ):
        with peers.storescp(tmp_path / f"archive{number}", options=identity.dcmtk) as port:
            assert _echo(port, tls).problem is problem
    with peers.storescp(tmp_path / "plain") as port:
        assert _echo(port, pki.tls).problem is Problem.CLOSED_TLS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_tls_is_told(pki: Pki) -> None:
    context = _server_context(pki.theirs)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with serving(server := _web(), context):
        assert _echo(server.port, pki.tls).problem is Problem.TLS_VERSION


def test_files_of_ours_that_cannot_be_used_are_named(pki: Pki) -> None:
    told = _echo(104, pki.tls.model_copy(update={"ca": pki.ours.key.with_name("absent")}))
    assert told.problem is Problem.SECRET_UNUSABLE
    assert "tls.ca" in str(told)


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (301, Problem.REDIRECTED),
        (400, Problem.HTTP_REFUSED),
        (401, Problem.LOGIN_WANTED),
        (403, Problem.FORBIDDEN),
        (404, Problem.NOT_AT_URL),
        (413, Problem.TOO_LARGE),
        (500, Problem.BUSY),
        (503, Problem.BUSY),
        (418, Problem.HTTP_STATUS),
    ],
)
def test_an_http_status_says_what_to_do(status: int, problem: Problem) -> None:
    with serving(server := _web(status)):
        told = _stow(server.port)
    assert told.problem is problem
    assert f"QIDO-RS was answered with HTTP {status}" in str(told)


def test_https_and_certificates_of_web_servers(pki: Pki) -> None:
    trusting = ClientTlsSettings(ca=pki.authority.certificate)
    unknown = pki.unknown_there()
    with serving(server := _web(), _server_context(pki.theirs)):
        assert _stow(server.port).problem is Problem.WANTS_TLS
        assert (
            _stow(server.port, "https", ClientTlsSettings(ca=pki.stranger.ca)).problem is Problem.CERTIFICATE_AUTHORITY
        )
    with serving(server := _web(), _server_context(pki.theirs, pki.authority)):
        assert _stow(server.port, "https", trusting).problem is Problem.CERTIFICATE_WANTED
        shown = ClientTlsSettings(ca=unknown.ca, certificate=unknown.certificate, key=unknown.key)
        assert _stow(server.port, "https", shown).problem is Problem.CERTIFICATE_REJECTED
    with serving(server := _web()):
        assert _stow(server.port, "https", trusting).problem is Problem.LACKS_TLS
    with serving(server := _web(400, b"The plain HTTP request was sent to HTTPS port")):
        assert _stow(server.port).problem is Problem.WANTS_TLS, "as nginx says it"


def test_what_is_no_web_server_is_told() -> None:
    with _peer(_says(b"\x0bMSH|^~\\&|THEM\r\x1c\r")) as port:
        assert _stow(port).problem is Problem.SPEAKS_HL7
    with _peer(_says(b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00")) as port:
        assert _stow(port).problem is Problem.SPEAKS_DICOM


def test_what_is_no_receiver_of_hl7_is_told(pki: Pki) -> None:
    with _peer(_says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert _mllp(port).problem is Problem.SPEAKS_HTTP
    with _application_entity() as port:
        assert _mllp(port).problem is Problem.SPEAKS_DICOM
    with _peer(_says(b"\x15\x03\x03\x00\x02\x02\x46")) as port:
        assert _mllp(port).problem is Problem.WANTS_TLS
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with serving(server := _web(), _server_context(pki.theirs)):
        assert _mllp(server.port, context).problem is Problem.CERTIFICATE_AUTHORITY


def test_every_problem_says_what_it_is_and_what_to_do_with_facts_that_it_names() -> None:
    facts = dict.fromkeys(
        ("at", "host", "error", "expected", "ours", "theirs", "classes", "request", "status", "message", "code"), "X"
    )
    for problem in Problem:
        told = problem.describe(**facts)
        assert told == f"{problem.what}; {problem.advice}".format(**facts)
        assert ";" not in problem.what + problem.advice, f"{problem}: one sentence"
        assert not told.endswith((".", "?")), f"{problem}: it is put into sentences"
