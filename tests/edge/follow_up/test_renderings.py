"""Each archive gets an addendum in the forms it asks for, each kept once, and as it was kept."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage, EnhancedSRStorage, SecondaryCaptureImageStorage

from dxatrend.cli.main import main
from pipeline.edge.app import App, open_app
from pipeline.edge.deliver.dispatcher import deliver_batch
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import held_work, outbox, receipts, service_status
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.dicom.writer import Authored, dicom_file
from tests import peers
from tests.factories.answered_exams import LONG_AGO
from tests.factories.instances import instance
from tests.factories.reports import encode, region, report, spine
from tests.folders import ROOT

THREE = """
[store]
url = "sqlite:///{folder}/store.sqlite3"
[listener]
port = {port}
[addendum]
sop_class = "enhanced"
preliminary = false
[exam]
late_days = 36500
[[destination]]
name = "all"
ae_title = "{ae_title}"
host = "127.0.0.1"
port = {archive}
content = ["pdf", "sr", "image"]
[[destination]]
name = "reports"
ae_title = "REPORTS"
host = "127.0.0.1"
port = 104
[[destination]]
name = "papers"
ae_title = "PAPERS"
host = "127.0.0.1"
port = 105
content = ["pdf"]
"""


@pytest.fixture
def app(tmp_path: Path, orthanc: peers.Orthanc) -> Iterator[App]:
    """An app with three destinations that want different things; the first of them is there."""
    names = {"ae_title": orthanc.ae_title, "archive": orthanc.dicom_port, "port": peers.free_port()}
    (tmp_path / "service.toml").write_text(THREE.format(folder=tmp_path, **names))
    with open_app(tmp_path) as app:
        yield app


def _receive(app: App, bmd: str, uid: str, year: int) -> None:
    sent = report(
        spine(region("L1-L4", bmd)),
        StudyInstanceUID=f"2.25.{year}",
        StudyDate=f"{year}0501",
        SOPInstanceUID=uid,
        PatientName="Doe^Jane",
    )
    with app.database.write() as connection:
        receipts.store(connection, instance(encode(sent), uid=uid), calling_ae_title="SCANNER1", at=LONG_AGO)
    while extract_waiting(app):
        pass


def _issued(app: App, exam: int) -> tuple[AddendumOnFile, list[AddendumOnFile]]:
    with app.database.read() as connection:
        addendum = outbox.latest(connection, exam)
        assert addendum is not None
        return addendum, outbox.renderings(connection, addendum.number)


def test_each_destination_gets_exactly_the_forms_it_asks_for_and_has_them_bit_for_bit(
    app: App, orthanc: peers.Orthanc, tmp_path: Path
) -> None:
    for year, bmd in ((2022, "0.950"), (2024, "0.912")):
        _receive(app, bmd, f"2.25.{year}.1", year)
    assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(issued=2)
    addendum, renderings = _issued(app, 2)
    kinds = [addendum.sop_class_uid, *(rendering.sop_class_uid for rendering in renderings)]
    assert kinds == [EnhancedSRStorage, SecondaryCaptureImageStorage, EncapsulatedPDFStorage]
    with app.database.read() as connection:
        backlog = {status.name: status.backlog for status in _status(app)}
        assert len(outbox.addenda(connection, 2)) == 1, "a rendering is no addendum"
    assert backlog == {"all": 6, "reports": 2, "papers": 2}

    assert deliver_batch(app, app.settings.service.destination[0])[:2] == (6, 0)

    for kept in (addendum, *renderings):
        (found,) = orthanc.find("Instance", SOPInstanceUID=kept.sop_instance_uid)
        file = orthanc.raw(f"/instances/{found}/file")
        assert file.endswith(kept.data_set), "the data set is as it was kept"
    assert dcmread(BytesIO(file)).MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert addendum.data_set.count(b"FINAL") == 1
    (found,) = orthanc.find("Instance", SOPInstanceUID=renderings[0].sop_instance_uid)
    preview = Image.open(BytesIO(orthanc.raw(f"/instances/{found}/preview")))
    assert (preview.size, preview.mode) == ((1024, 1449), "L")
    shown = preview.tobytes()
    assert min(shown) < 40
    assert shown.count(255) > len(shown) / 2, "black on white"
    path = tmp_path / "addendum.dcm"
    path.write_bytes(_file(addendum))
    page = subprocess.run([peers.program("dsr2html"), str(path)], capture_output=True, check=True).stdout.decode()
    assert "Jane Doe" in page
    assert "Serial comparison result" in page


def _status(app: App) -> tuple[service_status.DestinationStatus, ...]:
    names = [destination.name for destination in app.settings.service.destination]
    with app.database.read() as connection:
        return service_status.status(connection, names, datetime.now(UTC)).destinations


def _file(kept: AddendumOnFile) -> bytes:
    return dicom_file(
        Authored(sop_class_uid=kept.sop_class_uid, sop_instance_uid=kept.sop_instance_uid, data_set=kept.data_set)
    )


def test_a_new_addendum_has_renderings_of_its_own_and_an_unchanged_one_none(app: App) -> None:
    _receive(app, "0.912", "2.25.2024.1", 2024)
    assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(issued=1)
    first, renderings = _issued(app, 1)
    with app.database.write() as connection:
        connection.exec_driver_sql("UPDATE exam SET state = 'waiting'")
    assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(unchanged=1)
    assert _issued(app, 1) == (first, renderings)
    _receive(app, "0.950", "2.25.2022.1", 2022)
    with app.database.write() as connection:
        connection.exec_driver_sql("UPDATE exam SET state = 'waiting'")
    follow_up(app, claim_due(app.database, 50))
    second, others = _issued(app, 1)
    assert second.sop_instance_uid != first.sop_instance_uid
    assert len(others) == len(renderings) == 2
    assert not {rendering.sop_instance_uid for rendering in renderings} & {
        rendering.sop_instance_uid for rendering in others
    }


def test_show_names_what_an_object_of_our_own_is(app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _receive(app, "0.912", "2.25.2024.1", 2024)
    follow_up(app, claim_due(app.database, 50))
    addendum, renderings = _issued(app, 1)
    printed = []
    for kept in (addendum, *renderings):
        (tmp_path / "ours.dcm").write_bytes(_file(kept))
        assert main(["show", str(tmp_path / "ours.dcm"), "--config", str(app.folder)]) == 0
        printed.append(capsys.readouterr().out)
    assert "CODE Overall serial result = No prior" in printed[0]
    assert f"our addendum {addendum.sop_instance_uid}" in printed[0]
    assert f"DXA follow-up (image), number 1: a rendering of our addendum {addendum.sop_instance_uid}" in printed[1]
    assert f"DXA follow-up (pdf), number 1: a rendering of our addendum {addendum.sop_instance_uid}" in printed[2]


def test_our_own_image_that_comes_back_is_ignored(app: App) -> None:
    _receive(app, "0.912", "2.25.2024.1", 2024)
    follow_up(app, claim_due(app.database, 50))
    for kept in _issued(app, 1)[1]:
        back = receipts.Instance(
            sop_class_uid=kept.sop_class_uid,
            sop_instance_uid=kept.sop_instance_uid,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            data_set=kept.data_set,
        )
        with app.database.write() as connection:
            receipts.store(connection, back, calling_ae_title="PACS", at=LONG_AGO)
    extract_waiting(app)
    with app.database.read() as connection:
        assert held_work.held(connection) == []
        reasons = connection.exec_driver_sql("SELECT reason FROM receipt WHERE id > 1").scalars().all()
    assert list(reasons) == ["own_addendum", "own_addendum"]


WITHOUT_RENDERINGS = """
import sys
from pathlib import Path
from pipeline.edge.follow_up import due_exams, renderings
from pipeline.edge.app import open_app
import dxatrend.cli.main
with open_app(Path(sys.argv[1])) as app:
    assert renderings.wanted_forms(app.settings.service.destination) == frozenset()
print({"uharfbuzz", "pypdfium2"} & sys.modules.keys())
"""


def test_a_service_that_sends_no_renderings_does_not_load_what_draws_them(tmp_path: Path) -> None:
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    command = [sys.executable, "-c", WITHOUT_RENDERINGS, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
