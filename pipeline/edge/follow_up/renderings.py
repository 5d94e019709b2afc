"""Render addenda as images and PDF for the destinations that want them beside or instead of the structured report."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from pipeline.clinical.clinical_context import ClinicalContext
from pipeline.clinical.model import Epoch, Exam, Interpretation
from pipeline.edge.configuration.destination_settings import DestinationSettings, Form
from pipeline.sr.dicom.writer import Authored

FORMS: dict[str, Form] = {SecondaryCaptureImageStorage: "image", EncapsulatedPDFStorage: "pdf"}
"""The form of a rendering by its SOP class UID; every other instance that we author is a structured report."""


def wanted_forms(destinations: Iterable[DestinationSettings]) -> frozenset[Form]:
    """Return the forms beside the structured report in which some destination gets addenda."""
    return frozenset(form for destination in destinations for form in destination.content if form != "sr")


def render(
    addendum: Authored,
    interpretation: Interpretation,
    history: Iterable[Exam],
    forms: frozenset[Form],
    *,
    font: Path | None = None,
    epochs: Sequence[Epoch] = (),
    contexts: Sequence[ClinicalContext] = (),
    held: Sequence[date] = (),
) -> tuple[Authored, ...]:
    """Return the renderings of an addendum in the wanted forms, in the department's own ``font`` if it has one.

    The plots show ``history`` with the exam; ``epochs``, ``contexts`` and ``held`` are those given to ``interpret``.
    """
    # The libraries that draw take some 25 MB, which a service without pages saves.
    from pipeline.sr.render.fonts import Fonts  # noqa: PLC0415
    from pipeline.sr.render.instances import author_renderings  # noqa: PLC0415
    from pipeline.sr.render.plots import PlotContext  # noqa: PLC0415

    fonts = Fonts(str(font) if font else "")
    plot_context = PlotContext(epochs=epochs, records=contexts, held_days=held)
    return author_renderings(addendum, interpretation, history, forms, fonts, plot_context)


def destinations_of(destinations: Iterable[DestinationSettings], instance: Authored) -> list[str]:
    """Return the names of the destinations that get an addendum, or a rendering, in the form that it has."""
    form = FORMS.get(instance.sop_class_uid, "sr")
    return [destination.name for destination in destinations if form in destination.delivered_forms]
