"""Write addenda into a folder as DICOM files (PS3.10), each named by its SOP Instance UID.

A file appears whole and synced under its name, or not at all; until then its name begins with a dot. The same addendum
again replaces the file with the same bytes.
"""

import os
from collections.abc import Generator, Sequence
from pathlib import Path

from pipeline.edge.configuration.destination_settings import FolderDestination
from pipeline.edge.deliver.sender import DeliveryError
from pipeline.edge.peer_problems import PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.dicom.writer import Authored, dicom_file


class FolderSender:
    """Writes into a folder that somebody else empties."""

    proof = "file written"

    def __init__(self, to: FolderDestination) -> None:
        self._folder = to.folder

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Write a file for each addendum."""
        for addendum in addenda:
            try:
                _write(self._folder, f"{addendum.sop_instance_uid}.dcm", as_file(addendum))
            except OSError as error:
                raise _unwritable(error) from None
            yield None

    def check(self) -> None:
        """Verify that a file can be written there."""
        try:
            _write(self._folder, ".dxatrend-check", b"")
            (self._folder / ".dxatrend-check").unlink()
        except OSError as error:
            raise _unwritable(error) from None


def as_file(addendum: AddendumOnFile) -> bytes:
    """Return an addendum as a DICOM file."""
    return dicom_file(
        Authored(
            sop_class_uid=addendum.sop_class_uid,
            sop_instance_uid=addendum.sop_instance_uid,
            data_set=addendum.data_set,
        )
    )


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a file so that it is whole whenever it can be seen, also after the power failed."""
    unfinished = folder / f".{name}.{os.getpid()}"
    unfinished.unlink(missing_ok=True)  # of a process that ended within; or a link, which is not followed
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(error: OSError) -> PeerUnavailableError:
    return PeerUnavailableError(Problem.FOLDER, error=error.strerror or type(error).__name__)
