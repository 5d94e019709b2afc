"""Only known callers get in; success means kept; trouble means that the scanner keeps its copy."""

import random
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from sqlalchemy import select

from pipeline.edge.configuration.service_settings import CallerSettings, Engine, ListenerSettings
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import receipts
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.senders import Sender
from pipeline.sr.dicom.reader import split_file
from tests import peers
from tests.factories.instances import NOW, instance
from tests.factories.raw_scanner import store
from tests.factories.rejection_notes import rejection_note
from tests.factories.reports import encode

CALLER = CallerSettings(ae_title="SCANNER1", host="127.0.0.1")


@dataclass
class Scp:
    """A listener under test, and its database."""

    port: int
    database: Database

    def kept(self) -> list[receipts.Receipt]:
        with self.database.read() as connection:
            numbers = list(connection.scalars(select(receipt.c.id).order_by(receipt.c.id)))
            return receipts.load(connection, numbers)


@contextmanager
def _listening(
    engine: Engine, folder: Path, *callers: CallerSettings, pictures: bool = True, reserve_mb: int = 0
) -> Iterator[Scp]:
    database = Database(f"sqlite:///{folder}/dxatrend.sqlite3")
    database.migrate()
    port = peers.free_port()
    listener = Listener(
        ListenerSettings(port=port, engine=engine, caller=callers or (CALLER,), pictures=pictures),
        database,
        reserve_mb=reserve_mb,
    )
    try:
        yield Scp(port, database)
    finally:
        listener.close()
        database.close()


@pytest.fixture
def scp(engine: Engine, tmp_path: Path) -> Iterator[Scp]:
    """A listener that knows SCANNER1 on this machine."""
    with _listening(engine, tmp_path) as scp:
        yield scp


@pytest.fixture
def report(sample: Callable[[str], Path]) -> Path:
    """Any scanner's report."""
    return sorted(sample(".").glob("*/*.dcm"))[0]


def _associate(scp: Scp, sop_class: str) -> Association:
    ae = AE(ae_title="SCANNER1")
    ae.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    return ae.associate("127.0.0.1", scp.port, ae_title="DXATREND")


def _send(scp: Scp, data_set: bytes, sop_instance_uid: str) -> int | None:
    """Store any bytes at all; the status that came back."""
    return store(
        scp.port,
        data_set,
        sop_class=EnhancedSRStorage,
        transfer_syntax=ExplicitVRLittleEndian,
        sop_instance=sop_instance_uid,
    )


def test_an_echo_is_answered(scp: Scp) -> None:
    association = _associate(scp, Verification)
    assert association.send_c_echo().Status == 0x0000
    association.release()


@pytest.mark.parametrize("pictures", [True, False])
def test_a_department_says_whether_pictures_are_taken(engine: Engine, tmp_path: Path, pictures: bool) -> None:
    with _listening(engine, tmp_path, pictures=pictures) as scp:
        ae = AE(ae_title="SCANNER1")
        ae.add_requested_context(SecondaryCaptureImageStorage, [JPEGLosslessSV1])
        ae.add_requested_context(EnhancedSRStorage)
        association = ae.associate("127.0.0.1", scp.port, ae_title="DXATREND")
        accepted = {context.abstract_syntax for context in association.accepted_contexts}
        association.release()
    assert accepted == {EnhancedSRStorage, *([SecondaryCaptureImageStorage] if pictures else [])}


def test_a_report_sent_by_dcmtk_is_kept_byte_for_byte(scp: Scp, report: Path) -> None:
    sent = peers.storescu([report], port=scp.port, called="DXATREND")
    assert sent.returncode == 0, sent.stderr
    (kept,) = scp.kept()
    data_set, transfer_syntax = split_file(report.read_bytes())
    header = dcmread(report, stop_before_pixels=True)
    assert kept.instance == receipts.Instance(
        sop_class_uid=header.SOPClassUID,
        sop_instance_uid=header.SOPInstanceUID,
        transfer_syntax_uid=transfer_syntax,
        data_set=data_set,
    )
    assert kept.sender == Sender(ae_title="SCANNER1", host="127.0.0.1")


def test_a_report_sent_twice_is_a_success_twice_and_kept_once(scp: Scp, report: Path) -> None:
    for _ in range(2):
        assert peers.storescu([report], port=scp.port, called="DXATREND").returncode == 0
    assert len(scp.kept()) == 1


@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [
        ("STRANGER", "DXATREND", "no listener.caller in service.toml has this AE title and host"),
        ("SCANNER1", "ANYBODY", "it called another AE title than ours"),
    ],
)
def test_an_unknown_caller_or_a_wrong_called_title_is_rejected_with_a_log_line(
    scp: Scp, caplog: pytest.LogCaptureFixture, calling: str, called: str, reason: str
) -> None:
    rejected = peers.echoscu(port=scp.port, calling=calling, called=called)
    assert "AE Title Not Recognized" in rejected.stderr
    peers.wait_until_logged(reason, caplog)
    assert scp.kept() == []


def test_a_known_title_from_another_host_is_rejected(engine: Engine, tmp_path: Path) -> None:
    with _listening(engine, tmp_path, CallerSettings(ae_title="SCANNER1", host="127.0.0.2")) as scp:
        assert "Calling AE Title Not Recognized" in peers.echoscu(port=scp.port, called="DXATREND").stderr


def test_an_sop_class_we_do_not_take_is_refused_and_named_once(scp: Scp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ae = AE(ae_title="SCANNER1")
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(Verification)
    ae.add_requested_context(EnhancedSRStorage, JPEGLosslessSV1)
    for _ in range(2):
        association = ae.associate("127.0.0.1", scp.port, ae_title="DXATREND")
        refused = {context.abstract_syntax for context in association.rejected_contexts}
        assert refused == {CTImageStorage, EnhancedSRStorage}
        association.release()
    peers.wait_until_logged("'SCANNER1' offered CT Image Storage, which we do not take", caplog)
    peers.wait_until_logged("'SCANNER1' offered Enhanced SR Storage in no transfer syntax that we take", caplog)
    assert caplog.text.count("offered") == 2, "a scanner offers the same each time"


def test_an_object_that_is_no_dicom_at_all_is_kept_for_a_person(scp: Scp) -> None:
    """Whatever arrives is stored before it is judged."""
    assert _send(scp, b"\x00\x01 this is not a data set", "2.25.7") == 0x0000
    assert scp.kept()[0].instance.data_set.startswith(b"\x00\x01 this")


def test_a_locked_database_is_out_of_resources_and_recovers_by_itself(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.2)
    with _listening(engine, tmp_path) as scp:
        with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert _send(scp, b"while locked", "2.25.8") == 0xA700
        peers.wait_until_logged("could not keep an instance from 'SCANNER1': OperationalError SQLITE_BUSY", caplog)
        assert scp.kept() == []
        assert _send(scp, b"while locked", "2.25.8") == 0x0000
        assert len(scp.kept()) == 1


def test_a_disk_that_hangs_holds_up_nobody_but_who_waits_for_it(engine: Engine, tmp_path: Path) -> None:
    with _listening(engine, tmp_path) as scp, ThreadPoolExecutor() as others:
        assert _send(scp, b"before", "2.25.8") == 0x0000
        with closing(sqlite3.connect(tmp_path / "dxatrend.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            hanging = others.submit(_send, scp, b"while it hangs", "2.25.9")
            for _ in range(3):
                association = _associate(scp, Verification)
                assert association.send_c_echo().Status == 0x0000
                association.release()
            second = others.submit(_send, scp, b"behind it", "2.25.10")
            association = _associate(scp, Verification)
            assert association.send_c_echo().Status == 0x0000
            association.release()
            assert not hanging.done()
            assert not second.done()
        assert (hanging.result(30), second.result(30)) == (0x0000, 0x0000)
        assert len(scp.kept()) == 3


def test_a_full_disk_is_out_of_resources_nothing_is_half_written_and_it_recovers_by_itself(
    engine: Engine, tmp_path: Path
) -> None:
    with peers.small_disk(tmp_path / "disk", megabytes=4) as disk, _listening(engine, disk.folder) as scp:
        noise = random.Random(7).randbytes
        answers = [_send(scp, noise(400_000), f"2.25.1.{number}") for number in range(15)]
        assert answers[0] == 0x0000
        assert answers[-1] == 0xA700
        assert set(answers) == {0x0000, 0xA700}
        assert len(scp.kept()) == answers.count(0x0000)
        disk.grow(32)
        assert _send(scp, noise(400_000), "2.25.2") == 0x0000
        assert len(scp.kept()) == answers.count(0x0000) + 1


def test_a_disk_that_fails_in_use_is_out_of_resources_and_all_that_was_answered_is_there_when_it_is_mended(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = random.Random(7).randbytes
    sent = {f"2.25.1.{number}": noise(40_000) for number in range(10)}
    with peers.fragile_disk(tmp_path / "disk", megabytes=32) as disk:
        with _listening(engine, disk.folder) as scp:
            assert {_send(scp, data, uid) for uid, data in sent.items()} == {0x0000}
            disk.fail()
            assert {_send(scp, b"too late", f"2.25.2.{number}") for number in range(3)} == {0xA700}
            peers.wait_until_logged("could not keep an instance from 'SCANNER1': OperationalError SQLITE_", caplog)
        disk.repair()
        with _listening(engine, disk.folder) as scp:
            assert {one.instance.sop_instance_uid: one.instance.data_set for one in scp.kept()} == sent
            assert _send(scp, b"in time", "2.25.2.0") == 0x0000


def test_a_disk_that_is_nearly_full_is_out_of_resources_while_what_was_received_can_still_be_finished(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = random.Random(7).randbytes
    with (
        peers.small_disk(tmp_path / "disk", megabytes=12) as disk,
        _listening(engine, disk.folder, reserve_mb=6) as scp,
    ):
        answers = [_send(scp, noise(400_000), f"2.25.1.{number}") for number in range(15)]
        assert answers[0] == 0x0000
        assert answers[-1] == 0xA700
        assert len(scp.kept()) == answers.count(0x0000)
        peers.wait_until_logged("the disk is nearly full", caplog)
        with scp.database.write() as connection:  # the worker writes on
            receipts.store(connection, instance(noise(2_000_000), uid="2.25.3"), calling_ae_title="A", at=NOW)
        disk.grow(32)
        assert _send(scp, noise(400_000), "2.25.2") == 0x0000


def test_closing_the_listener_frees_its_port(engine: Engine, tmp_path: Path) -> None:
    with _listening(engine, tmp_path) as scp:
        port = scp.port
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_rejection_note_is_taken_like_a_report(scp: Scp) -> None:
    note = encode(rejection_note(["2.25.1"]))
    sent = {"transfer_syntax": ExplicitVRLittleEndian, "sop_instance": "2.25.900"}
    assert store(scp.port, note, sop_class=KeyObjectSelectionDocumentStorage, **sent) == 0
    (kept,) = scp.kept()
    assert kept.instance.sop_class_uid == KeyObjectSelectionDocumentStorage
    assert kept.instance.data_set == note
