"""A reporting system has a result when it acknowledges it; whatever it does, nothing is lost and nothing overtakes."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import App
from pipeline.edge.deliver import dispatcher
from pipeline.edge.store import outbox, work_queue
from pipeline.edge.store.schema import delivery
from tests import peers
from tests.factories import outboxes
from tests.factories.certificates import Authority
from tests.factories.hl7_receivers import Receiver, acknowledgement, python_hl7_server, raw_receiver
from tests.factories.instances import lose_the_worker
from tests.factories.outboxes import visit
from tests.factories.reports import container, region
from tests.folders import ROOT

MAPPING = ROOT / "config" / "hl7" / "coded.toml"
DESTINATION = """
[[destination]]
name = "ris"
kind = "hl7"
host = "127.0.0.1"
port = {port}
mapping = "{mapping}"
answer_seconds = 1
"""

Behave = Callable[[socket.socket, bytes], None]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[App]:
    """An app with a reporting system as destination, a store of either kind, and two visits of one patient."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    destination = DESTINATION.format(port=receiver.port, mapping=MAPPING)
    with outboxes.outbox_of(tmp_path, destination, url=url) as app:
        outboxes.receive(app, visit(2022, "0.960"), visit(2024, "0.912"))
        yield app


@pytest.fixture
def sqlite_app(tmp_path: Path, receiver: Receiver) -> Iterator[App]:
    """The same with an embedded store."""
    with outboxes.outbox_of(tmp_path, DESTINATION.format(port=receiver.port, mapping=MAPPING)) as app:
        outboxes.receive(app, visit(2022, "0.960"), visit(2024, "0.912"))
        yield app


def control_ids(receiver: Receiver) -> list[str]:
    return [str(message.segment("MSH")[10]) for message in receiver.got]


def test_a_result_is_delivered_once_it_is_acknowledged_and_says_what_was_found(app: App, receiver: Receiver) -> None:
    with python_hl7_server(receiver):
        assert outboxes.deliver(app) == (2, 0)
        assert outboxes.deliver(app) == (0, 0)
    _, message = receiver.got
    assert str(message.segment("PID")[5]).startswith("Marked^Patient")
    assert str(message.segment("OBR")[18]) == "A2024"
    values = {str(one[3]).split("^")[-3]: str(one[5]) for one in message.segments("OBX")}
    assert values["BMD"] == "0.912"
    assert (values["DIFF"], values["LSC"], values["RESULT"].split("^")[0]) == ("-0.048", "0.028", "LOSS")
    assert outboxes.status(app, "ris").delivered == 2


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accept_and_commit_accept_mean_that_it_is_there(sqlite_app: App, receiver: Receiver, code: str) -> None:
    receiver.answer = code
    with python_hl7_server(receiver):
        assert outboxes.deliver(sqlite_app) == (2, 0)


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_an_error_is_a_refusal_of_one_result_and_the_others_follow(
    sqlite_app: App, receiver: Receiver, code: str
) -> None:
    def behave(connection: socket.socket, message: bytes) -> None:
        connection.sendall(acknowledgement(message, "AA" if b"A2024" in message else code))

    with raw_receiver(receiver, behave):
        assert outboxes.deliver(sqlite_app) == (1, 1)
        assert outboxes.states(sqlite_app) == ["waiting", "done"]
        (problem,) = outboxes.problems(sqlite_app)
        assert problem[0] == "hl7_error"
        assert f"message {control_ids(receiver)[0]} was answered with {code}" in problem[1]
        for _ in range(dispatcher.MOST_REFUSALS):
            outboxes.wait_is_over(sqlite_app)
            outboxes.deliver(sqlite_app)
    assert outboxes.states(sqlite_app) == ["held", "done"]
    assert outboxes.problems(sqlite_app)[0][0] == dispatcher.REFUSED
    assert len(set(control_ids(receiver))) == 2, "however often a result is sent, it has one identifier"


def _dies(connection: socket.socket, message: bytes) -> None:
    connection.close()


def _hangs(connection: socket.socket, message: bytes) -> None:
    time.sleep(1.5)


def _nonsense(connection: socket.socket, message: bytes) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n\x1c\x0d")


def _no_acknowledgement(connection: socket.socket, message: bytes) -> None:
    connection.sendall(b"\x0bMSH|^~\\&|\rPID|1\r\x1c\x0d")


def _half(connection: socket.socket, message: bytes) -> None:
    connection.sendall(acknowledgement(message)[:-9])
    connection.close()


def _endless(connection: socket.socket, message: bytes) -> None:
    connection.sendall(b"\x0b" + b"x" * 200_000)


def _of_another_message(connection: socket.socket, message: bytes) -> None:
    connection.sendall(acknowledgement(message, control_id="4711"))


def _late(connection: socket.socket, message: bytes) -> None:
    time.sleep(1.5)
    connection.sendall(acknowledgement(message))


def _rejects(connection: socket.socket, message: bytes) -> None:
    connection.sendall(acknowledgement(message, "AR"))


def _commit_rejects(connection: socket.socket, message: bytes) -> None:
    connection.sendall(acknowledgement(message, "CR"))


@pytest.mark.parametrize(
    "behave",
    [
        _dies,
        _hangs,
        _nonsense,
        _no_acknowledgement,
        _half,
        _endless,
        _of_another_message,
        _late,
        _rejects,
        _commit_rejects,
    ],
)
def test_without_an_acknowledgement_it_is_an_outage_and_everything_is_sent_again_under_the_same_identifiers(
    sqlite_app: App, receiver: Receiver, behave: Behave
) -> None:
    with raw_receiver(receiver, behave):
        assert outboxes.deliver(sqlite_app) == (0, 1)
        assert outboxes.deliver(sqlite_app) == (0, 0), "it waits"
    assert len(receiver.got) == 1, "after silence nothing else is sent on the connection"
    assert outboxes.states(sqlite_app) == ["waiting", "waiting"]
    (first,) = control_ids(receiver)
    outboxes.wait_is_over(sqlite_app)
    with python_hl7_server(receiver):
        assert outboxes.deliver(sqlite_app) == (1, 0), "an outage ends with one"
        assert outboxes.deliver(sqlite_app) == (1, 0)
    sent = control_ids(receiver)
    assert (sent.count(first), len(sent), len(set(sent))) == (2, 3, 2)
    assert outboxes.states(sqlite_app) == ["done", "done"]


def test_a_second_answer_to_a_message_is_passed_over(sqlite_app: App, receiver: Receiver) -> None:
    """Enhanced mode: the commit first, and what the application says of it later."""

    def behave(connection: socket.socket, message: bytes) -> None:
        connection.sendall(acknowledgement(message, "CA") + acknowledgement(message, "AA"))

    with raw_receiver(receiver, behave):
        assert outboxes.deliver(sqlite_app) == (2, 0)


def test_a_receiver_that_is_away_is_an_outage(sqlite_app: App) -> None:
    assert outboxes.deliver(sqlite_app) == (0, 0)
    status = outboxes.status(sqlite_app, "ris")
    assert (status.backlog, status.held) == (2, 0)


def test_a_correction_follows_its_result_and_a_result_never_follows_its_correction(
    app: App, receiver: Receiver
) -> None:
    hip = container("Left Femur", region("Total", "0.801"))
    both = visit(2024, part=2, content=hip)
    outboxes.receive(app, both)
    assert outboxes.states(app) == ["waiting", "waiting", "waiting"]
    with python_hl7_server(receiver):
        assert outboxes.deliver(app) == (2, 0), "the superseded one is not sent"
    assert outboxes.states(app) == ["done", "ignored", "done"]
    assert [str(message.segment("OBR")[25]) for message in receiver.got] == ["P", "C"]
    assert "total hip L" in {str(one[4]) for one in receiver.got[1].segments("OBX")}


def test_a_correction_waits_while_another_worker_sends_what_it_corrects(app: App, receiver: Receiver) -> None:
    with app.database.write() as connection:
        (claimed,) = work_queue.claim(
            connection, delivery, limit=1, at=outboxes.LONG_AGO.replace(year=2100), where=delivery.c.id == 2
        )
        connection.execute(delivery.update().where(delivery.c.id == claimed).values(lease_owner="another/1.1"))
    outboxes.receive(app, visit(2024, part=2, content=container("Left Femur", region("Total", "0.801"))))
    with python_hl7_server(receiver):
        assert outboxes.deliver(app) == (1, 0)
        assert outboxes.states(app) == ["done", "waiting", "waiting"]
        with app.database.write() as connection:
            work_queue.done(connection, delivery, [claimed])
        outboxes.wait_is_over(app)
        assert outboxes.deliver(app) == (1, 0)
    assert [str(message.segment("OBR")[25]) for message in receiver.got] == ["P", "C"]


def test_a_worker_that_dies_between_answer_and_record_leaves_the_result_to_be_sent_again_under_its_identifier(
    app: App, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is what MLLP makes unavoidable; the receiver knows the message by its identifier."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with python_hl7_server(receiver):
        with monkeypatch.context() as killed:
            killed.setattr(outbox, "record_delivery", die)
            with pytest.raises(KeyboardInterrupt):
                outboxes.deliver(app)
        with app.database.write() as connection:
            assert lose_the_worker(connection, delivery) == 2
        while outboxes.deliver(app) != (0, 0):
            pass
    assert outboxes.states(app) == ["done", "done"]
    sent = control_ids(receiver)
    assert (len(sent), len(set(sent))) == (3, 2)


def test_a_new_destination_gets_a_result_as_its_first_and_not_as_the_correction_of_one_it_never_had(
    tmp_path: Path, receiver: Receiver
) -> None:
    with outboxes.outbox_of(tmp_path, "") as app:
        outboxes.receive(app, visit(2024))
    with outboxes.outbox_of(tmp_path, DESTINATION.format(port=receiver.port, mapping=MAPPING)) as app:
        outboxes.receive(app, visit(2024, part=2, content=container("Left Femur", region("Total", "0.801"))))
        with python_hl7_server(receiver):
            assert outboxes.deliver(app) == (1, 0)
    (message,) = receiver.got
    assert str(message.segment("OBR")[25]) == "P"
    assert "D" not in {str(one[11]) for one in message.segments("OBX")}


def test_a_letter_that_the_receiver_has_not_holds_one_result_and_says_what_to_do(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.encoding = "latin-1"
    destination = DESTINATION.format(port=receiver.port, mapping=MAPPING.with_name("merge-fields.toml"))
    with outboxes.outbox_of(tmp_path, destination) as app, python_hl7_server(receiver):
        outboxes.receive(app, visit(2022, SpecificCharacterSet="ISO_IR 144", PatientName="\xbb\xee"), visit(2024))
        assert outboxes.deliver(app) == (1, 1)
        ((reason, detail),) = outboxes.problems(app)
        assert reason == "unwritable"
        assert "a letter of it is not in 8859/1; set character_set" in detail
        assert sorted(outboxes.states(app)) == ["done", "held"]


def test_no_log_line_names_the_patient_or_what_a_receiver_says(
    sqlite_app: App, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for behave in (_rejects, _of_another_message, _nonsense):
        with raw_receiver(receiver, behave):
            outboxes.deliver(sqlite_app)
            outboxes.wait_is_over(sqlite_app)
    said = caplog.text + str([record.__dict__ for record in caplog.records]) + str(outboxes.problems(sqlite_app))
    assert "hl7_rejected" in said
    assert "Marked" not in said
    assert "A2022" not in said


def test_check_asks_whether_somebody_takes_connections(
    sqlite_app: App, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["check", "--config", str(sqlite_app.folder)])
    assert "destination ris: nobody listens at 127.0.0.1 port" in capsys.readouterr().out
    with python_hl7_server(receiver):
        main(["check", "--config", str(sqlite_app.folder)])
    assert "destination ris: answers" in capsys.readouterr().out
    assert receiver.got == []


@pytest.mark.parametrize("knows_us", [True, False])
def test_over_tls_both_sides_show_certificates(tmp_path: Path, receiver: Receiver, knows_us: bool) -> None:
    authority = Authority(tmp_path / "authority")
    theirs = authority.sign("ris")
    ours = (authority if knows_us else Authority(tmp_path / "stranger")).sign("dxatrend")
    tls = f'[destination.tls]\nca = "{authority.certificate}"\ncertificate = "{ours.certificate}"\nkey = "{ours.key}"\n'
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.load_verify_locations(theirs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with outboxes.outbox_of(tmp_path, DESTINATION.format(port=receiver.port, mapping=MAPPING) + tls) as app:
        outboxes.receive(app, visit(2024))
        with socket.create_server((peers.LOOPBACK, receiver.port)) as server:
            thread = threading.Thread(target=_answer_over_tls, args=(server, context))
            thread.start()
            delivered = outboxes.deliver(app)
            thread.join()
        assert outboxes.states(app) == (["done"] if knows_us else ["waiting"])
    assert delivered[0] == int(knows_us)


def _answer_over_tls(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as secured:
            received = b""
            while b"\x1c\x0d" not in received:
                received += secured.recv(65536)
            secured.sendall(acknowledgement(received[1:]))
    except OSError:
        connection.close()


def test_a_mapping_with_mistakes_is_refused_under_their_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "ris.toml"
    mapping.write_text('versoin = "2.5.1"\n[[obx]]\ntype = "NM"\nvalue = "{impression}"\n')
    (tmp_path / "service.toml").write_text(DESTINATION.format(port=1, mapping=mapping))
    assert main(["check", "--config", str(tmp_path)]) != 0
    said = capsys.readouterr()
    assert "destination.mapping: " in said.out + said.err
    assert "versoin: there is no such key; did you mean 'version'?" in said.out + said.err
    assert "line 2: obx: value: NM takes one number and nothing else, such as {bmd}" in said.out + said.err
