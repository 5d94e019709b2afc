"""One archive in trouble delays no other, one addendum in trouble no other, and nothing is given up unseen."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from sqlalchemy import select, update

from dxatrend.cli import main
from pipeline.edge.app import App, open_app
from pipeline.edge.deliver import dispatcher
from pipeline.edge.deliver.dispatcher import deliver_batch
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import held_work, outbox, receipts, service_status
from pipeline.edge.store.held_work import HeldWork
from pipeline.edge.store.schema import delivery, outage
from pipeline.edge.store.service_status import DestinationStatus
from tests import peers
from tests.factories.instances import NOW, instance, lose_the_worker
from tests.factories.reports import encode, report, spine


class Pacs:
    """An archive that can be opened and shut, and answers each addendum as the test says."""

    def __init__(self) -> None:
        self.port = peers.free_port()
        self.answer: Callable[[str], int] = lambda uid: 0x0000
        self.asked: list[str] = []
        self.associations = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        ae = AE(ae_title="ORTHANC")
        ae.add_supported_context(ComprehensiveSRStorage, ExplicitVRLittleEndian)
        handlers: list[tuple[evt.EventType, Callable[[evt.Event], object]]] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._count),
        ]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def _count(self, event: evt.Event) -> None:
        self.associations += 1

    def _store(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.asked.append(uid)
        status = self.answer(uid)
        if status < 0:
            event.assoc.abort()
        return max(status, 0)


@pytest.fixture
def pacs() -> Pacs:
    return Pacs()


@pytest.fixture
def app(tmp_path: Path, pacs: Pacs) -> Iterator[App]:
    """An app with two archives, and three addenda for each of them."""
    (tmp_path / "service.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"\n'
        + "".join(
            f'[[destination]]\nname = "{name}"\nae_title = "ORTHANC"\nhost = "127.0.0.1"\nport = {port}\n'
            for name, port in (("pacs", pacs.port), ("other", peers.free_port()))
        )
    )
    with open_app(tmp_path) as app:
        for number in range(3):
            sent = report(spine(), StudyInstanceUID=f"2.25.1{number}", PatientID=f"P{number}")
            sent.SOPInstanceUID = f"2.25.2{number}"
            with app.database.write() as connection:
                kept = instance(encode(sent), uid=f"2.25.2{number}")
                receipts.store(connection, kept, calling_ae_title="SCANNER1", at=NOW)
        extract_waiting(app)
        assert follow_up(app, claim_due(app.database, 5)).issued == 3
        yield app


def _uids(app: App) -> list[str]:
    with app.database.read() as connection:
        return [outbox.addenda(connection, number)[0].sop_instance_uid for number in (1, 2, 3)]


def _send(app: App, name: str = "pacs") -> tuple[int, int]:
    (to,) = (to for to in app.settings.service.destination if to.name == name)
    return deliver_batch(app, to)


def _status(app: App, name: str = "pacs") -> DestinationStatus:
    with app.database.read() as connection:
        return service_status.status(connection, [name], datetime.now(UTC)).destinations[0]


def _held(app: App) -> list[HeldWork]:
    with app.database.read() as connection:
        return held_work.held(connection)


def _wait_is_over(app: App) -> None:
    """As if every wait had passed: a day is over."""
    day = timedelta(days=1)
    with app.database.write() as connection:
        for row in connection.execute(select(delivery.c.id, delivery.c.due_at)).all():
            connection.execute(update(delivery).where(delivery.c.id == row.id).values(due_at=row.due_at - day))
        connection.execute(update(outage).values(due_at=NOW))


def test_an_archive_that_is_away_is_tried_with_one_addendum_after_waits_that_grow(app: App) -> None:
    """A backlog of thousands must not mean thousands of attempts, nor be the worse for them."""
    waits = []
    for _ in range(6):
        assert _send(app) == (0, 0)
        status = _status(app)
        assert status.next_try is not None
        waits.append(status.next_try - datetime.now(UTC))
        assert _send(app) == (0, 0), "not before the wait is over"
        _wait_is_over(app)
    assert waits[-1] > timedelta(seconds=20) > timedelta(seconds=2) > waits[0]
    assert (status.backlog, status.held) == (3, 0)
    assert "nobody listens" in str(status.last_problem)
    assert status.away_since is not None


def test_an_archive_that_comes_back_gets_everything_at_once(
    app: App, pacs: Pacs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(dispatcher.MOST_REFUSALS + 5):
        assert _send(app) == (0, 0)
        _wait_is_over(app)
    with pacs.open():
        assert _send(app) == (1, 0), "one to see whether it answers"
        assert _send(app) == (2, 0)
    status = _status(app)
    assert (status.backlog, status.held, status.delivered, status.away_since) == (0, 0, 3, None)
    assert pacs.asked == _uids(app)
    assert "takes nothing at present; trying again later" in caplog.text
    assert "takes addenda again" in caplog.text


def test_an_archive_that_is_away_delays_no_other(app: App, pacs: Pacs) -> None:
    with pacs.open():
        assert _send(app, "other") == (0, 0)
        assert _send(app, "pacs") == (3, 0)
    assert _status(app, "other").away_since is not None
    assert _status(app, "pacs").away_since is None


def test_an_addendum_that_is_refused_waits_alone(app: App, pacs: Pacs) -> None:
    first, *others = _uids(app)
    pacs.answer = lambda uid: 0xC000 if uid == first else 0x0000
    with pacs.open():
        assert _send(app) == (2, 1)
    assert pacs.asked == [first, *others]
    status = _status(app)
    assert (status.backlog, status.away_since) == (1, None)
    assert "0xC000" in str(status.last_problem)


def test_a_poison_addendum_is_held_with_its_reason_while_others_go_on(app: App, pacs: Pacs) -> None:
    first = _uids(app)[0]
    pacs.answer = lambda uid: 0xA900 if uid == first else 0x0000
    with pacs.open():
        for _ in range(dispatcher.MOST_FAILURES):
            _send(app)
            _wait_is_over(app)
    (held,) = _held(app)
    assert (held.number, held.reason) == ("D1", "refused")
    assert "0xA900" in held.detail
    assert (_status(app).backlog, _status(app).delivered) == (0, 2)


def test_an_archive_that_refuses_everything_is_given_more_than_a_day_before_anything_is_held(
    app: App, pacs: Pacs
) -> None:
    pacs.answer = lambda uid: 0xC000
    with pacs.open():
        for _ in range(dispatcher.MOST_REFUSALS - 1):
            assert _send(app) == (0, 3)
            _wait_is_over(app)
        assert _held(app) == []
        _send(app)
    assert {held.reason for held in _held(app)} == {"refused"}


def test_an_addendum_on_which_the_archive_breaks_off_blocks_no_other_and_is_held(app: App, pacs: Pacs) -> None:
    first = _uids(app)[0]
    pacs.answer = lambda uid: -1 if uid == first else 0x0000
    with pacs.open():
        _send(app)
        _wait_is_over(app)
        for _ in range(2 * dispatcher.MOST_FAILURES):
            _send(app)
            _wait_is_over(app)
    (held,) = _held(app)
    assert (held.number, held.reason) == ("D1", "unanswered")
    assert _status(app).delivered == 2


def test_a_full_archive_is_tried_for_as_long_as_it_takes(app: App, pacs: Pacs) -> None:
    """0xA700: it may have room tomorrow, or on Monday."""
    pacs.answer = lambda uid: 0xA700
    with pacs.open():
        for _ in range(dispatcher.MOST_REFUSALS + 5):
            _send(app)
            assert _status(app).next_try is not None
            _wait_is_over(app)
        assert _held(app) == []
        pacs.answer = lambda uid: 0x0000
        assert _send(app) == (1, 0)
        assert _send(app) == (2, 0)


def test_an_archive_set_up_wrongly_holds_no_addendum_and_says_what_is_wrong(app: App, pacs: Pacs) -> None:
    pacs.answer = lambda uid: 0x0124
    with pacs.open():
        for _ in range(dispatcher.MOST_REFUSALS + 1):
            assert _send(app) == (0, 0)
            _wait_is_over(app)
    assert _held(app) == []
    assert "0x0124, we are not authorised; give our AE title the right there" in str(_status(app).last_problem)
    assert pacs.associations == len(pacs.asked), "one addendum each time"


def test_a_delivery_that_ends_its_worker_ten_times_is_held_and_no_other_with_it(app: App, pacs: Pacs) -> None:
    for expected in ([1, 2, 3], *[[1]] * (dispatcher.MOST_FAILURES - 1)):
        with app.database.write() as connection:
            claimed = outbox.deliveries(connection, outbox.claim(connection, "pacs", limit=50, at=datetime.now(UTC)))
            assert [waiting.number for waiting in claimed] == [(number * 2) - 1 for number in expected]
            lose_the_worker(connection, delivery)
    with pacs.open():
        while _send(app) != (0, 0):
            pass
    (held,) = _held(app)
    assert (held.number, held.reason) == ("D1", "worker_lost")
    assert _status(app).delivered == 2


def test_release_of_a_destination_tries_now_what_waits_or_is_held_for_it(
    app: App, pacs: Pacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pacs.answer = lambda uid: 0xC000
    with pacs.open():
        for _ in range(dispatcher.MOST_REFUSALS):
            _send(app)
            _wait_is_over(app)
        assert len(_held(app)) == 3
        pacs.answer = lambda uid: 0x0000
        assert main.main(["--config", str(tmp_path), "release", "pacs"]) == 0
        assert _send(app) == (3, 0)
    assert "3 deliveries to pacs will be tried now" in capsys.readouterr().out


def test_a_host_that_swallows_connections_costs_its_own_outbox_a_few_seconds(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is switched off answers nothing at all; a full listen queue looks the same."""
    monkeypatch.setattr("pipeline.edge.dicom_net.client.CONNECTION_SECONDS", 0.5)
    port = app.settings.service.dicom_destinations[1].port
    with socket.socket() as swallows:
        swallows.bind(("127.0.0.1", port))
        swallows.listen(0)
        with socket.create_connection(("127.0.0.1", port)):  # all that the queue holds
            began = time.monotonic()
            assert _send(app, "other") == (0, 0)
            assert time.monotonic() - began < 5
    assert _status(app, "other").away_since is not None


def test_addenda_are_sent_in_batches_of_bearable_size(app: App, pacs: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page as a picture has megabytes, and fifty of them are as much as the memory there is."""
    with app.database.read() as connection:
        sizes = [len(outbox.addenda(connection, number)[0].data_set) for number in (1, 2, 3)]
        assert list(connection.scalars(select(delivery.c.size).distinct())) == sorted(set(sizes))
    monkeypatch.setattr(dispatcher, "BATCH_BYTES", 2 * max(sizes))
    with pacs.open():
        assert [_send(app), _send(app)] == [(2, 0), (1, 0)]
