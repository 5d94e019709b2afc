"""What runs out: LSCs and certificates with their last day, and the last backup."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from pipeline.clinical.model import Scanner
from pipeline.clinical.precision import running_out
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.overview.named_files import named_files
from pipeline.edge.store import caller_certificates, housekeeping_log

CERTIFICATE_NOTICE = timedelta(days=30)
"""How long before its last day a certificate is told of."""

CALLER_MISSED = timedelta(days=30)
"""How long a caller may have been away while its certificate is still told of."""

BACKUP_OVERDUE = timedelta(hours=52)
"""How old the last backup may be: that of last night may have failed once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Something that stops working after its last day."""

    what: str
    last_day: date
    consequence: str

    def days_left(self, today: date) -> int:
        """Return how many days are left; negative once it has run out."""
        return (self.last_day - today).days


def lscs_running_out(reference_data: ReferenceData, today: date) -> list[Expiry]:
    """Return the LSCs that run out soon or did so within a year, those of a scanner and a day together."""
    consequence = "no change of these regions is judged any more: repeat the precision study"
    regions: dict[tuple[Scanner, date], list[str]] = {}
    for lsc in running_out(reference_data.clinical.lscs, today):
        regions.setdefault((lsc.scanner, lsc.valid_until), []).append(str(lsc.region))
    found = [
        Expiry(what=f"LSC of {', '.join(named)} on {scanner}", last_day=last_day, consequence=consequence)
        for (scanner, last_day), named in regions.items()
    ]
    return sorted(found, key=lambda one: (one.last_day, one.what))


def certificates_running_out(service: ServiceSettings, today: date) -> list[Expiry]:
    """Return the certificates and authorities of the configuration that run out soon, the first one first."""
    return _running_out(certificates(service), today)


def certificates_of_callers_running_out(connection: Connection, service: ServiceSettings, today: date) -> list[Expiry]:
    """Return the certificates of callers that run out soon, the first one first."""
    return _running_out(certificates_of_callers(connection, service, today), today)


def certificates(service: ServiceSettings) -> list[Expiry]:
    """Return the certificates and authorities of the configuration that can be read, the first to end first."""
    found = [
        Expiry(what=file.label, last_day=last_day, consequence="no connection is made with it any more: renew it")
        for file in named_files(service)
        if file.key.rpartition(".")[2] in ("certificate", "ca") and (last_day := _last_day(file.path)) is not None
    ]
    return sorted(found, key=lambda one: (one.last_day, one.what))


def certificates_of_callers(connection: Connection, service: ServiceSettings, today: date) -> list[Expiry]:
    """Return the certificates that configured callers have shown over TLS, the first to end first.

    One that was not shown in the month before today, or before its end, is left out, and so is one that ended more than
    a month ago: its caller calls from elsewhere by now, or no longer.
    """
    if service.listener.tls is None:
        return []
    titles = {caller.ae_title for caller in service.listener.caller}
    return [
        Expiry(
            what=f"certificate of {one.calling_ae_title} at {one.host}",
            last_day=one.last_day,
            consequence="it cannot send any more: have the certificate renewed there",
        )
        for one in caller_certificates.all_of_them(connection)
        if one.calling_ae_title in titles
        and min(today, one.last_day) - one.seen_at.astimezone(UTC).date() <= CALLER_MISSED
        and today - one.last_day <= CALLER_MISSED
    ]


def _running_out(found: Iterable[Expiry], today: date) -> list[Expiry]:
    return [one for one in found if one.last_day - today <= CERTIFICATE_NOTICE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """When a backup was last made, when one was last verified by a restore, and since when and why one has failed."""

    last: datetime | None
    verified: datetime | None = None
    failed: datetime | None = None
    problem: str = ""

    def is_old(self, at: datetime) -> bool:
        """Return whether there is none, or the last one is too old."""
        return self.last is None or at - self.last > BACKUP_OVERDUE


def backups(connection: Connection) -> Backups:
    """Return how it stands with backups, by hand or by schedule."""
    return Backups(
        last=housekeeping_log.last_done(connection, housekeeping_log.BACKUP),
        verified=housekeeping_log.last_done(connection, housekeeping_log.BACKUP_VERIFIED),
        failed=housekeeping_log.last_done(connection, housekeeping_log.BACKUP_FAILED),
        problem=housekeeping_log.problem_of(connection, housekeeping_log.BACKUP_FAILED),
    )


def _last_day(path: Path) -> date | None:
    """Return the last day of the first certificate of a file that runs out; ``None`` where it cannot be read."""
    from cryptography import x509  # noqa: PLC0415 - large, and of use only where TLS is configured

    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):  # check says what is wrong with it
        return None
    return min(one.not_valid_after_utc for one in certificates).astimezone(UTC).date()
