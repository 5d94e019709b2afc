"""Requests that take long are served one after the other, one of each caller in turn."""

import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from pipeline.edge.dicom_net.memory_budget import Owner
from pipeline.edge.dicom_net.service_thread import ServiceThread
from tests import peers

FLOOD, HONEST = ("FLOOD", "127.0.0.1"), ("HONEST", "127.0.0.2")


@pytest.fixture
def thread() -> Iterator[ServiceThread]:
    with closing(ServiceThread()) as thread:
        yield thread


def test_who_asks_once_waits_for_one_request_of_each_other_and_each_keeps_its_order(thread: ServiceThread) -> None:
    served: list[tuple[Owner, int]] = []
    may_go = threading.Event()
    thread.submit(FLOOD, may_go.wait)
    for number in range(10):
        thread.submit(FLOOD, partial(served.append, (FLOOD, number)))
    thread.submit(HONEST, partial(served.append, (HONEST, 0)))
    may_go.set()
    peers.wait_until(lambda: len(served) == 11)
    assert served.index((HONEST, 0)) <= 1
    assert [number for owner, number in served if owner == FLOOD] == list(range(10))


def test_one_that_fails_ends_nothing(thread: ServiceThread) -> None:
    done = threading.Event()
    thread.submit(FLOOD, lambda: 1 // 0)
    thread.submit(FLOOD, done.set)
    assert done.wait(30)


def test_nothing_is_begun_once_it_is_closed() -> None:
    thread, begun = ServiceThread(), threading.Event()
    may_go, second = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        may_go.wait()

    thread.submit(FLOOD, wait)
    thread.submit(FLOOD, second.set)
    assert begun.wait(30)
    thread.close()
    may_go.set()
    peers.wait_until(lambda: not any(one.name == "dicom-service" for one in threading.enumerate()))
    assert not second.is_set()
