"""Letters of every character set go from a scanner through the whole service into a real PACS."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedSRStorage

from tests import peers
from tests.edge.test_letters import SCRIPTS, in_script
from tests.factories.fast_scanner import Object, Scanner
from tests.factories.reports import encode
from tests.factories.service import Service

NEIGHBOURS = ("accession", "institution", "operator", "station")


def send(service: Service, *reports: Dataset) -> None:
    """Have a scanner send reports; each is taken."""
    with Scanner(service.port, called="DXATREND") as scanner:
        for number, one in enumerate(reports, start=1):
            assert scanner.store(Object(EnhancedSRStorage, str(one.SOPInstanceUID), encode(one)), number) == 0x0000
        scanner.release()


def addenda(orthanc: peers.Orthanc) -> list[Dataset]:
    """What the PACS has."""
    return [orthanc.instance(number) for number in orthanc.rest("/instances")]


def nobody_is_named(service: Service, *texts: str) -> bool:
    """Whether the log names none of these, and tells of no fault."""
    log = service.log.read_text()
    return not any(text in log for text in (*texts, "Traceback", "CRITICAL"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_names_in_every_character_set_are_compared_and_answered(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_url") if store == "postgresql" else ""
    sent = []
    for number, charset in enumerate(SCRIPTS):
        for visit, (date, bmd) in enumerate((("20220301", "0.900"), ("20240301", "0.912"))):
            made = in_script(charset, date=date, bmd=bmd)
            made.StudyInstanceUID, made.SOPInstanceUID = f"2.25.1{number}.{visit}", f"2.25.2{number}.{visit}"
            sent.append(made)
    with _pacs(tmp_path) as orthanc:
        service = Service(tmp_path / "service", destination_port=orthanc.dicom_port, url=url)
        service.start()
        try:
            send(service, *sent)
            service.come_to_rest()
            kept = addenda(orthanc)
            listed = service.run("audit", "--json")
        finally:
            service.kill()
    expected = sorted((str(made.StudyInstanceUID), told) for made, told in zip(sent, _twice(), strict=True))
    assert sorted((str(one.StudyInstanceUID), str(one.PatientID)) for one in kept) == expected
    assert {str(one.PatientName).rstrip("=") for one in kept} == set(SCRIPTS.values())
    assert listed.returncode == 0
    assert nobody_is_named(service, *SCRIPTS.values())


def _pacs(folder: Path) -> AbstractContextManager[peers.Orthanc]:
    (folder / "orthanc").mkdir()
    return peers.orthanc(folder / "orthanc")


def _twice() -> list[str]:
    return [told for told in SCRIPTS.values() for _ in range(2)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_reports_with_one_letter_beyond_ascii_are_answered(
    cases: Path, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_url") if store == "postgresql" else ""
    files = [cases / f"neighbour_{field}.dcm" for field in NEIGHBOURS]
    files.append(cases.parent / "adversary" / "umlaut-institution.dcm")
    with _pacs(tmp_path) as orthanc:
        service = Service(tmp_path / "service", destination_port=orthanc.dicom_port, url=url)
        service.start()
        try:
            service.send(files)
            service.come_to_rest()
            answered = {str(one.StudyInstanceUID) for one in addenda(orthanc)}
        finally:
            service.kill()
    assert answered == {str(dcmread(file).StudyInstanceUID) for file in files}
    assert nobody_is_named(service)
