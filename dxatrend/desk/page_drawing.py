"""Draw the pages of an addendum in a process of their own, which ends with the drawing.

matplotlib takes a second to start and 50 MB that Python never gives back: the desk, which runs for months, has neither.
A few drawings are kept for those who look at one page after another.
"""

import logging
import pickle
import struct
import subprocess
import sys
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.app import App
from pipeline.edge.follow_up.examination import Examination
from pipeline.edge.follow_up.renderings import FORMS, render
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.content_tree import read_instance
from pipeline.sr.dicom.writer import Authored

log = logging.getLogger(__name__)

SECONDS = 60
"""How long one drawing may take."""

KEPT = 8
"""Drawings that are kept: some 100 kB each."""


class DrawingError(DxatrendError):
    """Pages that could not be drawn."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The pages of an addendum as PNG images, and all of them as PDF; empty in a form that it does not have."""

    images: tuple[bytes, ...]
    pdf: bytes = field(repr=False)


class PageDrawer:
    """Draws one addendum at a time, and keeps the latest drawings."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Drawing] = OrderedDict()
        self._drawing = threading.Lock()

    def draw(self, app: App, addendum: AddendumOnFile, found: Examination) -> Drawing:
        """Return the pages of the addendum that an examination has led to.

        Raises:
            DrawingError: they could not be drawn.
        """
        with self._drawing:
            known = self._kept.get(addendum.sop_instance_uid)
            if known is None:
                known = drawing_of(_draw_elsewhere(app, addendum, found))
                self._kept[addendum.sop_instance_uid] = known
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return known


def drawing_of(instances: Iterable[Authored | AddendumOnFile]) -> Drawing:
    """Return the pages that renderings contain."""
    images: list[bytes] = []
    pdf = b""
    for instance in instances:
        data_set = read_instance(instance.data_set, ExplicitVRLittleEndian)
        if FORMS.get(instance.sop_class_uid) == "pdf":
            pdf = bytes(data_set.EncapsulatedDocument)[: data_set.EncapsulatedDocumentLength]
        elif FORMS.get(instance.sop_class_uid) == "image":
            images.append(png(bytes(data_set.PixelData), columns=data_set.Columns, rows=data_set.Rows))
    return Drawing(tuple(images), pdf)


def png(pixels: bytes, *, columns: int, rows: int) -> bytes:
    """Return grey pixels of one byte each as a PNG image (ISO/IEC 15948)."""
    lines = b"".join(b"\0" + pixels[row * columns : (row + 1) * columns] for row in range(rows))
    header = struct.pack(">2I5B", columns, rows, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _draw_elsewhere(app: App, addendum: AddendumOnFile, found: Examination) -> tuple[Authored, ...]:
    authored = Authored(
        sop_class_uid=addendum.sop_class_uid, sop_instance_uid=addendum.sop_instance_uid, data_set=addendum.data_set
    )
    values = {
        "font": app.settings.service.addendum.font,
        "epochs": tuple(app.reference_data.clinical.epochs),
        "contexts": tuple(found.contexts),
        "held": tuple(found.held),
    }
    job = pickle.dumps((authored, found.interpretation, tuple(found.history), values))
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, input=job, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DrawingError("drawing took too long") from None
    if done.returncode:
        log.error("pages could not be drawn", extra={"addendum": addendum.number, "status": done.returncode})
        raise DrawingError("the pages could not be drawn; dxatrend[render] may not be installed")
    drawn: tuple[Authored, ...] = pickle.loads(done.stdout)
    return drawn


def _draw_job() -> None:
    """Draw what the desk sends to standard input, and send it back."""
    authored, interpretation, history, values = pickle.load(sys.stdin.buffer)
    drawn = render(authored, interpretation, history, frozenset({"image", "pdf"}), **values)
    sys.stdout.buffer.write(pickle.dumps(drawn))


if __name__ == "__main__":
    _draw_job()
