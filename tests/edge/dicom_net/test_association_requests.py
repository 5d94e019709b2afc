"""An association request is admitted as far as PS3.8 allows, else rejected or aborted with a line of log.

Of the event-driven listener alone: pynetdicom's own server decodes requests itself, with other tolerances, no limit of
size and no line of log.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian

from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store.database import Database
from tests import peers
from tests.factories.fast_scanner import APPLICATION_CONTEXT, item, pdu

ACCEPTED, REJECTED, ABORTED = 0x02, 0x03, 0x07
VERSION_NAME, ASYNCHRONOUS, USER_IDENTITY = 0x55, 0x53, 0x58


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a listener that knows SCANNER1."""
    with _listening(tmp_path) as port:
        yield port


@contextmanager
def _listening(folder: Path) -> Iterator[int]:
    database = Database(f"sqlite:///{folder}/dxatrend.sqlite3")
    database.migrate()
    port = peers.free_port()
    listener = Listener(ListenerSettings(port=port, caller=(CallerSettings(ae_title="SCANNER1"),)), database)
    try:
        yield port
    finally:
        listener.close()
        database.close()


def _request(
    *,
    version: int = 1,
    called: bytes = b"DXATREND",
    calling: bytes = b"SCANNER1",
    context_id: int = 1,
    abstract: bytes = EnhancedSRStorage.encode(),
    extra: bytes = b"",
    in_context: bytes = b"",
    of_user: bytes = b"",
    longest: int = 16_384,
) -> bytes:
    syntaxes = in_context + item(0x40, ExplicitVRLittleEndian)
    context = item(0x20, bytes([context_id, 0, 0, 0]) + item(0x30, abstract) + syntaxes)
    user = item(0x50, item(0x51, struct.pack(">L", longest)) + item(0x52, "2.25.1") + of_user)
    titles = called.ljust(16) + calling.ljust(16)
    body = struct.pack(">Hxx", version) + titles + bytes(32)
    return pdu(0x01, body + item(0x10, APPLICATION_CONTEXT) + extra + context + user)


def _answer(port: int, request: bytes) -> bytes:
    """The PDU that comes back."""
    with socket.create_connection((peers.LOOPBACK, port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


@pytest.mark.parametrize(
    "request_",
    [
        _request(calling=b"SCANNER1\0\0\0\0\0\0\0\0"),
        _request(called=b"\0DXATREND\0 \0"),
        _request(calling=b"   SCANNER1"),
        _request(version=0x0003),
        _request(version=0x8001),
        _request(extra=item(0x7F, b"anything")),
        _request(in_context=item(0x7F, b"anything")),
        _request(of_user=item(0x7F, b"anything")),
        _request(of_user=item(ASYNCHRONOUS, b"x")),
        _request(of_user=item(USER_IDENTITY, bytes(40))),
        _request(abstract=EnhancedSRStorage.encode() + b"\0"),
        _request(of_user=item(VERSION_NAME, b"")),
    ],
    ids=[
        "title filled up with NULs",
        "called title within NULs",
        "title after spaces",
        "another version too",
        "a version nobody knows too",
        "unknown item",
        "unknown item in a context",
        "unknown user item",
        "broken user item we do not use",
        "user identity",
        "UID filled up with a NUL",
        "empty version name",
    ],
)
def test_what_ps3_8_allows_is_admitted(port: int, request_: bytes) -> None:
    assert _answer(port, request_)[0] == ACCEPTED


@pytest.mark.parametrize(
    ("request_", "answer", "reason"),
    [
        (_request(calling=b"SCANN\xc9R"), bytes([1, 1, 3]), r"association of 'SCANN\\xc9R' at 127.0.0.1 to 'DXATREND'"),
        (_request(calling=b"SCANNER1\0X"), bytes([1, 1, 3]), "rejected: no listener.caller"),
        (_request(calling=b""), bytes([1, 1, 3]), "association of '' at 127.0.0.1 to 'DXATREND' rejected"),
        (_request(called=b"\xff" * 16), bytes([1, 1, 7]), "rejected: it called another AE title than ours"),
        (_request(version=0), bytes([1, 2, 2]), "127.0.0.1: its A-ASSOCIATE-RQ offers protocol version 0x0000"),
        (_request(version=0xFFFE), bytes([1, 2, 2]), "offers protocol version 0xFFFE without version 1"),
    ],
    ids=["8-bit title", "text after a NUL", "no title", "8-bit called title", "no version", "all versions but one"],
)
def test_who_is_not_admitted_is_rejected_and_logged_with_address_and_reason(
    port: int, request_: bytes, answer: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    received = _answer(port, request_)
    assert (received[0], received[7:10]) == (REJECTED, answer)
    peers.wait_until_logged(reason, caplog)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (_request(context_id=2), "a presentation context has the number 2, which is not odd"),
        (_request(of_user=item(VERSION_NAME, b"A" * 17)), "Implementation Version Name has more than 16 characters"),
        (_request(abstract=b"1.2" + b"\xe9"), "Abstract Syntax Name is not ASCII"),
        (_request(abstract=b"1" * 65), "Abstract Syntax Name is empty, longer than 64 characters"),
        (_request(abstract=b"1.2\n3"), "Abstract Syntax Name is empty, longer than 64 characters, or no text"),
        (_request(extra=item(0x20, bytes([1, 0, 0, 0]))), "presentation context 1 lacks its abstract syntax"),
        (_request(longest=7), "it takes no more than 7 bytes at a time"),
        (pdu(1, _request()[6:-4]), "an item is longer than what it stands in"),
        (pdu(1, _request()[6:] + b"\x20"), "it ends within an item"),
        (pdu(1, _request()[6:60]), "it ends before the titles do"),
        (pdu(2, _request()[6:]), "a PDU of type 2"),
        (pdu(9, b""), "127.0.0.1: a PDU of type 9 has no place here"),
        (pdu(5, bytes(4)), "127.0.0.1: a PDU of type 5 and 4 bytes has no place here"),
        (pdu(6, bytes(4)), "127.0.0.1: a PDU of type 6 and 4 bytes has no place here"),
    ],
)
def test_a_request_that_cannot_be_decoded_is_aborted_and_logged_with_address_and_reason(
    port: int, request_: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert _answer(port, request_)[0] == ABORTED
    peers.wait_until_logged(reason, caplog)
    assert "127.0.0.1" in caplog.text


def test_an_unknown_caller_is_rejected_before_its_proposal_has_come(port: int) -> None:
    """It announces a quarter of a megabyte; it is rejected after the titles."""
    body = struct.pack(">Hxx", 1) + b"DXATREND".ljust(16) + b"STRANGER".ljust(16) + bytes(32)
    assert _answer(port, struct.pack(">BxL", 1, 250_000) + body)[0] == REJECTED


def test_a_proposal_as_large_as_it_may_be_is_answered_at_once(port: int) -> None:
    """Every context with as many syntaxes as fit: pynetdicom alone would take seconds over one of them."""
    syntaxes = b"".join(item(0x40, f"2.{number}") for number in range(200))
    contexts = b"".join(
        item(0x20, bytes([number, 0, 0, 0]) + item(0x30, EnhancedSRStorage) + syntaxes) for number in range(3, 255, 2)
    )
    request = _request(extra=contexts)
    assert 200_000 < len(request) < 1 << 18
    for _ in range(20):
        assert _answer(port, request)[0] == ACCEPTED
