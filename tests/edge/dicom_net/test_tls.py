"""Over TLS, only who has a certificate of the authority gets in, and only who has one is sent anything."""

import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.uid import EnhancedSRStorage

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import CallerSettings, Engine, ListenerSettings
from pipeline.edge.dicom_net import tls
from pipeline.edge.dicom_net.client import echo
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import audit_trail, caller_certificates
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from tests import peers
from tests.factories import fast_scanner
from tests.factories.certificates import Authority, Identity
from tests.factories.fast_scanner import Object


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Identity:
    return authority.sign("dxatrend")


@pytest.fixture(scope="module")
def scanner(authority: Authority) -> Identity:
    return authority.sign("scanner")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, ours: Identity) -> Identity:
    """Signed by an authority of its own; it would trust us."""
    return replace(Authority(tmp_path_factory.mktemp("tls") / "theirs").sign("stranger"), ca=ours.ca)


@pytest.fixture
def listening(engine: Engine, tmp_path: Path, ours: Identity) -> Iterator[int]:
    """The port of a listener that speaks TLS."""
    with _listening(engine, tmp_path, ours) as port:
        yield port


@contextmanager
def _listening(engine: Engine, folder: Path, identity: Identity, *callers: CallerSettings) -> Iterator[int]:
    database = Database(f"sqlite:///{folder}/dxatrend.sqlite3")
    database.migrate()
    port = peers.free_port()
    known = callers or (CallerSettings(ae_title="SCANNER1"),)
    listener = Listener(ListenerSettings(port=port, engine=engine, caller=known, tls=identity.settings), database)
    try:
        yield port
    finally:
        listener.close()
        database.close()


@contextmanager
def _archive(folder: Path, identity: Identity) -> Iterator[DicomDestination]:
    """DCMTK's receiver over TLS, as a destination without certificates yet."""
    with peers.storescp(folder / "archive", options=identity.dcmtk) as port:
        yield DicomDestination(name="pacs", ae_title="ANY", host=peers.LOOPBACK, port=port)


def test_dcmtks_scanner_sends_over_tls(
    listening: int, scanner: Identity, sample: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reports = sorted(sample(".").glob("*/*.dcm"))[:5]
    sent = peers.storescu(reports, port=listening, called="DXATREND", options=scanner.dcmtk)
    assert sent.returncode == 0, sent.stderr
    peers.wait_until_logged("received", caplog, times=5)


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195-ex"])
def test_the_profiles_of_bcp_195_are_spoken(listening: int, scanner: Identity, profile: str) -> None:
    echoed = peers.echoscu(port=listening, called="DXATREND", options=[*scanner.dcmtk, profile])
    assert echoed.returncode == 0, echoed.stderr


def _see_it_logged(engine: Engine, problem: str, caplog: pytest.LogCaptureFixture) -> None:
    """See that the log names what is wrong with a handshake; pynetdicom's server says nothing of one that fails."""
    if engine == "event-driven":
        peers.wait_until_logged(problem, caplog)


def test_a_certificate_of_another_authority_is_refused(
    engine: Engine, listening: int, stranger: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    assert peers.echoscu(port=listening, called="DXATREND", options=stranger.dcmtk).returncode != 0
    _see_it_logged(engine, "127.0.0.1 is refused, its TLS handshake failed", caplog)


def test_a_certificate_that_is_no_longer_valid_is_refused(
    engine: Engine, listening: int, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    expired = authority.sign("expired", days=-1)
    assert peers.echoscu(port=listening, called="DXATREND", options=expired.dcmtk).returncode != 0
    _see_it_logged(engine, "certificate has expired", caplog)


def test_no_certificate_is_refused(
    engine: Engine, listening: int, ours: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    without = ["--anonymous-tls", "--add-cert-file", str(ours.ca)]
    assert peers.echoscu(port=listening, called="DXATREND", options=without).returncode != 0
    _see_it_logged(engine, "PEER_DID_NOT_RETURN_A_CERTIFICATE", caplog)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_refused(listening: int, scanner: Identity) -> None:
    context = tls.for_calling(scanner.settings)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection((peers.LOOPBACK, listening), timeout=5) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(connection, server_hostname=peers.LOOPBACK)


def test_who_does_not_speak_tls_is_refused(listening: int) -> None:
    assert peers.echoscu(port=listening, called="DXATREND").returncode != 0


def test_an_unknown_title_is_rejected_whatever_its_certificate(listening: int, scanner: Identity) -> None:
    rejected = peers.echoscu(port=listening, called="DXATREND", calling="STRANGER", options=scanner.dcmtk)
    assert "Calling AE Title Not Recognized" in rejected.stderr


def test_the_last_day_of_an_admitted_callers_certificate_is_on_file(
    engine: Engine, tmp_path: Path, ours: Identity, authority: Authority
) -> None:
    """Where it is renewed, the new day takes the place of the old one."""
    for days in (20, 300):
        shown = authority.sign("caller", days=days)
        with _listening(engine, tmp_path, ours) as port:
            for title in ("SCANNER1", "STRANGER", "SCANNER1"):
                peers.echoscu(port=port, called="DXATREND", calling=title, options=shown.dcmtk)
        with (
            closing(Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3", existing=True)) as database,
            database.read() as connection,
        ):
            (one,) = caller_certificates.all_of_them(connection)
        assert (one.calling_ae_title, one.host) == ("SCANNER1", peers.LOOPBACK)
        assert timedelta(days=days - 1) <= one.last_day - datetime.now(UTC).date() <= timedelta(days=days)


@pytest.mark.parametrize("name", ["scanner", "SCANNER", peers.LOOPBACK])
def test_a_caller_is_bound_to_the_names_in_its_certificate(
    engine: Engine, tmp_path: Path, ours: Identity, scanner: Identity, name: str
) -> None:
    """The common name of its subject, or any of its alternative names."""
    with _listening(engine, tmp_path, ours, CallerSettings(ae_title="SCANNER1", certificate=name)) as port:
        assert peers.echoscu(port=port, called="DXATREND", options=scanner.dcmtk).returncode == 0


def test_a_caller_with_the_certificate_of_another_is_rejected_logged_and_audited(
    engine: Engine,
    tmp_path: Path,
    authority: Authority,
    ours: Identity,
    scanner: Identity,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both are signed by the same authority: without the name each could send as the other."""
    other = authority.sign("another-scanner", address="192.0.2.7")
    bound = CallerSettings(ae_title="SCANNER1", certificate="scanner")
    free = CallerSettings(ae_title="SCANNER2")
    with _listening(engine, tmp_path, ours, bound, free) as port:
        rejected = peers.echoscu(port=port, called="DXATREND", options=other.dcmtk)
        assert "Calling AE Title Not Recognized" in rejected.stderr
        assert peers.echoscu(port=port, called="DXATREND", calling="SCANNER2", options=other.dcmtk).returncode == 0
        assert peers.echoscu(port=port, called="DXATREND", options=scanner.dcmtk).returncode == 0
    peers.wait_until_logged("its certificate is not made out to listener.caller.certificate", caplog)
    database = Database(f"sqlite:///{tmp_path}/dxatrend.sqlite3")
    with database.read() as connection:
        refused = [one for one in audit_trail.find(connection) if one.entry.event is Event.REFUSED_CALLER]
    database.close()
    assert [(one.entry.actor, one.entry.host, one.entry.detail["times"]) for one in refused] == [
        ("SCANNER1", peers.LOOPBACK, 1)
    ]


def test_a_certificate_where_none_is_shown_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"caller.certificate needs listener.tls"):
        ListenerSettings(caller=(CallerSettings(ae_title="SCANNER1", certificate="scanner"),))


@pytest.mark.event_driven("pynetdicom shakes hands where it accepts: one silent client keeps all others out")
def test_fifty_handshakes_that_never_end_hold_nobody_up(listening: int, scanner: Identity) -> None:
    silent = [socket.create_connection((peers.LOOPBACK, listening)) for _ in range(50)]
    began = time.monotonic()
    assert peers.echoscu(port=listening, called="DXATREND", options=scanner.dcmtk).returncode == 0
    assert time.monotonic() - began < 2
    for one in silent:
        one.close()


def test_all_that_tls_has_decrypted_is_taken(listening: int, scanner: Identity) -> None:
    """It may hold a message that no socket tells of any more."""
    context = tls.for_calling(scanner.settings)
    objects = [Object(EnhancedSRStorage, f"2.25.{size}", bytes(size)) for size in range(60_000, 75_000, 1_000)]
    with fast_scanner.Scanner(listening, called="DXATREND", seconds=20, tls=context) as sender:
        sender.socket.sendall(b"".join(one.message(1) for one in objects))
        assert [sender.answer() for _ in objects] == [0x0000] * len(objects)
        sender.release()


def test_a_destination_is_called_over_tls(tmp_path: Path, authority: Authority, ours: Identity) -> None:
    with _archive(tmp_path, authority.sign("archive")) as destination:
        echo(destination.model_copy(update={"tls": ours.settings}), "DXATREND")
        with pytest.raises(PeerUnavailableError):
            echo(destination, "DXATREND")


@pytest.mark.parametrize("whose", ["another authority's", "another host's"])
def test_a_destination_with_a_certificate_that_is_not_its_own_is_sent_nothing(
    tmp_path: Path, authority: Authority, ours: Identity, stranger: Identity, whose: str
) -> None:
    wrong = stranger if whose == "another authority's" else authority.sign("elsewhere", address="192.0.2.1")
    told = "an authority that we do not know" if wrong is stranger else "made out to another name"
    with (
        _archive(tmp_path, wrong) as destination,
        pytest.raises(PeerUnavailableError, match=told),
    ):
        echo(destination.model_copy(update={"tls": ours.settings}), "DXATREND")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, ours: Identity) -> None:
    open_to_all = tmp_path / "open.key"
    shutil.copy(ours.key, open_to_all)
    open_to_all.chmod(0o640)
    with pytest.raises(tls.TlsError, match=r"^tls.key: .*others than its owner can read it"):
        tls.for_listener(replace(ours, key=open_to_all).settings)


def test_every_file_that_cannot_be_used_is_named(tmp_path: Path, ours: Identity, scanner: Identity) -> None:
    absent = tmp_path / "absent.pem"
    for wrong, named in (
        (replace(ours, key=absent), "tls.key: .*No such file"),
        (replace(ours, ca=absent), "tls.ca: .*No such file"),
        (replace(ours, ca=ours.key), "tls.ca: .*not PEM"),
        (replace(ours, certificate=absent), "tls.certificate, tls.key: .*No such file"),
        (replace(ours, key=scanner.key), "tls.certificate, tls.key: .*one does not belong to the other"),
    ):
        with pytest.raises(tls.TlsError, match=named):
            tls.for_calling(wrong.settings)
