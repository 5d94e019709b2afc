"""The kinds of destination: which sender serves which settings."""

from pipeline.edge.configuration.destination_settings import Destination, DicomDestination, FolderDestination
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.deliver.folder import FolderSender
from pipeline.edge.deliver.sender import Sender
from pipeline.edge.deliver.storage_scu import DicomSender


def sender(to: Destination, service: ServiceSettings) -> Sender:
    """Return the sender for a destination."""
    match to:
        case DicomDestination():
            return DicomSender(to, service.listener.ae_title)
        case FolderDestination():
            return FolderSender(to)
