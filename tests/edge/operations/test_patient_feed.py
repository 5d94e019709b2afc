"""The hospital's own system merges patient ids over HL7 as a person would: audited under its name, and undoable."""

import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from hl7.client import MLLPClient
from sqlalchemy import select

from dxatrend.cli.main import main
from pipeline.edge.app import App
from pipeline.edge.operations.patient_feed import answer_message
from pipeline.edge.receive import mllp_listener
from pipeline.edge.receive.mllp_listener import MllpListener
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.store.patient_merges import merged
from pipeline.edge.store.schema import patient
from tests import peers
from tests.factories import outboxes
from tests.factories.certificates import Authority
from tests.factories.outboxes import visit
from tests.folders import ROOT
from tests.messages.hl7.test_adt import a40

ADT = """
[adt]
port = {port}
[[adt.caller]]
host = "{caller}"
"""

MERGE = a40("PID|1||NEW^^^H^PI||Marked^Patient", "MRG|OLD^^^H^PI")


@contextmanager
def listening(folder: Path, *, caller: str = "127.0.0.1", url: str = "", more: str = "") -> Iterator[App]:
    """An app with its HL7 listener, and a visit under each of two ids."""
    service = ADT.format(port=peers.free_port(), caller=caller) + more
    with outboxes.outbox_of(folder, "", url=url, service=service) as app:
        outboxes.receive(app, visit(2022, "0.960", PatientID="OLD"), visit(2024, "0.912", PatientID="NEW"))
        with closing(MllpListener(app.settings.service.adt, partial(answer_message, app))):
            yield app


def send(app: App, message: bytes) -> str:
    """What the listener answers to a message: code and text."""
    with MLLPClient("127.0.0.1", app.settings.service.adt.port) as client:
        client.socket.settimeout(20)
        received = client.send(b"\x0b" + message + b"\x1c\x0d")
    (line,) = (one for one in received.decode().split("\r") if one.startswith("MSA"))
    _, code, control_id, *text = line.split("|")
    assert control_id in ("4711", "")
    return " ".join([code, *text])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_merge_counts_is_audited_under_the_senders_name_and_can_be_undone(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    with listening(tmp_path, url=url) as app:
        assert send(app, MERGE) == "AA 1 merged"
        outboxes.receive(app)
        assert len(outboxes.addenda(app, 2)) == 2, "the later visit is compared with the earlier one now"
        assert send(app, MERGE) == "AA 0 merged", "the same again changes nothing"
        with app.database.read() as connection:
            trail = [*audit_trail.find(connection)]
        (entry,) = (one.entry for one in trail if one.entry.event is Event.MERGED)
        assert (entry.actor, entry.host) == ("HL7 KIS", "127.0.0.1")
        assert main(["merge", "OLD", "NEW", "--undo", "--config", str(app.folder)]) == 0
        assert "1 addenda superseded" in capsys.readouterr().out


def test_a_merge_that_a_person_has_undone_is_not_made_again_by_the_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hospital's system repeats what it has told, also years later; the person has looked at the patients."""
    with listening(tmp_path) as app:
        assert send(app, MERGE) == "AA 1 merged"
        assert main(["merge", "OLD", "NEW", "--undo", "--config", str(app.folder)]) == 0
        refused = "AE a person has undone this merge; if it is right, dxatrend merge does it again"
        assert send(app, MERGE) == refused
        assert send(app, a40("PID|1||OLD", "MRG|NEW")) == refused, "nor in the other direction"
        both = a40("PID|1||NEW^^^H^PI", "MRG|OLD^^^H^PI", "PID|2||NEW^^^H^PI", "MRG|THIRD^^^H^PI")
        assert send(app, both) == refused
        with app.database.read() as connection:
            assert len(merged(connection, [1, 2, 3])) == 1, "the other pair of the message is merged"
        assert main(["merge", "OLD", "NEW", "--config", str(app.folder)]) == 0, "a person may"
        assert send(app, MERGE) == "AA 0 merged"


def test_an_id_that_comes_later_is_known_as_the_same_patients(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        assert send(app, a40("PID|1||NEW", "MRG|EARLIER")) == "AA 1 merged"
        outboxes.receive(app, visit(2020, "0.990", PatientID="EARLIER"))
        assert len(outboxes.addenda(app, 2)) >= 1


def test_of_patients_who_never_were_here_nothing_is_kept(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        assert send(app, a40("PID|1||UNKNOWN1", "MRG|UNKNOWN2")) == "AA 0 merged"
        with app.database.read() as connection:
            assert sorted(connection.scalars(select(patient.c.patient_id))) == ["NEW", "OLD"]


def test_a_merge_that_contradicts_an_earlier_one_is_for_a_person(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        assert send(app, MERGE) == "AA 1 merged"
        assert send(app, a40("PID|1||THIRD", "MRG|OLD")).startswith("AE ")


def test_an_update_changes_nothing_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with listening(tmp_path) as app:
        before = outboxes.addenda(app, 2)
        update = a40("PID|1||NEW||Another^Name||19991231|M", event="ADT^A08^ADT_A01")
        assert send(app, update) == "AA nothing is done for this event"
        outboxes.receive(app)
        assert outboxes.addenda(app, 2) == before
    assert "an update of a patient's data was told by 127.0.0.1" in caplog.text
    assert "Another" not in caplog.text


def test_other_messages_are_rejected_and_unusable_ones_refused(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        assert send(app, a40(event="ORU^R01")) == "AR only ADT is taken here"
        assert send(app, a40("PID|1||A~B", "MRG|C")).startswith("AE PID-3 has 2 ids")
        assert send(app, b"nonsense").startswith("AE ")
        assert send(app, MERGE) == "AA 1 merged"


def test_while_the_database_is_away_the_sender_is_asked_to_try_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(tmp_path) as app:
        with monkeypatch.context() as broken:

            def fails(*_: object) -> None:
                raise StoreError("away")

            broken.setattr(Database, "write", fails)
            assert send(app, MERGE).startswith("AR ")
        assert send(app, MERGE) == "AA 1 merged"


def test_who_is_no_caller_is_heard_of_and_not_listened_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with listening(tmp_path, caller="192.0.2.9") as app:
        with (
            socket.create_connection(("127.0.0.1", app.settings.service.adt.port or 0)) as stranger,
            suppress(ConnectionError),
        ):
            stranger.settimeout(10)
            stranger.sendall(b"\x0b" + MERGE + b"\x1c\x0d")
            assert stranger.recv(100) == b""
        peers.wait_until_logged("a connection for HL7 from 127.0.0.1 was closed", caplog)


def test_what_has_no_frame_or_no_end_is_cut_off_and_others_are_heard(tmp_path: Path) -> None:
    with listening(tmp_path) as app:
        port = app.settings.service.adt.port or 0
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x0b" + b"x" * 2_000_000):
            with socket.create_connection(("127.0.0.1", port)) as stranger, suppress(ConnectionError):
                stranger.settimeout(20)
                stranger.sendall(noise)
                assert stranger.recv(100) == b""
        assert send(app, MERGE) == "AA 1 merged"


def test_a_frame_that_trickles_in_for_ever_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp_listener, "FRAME_SECONDS", 1)
    with (
        listening(tmp_path) as app,
        socket.create_connection(("127.0.0.1", app.settings.service.adt.port or 0)) as slow,
        suppress(ConnectionError),
    ):
        slow.sendall(b"\x0b")
        for _ in range(200):
            time.sleep(0.1)
            slow.sendall(b"x")
        pytest.fail("twenty seconds were waited for a frame of one")


def test_over_tls_a_caller_shows_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    ours, theirs = authority.sign("dxatrend"), authority.sign("kis")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(theirs.ca)
    with listening(tmp_path, more=f"[adt.tls]\n{ours.toml}") as app:
        port = app.settings.service.adt.port or 0
        for certificate in (False, True):
            if certificate:
                context.load_cert_chain(theirs.certificate, theirs.key)
            answered = b""
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                secured.settimeout(20)
                secured.sendall(b"\x0b" + MERGE + b"\x1c\x0d")
                answered = secured.recv(1000)
            assert (b"MSA|AA" in answered) == certificate


def test_a_connection_that_stays_open_does_not_delay_the_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs = authority.sign("kis")
    context.load_verify_locations(theirs.ca)
    context.load_cert_chain(theirs.certificate, theirs.key)
    with ExitStack() as until_closed:
        with listening(tmp_path, more=f"[adt.tls]\n{authority.sign('dxatrend').toml}") as app:
            plain = socket.create_connection(("127.0.0.1", app.settings.service.adt.port or 0))
            secured = until_closed.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            secured.settimeout(20)
            secured.sendall(b"\x0b" + MERGE + b"\x1c\x0d")
            assert b"MSA|AA" in secured.recv(1000)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("HL7")]


def test_the_kernel_asks_whether_the_other_end_of_a_silent_connection_is_still_there(tmp_path: Path) -> None:
    """A firewall that forgot a connection tells neither side; without asking it would take up a place for an hour."""
    established, keep_alive = "01", "02"
    with listening(tmp_path) as app:
        port = app.settings.service.adt.port
        assert port is not None

        def timers() -> list[str]:
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            ours = [row for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == established]
            return [row[5].split(":")[0] for row in ours]

        with socket.create_connection(("127.0.0.1", port)):
            peers.wait_until(lambda: timers() == [keep_alive], what="the kernel will ask")


def test_the_listener_process_takes_merges_and_says_when_it_cannot(tmp_path: Path) -> None:
    service = ADT.format(port=peers.free_port(), caller="127.0.0.1")
    with outboxes.outbox_of(tmp_path, "", service=f"[listener]\nport = {peers.free_port()}\n{service}") as app:
        outboxes.receive(app, visit(2022, "0.960", PatientID="OLD"))
        command = [sys.executable, "-m", "dxatrend", "listen", "--config", str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT) as process:
            try:
                peers.wait_until(partial(_answers, app), what="the listener answers")
                assert send(app, MERGE) == "AA 1 merged"
            finally:
                process.terminate()
            assert process.wait(60) == 0
        with socket.create_server(("127.0.0.1", app.settings.service.adt.port or 0)):
            second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "cannot listen for HL7" in second.stderr


def _answers(app: App) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", app.settings.service.adt.port or 0)):
        return True
    return False


def test_a_port_without_callers_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "service.toml").write_text("[adt]\nport = 2576\n")
    assert main(["check", "--config", str(tmp_path)]) != 0
    said = capsys.readouterr()
    assert "adt: a port needs at least one adt.caller: nobody else may send" in said.out + said.err
