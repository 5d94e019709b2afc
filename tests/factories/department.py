"""A listener and a store with several callers, each at its own address; the work is done in this process."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from dxatrend.cli.main import main
from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import drain
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import held_work, outbox
from pipeline.edge.store.held_work import HeldWork
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.reader import read_elements
from tests import peers
from tests.factories.reports import region, report, spine


def scan(bmd: str, day: str, *, uid: str, **header: str | None) -> Dataset:
    """Return a report of one spine scan in a study of its own."""
    given: dict[str, Any] = {"StudyInstanceUID": f"{uid}.1", "StudyDate": day, "SOPInstanceUID": uid, **header}
    return report(spine(region("L1-L4", bmd)), **given)


class Department:
    """What callers send to a real listener, and what became of it."""

    def __init__(self, config: Path, app: App, port: int) -> None:
        self.config, self.app, self._port = config, app, port

    def send(self, sent: Dataset, *, calling: str = "SCANNER1", host: str = "127.0.0.1") -> None:
        """Send a report in an association of its own from an address; the test fails unless it is taken."""
        sent.file_meta = FileMetaDataset()
        sent.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ae = AE(ae_title=calling)
        ae.add_requested_context(sent.SOPClassUID, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self._port, ae_title="DXATREND", bind_address=(host, 0))
        assert association.is_established, "the listener takes this caller"
        assert association.send_c_store(sent).Status == 0
        association.release()

    def work(self) -> None:
        """Read and follow up everything that is due."""
        while extract_waiting(self.app):
            pass
        drain(self.app, lambda: False)

    def run(self, *command: str) -> int:
        """Run one command and return its exit status."""
        return main([*command, "--config", str(self.config)])

    def held(self) -> dict[str, HeldWork]:
        """Return what is held, by its number."""
        with self.app.database.read() as connection:
            return {one.number: one for one in held_work.held(connection)}

    def addendum_of(self, exam: int) -> ReadBack | None:
        """Return the current addendum of an exam, read back."""
        with self.app.database.read() as connection:
            latest = outbox.latest(connection, exam)
        return None if latest is None else read_back(read_tree(read_elements(latest.data_set, ExplicitVRLittleEndian)))


@contextmanager
def department(folder: Path, url: str, callers: str) -> Iterator[Department]:
    """Run a listener whose callers are these tables of ``service.toml``."""
    port = peers.free_port()
    (folder / "service.toml").write_text(f"""
        [store]
        url = "{url}"
        [exam]
        settle_seconds = 0
        late_days = 36500
        [listener]
        port = {port}
        {callers}
        """)
    with open_app(folder) as app, closing(Listener(app.settings.service.listener, app.database)):
        yield Department(folder, app, port)
