"""A whole service delivers to destinations of every kind at once, and one that is away delays no other."""

from pathlib import Path

from pydicom import dcmread

from tests import peers
from tests.edge.deliver.test_fhir_sender import FhirServer
from tests.expected import exams_of
from tests.factories.hl7_receivers import Receiver, python_hl7_server
from tests.factories.http_servers import serving
from tests.factories.service import Service
from tests.folders import ROOT

KINDS = """
[[destination]]
name = "results"
kind = "folder"
folder = "{folder}"
[[destination]]
name = "ris"
kind = "hl7"
host = "127.0.0.1"
port = {hl7}
mapping = "{mapping}"
[[destination]]
name = "records"
kind = "fhir"
url = "http://127.0.0.1:{fhir}/fhir"
[[destination]]
name = "archive"
kind = "stow"
url = "http://127.0.0.1:{stow}/dicom-web"
[[destination]]
name = "away"
kind = "hl7"
host = "127.0.0.1"
port = {nobody}
mapping = "{mapping}"
"""


def test_every_kind_gets_the_same_result_while_another_is_away(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("orthanc", "service"):
        (tmp_path / name).mkdir()
    receiver, server = Receiver(), FhirServer()
    exam = exams_of("02-spine-loss")[-1]
    with (
        peers.orthanc(tmp_path / "orthanc", dicomweb=True) as orthanc,
        python_hl7_server(receiver),
        serving(server),
    ):
        service = Service(tmp_path / "service", destination_port=orthanc.dicom_port)
        configuration = service.config / "service.toml"
        more = KINDS.format(
            folder=files,
            hl7=receiver.port,
            fhir=server.port,
            stow=orthanc.http_port,
            nobody=peers.free_port(),
            mapping=ROOT / "config" / "hl7" / "coded.toml",
        )
        configuration.write_text(configuration.read_text() + more)
        service.start()
        try:
            for earlier in exams_of("02-spine-loss"):
                service.send(earlier.reports)
            exams = len(exams_of("02-spine-loss"))
            peers.wait_until(lambda: len([*files.glob("*.dcm")]) == exams, seconds=120, what="the folder has it")
            peers.wait_until(lambda: len(receiver.got) == exams, seconds=60, what="HL7 has it")
            peers.wait_until(lambda: len(server.of_kind("DiagnosticReport")) == exams, seconds=60, what="FHIR has it")
            status = service.run("status")
            trail = service.run("audit").stdout
        finally:
            service.kill()
    assert status.returncode == 0
    reports = {path.stem: dcmread(path) for path in files.glob("*.dcm")}
    losses = [report for report in reports.values() if report.StudyInstanceUID == exam.study]
    assert len(losses) == 1
    messages = [one for one in receiver.got if str(one.segment("OBR")[18]) == str(losses[0].AccessionNumber)]
    results = {str(obx[5]).split("^")[0] for obx in messages[0].segments("OBX") if str(obx[3]).startswith("RESULT")}
    assert "LOSS" in results
    (conclusion,) = (
        one["conclusion"]
        for one in server.of_kind("DiagnosticReport")
        if one["identifier"][0]["value"] == f"urn:oid:{losses[0].SOPInstanceUID}"
    )
    assert "ignificant loss" in conclusion
    for proof in ("file written", "acknowledgement", "answer to the transaction", "answer to STOW-RS", "C-FIND"):
        assert proof in trail
    log = service.log.read_text()
    assert str(losses[0].PatientID) not in log
    assert str(losses[0].PatientName).split("^")[0] not in log
