"""The audit trail alone shows what happened to a report, from the scanner that sent it to the proof of the PACS."""

import hashlib
import os
import pwd
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dxatrend.cli.main import main
from pipeline.clinical.model import Patient
from pipeline.edge.app import App, open_app
from pipeline.edge.audit import events
from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.deliver.dispatcher import deliver_batch
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import audit_trail, outbox, receipts, work_queue
from pipeline.edge.store.audit_trail import Event, Outcome, SealedEntry
from pipeline.edge.store.schema import receipt
from tests import peers
from tests.factories.instances import NOW, instance
from tests.factories.reports import encode, region, report, spine

LONG_AGO = datetime.now(UTC) - timedelta(days=1)

PRECISION = """
    [[lsc]]
    manufacturer = "{0.Manufacturer}"
    model = "{0.ManufacturerModelName}"
    serial_number = "{0.DeviceSerialNumber}"
    region = "L1-L4"
    same_day = false
    lsc = "0.028"
    patients = 30
    repeats = 2
    valid_from = 2019-01-01
    valid_until = 2030-01-01
    source = "our study of 2019"
    """


def _config(folder: Path, archive_port: int) -> Path:
    (folder / "precision.toml").write_text(PRECISION.format(report(spine(region("L1-L4", "0.950")))))
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [[destination]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = {archive_port}
        proof = "find"
        """)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with an archive that is down."""
    return _config(tmp_path, peers.free_port())


@pytest.fixture
def app(config: Path) -> Iterator[App]:
    """Its app."""
    with open_app(config) as app:
        yield app


def _visit(app: App, uid: str, bmd: str, date: str) -> bytes:
    """One exam on its way into the outbox; the bytes that were received."""
    sent = report(spine(region("L1-L4", bmd)), StudyInstanceUID=f"{uid}.1", StudyDate=date, PatientID="P1")
    sent.SOPInstanceUID = uid
    data_set = encode(sent)
    with app.database.write() as connection:
        of = {"calling_ae_title": "SCANNER1", "host": "192.0.2.1", "at": LONG_AGO}
        receipts.store(connection, instance(data_set, uid=uid), **of)  # type: ignore[arg-type]  # one dict, two types
    while extract_waiting(app):
        pass
    follow_up(app, claim_due(app.database, 50))
    return data_set


def _trail(app: App, patient_id: str | None = "P1") -> list[SealedEntry]:
    with app.database.read() as connection:
        return list(audit_trail.find(connection, about=Patient(patient_id=patient_id) if patient_id else None))


def test_who_sent_what_what_was_compared_with_what_and_which_bytes_went_where_is_on_file(
    tmp_path: Path, orthanc: peers.Orthanc
) -> None:
    (tmp_path / "config").mkdir()
    with open_app(_config(tmp_path / "config", orthanc.dicom_port)) as app:
        _visit(app, "2.25.1", "0.950", "20220101")
        received = _visit(app, "2.25.2", "0.912", "20240101")
        assert deliver_batch(app, app.settings.service.destination[0]) == (2, 0)
        with app.database.read() as connection:
            (first,), (second,) = (outbox.addenda(connection, number) for number in (1, 2))
        trail = [one.entry for one in _trail(app)]
    assert [entry.event for entry in trail] == [Event.RECEIVED, Event.COMPARED, Event.AUTHORED] * 2 + [
        Event.DELIVERED
    ] * 2
    arrived, compared, authored, delivered = *trail[3:6], trail[7]
    assert (arrived.actor, arrived.host, arrived.receipt) == ("SCANNER1", "192.0.2.1", 2)
    assert arrived.detail["sop_instance_uid"] == "2.25.2"
    assert arrived.detail["digest"] == hashlib.sha256(received).hexdigest()
    assert (compared.exam, compared.detail["reports"][0]["receipt"]) == (2, 2)
    assert compared.detail["reports"][0]["dialect"]
    assert compared.detail["rules"]
    (said,) = compared.detail["regions"]
    assert (said["region"], said["result"], said["since_prior"]["study"]) == ("L1-L4", "LOSS", "2.25.1.1")
    assert said["since_prior"]["difference"] == "-0.038"
    assert said["since_prior"]["lsc"]["source"] == "our study of 2019"
    digest = hashlib.sha256(second.data_set).hexdigest()
    assert (authored.addendum, authored.detail["digest"]) == (second.number, digest)
    assert (delivered.addendum, delivered.actor, delivered.detail["proof"]) == (second.number, "pacs", "C-FIND")
    assert delivered.detail["digest"] == digest
    assert trail[6].addendum == first.number


def test_an_exam_that_was_examined_again_without_a_change_is_on_file_too(app: App) -> None:
    _visit(app, "2.25.1", "0.950", "20220101")
    follow_up(app, [1])
    last = _trail(app)[-1].entry
    assert (last.event, last.detail["issued"]) == (Event.COMPARED, False)


def test_what_an_operator_does_is_on_file_under_the_name_they_have_on_this_machine(config: Path) -> None:
    context = config / "context.csv"
    context.write_text("patient_id,recorded_on,menopause\nP1,2026-02-01,after\n")
    assert main(["context", "load", str(context), "--config", str(config)]) == 0
    with open_app(config) as app, app.database.write() as connection:
        number, _ = receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
        work_queue.hold(connection, receipt, number, reason="not_dicom", detail="")
    assert main(["release", str(number), "--config", str(config)]) == 0
    with open_app(config) as app:
        loaded, _, released = (one.entry for one in _trail(app, None))
    assert (loaded.event, loaded.patient) == (Event.CONTEXT_LOADED, 1)
    assert (released.event, released.receipt) == (Event.RELEASED, number)
    assert loaded.actor
    assert loaded.actor == released.actor


def test_refused_callers_are_on_file_and_counted_so_that_they_cannot_fill_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.edge.receive.rejected_callers.MOST_CALLERS", 2)
    port = peers.free_port()
    listener = Listener(ListenerSettings(port=port, caller=(CallerSettings(ae_title="SCANNER1"),)), app.database)
    try:
        for number in (1, 1, 1, 2, 3, 4):
            ae = AE(ae_title=f"STRANGER{number}")
            ae.add_requested_context(Verification)
            assert not ae.associate("127.0.0.1", port, ae_title="DXATREND").is_established
    finally:
        listener.close()
    refused = [one.entry for one in _trail(app, None)]
    assert {entry.event for entry in refused} == {Event.REFUSED_CALLER}
    assert {entry.outcome for entry in refused} == {Outcome.SERIOUS_FAILURE}
    assert sum(entry.detail["times"] for entry in refused) == 6
    assert ("STRANGER1", "127.0.0.1") in {(entry.actor, entry.host) for entry in refused}


def test_a_command_is_recorded_under_the_user_who_runs_it_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody else")
    assert events.operator().name == pwd.getpwuid(os.getuid()).pw_name
