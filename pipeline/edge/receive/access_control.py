"""Access control of the listener: who may associate and do what, by AE title, address and certificate."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.dicom_net.admission import (
    CALLED_AE_TITLE_NOT_RECOGNISED,
    CALLING_AE_TITLE_NOT_RECOGNISED,
    Rejection,
    Requestor,
)
from pipeline.edge.dicom_net.host_addresses import HostAddresses
from pipeline.edge.dicom_net.rate_limited_log import RateLimitedLog
from pipeline.edge.receive.rejected_callers import REASONS, RejectedCallers
from pipeline.edge.store.rejected_callers import RejectedFor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a peer may do; whoever may do none of it is not admitted."""

    sends_reports: bool
    """It is a configured caller: it may store reports and request our storage commitment."""

    commits_for: tuple[str, ...]
    """The destinations, by name, whose storage commitment results it may report."""

    sends_history: bool
    """It is an archive that we query for history: it may store what our C-MOVE has requested."""

    echoes: bool = False
    """It is a configured caller that may verify by C-ECHO that we are here, such as a monitor, and nothing else."""


class AccessControl:
    """Knows every configured caller and destination under its present addresses, until ``close``."""

    def __init__(
        self,
        settings: ListenerSettings,
        destinations: Sequence[DicomDestination],
        rejected_callers: RejectedCallers,
    ) -> None:
        self._ae_title, self._callers = settings.ae_title, settings.caller
        self._committing = [to for to in destinations if to.proof == "commitment"]
        self._moving = [to for to in destinations if to.history and to.retrieve == "move"]
        hosts = [caller.host for caller in settings.caller if caller.host]
        self._addresses = HostAddresses([*hosts, *(to.host for to in (*self._committing, *self._moving))])
        self._rejected_callers = rejected_callers
        self._rate_limited = RateLimitedLog(log)

    def close(self) -> None:
        """Resolve host names no more."""
        self._addresses.close()
        self._rate_limited.close()

    def admit(self, requestor: Requestor) -> Rejection | None:
        """Admit a peer that has a role here; log and audit any other, and return how it is rejected."""
        calling, host = requestor.calling, requestor.host
        role = self.role_of(calling, host, requestor.certificate)
        rejection = CALLING_AE_TITLE_NOT_RECOGNISED
        if requestor.called != self._ae_title:
            rejection, reason = CALLED_AE_TITLE_NOT_RECOGNISED, RejectedFor.OTHER_CALLED
        elif role.commits_for or role.sends_history or role.sends_reports or role.echoes:
            self._rejected_callers.forget(calling, host)
            return None
        elif self._callers_at(calling, host):
            reason = RejectedFor.OTHER_CERTIFICATE
        else:
            reason = RejectedFor.NOT_CONFIGURED
        self._rate_limited.warning(
            f"{calling} {host}",
            "association of %r at %s to %r rejected: %s",
            calling,
            host,
            requestor.called,
            REASONS[reason],
        )
        self._rejected_callers.note(calling, host, requestor.called, reason)
        return rejection

    def role_of(self, ae_title: str, host: str, certificate: frozenset[str] = frozenset()) -> Role:
        """Return what a peer may do; ``certificate`` are the names in the certificate that it has shown."""
        callers = [caller for caller in self._callers_at(ae_title, host) if _may_show(caller, certificate)]
        return Role(
            sends_reports=any(not caller.echo_only for caller in callers),
            commits_for=tuple(to.name for to in self._committing if self._is_at(to, ae_title, host)),
            sends_history=any(self._is_at(to, ae_title, host) for to in self._moving),
            echoes=any(caller.echo_only for caller in callers),
        )

    def _callers_at(self, ae_title: str, host: str) -> list[CallerSettings]:
        return [caller for caller in self._callers if self._is_at(caller, ae_title, host)]

    def _is_at(self, configured: CallerSettings | DicomDestination, ae_title: str, host: str) -> bool:
        """Whether a peer has the AE title and an address of a configured one; without a host any address does."""
        if configured.ae_title != ae_title:
            return False
        return configured.host is None or host in self._addresses.of(configured.host)


def _may_show(caller: CallerSettings, names: frozenset[str]) -> bool:
    """Whether a certificate made out to these names is one that a caller may show."""
    return caller.certificate is None or caller.certificate.lower() in names
