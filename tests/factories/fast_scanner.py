"""Scanners that send faster than any real one: the protocol on bare sockets, for load, attacks and measurements."""

import selectors
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pipeline.sr.dicom.reader import split_file
from tests import peers

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
CONTEXT_ID = 1
A_RELEASE_RQ = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
_A_ASSOCIATE_AC, _P_DATA_TF, _A_RELEASE_RP = 0x02, 0x04, 0x06
_PDV_BYTES = 15_000


@dataclass(frozen=True, slots=True)
class Object:
    """What is sent: its class, its name, its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    data_set: bytes

    def message(self, number: int) -> bytes:
        """The whole C-STORE request, ready for the wire."""
        command = elements(
            (0x0002, text(self.sop_class_uid)),
            (0x0100, short(0x0001)),
            (0x0110, short(number % 0x10000)),
            (0x0700, short(0)),
            (0x0800, short(1)),
            (0x1000, text(self.sop_instance_uid)),
        )
        return data_pdu(3, command) + _data_pdus(self.data_set)


def action_request(data_set: bytes) -> bytes:
    """A whole N-ACTION request for storage commitment (PS3.7 10.3.5), with any data set."""
    command = elements(
        (0x0003, text(StorageCommitmentPushModel)),
        (0x0100, short(0x0130)),
        (0x0110, short(5)),
        (0x0800, short(1 if data_set else 0x0101)),
        (0x1001, text(StorageCommitmentPushModelInstance)),
        (0x1008, short(1)),
    )
    return data_pdu(3, command) + _data_pdus(data_set)


def copies(report: Path, count: int, *, first: int = 0) -> Iterator[Object]:
    """The same report under so many names; its data set must be in Explicit VR Little Endian."""
    for file, name in files(report, count, first=first):
        data_set, transfer_syntax = split_file(file)
        assert transfer_syntax == ExplicitVRLittleEndian
        yield Object(EnhancedSRStorage, name, data_set)


def files(report: Path, count: int, *, first: int = 0) -> Iterator[tuple[bytes, str]]:
    """The same, as DICOM files, each with its SOP Instance UID."""
    file = report.read_bytes()
    data_set, _ = split_file(file)
    at = data_set.index(b"\x08\x00\x18\x00UI")
    (length,) = struct.unpack_from("<H", data_set, at + 6)
    old = data_set[at + 8 : at + 8 + length].rstrip(b"\0")
    for number in range(first, first + count):
        name = f"2.25.{10 ** (len(old) - 6) + number}"
        yield file.replace(old, name.encode()), name


class Scanner:
    """One association, from its request to its release."""

    def __init__(
        self,
        port: int,
        *,
        called: str,
        calling: str = "SCANNER1",
        source: str = peers.LOOPBACK,
        seconds: float = 60,
        sop_classes: Sequence[str] = (EnhancedSRStorage,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = socket.create_connection((peers.LOOPBACK, port), timeout=seconds, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=peers.LOOPBACK)
            self.socket.sendall(association_request(called=called, calling=calling, sop_classes=sop_classes))
            kind, _ = self.receive()
            if kind != _A_ASSOCIATE_AC:
                raise ConnectionRefusedError(f"the answer was a PDU of type {kind}")
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def store(self, sent: Object, number: int = 1) -> int:
        """Send one object; the status of the answer."""
        self.socket.sendall(sent.message(number))
        return self.answer()

    def answer(self) -> int:
        """The status of the next answer."""
        kind, body = self.receive()
        assert kind == _P_DATA_TF, f"a PDU of type {kind} instead of an answer"
        return status_of(body)

    def release(self) -> None:
        """End it as it should end."""
        self.socket.sendall(A_RELEASE_RQ)
        kind, _ = self.receive()
        self.socket.close()
        assert kind == _A_RELEASE_RP, f"a PDU of type {kind} instead of a release"

    def receive(self) -> tuple[int, bytes]:
        """The next PDU: its type and what is in it."""
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            more = self.socket.recv(length - len(got))
            if not more:
                raise ConnectionResetError("the listener closed the connection")
            got += more
        return got


def send_in_parallel(port: int, objects: Iterable[Object], *, called: str, associations: int) -> list[int]:
    """Send over so many associations at once, from one thread; the status of each answer."""
    selector = selectors.DefaultSelector()
    waiting = iter(objects)
    statuses: list[int] = []
    inboxes: dict[Scanner, bytes] = {}

    def send_next(scanner: Scanner) -> None:
        following = next(waiting, None)
        if following is None:
            selector.unregister(scanner.socket)
            scanner.release()
        else:
            scanner.socket.sendall(following.message(1))

    for _ in range(associations):
        scanner = Scanner(port, called=called)
        inboxes[scanner] = b""
        selector.register(scanner.socket, selectors.EVENT_READ, scanner)
        send_next(scanner)
    while selector.get_map():
        for key, _ in selector.select():
            scanner = key.data
            received = scanner.socket.recv(65536)
            if not received:
                raise ConnectionResetError("the listener closed the connection")
            inbox = inboxes[scanner] + received
            if len(inbox) >= 6 and len(inbox) >= (whole := 6 + struct.unpack_from(">L", inbox, 2)[0]):
                statuses.append(status_of(inbox[6:whole]))
                inbox = inbox[whole:]
                send_next(scanner)
            inboxes[scanner] = inbox
    selector.close()
    return statuses


def association_request(*, called: str, calling: str, sop_classes: Sequence[str] = (EnhancedSRStorage,)) -> bytes:
    """An A-ASSOCIATE-RQ PDU (PS3.8 9.3.2)."""
    syntaxes = item(0x40, ExplicitVRLittleEndian) + item(0x40, ImplicitVRLittleEndian)
    contexts = b"".join(
        item(0x20, bytes([CONTEXT_ID + 2 * number, 0, 0, 0]) + item(0x30, sop_class) + syntaxes)
        for number, sop_class in enumerate(sop_classes)
    )
    user = item(0x50, item(0x51, struct.pack(">L", 16_384)) + item(0x52, "2.25.1"))
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    body = struct.pack(">Hxx", 1) + titles + bytes(32) + item(0x10, APPLICATION_CONTEXT) + contexts + user
    return pdu(0x01, body)


def pdu(kind: int, body: bytes) -> bytes:
    """Any PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


def data_pdu(control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF PDU with one fragment: control 3 a whole command set, 0 part of a data set, 2 the last part."""
    return pdu(_P_DATA_TF, struct.pack(">LBB", len(fragment) + 2, CONTEXT_ID, control) + fragment)


def _data_pdus(data_set: bytes) -> bytes:
    return b"".join(
        data_pdu(2 if at + _PDV_BYTES >= len(data_set) else 0, data_set[at : at + _PDV_BYTES])
        for at in range(0, len(data_set), _PDV_BYTES)
    )


def elements(*values: tuple[int, bytes]) -> bytes:
    """A command set."""
    body = b"".join(struct.pack("<HHL", 0, element, len(value)) + value for element, value in values)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def short(value: int) -> bytes:
    """A value of VR US."""
    return struct.pack("<H", value)


def text(value: str) -> bytes:
    """A value of VR UI."""
    return value.encode() + b"\0" * (len(value) % 2)


def item(kind: int, value: bytes | str) -> bytes:
    """An item of an association request."""
    body = value.encode() if isinstance(value, str) else value
    return struct.pack(">BxH", kind, len(body)) + body


def status_of(body: bytes) -> int:
    """The Status (0000,0900) in a P-DATA-TF PDU."""
    at = body.index(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    return int(struct.unpack_from("<H", body, at + 8)[0])
