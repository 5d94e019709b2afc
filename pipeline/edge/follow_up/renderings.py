"""Which faces does an addendum get beside the structured report, and which archive wants what?"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache

from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.model import Exam, Interpretation
from pipeline.edge.app import App
from pipeline.edge.configuration.settings import Form
from pipeline.sr.dicom.writer import Authored

FORMS: dict[str, Form] = {SecondaryCaptureImageStorage: "image", EncapsulatedPDFStorage: "pdf"}
"""What a face is, by its SOP class; everything else that we author is the structured report."""


def wanted(app: App) -> frozenset[Form]:
    """In which forms beside the structured report some destination gets an addendum."""
    return frozenset(f for destination in app.settings.service.destination for f in destination.content if f != "sr")


def of(
    app: App,
    addendum: Authored,
    interpretation: Interpretation,
    history: Iterable[Exam],
    *,
    contexts: Sequence[ClinicalContext] = (),
    held: Sequence[date] = (),
) -> tuple[Authored, ...]:
    """The faces of an addendum that are wanted.

    ``history`` is what their plots show beside the exam; ``contexts`` and ``held`` are as ``interpret`` takes them.
    """
    _give_matplotlib_a_home()
    # Imported here alone: it takes a second and 50 MB, and a service that sends no faces pays neither.
    from pipeline.sr.render.fonts import Fonts  # noqa: PLC0415
    from pipeline.sr.render.instances import author_renderings  # noqa: PLC0415
    from pipeline.sr.render.plots import Beside  # noqa: PLC0415

    font = app.settings.service.addendum.font
    beside = Beside(epochs=app.reference_data.clinical.epochs, contexts=contexts, held=held)
    return author_renderings(addendum, interpretation, history, wanted(app), Fonts(str(font) if font else ""), beside)


def wanted_by(app: App, instance: Authored) -> list[str]:
    """The names of the destinations that get an addendum, or a face of one."""
    form = FORMS.get(instance.sop_class_uid, "sr")
    return [destination.name for destination in app.settings.service.destination if form in destination.content]


@cache
def _give_matplotlib_a_home() -> tempfile.TemporaryDirectory[str]:
    """A folder for the list of fonts that it makes at start, gone with this process: a service may have no home."""
    folder = tempfile.TemporaryDirectory(prefix="dxatrend-matplotlib-")
    os.environ["MPLCONFIGDIR"] = folder.name
    return folder
