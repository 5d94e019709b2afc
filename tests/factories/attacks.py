"""Attacks of hostile or broken devices on bare sockets, each for a given time."""

import itertools
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass

from pydicom.uid import (
    EnhancedSRStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from tests import peers
from tests.factories.fast_scanner import (
    A_RELEASE_RQ,
    APPLICATION_CONTEXT,
    Object,
    Scanner,
    action_request,
    association_request,
    elements,
    item,
    pdu,
    short,
    text,
)

LARGE = Object(SecondaryCaptureImageStorage, "2.25.606", b"")
"""The name of the picture of 20 MB that the service keeps before it is attacked."""

C_ECHO_RQ, C_ECHO_RSP, C_FIND_RQ, C_CANCEL_RQ = 0x0030, 0x8030, 0x0020, 0x0FFF
_LONGEST_PDU = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """A listener, and until when by the monotonic clock it is attacked."""

    port: int
    tls: ssl.SSLContext | None
    until: float

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self.until

    def connect(self) -> socket.socket:
        """A connection, over TLS where the listener wants that."""
        plain = socket.create_connection((peers.LOOPBACK, self.port), timeout=5)
        return self.tls.wrap_socket(plain, server_hostname=peers.LOOPBACK) if self.tls else plain

    def associate(self, *sop_classes: str) -> Scanner:
        """An association of a caller that is allowed in."""
        return Scanner(self.port, called="DXATREND", seconds=5, sop_classes=sop_classes, tls=self.tls)


Attack = Callable[[Target], None]


def _again_and_again(sent: bytes, *, at_once: int = 10) -> Attack:
    """Send the same on one connection after the other, so many open at a time."""

    def attack(target: Target) -> None:
        while target.goes_on:
            with ExitStack() as connections, suppress(OSError):
                opened = [connections.enter_context(closing(target.connect())) for _ in range(at_once)]
                for connection in opened:
                    connection.sendall(sent)
                for connection in opened:
                    connection.recv(10)

    return attack


def _in_associations(
    sent: bytes, *sop_classes: str, associations: int = 1, reads: bool = True, before: bytes = b""
) -> Attack:
    """Send the same without end in so many associations; whatever comes back is read, or is not."""

    def attack(target: Target) -> None:
        while target.goes_on:
            with ExitStack() as connections, suppress(OSError):
                scanners = [connections.enter_context(target.associate(*sop_classes)) for _ in range(associations)]
                for scanner in scanners:
                    scanner.socket.sendall(before)
                    scanner.socket.settimeout(0.2)
                while target.goes_on:
                    for scanner in scanners:
                        with suppress(TimeoutError, ssl.SSLWantReadError):
                            scanner.socket.sendall(sent)
                        if reads:
                            with suppress(TimeoutError, ssl.SSLWantReadError):
                                if not scanner.socket.recv(1 << 20):
                                    raise ConnectionResetError

    return attack


def _connections_that_stop_within(sent: bytes, *, associated: bool = False) -> Attack:
    """Two hundred connections, each of which has sent so much and nothing more."""

    def attack(target: Target) -> None:
        with ExitStack() as connections, suppress(OSError):
            for _ in range(90 if associated else 200):
                if associated:
                    connection = connections.enter_context(target.associate(EnhancedSRStorage)).socket
                else:
                    plain = socket.create_connection((peers.LOOPBACK, target.port), timeout=5)
                    connection = connections.enter_context(closing(plain))
                with suppress(OSError):
                    connection.sendall(sent)
            time.sleep(max(0, target.until - time.monotonic()))

    return attack


def one_byte_segments(target: Target) -> None:
    """A request and an object, each byte in a TCP segment of its own."""
    message = Object(EnhancedSRStorage, "2.25.17", bytes(500)).message(1)
    while target.goes_on:
        with suppress(OSError), closing(target.connect()) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (association_request(called="DXATREND", calling="SCANNER1"), message):
                for at in range(len(part)):
                    connection.send(part[at : at + 1])
                connection.recv(65_536)


def connections_come_and_go(target: Target) -> None:
    """As many as the machine lets through, most of them without a word."""
    while target.goes_on:
        with suppress(OSError):
            socket.create_connection((peers.LOOPBACK, target.port), timeout=5).close()


def associations_come_and_go(target: Target) -> None:
    """Each is released as soon as it is there."""
    while target.goes_on:
        with suppress(OSError, AssertionError):
            target.associate(EnhancedSRStorage).release()


def objects_as_large_as_they_may_be(target: Target) -> None:
    """Five associations send noise, which compresses to nothing less, all at once."""
    pieces = [random.Random(number).randbytes(1_000_000) for number in range(4)]
    for uid in itertools.count(1):
        with ExitStack() as connections, suppress(OSError):
            scanners = [connections.enter_context(target.associate(EnhancedSRStorage)) for _ in range(5)]
            command = Object(EnhancedSRStorage, f"2.25.999{uid}", b"").message(1)
            for scanner in scanners:
                scanner.socket.sendall(command)
            for number in range(63):
                for scanner in scanners:
                    last = 2 if number == 62 else 0
                    body = pieces[number % 4]
                    scanner.socket.sendall(pdu(4, struct.pack(">LBB", len(body) + 2, 1, last) + body))
            for scanner in scanners:
                scanner.answer()
        if not target.goes_on:
            return


def handshakes_that_stop(target: Target) -> None:
    """A hundred TLS handshakes that stop after the first message."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with ExitStack() as connections:
        while target.goes_on:
            for _ in range(100):
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                shaking = context.wrap_bio(incoming, outgoing, server_hostname=peers.LOOPBACK)
                with suppress(ssl.SSLWantReadError):
                    shaking.do_handshake()
                with suppress(OSError):
                    plain = socket.create_connection((peers.LOOPBACK, target.port), timeout=5)
                    connections.enter_context(closing(plain)).sendall(outgoing.read())
            connections.close()


def results_that_nobody_answers(target: Target) -> None:
    """Twenty associations ask for a commitment, and never answer when they hear it."""
    with ExitStack() as connections, suppress(OSError):
        for number in range(20):
            scanner = connections.enter_context(target.associate(StorageCommitmentPushModel))
            scanner.socket.sendall(action_request(commitment(["2.25.1"], transaction=f"2.25.5{number}")))
        time.sleep(max(0, target.until - time.monotonic()))


def commitment(
    uids: Sequence[str], *, transaction: str = "2.25.77", sop_class: str = SecondaryCaptureImageStorage
) -> bytes:
    """The data set of a request for storage commitment, in Implicit VR Little Endian."""
    items = b"".join(
        _element(0xFFFE, 0xE000, _element(8, 0x1150, text(sop_class)) + _element(8, 0x1155, text(uid))) for uid in uids
    )
    return _element(8, 0x1195, text(transaction)) + _element(8, 0x1199, items)


def _element(group: int, number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", group, number, len(value)) + value


def _nested(depth: int) -> bytes:
    """A sequence in a sequence in a sequence."""
    opening = struct.pack("<HHLHHL", 8, 0x1199, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    return _element(8, 0x1150, text("1.2")) + opening * depth


def _fragments(control: int, fragment: bytes, *, size: int = _LONGEST_PDU) -> bytes:
    """One PDU full of the same fragment."""
    one = struct.pack(">LBB", len(fragment) + 2, 1, control) + fragment
    return pdu(4, one * (size // len(one)))


def _command(field: int, sop_class: str, *, data_set: bool = False) -> bytes:
    return elements(
        (0x0002, text(sop_class)),
        (0x0100, short(field)),
        (0x0120 if field & 0x8000 or field == C_CANCEL_RQ else 0x0110, short(7)),
        (0x0800, short(1 if data_set else 0x0101)),
        *([(0x0900, short(0))] if field & 0x8000 else []),
    )


def _proposal(contexts: bytes, *of_user: bytes, calling: str) -> bytes:
    """A request that proposes anything, made as long as it may be by repeating the last part of it."""
    usual = item(0x51, struct.pack(">L", 16_384)) + item(0x52, "2.25.1")
    user = b"".join(item(0x50, usual + more) for more in of_user or (b"",))
    titles = b"DXATREND".ljust(16) + calling.encode().ljust(16)
    return pdu(1, struct.pack(">Hxx", 1) + titles + bytes(32) + item(0x10, APPLICATION_CONTEXT) + contexts + user)


def _contexts(numbers: Sequence[int], syntaxes: int, *, sop_class: str = EnhancedSRStorage) -> bytes:
    listed = b"".join(item(0x40, f"1.{number}") for number in range(syntaxes)) + item(0x40, ImplicitVRLittleEndian)
    return b"".join(item(0x20, bytes([number, 0, 0, 0]) + item(0x30, sop_class) + listed) for number in numbers)


_FOUR_LONG_LISTS = b"".join(
    item(0x20, bytes([number, 0, 0, 0]) + item(0x30, EnhancedSRStorage) + item(0x40, "1") * 11_900)
    for number in (1, 3, 5, 7)
)
_128_CONTEXTS = _contexts(range(1, 256, 2), 200)
_ROLES = item(0x54, struct.pack(">H", 3) + b"1.2" + b"\1\1") * 5_500
_STORE = Object(EnhancedSRStorage, "2.25.18", b"x" * 10).message(1)
_STORE_COMMAND = _STORE[: 6 + struct.unpack_from(">L", _STORE, 2)[0]]
_STORES = b"".join(
    struct.pack(">LBB", len(part) + 2, 1, control) + part
    for control, part in [(3, _STORE_COMMAND[12:]), (2, b"x" * 10)] * 5_000
)
_MANY_UIDS = [f"2.25.{number}" for number in range(2_000)]
_15_MB = commitment(["2.25.1"] * 250_000, sop_class="1.2")
_ECHOES = _fragments(3, _command(C_ECHO_RQ, Verification))
_ONE_ECHO = _fragments(3, _command(C_ECHO_RQ, Verification), size=100)
_FIND = _fragments(3, _command(C_FIND_RQ, EnhancedSRStorage), size=100)

BY_STRANGERS: dict[str, Attack] = {
    "ten proposals of 240 kB at a time, by a stranger": _again_and_again(
        _proposal(_FOUR_LONG_LISTS, calling="STRANGER")
    ),
    "128 contexts with 200 syntaxes each, by a stranger": _again_and_again(
        _proposal(_128_CONTEXTS, calling="STRANGER")
    ),
    "an acceptance of 240 kB instead of a request": _again_and_again(
        pdu(2, _proposal(_FOUR_LONG_LISTS, calling="SCANNER1")[6:])
    ),
    "PDUs of every unknown type": _again_and_again(b"".join(pdu(kind, bytes(60)) for kind in range(8, 256))),
    "P-DATA before any association": _again_and_again(_fragments(0, bytes(100), size=60_000)),
    "connections that come and go": connections_come_and_go,
    "200 connections that stop within a request": _connections_that_stop_within(
        association_request(called="DXATREND", calling="SCANNER1")[:150]
    ),
}
"""Nobody is let in for these."""

BY_CALLERS: dict[str, Attack] = {
    "ten proposals of 240 kB at a time, by a caller": _again_and_again(_proposal(_FOUR_LONG_LISTS, calling="SCANNER1")),
    "128 contexts with 200 syntaxes each, by a caller": _again_and_again(_proposal(_128_CONTEXTS, calling="SCANNER1")),
    "5,500 roles in each of three user items": _again_and_again(
        _proposal(_contexts([1], 1), _ROLES, _ROLES, _ROLES, calling="SCANNER1")
    ),
    "3,000 user items": _again_and_again(_proposal(_contexts([1], 1), *[b""] * 3_000, calling="SCANNER1")),
    "associations that come and go": associations_come_and_go,
    "14,000 C-ECHOs in one PDU": _in_associations(_ECHOES, Verification),
    "14,000 C-ECHOs in one PDU, answers unread": _in_associations(_ECHOES, Verification, associations=5, reads=False),
    "C-ECHOs in a PDU each, 20 associations": _in_associations(_ONE_ECHO * 500, Verification, associations=20),
    "20,000 C-CANCELs in one PDU": _in_associations(_fragments(3, _command(C_CANCEL_RQ, Verification)), Verification),
    "responses to no request": _in_associations(_fragments(3, _command(C_ECHO_RSP, Verification)), Verification),
    "C-FINDs without end": _in_associations(_FIND * 200, EnhancedSRStorage),
    "5,000 C-STOREs in one PDU": _in_associations(pdu(4, _STORES), EnhancedSRStorage),
    "an object in fragments of 2 bytes": _in_associations(
        _fragments(0, b"xy"), EnhancedSRStorage, before=_STORE_COMMAND, reads=False
    ),
    "an object in empty fragments": _in_associations(
        _fragments(0, b""), EnhancedSRStorage, before=_STORE_COMMAND, reads=False, associations=5
    ),
    "a command in empty fragments": _in_associations(_fragments(1, b""), EnhancedSRStorage, reads=False),
    "a command in fragments of a byte": _in_associations(_fragments(1, b"x"), EnhancedSRStorage, reads=False),
    "an object of small PDUs without end": _in_associations(
        pdu(4, struct.pack(">LBB", 3, 1, 0) + b"x") * 5_000, EnhancedSRStorage, before=_STORE_COMMAND, reads=False
    ),
    "90 PDUs of 1 MB that stop before their end": _connections_that_stop_within(
        struct.pack(">BxL", 4, _LONGEST_PDU) + bytes(_LONGEST_PDU - 10), associated=True
    ),
    "objects of 63 MB of noise, five at a time": objects_as_large_as_they_may_be,
    "one byte in each TCP segment": one_byte_segments,
    "A-RELEASEs without end": _in_associations(A_RELEASE_RQ * 5_000, EnhancedSRStorage, reads=False),
}
"""For these an AE title that is allowed in is enough."""

ON_COMMITMENT: dict[str, Attack] = {
    "a request of 15 MB for commitment": _in_associations(action_request(_15_MB), StorageCommitmentPushModel),
    "one object of 20 MB named 1,900 times": _in_associations(
        action_request(commitment([LARGE.sop_instance_uid] * 1_900)), StorageCommitmentPushModel
    ),
    "2,000 objects that nobody knows": _in_associations(
        action_request(commitment(_MANY_UIDS)), StorageCommitmentPushModel, associations=20
    ),
    "the same transaction again and again": _in_associations(
        action_request(commitment(["2.25.1"])) * 50, StorageCommitmentPushModel, associations=10
    ),
    "sequences 20,000 deep": _in_associations(action_request(_nested(20_000)), StorageCommitmentPushModel),
    "100,000 elements in a request": _in_associations(
        action_request(b"".join(_element(8, number % 0xFFFF, b"") for number in range(1, 60_000))),
        StorageCommitmentPushModel,
        associations=5,
    ),
    "results that nobody answers": results_that_nobody_answers,
}
"""Of callers that ask for storage commitment."""

ON_TLS: dict[str, Attack] = {
    "TLS handshakes that stop": handshakes_that_stop,
    "a handshake of garbage": _connections_that_stop_within(b"\x16\x03\x01\x02\x00" + bytes(300)),
    "a TLS record that stops": _connections_that_stop_within(b"\x16\x03\x01\x40\x00" + bytes(100)),
}
"""Where the listener speaks TLS."""

REACHES = {
    "a request of 15 MB for commitment": "data set is larger than any such request needs",
    "one object of 20 MB named 1,900 times": r"asked for commitment .*caller=SCANNER1 count=1\n",
    "2,000 objects that nobody knows": r"asked for commitment .*caller=SCANNER1 count=2000\n",
    "the same transaction again and again": r"asked for commitment .*caller=SCANNER1 count=1\n",
    "sequences 20,000 deep": "sequences nested deeper than",
    "results that nobody answers": r"asked for commitment .*caller=SCANNER1 count=1\n",
}
"""A pattern of what the listener's log says once an attack has come as far as it should; of refusals it tells the
first only."""
