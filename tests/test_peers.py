"""The peers behave as the other tests assume."""

import importlib.metadata
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests import peers
from tests.folders import ROOT

CT_SMALL = Path(str(get_testdata_file("CT_small.dcm", download=False)))


def send(pacs: peers.Orthanc) -> subprocess.CompletedProcess[str]:
    return peers.storescu([CT_SMALL], port=pacs.dicom_port, called=pacs.ae_title)


def test_what_storescu_sends_is_found_in_orthanc(orthanc):
    sent = dcmread(CT_SMALL)

    assert send(orthanc).returncode == 0

    (found,) = orthanc.find("Instance", SOPInstanceUID=sent.SOPInstanceUID)
    assert orthanc.instance(found).PatientID == sent.PatientID
    assert orthanc.rest(f"/instances/{found}/tags?simplify")["StudyInstanceUID"] == sent.StudyInstanceUID


def test_orthanc_keeps_what_it_holds_over_an_outage(orthanc):
    send(orthanc)

    orthanc.stop()
    assert send(orthanc).returncode != 0, "nobody should have answered"
    orthanc.start()

    assert len(orthanc.rest("/instances")) == 1
    assert send(orthanc).returncode == 0


def test_orthanc_refuses_who_calls_another_name(orthanc):
    assert peers.storescu([CT_SMALL], port=orthanc.dicom_port, called="OTHER").returncode != 0


def test_orthanc_calls_back_the_modalities_it_knows(tmp_path):
    listener = AE(ae_title="DXATREND")
    listener.add_supported_context(Verification)
    port = peers.free_port()
    server = listener.start_server((peers.LOOPBACK, port), block=False)
    try:
        with peers.orthanc(tmp_path, modalities={"DXATREND": port}) as pacs:
            url = f"http://{peers.LOOPBACK}:{pacs.http_port}/modalities/DXATREND/echo"
            assert httpx.post(url, json={}, trust_env=False).is_success
    finally:
        server.shutdown()


def test_each_test_has_a_database_of_its_own(postgres):
    urls = [postgres.fresh_database(), postgres.fresh_database()]
    assert len(set(urls)) == 2
    for url in urls:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE bone (name text)"))
        engine.dispose()


def test_postgresql_keeps_what_was_committed_over_an_outage():
    with peers.postgres() as server:
        engine = sqlalchemy.create_engine(server.fresh_database(), pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE bone (name text)"))

        server.stop()
        with pytest.raises(sqlalchemy.exc.OperationalError), engine.connect():
            pass
        server.start()

        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT count(*) FROM bone")).scalar_one() == 0
        engine.dispose()


def test_postgresql_listens_on_no_network(postgresql_url):
    engine = sqlalchemy.create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SHOW listen_addresses")).scalar_one() == ""
    engine.dispose()


def test_the_locked_prefect_server_starts_and_answers(tmp_path):
    """An unlocked install has been seen whose server could not start with the FastAPI it took."""
    with peers.prefect_server(tmp_path) as server, server.client() as api:
        version = api.get("admin/version").json()
    assert version == importlib.metadata.version("prefect")


def test_a_free_port_is_never_given_twice():
    ports = [peers.free_port() for _ in range(50)]
    assert len(set(ports)) == 50


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_peer_skips_the_test_and_fails_it_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-archive is not installed"):
        peers.program("no-such-archive")


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("dxatrend.invalid", 80)])
def test_no_test_reaches_beyond_this_machine(address):
    with pytest.raises(PermissionError):
        socket.create_connection(address, timeout=1)


def test_what_the_developer_has_set_is_not_seen(tmp_path):
    """Run apart, as the scrubbing is done once, when the tests are collected."""
    probe = "import os, tests.conftest; print([n for n in os.environ if n.startswith('DXATREND_')])"
    run = subprocess.run(
        [sys.executable, "-c", probe],
        env={"PATH": "/usr/bin:/bin", "DXATREND_SERVICE__LISTENER__PORT": "1", "TMPDIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
