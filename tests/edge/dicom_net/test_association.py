"""The event-driven association is pynetdicom's in everything but its waiting: a peer sees the same."""

import gc
import random
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sized
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom._globals import DEFAULT_MAX_LENGTH
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification
from pynetdicom.transport import AddressInformation

from pipeline.edge.dicom_net.acceptances import Acceptances
from pipeline.edge.dicom_net.admission import CALLING_AE_TITLE_NOT_RECOGNISED, Admit, Rejection, Requestor
from pipeline.edge.dicom_net.association import EventDrivenAssociation
from pipeline.edge.dicom_net.association_requests import Request, Supported
from pipeline.edge.dicom_net.bare_association import NumericAddress
from pipeline.edge.dicom_net.command_set import N_ACTION_RSP, CommandSetError, read_command, store_response
from pipeline.edge.dicom_net.limits import MAXIMUM_PDU_SIZE, Limits
from pipeline.edge.dicom_net.response_order import ResponseOrder
from pipeline.edge.dicom_net.server import EventDrivenServer
from tests import peers
from tests.factories.fast_scanner import (
    A_RELEASE_RQ,
    Object,
    Scanner,
    action_request,
    association_request,
    data_pdu,
    elements,
    pdu,
    short,
    status_of,
    text,
)

A_ASSOCIATE_AC, P_DATA_TF, A_RELEASE_RP, A_ABORT = 0x02, 0x04, 0x06, 0x07
N_EVENT_REPORT_RQ = 0x0100
SENT = Object(EnhancedSRStorage, "2.25.77", b"anything at all")

uids = st.from_regex(r"(0|[1-9][0-9]{0,9})(\.(0|[1-9][0-9]{0,9})){0,5}", fullmatch=True).filter(
    lambda uid: len(uid) <= 64
)


@contextmanager
def _stock(handlers: Mapping[Any, Any]) -> Iterator[int]:
    """pynetdicom's own server."""
    port = peers.free_port()
    server = _entity().start_server((peers.LOOPBACK, port), block=False, evt_handlers=list(handlers.items()))
    try:
        yield port
    finally:
        server.shutdown()


@contextmanager
def _event_driven(
    handlers: Mapping[Any, Any], *, admit: Admit = lambda _: None, end_seconds: float = 5, **limits: float
) -> Iterator[int]:
    """Ours."""
    port = peers.free_port()
    usual: dict[str, Any] = {"associations": 100, "associations_per_caller": 100, "idle_seconds": 60}
    room: dict[str, Any] = {"largest_object": 1_000_000, "largest_request": 100_000, "memory": 4_000_000}
    within = Limits(**(usual | room | limits))
    server = EventDrivenServer(_entity(), (peers.LOOPBACK, port), handlers, within, admit=admit)
    try:
        yield port
    finally:
        server.close(seconds=end_seconds)


def _entity() -> AE:
    ae = AE(ae_title="DXATREND")
    ae.add_supported_context(Verification)
    ae.add_supported_context(EnhancedSRStorage, ExplicitVRLittleEndian)
    ae.add_supported_context(StorageCommitmentPushModel, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
    return ae


@pytest.fixture(params=[_stock, _event_driven], ids=["pynetdicom", "ours"])
def server(request: pytest.FixtureRequest) -> Any:
    """Either server, given handlers."""
    return request.param


def _answers(port: int, *sent: bytes) -> list[int]:
    """The types of the PDUs that come back, one after each part sent and then until nothing comes for a second."""
    kinds = []
    with socket.create_connection((peers.LOOPBACK, port), timeout=1) as connection:
        try:
            for part in [*sent, *[b""] * 3]:
                connection.sendall(part)
                head = connection.recv(6, socket.MSG_WAITALL)
                if len(head) < 6:
                    break
                kind, length = struct.unpack(">BxL", head)
                connection.recv(length, socket.MSG_WAITALL)
                kinds.append(kind)
        except (TimeoutError, ConnectionResetError):
            pass
    return kinds


REQUEST = association_request(called="DXATREND", calling="SCANNER1")
STORE = {evt.EVT_C_STORE: lambda event: 0x0000}


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ([REQUEST, A_RELEASE_RQ], [A_ASSOCIATE_AC, A_RELEASE_RP]),
        ([REQUEST, SENT.message(1)], [A_ASSOCIATE_AC, P_DATA_TF]),
        ([REQUEST, pdu(A_ABORT, bytes(4))], [A_ASSOCIATE_AC]),
        ([REQUEST, REQUEST], [A_ASSOCIATE_AC, A_ABORT]),
        ([REQUEST, b"\x09\x00\x00\x00\x00\x00"], [A_ASSOCIATE_AC, A_ABORT]),
        ([SENT.message(1)], [A_ABORT]),
        ([A_RELEASE_RQ], [A_ABORT]),
        ([b"GET / HTTP/1.1\r\n\r\n"], [A_ABORT]),
    ],
    ids=["release", "store", "abort", "twice", "unknown PDU", "no association", "release at once", "HTTP"],
)
def test_the_pdus_that_come_back_are_pynetdicoms(server: Any, sent: list[bytes], answered: list[int]) -> None:
    """Where it aborts, pynetdicom may do so once for each further piece that it cannot read; once is enough."""
    with server(STORE) as port:
        came = _answers(port, *sent)
    assert came[: len(answered)] == answered
    assert set(came[len(answered) :]) <= {A_ABORT}


def test_a_command_that_ends_pynetdicoms_thread_ends_with_an_abort() -> None:
    with _event_driven(STORE) as port:
        assert _answers(port, REQUEST, data_pdu(3, b"no command")) == [A_ASSOCIATE_AC, A_ABORT]


def test_a_status_reaches_the_sender(server: Any) -> None:
    with server({evt.EVT_C_STORE: lambda event: 0xA700}) as port:
        scanner = Scanner(port, called="DXATREND")
        assert scanner.store(SENT) == 0xA700
        scanner.release()


def test_a_handler_that_fails_is_answered_with_c211(server: Any) -> None:
    def fail(event: evt.Event) -> int:
        raise ZeroDivisionError

    with server({evt.EVT_C_STORE: fail}) as port, Scanner(port, called="DXATREND") as scanner:
        assert scanner.store(SENT) == 0xC211


def test_a_handler_sees_what_was_sent(server: Any) -> None:
    seen: list[Any] = []

    def look(event: evt.Event) -> int:
        request = event.request
        seen.append((request.AffectedSOPClassUID, request.AffectedSOPInstanceUID, request.DataSet.getvalue()))
        seen.append((event.context.transfer_syntax, event.assoc.requestor.ae_title, event.assoc.requestor.address))
        return 0x0000

    with server({evt.EVT_C_STORE: look}) as port, Scanner(port, called="DXATREND") as scanner:
        scanner.store(SENT)
    assert seen == [
        (EnhancedSRStorage, "2.25.77", SENT.data_set),
        (ExplicitVRLittleEndian, "SCANNER1", peers.LOOPBACK),
    ]


def test_a_message_in_the_smallest_pieces_is_the_same_message(server: Any) -> None:
    with server(STORE) as port, Scanner(port, called="DXATREND") as scanner:
        command = elements(
            (0x0002, text(EnhancedSRStorage)),
            (0x0100, short(1)),
            (0x0110, short(7)),
            (0x0700, short(0)),
            (0x0800, short(1)),
            (0x1000, text("2.25.7")),
        )
        for at in range(len(command)):
            scanner.socket.sendall(data_pdu(3 if at == len(command) - 1 else 1, command[at : at + 1]))
        for byte in data_pdu(0, b"ab") + data_pdu(2, b"c"):
            scanner.socket.send(bytes([byte]))
        kind, body = scanner.receive()
        assert (kind, status_of(body)) == (0x04, 0x0000)


def test_an_answer_may_come_later_and_holds_nobody_up() -> None:
    later: list[Future[int]] = []

    def commitment_request(event: evt.Event) -> Future[int]:
        later.append(Future())
        return later[-1]

    handlers = {evt.EVT_C_STORE: commitment_request, evt.EVT_C_ECHO: lambda event: 0x0000}
    with _event_driven(handlers) as port, Scanner(port, called="DXATREND") as waiting:
        waiting.socket.sendall(SENT.message(1) + A_RELEASE_RQ)
        assert peers.echoscu(port=port, called="DXATREND").returncode == 0
        peers.wait_until(lambda: later)
        later[0].set_result(0xA700)
        assert waiting.answer() == 0xA700
        assert waiting.receive()[0] == A_RELEASE_RP, "what came meanwhile is not forgotten"


def test_a_request_of_ours_follows_the_answer_to_the_peers_however_late_that_is(server: Any) -> None:
    """A result of storage commitment that came before the answer to its request would mean nothing to a scanner."""
    order, reports = ResponseOrder(), list[threading.Thread]()

    def report(association: Association) -> None:
        order.wait(association)
        association.send_n_event_report(Dataset(), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)

    def answer_late(event: evt.Event) -> tuple[int, None]:
        order.begin(event.assoc)
        reports.append(threading.Thread(target=report, args=(event.assoc,)))
        reports[-1].start()
        time.sleep(0.2)
        return 0x0000, None

    classes = (StorageCommitmentPushModel,)
    with server({evt.EVT_N_ACTION: answer_late}) as port:
        with Scanner(port, called="DXATREND", sop_classes=classes) as scanner:
            scanner.socket.sendall(action_request(b""))
            commands = [_command_field(scanner.receive()[1]) for _ in range(2)]
        reports[0].join(10)
    assert commands == [N_ACTION_RSP, N_EVENT_REPORT_RQ]


def _command_field(body: bytes) -> int:
    """The Command Field (0000,0100) in a P-DATA-TF PDU."""
    at = body.index(b"\x00\x00\x00\x01\x02\x00\x00\x00")
    return int(struct.unpack_from("<H", body, at + 8)[0])


def test_a_peer_that_leaves_before_its_answer_disturbs_nobody() -> None:
    later: Future[int] = Future()
    with _event_driven({evt.EVT_C_STORE: lambda event: later, evt.EVT_C_ECHO: lambda event: 0x0000}) as port:
        leaving = Scanner(port, called="DXATREND")
        leaving.socket.sendall(SENT.message(1))
        time.sleep(0.1)
        leaving.socket.close()
        time.sleep(0.1)
        later.set_result(0x0000)
        assert peers.echoscu(port=port, called="DXATREND").returncode == 0


def _has_more_than(found: Sized, number: int) -> bool:
    return len(found) > number


def test_nothing_is_left_of_an_association_that_has_stored_an_object() -> None:
    served: list[weakref.ref[Association]] = []

    def store(event: evt.Event) -> Future[int]:
        served.append(weakref.ref(event.assoc))
        status: Future[int] = Future()
        threading.Timer(0.01, status.set_result, [0x0000]).start()
        return status

    with _event_driven({evt.EVT_C_STORE: store}) as port:
        for number, leaves_at_once in enumerate((False, True) * 3):
            with Scanner(port, called="DXATREND") as scanner:
                scanner.socket.sendall(SENT.message(1))
                if not leaves_at_once:
                    assert scanner.answer() == 0x0000
                    scanner.release()
                peers.wait_until(partial(_has_more_than, served, number))
        # The server may have the last one at hand, and the one whose time limits it has looked at last.
        peers.wait_until(lambda: gc.collect() >= 0 and sum(one() is not None for one in served) <= 2)


def test_what_a_peer_has_sent_is_left_undone_once_it_is_gone() -> None:
    """Else an attack would go on until all is done that it has left in memory."""
    served: list[Association] = []

    def serve(event: evt.Event) -> int:
        served.append(event.assoc)
        return 0x0000

    echo = elements((0x0002, text(Verification)), (0x0100, short(0x0030)), (0x0110, short(7)), (0x0800, short(0x0101)))
    with _event_driven({evt.EVT_C_ECHO: serve}) as port:
        leaving = Scanner(port, called="DXATREND", sop_classes=[Verification])
        leaving.socket.sendall(pdu(P_DATA_TF, data_pdu(3, echo)[6:] * 10_000))
        leaving.answer()
        leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        leaving.socket.close()
        peers.wait_until(lambda: not served[0].is_established)
    assert len(served) < 10_000


def test_an_answer_that_comes_after_the_end_is_written_into_no_file_that_was_opened_since(tmp_path: Path) -> None:
    """What wakes the server is a descriptor, whose number the database may have by then."""
    later: list[Future[int]] = []

    def store_late(event: evt.Event) -> Future[int]:
        later.append(Future())
        return later[-1]

    with _event_driven({evt.EVT_C_STORE: store_late}, end_seconds=0) as port, Scanner(port, called="DXATREND") as one:
        one.socket.sendall(SENT.message(1))
        peers.wait_until(lambda: later)
    with ExitStack() as opened:
        paths = [tmp_path / str(number) for number in range(50)]
        for path in paths:
            opened.enter_context(path.open("wb"))
        later[0].set_result(0x0000)
    assert [path.stat().st_size for path in paths] == [0] * 50


def test_an_object_larger_than_allowed_is_refused_and_the_next_is_taken() -> None:
    with _event_driven(STORE, largest_object=100_000) as port:
        scanner = Scanner(port, called="DXATREND")
        assert scanner.store(Object(EnhancedSRStorage, "2.25.1", bytes(100_001))) == 0xA700
        assert scanner.store(Object(EnhancedSRStorage, "2.25.2", bytes(100_000))) == 0x0000
        scanner.release()


def test_what_is_received_and_not_yet_kept_fills_no_more_memory_than_it_may() -> None:
    later: list[Future[int]] = []

    def commitment_request(event: evt.Event) -> Future[int]:
        later.append(Future())
        return later[-1]

    sent = Object(EnhancedSRStorage, "2.25.1", bytes(60_000))
    with (
        _event_driven({evt.EVT_C_STORE: commitment_request}, memory=130_000) as port,
        Scanner(port, called="DXATREND") as first,
        Scanner(port, called="DXATREND") as second,
    ):
        first.socket.sendall(sent.message(1))
        peers.wait_until(lambda: later)
        assert second.store(sent) == 0xA700
        later[0].set_result(0x0000)
        assert first.answer() == 0x0000
        second.socket.sendall(sent.message(2))
        peers.wait_until(lambda: len(later) == 2, what="there is room again")
        later[1].set_result(0x0000)
        assert second.answer() == 0x0000


def test_an_idle_association_makes_room_for_a_newcomer_and_a_busy_one_does_not() -> None:
    with (
        _event_driven(STORE, associations_per_caller=2) as port,
        Scanner(port, called="DXATREND") as first,
        Scanner(port, called="DXATREND") as second,
    ):
        with pytest.raises(ConnectionRefusedError, match="type 3"):
            Scanner(port, called="DXATREND")
        time.sleep(1.1)
        assert first.store(SENT) == 0x0000
        with Scanner(port, called="DXATREND") as third:
            assert second.receive()[0] == A_ABORT
            assert (first.store(SENT), third.store(SENT)) == (0x0000, 0x0000)


def test_a_caller_that_has_its_share_does_not_keep_others_out() -> None:
    with _event_driven(STORE, associations=5, associations_per_caller=4) as port, ExitStack() as crowd:
        for _ in range(4):
            crowd.enter_context(Scanner(port, called="DXATREND", calling="CROWD"))
        with pytest.raises(ConnectionRefusedError):
            Scanner(port, called="DXATREND", calling="CROWD")
        assert crowd.enter_context(Scanner(port, called="DXATREND")).store(SENT) == 0x0000


def test_who_sends_the_ae_title_of_a_scanner_from_another_host_does_not_take_its_share() -> None:
    with _event_driven(STORE, associations_per_caller=2) as port, ExitStack() as crowd:
        for _ in range(2):
            crowd.enter_context(Scanner(port, called="DXATREND", source="127.0.0.2"))
        with pytest.raises(ConnectionRefusedError):
            Scanner(port, called="DXATREND", source="127.0.0.2")
        assert crowd.enter_context(Scanner(port, called="DXATREND")).store(SENT) == 0x0000


def test_a_peer_that_lost_its_power_is_noticed_within_two_minutes() -> None:
    names = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)] + [
        (socket.IPPROTO_TCP, name) for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    ]
    seen: list[int] = []

    def look(event: evt.Event) -> int:
        seen.extend(event.assoc.dul.socket.socket.getsockopt(*name) for name in names)
        return 0x0000

    with _event_driven({evt.EVT_C_STORE: look}) as port, Scanner(port, called="DXATREND") as scanner:
        assert scanner.store(SENT) == 0x0000
    is_kept_alive, idle, between, times = seen
    assert is_kept_alive
    assert idle + between * times <= 120


@pytest.mark.parametrize("told", [("127.0.0.7", 104), ("::1", 104, 0, 0), ("::1", 104, 1, 2)])
def test_an_address_is_pynetdicoms_without_asking_a_resolver(told: Any) -> None:
    ours, theirs = NumericAddress.from_tuple(told), AddressInformation.from_tuple(told)
    assert (ours.as_tuple, ours.address_family) == (theirs.as_tuple, theirs.address_family)


def test_a_silent_association_is_aborted() -> None:
    with _event_driven(STORE, idle_seconds=0.5) as port, Scanner(port, called="DXATREND", seconds=5) as silent:
        assert silent.receive()[0] == A_ABORT


@given(message_id=st.integers(0, 0xFFFF), status=st.integers(0, 0xFFFF), sop_class=uids, instance=uids)
def test_the_answer_is_byte_for_byte_pynetdicoms(message_id: int, status: int, sop_class: str, instance: str) -> None:
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo = message_id
    answer.AffectedSOPClassUID = sop_class
    answer.AffectedSOPInstanceUID = instance
    answer.Status = status
    message = C_STORE_RSP()
    message.primitive_to_message(answer)
    assert store_response(message_id, sop_class, instance, status) == encode(message.command_set, True, True)


@given(message_id=st.integers(0, 0xFFFF), instance=uids)
def test_a_request_is_read_as_pynetdicom_wrote_it(message_id: int, instance: str) -> None:
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = instance
    request.Priority = 2
    request.DataSet = BytesIO(b"x")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    command = read_command(encode(message.command_set, True, True) or b"")
    assert command.is_store_request
    assert (command.message_id, command.sop_class_uid, command.sop_instance_uid) == (
        message_id,
        CTImageStorage,
        instance,
    )


titles = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), min_size=1, max_size=16)


SUPPORTED = Supported({EnhancedSRStorage: [ImplicitVRLittleEndian], "2.25.3": [ExplicitVRLittleEndian]})


@given(called=titles, calling=titles, sop_classes=st.lists(uids | st.sampled_from(["2.25.3"]), max_size=4))
def test_a_proposal_means_what_pynetdicom_reads_in_it(called: str, calling: str, sop_classes: list[str]) -> None:
    """But for the transfer syntaxes, of which the one is left that is taken, or the first where none is."""
    for caller in (calling, "ANOTHER", calling):
        sent = association_request(called=called, calling=caller, sop_classes=sop_classes)
        theirs = A_ASSOCIATE_RQ()
        theirs.decode(sent)
        expected = theirs.to_primitive()
        for context in expected.presentation_context_definition_list:
            context.transfer_syntax = [ExplicitVRLittleEndian]
        assert _written_out(Request(sent, SUPPORTED).to_primitive()) == _written_out(expected)


def test_of_the_transfer_syntaxes_offered_the_preferred_one_is_left() -> None:
    (context,) = Request(REQUEST, SUPPORTED).to_primitive().presentation_context_definition_list
    assert context.transfer_syntax == [ImplicitVRLittleEndian]


def _association(port: int, *messages: bytes) -> bytes:
    """All that comes back in one association that sends so much and then releases."""
    came = b""
    with socket.create_connection((peers.LOOPBACK, port), timeout=10) as connection:
        for part in (REQUEST, *messages, A_RELEASE_RQ):
            connection.sendall(part)
            head = connection.recv(6, socket.MSG_WAITALL)
            came += head + connection.recv(struct.unpack(">BxL", head)[1], socket.MSG_WAITALL)
    return came


def test_who_asks_again_in_the_same_bytes_is_answered_as_by_pynetdicom_and_served_alike() -> None:
    with _stock(STORE) as port:
        theirs = _association(port, SENT.message(1))
    accepted: list[Any] = []
    handlers = STORE | {evt.EVT_ACCEPTED: lambda event: accepted.append(event.assoc.rejected_contexts)}
    with _event_driven(handlers) as port:
        ours = [_association(port, SENT.message(1)) for _ in range(3)]
    usual, asked_for = (b"Q\0\0\4" + struct.pack(">L", size) for size in (DEFAULT_MAX_LENGTH, MAXIMUM_PDU_SIZE))
    assert ours == [theirs.replace(usual, asked_for)] * 3
    assert accepted == [[], [], []]


def test_who_asks_in_the_bytes_of_another_is_admitted_for_itself() -> None:
    """The acceptance of a request is kept; who may make it is decided each time."""

    def admit(requestor: Requestor) -> Rejection | None:
        return None if requestor.host == peers.LOOPBACK else CALLING_AE_TITLE_NOT_RECOGNISED

    with _event_driven(STORE, admit=admit) as port:
        for _ in range(2):
            with Scanner(port, called="DXATREND") as known:
                assert known.store(SENT) == 0x0000
            with pytest.raises(ConnectionRefusedError, match="type 3"):
                Scanner(port, called="DXATREND", source="127.0.0.2")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_command_are_refused(encoded: bytes) -> None:
    try:
        read_command(encoded)
    except CommandSetError:
        return
    assert b"\x00\x00\x00\x01\x02\x00\x00\x00" in encoded, "it has a Command Field at least"


def _written_out(value: Any) -> Any:
    """A primitive and all that is in it, as plain values."""
    if isinstance(value, list):
        return [_written_out(one) for one in value]
    if hasattr(value, "__dict__") and not isinstance(value, str):
        return type(value), {name: _written_out(inner) for name, inner in vars(value).items()}
    return value


class _NullTransport:
    """A connection to nobody."""

    def send(self, bytestream: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    _shutdown_socket = close


class _UnlimitedMemory:
    largest_object = largest_request = 1 << 20

    def reserve(self, size: int) -> bool:
        return True

    def release(self, size: int) -> None:
        pass


def test_fifty_thousand_garbage_pdus_raise_nothing() -> None:
    """Seeded: random ones, and damaged ones of every kind, before, within and after an association."""
    chance = random.Random(20_260_302)
    address = AddressInformation(peers.LOOPBACK, 1)
    whole = [REQUEST, A_RELEASE_RQ, pdu(A_ABORT, bytes(4)), *_pdus(SENT.message(1))]
    ae = _entity()
    for _ in range(500):
        association = EventDrivenAssociation(
            ae,
            _NullTransport(),
            local=address,
            remote=address,
            handlers={evt.EVT_C_STORE: (lambda event: 0x0000, None)},
            memory=_UnlimitedMemory(),
            serve_later=lambda work: work(),
            wake=lambda: None,
            has_capacity=lambda: True,
            supported=SUPPORTED,
            acceptances=Acceptances(),
            log_problem=lambda why: None,
        )
        if chance.random() < 0.5:
            association.take_pdu(REQUEST)
        for _ in range(100):
            association.take_pdu(_damaged(chance, chance.choice(whole)))
            while association.has_more:
                association.read_fragments(0)
            assert association.state in {f"Sta{number}" for number in range(1, 14)}
        association.end()


def _pdus(sent: bytes) -> Iterator[bytes]:
    while sent:
        length = 6 + struct.unpack_from(">L", sent, 2)[0]
        yield sent[:length]
        sent = sent[length:]


def _damaged(chance: random.Random, whole: bytes) -> bytes:
    """A PDU whose length is right, as a connection delivers it, and in which nothing else need be."""
    body = bytearray(whole[6:])
    match chance.randrange(4):
        case 0:
            body = bytearray(chance.randbytes(chance.randrange(200)))
        case 1:
            del body[chance.randrange(len(body) + 1) :]
        case _:
            for _ in range(chance.randrange(1, 8)):
                body[chance.randrange(len(body))] = chance.randrange(256)
    return pdu(whole[0] if chance.random() < 0.9 else chance.randrange(256), bytes(body))
