"""Receivers of HL7 over MLLP: python-hl7's own server, and ones that misbehave byte by byte."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

from tests import peers


@dataclass
class Receiver:
    """A receiver on a free port, and the messages it got."""

    port: int = field(default_factory=peers.free_port)
    answer: str = "AA"
    encoding: str = "utf-8"
    got: list[hl7.Message] = field(default_factory=list)


@contextmanager
def python_hl7_server(receiver: Receiver) -> Iterator[None]:
    """Run python-hl7's MLLP server, which answers every message with the receiver's code."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    listening = threading.Event()

    async def serve(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await reader.readmessage()
                receiver.got.append(message)
                writer.writemessage(message.create_ack(receiver.answer))
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await start_hl7_server(serve, port=receiver.port, host=peers.LOOPBACK, encoding=receiver.encoding)
        async with server:
            listening.set()
            await stop.wait()
            await asyncio.sleep(0.05)  # a connection that has just ended is closed on this side too

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="python-hl7")
    thread.start()
    assert listening.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def acknowledgement(message: bytes, code: str = "AA", *, control_id: str = "") -> bytes:
    """An answer to a message, framed."""
    identifier = control_id or message.split(b"\r")[0].split(b"|")[9].decode("ascii")
    text = f"MSH|^~\\&|THEM||DXATREND||20260302||ACK|1|P|2.5.1\rMSA|{code}|{identifier}|Marked^Patient\r"
    return b"\x0b" + text.encode() + b"\x1c\x0d"


@contextmanager
def raw_receiver(receiver: Receiver, behave: Callable[[socket.socket, bytes], None]) -> Iterator[None]:
    """Run a receiver that does anything with a connection once a message is there, then closes it."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection, suppress(OSError):
                connection.settimeout(10)
                received = b""
                while more := connection.recv(65536):
                    received += more
                    while b"\x1c\x0d" in received:
                        frame, _, received = received.partition(b"\x1c\x0d")
                        receiver.got.append(hl7.parse(frame.removeprefix(b"\x0b").decode("utf-8")))
                        behave(connection, frame.removeprefix(b"\x0b"))

    with socket.create_server((peers.LOOPBACK, receiver.port)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=serve, name="a receiver")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
