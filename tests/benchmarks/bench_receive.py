"""Measure how many objects a second are received and durable, against DCMTK and Orthanc in the same run.

The same report under another name each time, from the same sender. Durable means: on the disk before the answer. All
receivers have their turn in each of many short rounds, and what counts is the median of the ratios of these rounds, so
that a noisy machine is noisy for all. Our processor time for an object is counted beside it.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import peers
from tests.benchmarks.processes import cpu_seconds_of_threads
from tests.benchmarks.table import Row, at_least
from tests.factories.fast_scanner import Object, Scanner, copies, files, send_in_parallel
from tests.factories.service import Service
from tests.folders import SAMPLES

REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
OBJECTS = 150
FEW = 40
"""Objects where each costs an association, or a stall of 40 ms."""
ROUNDS = 9
FEW_ROUNDS = 3
"""Of the stalls, each of which takes seconds."""

_numbers = itertools.count(step=OBJECTS)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is sent to."""

    name: str
    port: int
    ae_title: str
    process: int = 0
    """Its process, if it is ours."""


def rows() -> Iterator[Row]:
    """Objects per second: one, four and sixteen associations, one for each object, and a sender as shipped."""
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        ours = stack.enter_context(_dxatrend(folder / "ours"))
        dcmtk = stack.enter_context(_storescp(folder / "dcmtk"))
        orthanc = stack.enter_context(_orthanc(folder / "orthanc"))
        for associations, of_dcmtk in ((1, 1.0), (4, None), (16, 0.5)):

            def together(to: Receiver, associations: int = associations) -> float:
                return _together(to, associations)

            what = f"received, {associations} association{'s' if associations > 1 else ''}"
            yield from _compared(what, together, ours, (dcmtk, of_dcmtk), (orthanc, 4))
        what = "received, one per association"
        yield from _compared(what, _one_by_one, ours, (dcmtk, None), (orthanc, 4), objects=FEW)
        shipped = _as_shipped(folder)
        what = "received from DCMTK's storescu"
        yield from _compared(what, shipped, ours, (dcmtk, 8), (orthanc, 8), objects=FEW, rounds=FEW_ROUNDS)


def _compared(
    what: str,
    measure: Callable[[Receiver], float],
    ours: Receiver,
    *others: tuple[Receiver, float | None],
    objects: int = OBJECTS,
    rounds: int = ROUNDS,
) -> Iterator[Row]:
    receivers = [ours, *(other for other, _ in others)]
    for receiver in receivers:
        measure(receiver)  # once, so that all have done everything before
    taken, milliseconds = [], []
    for number in range(rounds):
        speed = {}
        for receiver in receivers if number % 2 else receivers[::-1]:
            began = cpu_seconds_of_threads(ours.process)
            speed[receiver] = measure(receiver)
            if receiver is ours:
                milliseconds.append(1000 * (cpu_seconds_of_threads(ours.process) - began) / objects)
        taken.append(speed)
    for other, times in others:
        yield Row(
            what=what,
            ours=statistics.median(speed[ours] for speed in taken),
            unit="/s",
            peer=other.name,
            theirs=statistics.median(speed[other] for speed in taken),
            times=statistics.median(speed[ours] / speed[other] for speed in taken),
            target=None if times is None else at_least(times, times=True),
        )
    yield Row(what=f"{what}: processor time of an object", ours=statistics.median(milliseconds), unit="ms")


def _objects(count: int) -> Sequence[Object]:
    return list(copies(REPORT, count, first=next(_numbers)))


def _together(to: Receiver, associations: int) -> float:
    objects = _objects(OBJECTS)
    began = time.perf_counter()
    statuses = send_in_parallel(to.port, objects, called=to.ae_title, associations=associations)
    taken = time.perf_counter() - began
    assert statuses == [0] * OBJECTS, f"{to.name} refused an object"
    return OBJECTS / taken


def _one_by_one(to: Receiver) -> float:
    objects = _objects(FEW)
    began = time.perf_counter()
    for sent in objects:
        scanner = Scanner(to.port, called=to.ae_title)
        assert scanner.store(sent) == 0
        scanner.release()
    return FEW / (time.perf_counter() - began)


def _as_shipped(folder: Path) -> Callable[[Receiver], float]:
    def measure(to: Receiver) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            paths = []
            for file, uid in files(REPORT, FEW, first=next(_numbers)):
                paths.append(Path(name) / uid)
                paths[-1].write_bytes(file)
            began = time.perf_counter()
            sent_all = peers.storescu(paths, port=to.port, called=to.ae_title)
            taken = time.perf_counter() - began
        assert sent_all.returncode == 0, sent_all.stderr
        return FEW / taken

    return measure


@contextmanager
def _dxatrend(folder: Path) -> Iterator[Receiver]:
    service = Service(folder, destination_port=1)
    service.begin("listen")
    try:
        peers.wait_until(service.answers, seconds=60, what="the listener answers")
        yield Receiver("dxatrend", service.port, "DXATREND", service.process_group())
    finally:
        service.kill()


@contextmanager
def _storescp(folder: Path) -> Iterator[Receiver]:
    with peers.storescp(folder, options=["--fork", "--bit-preserving"], synchronous=True) as port:
        yield Receiver("DCMTK storescp +B, synchronous", port, "DCMTK")


@contextmanager
def _orthanc(folder: Path) -> Iterator[Receiver]:
    folder.mkdir()
    with peers.orthanc(folder) as pacs:
        yield Receiver("Orthanc, SyncStorageArea", pacs.dicom_port, pacs.ae_title)
