"""Free disk space, in megabytes, that has to remain for the Prefect server that we start."""

from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.disk_space import DiskReserve


def prefect_disk_reserve(settings: PrefectSettings) -> DiskReserve:
    """Return the reserve on the disk of our Prefect server; the disk of another server cannot be seen from here."""
    return DiskReserve(settings.home if settings.api_url is None else None, settings.reserve_mb)
