"""Draw the pages of an addendum for the desk.

A few drawings are kept for those who look at one page after another.
"""

import logging
import struct
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
                known = drawing_of(_drawn(app, addendum, found))
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


def _drawn(app: App, addendum: AddendumOnFile, found: Examination) -> tuple[Authored, ...]:
    authored = Authored(
        sop_class_uid=addendum.sop_class_uid, sop_instance_uid=addendum.sop_instance_uid, data_set=addendum.data_set
    )
    try:
        return render(
            authored,
            found.interpretation,
            found.history,
            frozenset({"image", "pdf"}),
            font=app.settings.service.addendum.font,
            epochs=app.reference_data.clinical.epochs,
            contexts=found.contexts,
            held=found.held,
        )
    except DxatrendError as failure:
        log.error("pages could not be drawn: %s", failure, extra={"addendum": addendum.number})
        raise DrawingError(f"the pages could not be drawn: {failure}") from failure
