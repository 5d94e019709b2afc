"""The kinds of destination: which sender serves which settings."""

from pipeline.edge.configuration.destination_settings import (
    Destination,
    DicomDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    StowDestination,
)
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.deliver.folder import FolderSender
from pipeline.edge.deliver.hl7_sender import Hl7Sender
from pipeline.edge.deliver.results_on_file import ResultsOnFile
from pipeline.edge.deliver.sender import Sender
from pipeline.edge.deliver.storage_scu import DicomSender
from pipeline.edge.store.database import Database


def sender(to: Destination, service: ServiceSettings, database: Database | None = None) -> Sender:
    """Return the sender for a destination; to check one it needs no database."""
    match to:
        case DicomDestination():
            return DicomSender(to, service.listener.ae_title)
        case FolderDestination():
            return FolderSender(to)
        case Hl7Destination():
            return Hl7Sender(to, ResultsOnFile(database, to.name, service.exam.zone))
        case StowDestination():
            from pipeline.edge.deliver.stow_sender import StowSender  # noqa: PLC0415 - httpx takes four megabytes

            return StowSender(to)
        case FhirDestination():
            from pipeline.edge.deliver.fhir_sender import FhirSender  # noqa: PLC0415 - as above

            return FhirSender(to, ResultsOnFile(database, to.name, service.exam.zone))
