"""The audit trail reaches a syslog receiver as DICOM audit messages, each once it is there, and in order."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from pipeline.edge.app import App, open_app
from pipeline.edge.audit.dicom_message import Source, Subject, has_message, message
from pipeline.edge.audit.forwarder import AuditForwarder
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.operations.housekeeping import run_housekeeping
from pipeline.edge.store import audit_chain, audit_trail, receipts
from pipeline.edge.store.audit_trail import Entry, Event, Outcome
from tests import peers
from tests.factories.certificates import Authority, Identity
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode, region, report, spine

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
SOURCE = Source(ae_title="DXATREND", host="room-2")

CODED = {"csd-code", "codeSystemName", "originalText"}
"""What a coded value must have; displayName it may."""

CHILDREN = {
    "AuditMessage": "EventIdentification ActiveParticipant+ AuditSourceIdentification ParticipantObjectIdentification*",
    "EventIdentification": "EventID EventTypeCode*",
    "ActiveParticipant": "RoleIDCode*",
    "AuditSourceIdentification": "AuditSourceTypeCode*",
    "ParticipantObjectIdentification": "ParticipantObjectIDTypeCode ParticipantObjectName|ParticipantObjectQuery"
    " ParticipantObjectDetail* Accession* SOPClass*",
    "SOPClass": "Instance*",
}
"""Which elements PS3.15 A.5.1 has in which, and in which order, of those we write."""

ATTRIBUTES = {
    "AuditMessage": (set[str](), set[str]()),
    "EventIdentification": ({"EventDateTime", "EventOutcomeIndicator"}, {"EventActionCode"}),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
    ),
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID", "ParticipantObjectTypeCode"},
        {"ParticipantObjectTypeCodeRole"},
    ),
    "ParticipantObjectDetail": ({"type", "value"}, set[str]()),
    "ParticipantObjectName": (set[str](), set[str]()),
    "ParticipantObjectQuery": (set[str](), set[str]()),
    "Accession": ({"Number"}, set[str]()),
    "SOPClass": ({"NumberOfInstances"}, {"UID"}),
    "Instance": ({"UID"}, set[str]()),
}
"""Which attributes an element must have, and which it may; any other element is a coded value."""

VALUES = {
    "EventActionCode": set("CRUDE"),
    "EventOutcomeIndicator": {"0", "4", "8", "12"},
    "UserIsRequestor": {"true", "false"},
    "NetworkAccessPointTypeCode": set("12345"),
    "ParticipantObjectTypeCode": set("1234"),
    "ParticipantObjectTypeCodeRole": {str(role) for role in range(1, 27)},
}


def mistakes(element: Element) -> Iterator[str]:
    """Whatever in a message is not as the schema has it."""
    required, optional = ATTRIBUTES.get(element.tag, (CODED, {"displayName"}))
    if not required <= set(element.attrib) <= required | optional:
        yield f"{element.tag}: {sorted(element.attrib)}"
    for name, value in element.attrib.items():
        if value not in VALUES.get(name, {value}):
            yield f"{element.tag}: {name} is {value}"
    expected = CHILDREN.get(element.tag, "").split()
    found = [child.tag for child in element]
    for name in expected:
        count = 0
        while found and found[0] in name.rstrip("+*").split("|"):
            found.pop(0)
            count += 1
        if (count == 0 and not name.endswith("*")) or (count > 1 and name[-1] not in "+*"):
            yield f"{element.tag}: {count} times {name}"
    if found:
        yield f"{element.tag}: {found} out of place"
    for child in element:
        yield from mistakes(child)


class Receiver:
    """Something that listens for syslog on loopback, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def messages(self) -> list[Element]:
        return [fromstring(line.partition(b"\xef\xbb\xbf")[2]) for line in self.got]


@contextmanager
def _over_udp() -> Iterator[tuple[str, Receiver]]:
    receiver, stop = Receiver(), threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.05)

        def receive() -> None:
            while not stop.is_set():
                try:
                    receiver.got.append(listening.recv(65_535))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield f'syslog = "udp://127.0.0.1:{listening.getsockname()[1]}"', receiver
        finally:
            stop.set()
            thread.join()


@contextmanager
def _over_tls(ours: Identity, theirs: Identity, port: int) -> Iterator[Receiver]:
    receiver, stop = Receiver(), threading.Event()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=theirs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(theirs.certificate, theirs.key)
    with socket.create_server(("127.0.0.1", port)) as listening:
        listening.settimeout(0.05)

        def receive() -> None:
            while not stop.is_set():
                try:
                    plain, _ = listening.accept()
                except TimeoutError:
                    continue
                with plain, closing(context.wrap_socket(plain, server_side=True)) as secure:
                    _read_frames(secure, receiver.got)
                    secure.unwrap().close()

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield receiver
        finally:
            stop.set()
            thread.join()


def _read_frames(secure: ssl.SSLSocket, got: list[bytes]) -> None:
    """RFC 5425 4.3: the length in digits, a space, the message."""
    with secure.makefile("rb") as stream:
        while digits := stream.read(1):
            while (more := stream.read(1)) != b" ":
                digits += more
            got.append(stream.read(int(digits)))


@contextmanager
def _app(folder: Path, audit_settings: str, *, keeping: str = "") -> Iterator[App]:
    folder.mkdir(exist_ok=True)
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [keeping]
        {keeping}
        [audit]
        {audit_settings}
        """)
    with open_app(folder) as app:
        yield app


def _record(app: App, *entries: Entry) -> None:
    with app.database.write() as connection:
        audit_trail.record(connection, *entries)


def _visit(app: App) -> None:
    """One exam from its report to its addendum."""
    sent = report(spine(region("L1-L4", "0.950")), StudyInstanceUID="2.25.10", PatientID="P1", PatientName="Doe^Jane")
    sent.SOPInstanceUID = "2.25.1"
    with app.database.write() as connection:
        receipts.store(connection, instance(encode(sent)), calling_ae_title="SCANNER1", host="192.0.2.1", at=LONG_AGO)
    while extract_waiting(app):
        pass
    follow_up(app, claim_due(app.database, 50))


def _event_of(sent: Element) -> str:
    return sent.find("EventIdentification/EventID").get("csd-code")  # type: ignore[union-attr,return-value]  # it must


ENTRY = Entry(
    event=Event.RECEIVED, at=NOW, actor="SCANNER1", host="192.0.2.1", detail={"reason": "unknown", "times": 3}
)


@pytest.mark.parametrize("event", [event for event in Event if has_message(event)])
@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("known", [True, False])
def test_every_message_is_as_the_standard_has_it(event: Event, outcome: Outcome, known: bool) -> None:
    subject = Subject(
        patient_id="P1",
        study_instance_uid="2.25.10",
        accession_number="A1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.22",
        sop_instance_uid="2.25.1",
    )
    entry = Entry(
        event=event,
        at=NOW,
        actor="SCANNER1" if known else "\x01<&",
        host="192.0.2.1" if known else "",
        outcome=outcome,
        detail=ENTRY.detail if known else {},
    )
    written = message(entry, subject if known else Subject(), SOURCE)
    root = fromstring(written)
    assert list(mistakes(root)) == []
    assert root.find("EventIdentification").get("EventDateTime") == "2026-03-02T08:30:00.000+00:00"


def test_the_check_notices_what_is_wrong() -> None:
    """A check that cannot fail is decoration."""
    for element, attribute in (("EventIdentification", "EventDateTime"), ("ActiveParticipant", "UserID")):
        root = fromstring(message(ENTRY, Subject(), SOURCE))
        del root.find(element).attrib[attribute]
        assert list(mistakes(root)) != []
    root = fromstring(message(ENTRY, Subject(), SOURCE))
    root.append(root[0])
    assert list(mistakes(root)) != []


def test_a_refused_caller_is_a_security_alert_that_names_it() -> None:
    refused = Entry(
        event=Event.REFUSED_CALLER, at=NOW, actor="STRANGER", host="192.0.2.9", detail={"reason": "unknown", "times": 3}
    )
    root = fromstring(message(refused, Subject(), SOURCE))
    assert _event_of(root) == "110113"
    assert root.find("EventIdentification/EventTypeCode").get("csd-code") == "110126"
    detail = root.find("ParticipantObjectIdentification/ParticipantObjectDetail")
    assert base64.b64decode(detail.get("value")) == b"unknown (3 times)"


def test_a_query_to_an_archive_is_a_query_message_that_holds_the_query() -> None:
    """PS3.15 A.5.3.10."""
    asked = Entry(
        event=Event.QUERIED,
        at=NOW,
        actor="pacs",
        host="192.0.2.7",
        detail={
            "sop_class_uid": "1.2.840.10008.5.1.4.1.2.2.1",
            "query": "CAAF",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        },
    )
    root = fromstring(message(asked, Subject(), SOURCE))
    assert list(mistakes(root)) == []
    assert _event_of(root) == "110112"
    assert [part.get("UserID") for part in root.findall("ActiveParticipant")] == ["DXATREND", "pacs"]
    (query,) = root.findall("ParticipantObjectIdentification")
    assert query.get("ParticipantObjectID") == "1.2.840.10008.5.1.4.1.2.2.1"
    assert query.find("ParticipantObjectQuery").text == "CAAF"
    syntax = query.find("ParticipantObjectDetail")
    assert (syntax.get("type"), base64.b64decode(syntax.get("value"))) == ("TransferSyntax", b"1.2.840.10008.1.2.1")


def test_over_udp_an_exam_is_reported_from_the_instance_received_to_the_addendum(tmp_path: Path) -> None:
    with _over_udp() as (settings, receiver), _app(tmp_path, settings) as app:
        forwarder = AuditForwarder(app)
        _visit(app)
        forwarder.poll()
        peers.wait_until(lambda: len(receiver.got) == 3, what="three messages have come")
        received, read, written = receiver.messages()
    assert [_event_of(one) for one in (received, read, written)] == ["110104", "110103", "110103"]
    assert all(list(mistakes(one)) == [] for one in (received, read, written))
    for one in (received, read, written):
        named = [part.get("ParticipantObjectID") for part in one.findall("ParticipantObjectIdentification")]
        assert named == ["2.25.10", "P1"]
    caller, ours = received.findall("ActiveParticipant")
    assert (caller.get("UserID"), caller.get("NetworkAccessPointID")) == ("SCANNER1", "192.0.2.1")
    assert ours.get("UserID") == "DXATREND"
    assert [one.get("UID") for one in received.iter("Instance")] == ["2.25.1"]
    assert receiver.got[0].startswith(b"<85>1 ")
    assert b" dxatrend " in receiver.got[0]
    assert b"DICOM+RFC3881 - \xef\xbb\xbf<?xml" in receiver.got[0]
    assert b"Doe" not in b"".join(receiver.got), "a patient's name is never sent"


def test_over_tls_nothing_is_lost_while_the_receiver_is_away_and_nothing_is_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "authority")
    ours, theirs = authority.sign("ours"), authority.sign("theirs")
    port = peers.free_port()
    settings = f'syslog = "tls://127.0.0.1:{port}"\n[audit.tls]\n{ours.toml}'
    monkeypatch.setattr("pipeline.edge.audit.forwarder.EVERY", timedelta(milliseconds=10))
    with _app(tmp_path / "app", settings) as app:
        forwarder = AuditForwarder(app)

        def look_until(done: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 30
            while not done() and time.monotonic() < deadline:
                forwarder.poll()
                time.sleep(0.01)
            assert done()

        _record(app, *(Entry(event=Event.STARTED, at=NOW, actor=f"USER{number}") for number in range(5)))
        forwarder.poll()
        assert "takes no audit messages" in caplog.text
        with _over_tls(ours, theirs, port) as receiver:
            look_until(lambda: len(receiver.got) >= 5)
            _record(app, Entry(event=Event.STOPPED, at=NOW, actor="USER5"))
            look_until(lambda: len(receiver.got) >= 6)
            for _ in range(5):
                forwarder.poll()
        launchers = [one.findall("ActiveParticipant")[1].get("UserID") for one in receiver.messages()]
        assert launchers == [f"USER{number}" for number in range(6)], "each once, and in order"
        assert all(list(mistakes(one)) == [] for one in receiver.messages())


def test_a_receiver_with_a_wrong_certificate_is_sent_nothing(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "authority").sign("ours")
    stranger = Authority(tmp_path / "another").sign("stranger")
    theirs = Identity(certificate=stranger.certificate, key=stranger.key, ca=ours.ca)
    port = peers.free_port()
    receiver = Receiver()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(theirs.certificate, theirs.key)
    refused: list[str] = []
    with (
        socket.create_server(("127.0.0.1", port)) as listening,
        _app(tmp_path / "app", f'syslog = "tls://127.0.0.1:{port}"\n[audit.tls]\n{ours.toml}') as app,
    ):

        def receive() -> None:
            plain, _ = listening.accept()
            try:
                with plain, context.wrap_socket(plain, server_side=True) as secure:
                    _read_frames(secure, receiver.got)
            except OSError as error:
                refused.append(type(error).__name__)

        thread = threading.Thread(target=receive)
        thread.start()
        forwarder = AuditForwarder(app)
        _record(app, Entry(event=Event.STARTED, at=NOW, actor="USER"))
        forwarder.poll()
        thread.join()
        with app.database.read() as connection:
            assert len(audit_chain.unsent(connection, "syslog")) == 1
    assert receiver.got == []
    assert refused


def test_nothing_is_sent_unless_a_receiver_is_configured(tmp_path: Path) -> None:
    with _app(tmp_path, "") as app:
        forwarder = AuditForwarder(app)
        _record(app, ENTRY)
        forwarder.poll()
        with app.database.read() as connection:
            assert audit_chain.verify(connection).sealed == 1, "the chain goes on all the same"


def test_housekeeping_drops_what_is_older_than_the_trail_is_kept_and_says_so(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with _app(tmp_path, "", keeping="audit_days = 30") as app:
        _record(
            app,
            Entry(event=Event.STARTED, at=now - timedelta(days=31), actor="long ago"),
            Entry(event=Event.STARTED, at=now - timedelta(days=29), actor="lately"),
        )
        run_housekeeping(app)
        with app.database.read() as connection:
            left = [one.entry for one in audit_trail.find(connection)]
            assert audit_chain.verify(connection).broken_at is None
    assert [entry.actor for entry in left if entry.event is Event.STARTED] == ["lately"]
    (dropped,) = [entry for entry in left if entry.event is Event.DROPPED]
    assert dropped.detail["audit_entries"] == 1


def test_the_trail_is_kept_for_ever_unless_that_is_set(tmp_path: Path) -> None:
    with _app(tmp_path, "") as app:
        _record(app, Entry(event=Event.STARTED, at=NOW - timedelta(days=9_000), actor="long ago"))
        run_housekeeping(app)
        with app.database.read() as connection:
            assert len(list(audit_trail.find(connection))) == 1
