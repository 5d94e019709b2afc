"""The real commands: a host name without address is reported, and a worker that is reading stops at once."""

import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from sqlalchemy import func, select

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.dicom_net.client import echo
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.store import receipts
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema import receipt
from pipeline.edge.store.schema_base import State
from tests import peers
from tests.factories.images import dxa_results, picture, roi, scan
from tests.factories.reports import encode
from tests.factories.service import Service


@pytest.mark.usefixtures("without_prefect")
def test_check_tells_of_a_name_without_address_and_asks_the_others(tmp_path: Path) -> None:
    with peers.storescp(tmp_path / "archive") as port:
        service = Service(tmp_path / "service", destination_port=port)
        settings = service.config / "service.toml"
        away = '[[destination]]\nname = "away"\nae_title = "PACS"\nhost = "pacs.invalid"\nport = 104\n'
        settings.write_text(settings.read_text().replace("[[destination]]", f"{away}[[destination]]"))
        checked = service.run("check")
    lines = checked.stdout.splitlines()
    assert "destination pacs: answers" in lines
    assert any(line.startswith("destination away: the name pacs.invalid has no address") for line in lines)
    assert checked.returncode != 0
    assert "Traceback" not in checked.stderr


def test_a_name_may_have_an_address_of_either_kind_and_another_one_tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = socket.getaddrinfo
    now = {"pacs.test": "::1"}

    def resolve(host: str, *rest: Any, **named: Any) -> Any:
        return asked(now.get(host, host), *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = peers.free_port()
    to = DicomDestination(name="pacs", ae_title="PACS", host="pacs.test", port=port)
    for address in ("::1", "127.0.0.1"):
        ae = AE(ae_title="PACS")
        ae.add_supported_context(Verification)
        server = ae.start_server((address, port), block=False)
        try:
            now["pacs.test"] = address
            echo(to, "DXATREND")
            now["pacs.test"] = {"::1": "127.0.0.1", "127.0.0.1": "::1"}[address]
            with pytest.raises(PeerUnavailableError, match="nobody listens"):
                echo(to, "DXATREND")
        finally:
            server.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("without_prefect")
def test_a_worker_ends_within_two_seconds_while_it_reads(tmp_path: Path) -> None:
    """The real signal to the real process, with a minute of reading before it; what it had is free again at once."""
    service = Service(tmp_path / "service", destination_port=1)
    with service.app() as app:
        comments = dxa_results(scan("AP Spine", *[roi("L1-L4", "0.912")] * 12_000))
        hard = encode(picture(comments=comments), ImplicitVRLittleEndian)  # in which a text may be of any length
        at = datetime.now(UTC) - timedelta(minutes=1)
        for number in range(200):
            sent = Instance(
                sop_class_uid=SecondaryCaptureImageStorage,
                sop_instance_uid=f"2.25.{number}",
                transfer_syntax_uid=ImplicitVRLittleEndian,
                data_set=hard,
            )
            with app.database.write() as connection:
                receipts.store(connection, sent, calling_ae_title="SCANNER1", at=at)

        def leased() -> int:
            with app.database.read() as connection:
                return connection.scalar(select(func.count()).where(receipt.c.lease_owner.is_not(None))) or 0

        service.begin("work")
        peers.wait_until(leased, seconds=60, what="it reads")
        time.sleep(0.3)
        assert leased(), "it still reads"
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 2
        assert leased() == 0
        with app.database.read() as connection:
            waiting = select(func.count()).where(receipt.c.state == State.WAITING)
            assert connection.scalar(waiting)
