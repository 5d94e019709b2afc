"""Under every attack a scanner is served within two seconds, in bounded memory, and no name gets into the log."""

import itertools
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests import peers
from tests.factories.fast_scanner import Object, Scanner, association_request, copies, data_pdu, pdu
from tests.factories.service import Service
from tests.folders import SAMPLES

REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
HEARD_WITHIN = 2.0
ATTEMPTS = 3
MOST_MEGABYTES = 120
"""By how much the listener may grow under any attack."""

OF_THE_POOL = 12
"""Files that a pool of database connections may have opened since: three each."""

MARK = "ZZMARKED"
REQUEST = association_request(called="DXATREND", calling="SCANNER1")
CALLERS = '[{"ae_title": "SCANNER1"}, {"ae_title": "SCANNER2"}]'

_numbers = itertools.count()


class Besieged:
    """A listener in a process of its own, watched from outside."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(folder, destination_port=1)
        self.service.begin("listen", environment={"DXATREND_SERVICE__LISTENER__CALLER": CALLERS})
        self.port = self.service.port
        peers.wait_until(self.service.answers, seconds=60, what="the listener answers")
        self.hear()
        self._memory, self._threads, self._files = self._megabytes(), self._status("Threads"), self._open_files()

    def hear(self) -> None:
        """See that a scanner is heard at once; the machine may be busy with something else twice."""
        for _ in range(ATTEMPTS):
            took = self._send_one()
            if took < HEARD_WITHIN:
                return
        pytest.fail(f"a scanner was heard after {took:.1f} s")

    def _send_one(self) -> float:
        (sent,) = copies(REPORT, 1, first=next(_numbers))
        began = time.monotonic()
        with Scanner(self.port, called="DXATREND", calling="SCANNER2", seconds=10) as scanner:
            assert scanner.store(sent) == 0x0000
            scanner.release()
        return time.monotonic() - began

    def is_unmoved(self) -> None:
        """See that the attack has left nothing behind, and what it took was bounded."""
        self.hear()
        assert self._megabytes("VmHWM") < self._memory + MOST_MEGABYTES
        peers.wait_until(lambda: self._status("Threads") <= self._threads + 1, what="threads are at their baseline")
        peers.wait_until(lambda: self.service.open_connections() == 0, what="no connection is left")
        peers.wait_until(lambda: self._open_files() <= self._files + OF_THE_POOL, what="no file is left open")
        log = self.service.log.read_text()
        assert MARK not in log
        assert "Traceback" not in log
        assert log.count("\n") < 2_000

    def _megabytes(self, name: str = "VmRSS") -> float:
        return self._status(name) / 1024

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.service.process_group()}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{name}:")))

    def _open_files(self) -> int:
        return len(list(Path(f"/proc/{self.service.process_group()}/fd").iterdir()))


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    under_attack = Besieged(tmp_path_factory.mktemp("attack") / "service")
    yield under_attack
    under_attack.service.kill()


def _connect(port: int) -> socket.socket:
    return socket.create_connection((peers.LOOPBACK, port), timeout=10)


def test_two_hundred_silent_connections(besieged: Besieged) -> None:
    with ExitStack() as silent:
        for _ in range(200):
            silent.enter_context(closing(_connect(besieged.port)))
        besieged.hear()
    besieged.is_unmoved()


def test_more_silent_connections_than_may_be_open(besieged: Besieged) -> None:
    """The oldest of whoever has most make room; without that a newcomer would wait for them to time out."""
    with ExitStack() as silent:
        for _ in range(400):
            silent.enter_context(closing(_connect(besieged.port)))
        besieged.hear()
    besieged.is_unmoved()


def test_two_hundred_associations_never_released(besieged: Besieged) -> None:
    with ExitStack() as open_ones:
        for _ in range(200):
            connection = open_ones.enter_context(closing(_connect(besieged.port)))
            connection.sendall(REQUEST)
        besieged.hear()
    besieged.is_unmoved()


def test_slow_loris(besieged: Besieged) -> None:
    """A byte at a time: of a request on some connections, of an object on others."""
    with ExitStack() as slow:
        connections = [slow.enter_context(closing(_connect(besieged.port))) for _ in range(100)]
        for connection in connections[:20]:
            connection.sendall(REQUEST)
        for step in range(20):
            for number, connection in enumerate(connections):
                drip = REQUEST if number >= 20 else Object("1.2", "1.2.3", MARK.encode()).message(1)
                with suppress(OSError):
                    connection.send(drip[step : step + 1])
            besieged.hear()
    besieged.is_unmoved()


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["at once", "in an association"])
def test_lengths_of_four_gigabytes_are_refused_before_a_byte_of_them_is_kept(besieged: Besieged, before: bytes) -> None:
    with ExitStack() as huge:
        for kind in (*range(1, 8), *range(1, 8)):
            connection = huge.enter_context(closing(_connect(besieged.port)))
            connection.sendall(before)
            if before:
                connection.recv(65536)
            connection.sendall(struct.pack(">BxL", kind, 0xFFFF_FFFF) + MARK.encode())
            received = connection.recv(65536)
            assert received == b"" or received[0] == 0x07, "an abort"
        besieged.hear()
    besieged.is_unmoved()


def test_an_object_without_end(besieged: Besieged) -> None:
    """Its command set is right, its data set never ends."""
    command = Object("1.2", "1.2.3", b"x").message(1)
    command = command[: 6 + struct.unpack_from(">L", command, 2)[0]]
    piece = data_pdu(0, bytes(60_000))
    with closing(_connect(besieged.port)) as endless:
        endless.sendall(REQUEST)
        endless.recv(65536)
        endless.sendall(command)
        for number in range(2_000):  # 120 MB
            endless.sendall(piece)
            if number % 500 == 0:
                besieged.hear()
    besieged.is_unmoved()


def test_garbage_on_a_thousand_connections(besieged: Besieged) -> None:
    """Seeded. The other fifty thousand PDUs go straight to an association, in another test."""
    chance = random.Random(4_711)
    whole = REQUEST + Object("1.2", "1.2.3", MARK.encode() * 100).message(1)
    for number in range(1_000):
        with closing(_connect(besieged.port)) as connection, suppress(ConnectionError):
            sent = bytearray(whole)
            for _ in range(chance.randrange(1, 30)):
                sent[chance.randrange(len(sent))] = chance.randrange(256)
            if chance.random() < 0.3:
                sent = bytearray(chance.randbytes(chance.randrange(1, 2_000)))
            connection.sendall(sent)
        if number % 250 == 0:
            besieged.hear()
    besieged.is_unmoved()


def test_every_file_of_a_fuzzing_corpus(besieged: Besieged, samples: Path) -> None:
    """Each as an object, and each as if it were the protocol itself."""
    files = sorted(path for path in samples.glob("pwnlabmx*/**/*") if path.is_file())
    assert files
    for path in files:
        bad = path.read_bytes()
        with Scanner(besieged.port, called="DXATREND") as scanner:
            sent = Object("1.2.840.10008.5.1.4.1.1.88.22", f"2.25.{next(_numbers)}", bad)
            assert scanner.store(sent) == 0x0000, "kept before it is judged"
            scanner.release()
        with closing(_connect(besieged.port)) as connection, suppress(ConnectionError):
            connection.sendall(bad)
    besieged.is_unmoved()


@pytest.mark.parametrize("calling", ["STRANGER", "", "é"])
def test_an_unknown_caller_never_reaches_the_store(besieged: Besieged, calling: str) -> None:
    request = pdu(1, association_request(called="DXATREND", calling="A" * 16)[6:].replace(b"A" * 16, _title(calling)))
    with closing(_connect(besieged.port)) as connection:
        connection.sendall(request)
        assert connection.recv(65536)[:1] in (b"\x03", b"\x07"), "rejected, or aborted where it is no title at all"


def _title(calling: str) -> bytes:
    return calling.encode("latin-1").ljust(16)


@pytest.fixture(autouse=True)
def _is_heard_afterwards(besieged: Besieged) -> Iterator[Callable[[], None]]:
    yield besieged.hear
    besieged.hear()
