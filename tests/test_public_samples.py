"""Every published file ends as its line in MANIFEST.csv says, and the service is alive after each.

Each is sent over DICOM as it is: in its own SOP class and transfer syntax, and where these cannot even be proposed, as
a confused sender would, under those of a report.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian
from sqlalchemy import func, select

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store.schema import exam, receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import read_elements, split_file
from pipeline.sr.dicom.unreadable import UnreadableReportError
from tests import peers
from tests.factories.raw_scanner import REFUSED, is_alive, store

REFUSED_AT_ASSOCIATION = "refused at association"
NOTHING_TO_SEND = "there is no data set in it"
NOT_RECEIVED = (REFUSED_AT_ASSOCIATION, NOTHING_TO_SEND)


@dataclass
class Service:
    """A listener and the reading of what it has received."""

    port: int
    app: App

    def outcome(self, data_set: bytes, *, sop_class: str, transfer_syntax: str, sop_instance: str) -> str:
        """How an object ends: refused, or as what its receipt is settled, with the reason."""
        sent = store(
            self.port, data_set, sop_class=sop_class, transfer_syntax=transfer_syntax, sop_instance=sop_instance
        )
        assert is_alive(self.port)
        if sent is REFUSED:
            return REFUSED_AT_ASSOCIATION
        assert sent == 0x0000
        while extract_waiting(self.app):
            pass
        with self.app.database.read() as connection:
            settled = connection.execute(
                select(receipt.c.state, receipt.c.reason).where(receipt.c.sop_instance_uid == sop_instance)
            ).all()
        return " ".join(f"{row.state} {row.reason}" for row in settled)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all files: what one does to it, the next one suffers."""
    folder = tmp_path_factory.mktemp("public")
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"')
    port = peers.free_port()
    caller = CallerSettings(ae_title="SCANNER1", host="127.0.0.1")
    with open_app(folder) as app:
        listener = Listener(ListenerSettings(port=port, caller=(caller,)), app.database)
        try:
            yield Service(port, app)
        finally:
            listener.close()


def test_every_public_file_ends_as_the_manifest_says(samples: Path, service: Service) -> None:
    with (samples / "MANIFEST.csv").open(encoding="utf-8", newline="") as manifest:
        lines = list(csv.DictReader(manifest))
    ends: dict[str, str] = {}
    for number, line in enumerate(lines):
        kept = line["verdict"] == "QUARANTINE"
        ends[line["path"]] = end = how_it_ends(samples / line["path"], service, number, to_be_kept=kept)
        assert end.startswith(State.HELD) or (end in NOT_RECEIVED and not kept), line["path"]
    assert len(ends) > 100
    reasons = {end.removeprefix(State.HELD).strip() for end in ends.values()}
    assert reasons > {"not_dicom", "truncated", "not_a_report", "no_patient_id", "no_bmd", REFUSED_AT_ASSOCIATION}
    with service.app.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(exam)) == 0
        assert connection.scalar(select(func.count()).select_from(receipt).where(receipt.c.state == State.WAITING)) == 0


def how_it_ends(file: Path, service: Service, number: int, *, to_be_kept: bool) -> str:
    """Send a file as it says it wants to be sent; where it says nothing usable, or is to be kept, as a report."""
    data_set, transfer_syntax, sop_class, own_uid = as_it_says(file.read_bytes())
    if not data_set:
        return NOTHING_TO_SEND
    if sop_class:
        uid = own_uid or f"2.25.1.{number}"
        end = service.outcome(data_set, sop_class=sop_class, transfer_syntax=transfer_syntax, sop_instance=uid)
        if end != REFUSED_AT_ASSOCIATION or not to_be_kept:
            return end
    return service.outcome(
        data_set,
        sop_class=EnhancedSRStorage,
        transfer_syntax=ExplicitVRLittleEndian,
        sop_instance=f"2.25.2.{number}",
    )


def as_it_says(content: bytes) -> tuple[bytes, str, str, str]:
    """The data set in a file, its transfer syntax, and its SOP class and SOP Instance UID where they can be read."""
    try:
        data_set, transfer_syntax = split_file(content)
    except UnreadableReportError:
        return content, "", "", ""
    try:
        header = read_elements(data_set, transfer_syntax)
    except UnreadableReportError:
        return data_set, "", "", ""
    return data_set, transfer_syntax, header_text(header, "SOPClassUID"), header_text(header, "SOPInstanceUID")
