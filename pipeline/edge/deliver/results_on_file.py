"""The results that addenda state, with their earlier versions and pages, for destinations that get messages."""

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from pipeline.edge.store import outbox
from pipeline.edge.store.database import Database
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.messages.exam_result import ExamResult, read_result
from pipeline.sr.dicom.content_tree import read_instance


class ResultsOnFile:
    """Reads results for one destination from the store.

    ``zone`` is the department's time zone, or ``None`` for this machine's own.
    """

    def __init__(self, database: Database | None, destination: str, zone: ZoneInfo | None) -> None:
        self._database, self._destination, self._zone = database, destination, zone

    def results(self, addendum: AddendumOnFile) -> tuple[ExamResult, Sequence[ExamResult]]:
        """Return the result that an addendum states, and the exam's earlier ones that may be in the destination.

        There the result is a correction only if there is an earlier one: whoever became a destination yesterday never
        had the first.
        """
        with self._store.read() as connection:
            earlier = [self._read(one) for one in outbox.earlier(connection, addendum, self._destination)]
        return replace(self._read(addendum), supersedes=bool(earlier)), earlier

    def _read(self, addendum: AddendumOnFile) -> ExamResult:
        return read_result(
            addendum.data_set,
            exam_number=addendum.exam_number,
            authored_at=addendum.authored_at.astimezone(self._zone),
            sections=addendum.sections,
        )

    def pdf(self, addendum: AddendumOnFile) -> bytes | None:
        """Return the pages of an addendum; ``None`` where none were drawn."""
        with self._store.read() as connection:
            pages = outbox.renderings(connection, addendum.number)
        for page in pages:
            if page.sop_class_uid == EncapsulatedPDFStorage:
                instance = read_instance(page.data_set, ExplicitVRLittleEndian)
                document: bytes = instance.EncapsulatedDocument[: instance.EncapsulatedDocumentLength]
                return document
        return None

    @property
    def _store(self) -> Database:
        assert self._database is not None, "only to check a destination no store is needed"
        return self._database
