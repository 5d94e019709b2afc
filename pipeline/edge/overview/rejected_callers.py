"""Callers that were rejected, each with what to do to let it in: the lines of ``service.toml``, ready to copy."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from pipeline.edge.configuration.section import AeTitle
from pipeline.edge.configuration.service_settings import ListenerSettings
from pipeline.edge.store import rejected_callers
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor
from pipeline.edge.text_files import toml_string

SHOWN_FOR = timedelta(days=30)
"""A caller that has not tried for longer is not shown any more."""

_AE_TITLE: TypeAdapter[str] = TypeAdapter(AeTitle)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerToAdmit:
    """A rejected caller, what to do if it may send, and the lines for that; ``is_admitted`` where the file has them."""

    caller: RejectedCaller
    advice: str
    lines: tuple[str, ...] = ()
    is_admitted: bool = False


def callers_to_admit(connection: Connection, listener: ListenerSettings, *, at: datetime) -> list[CallerToAdmit]:
    """Return the rejected callers of the last days, those the settings as given would still reject first."""
    recent = [one for one in rejected_callers.all_of_them(connection) if at - one.last_at <= SHOWN_FOR]
    return sorted((_with_advice(caller, listener) for caller in recent), key=lambda one: one.is_admitted)


def _with_advice(caller: RejectedCaller, listener: ListenerSettings) -> CallerToAdmit:
    if not _is_ae_title(caller.calling_ae_title):
        return CallerToAdmit(
            caller=caller,
            advice="What it calls itself is no AE title (1 to 16 letters, digits and the like). Correct it there.",
        )
    lines, advice = _admission(caller, listener)
    if caller.called_ae_title != listener.ae_title:
        called = f"At the device, change the AE title that it calls to {listener.ae_title}."
        return CallerToAdmit(caller=caller, advice=f"{called} {advice}".strip(), lines=lines)
    if caller.reason is RejectedFor.OTHER_CERTIFICATE:
        return CallerToAdmit(
            caller=caller,
            advice="The certificate it shows is made out to another name than listener.caller.certificate says. "
            "Correct the name in service.toml, or give the device its own certificate.",
        )
    if not lines:
        return CallerToAdmit(
            caller=caller, advice="service.toml lets it in now. Restart the service if you have not.", is_admitted=True
        )
    return CallerToAdmit(caller=caller, advice=advice, lines=lines)


def _admission(caller: RejectedCaller, listener: ListenerSettings) -> tuple[tuple[str, ...], str]:
    """Return the lines that let a caller in and where they belong; none where the settings do so already."""
    same = [one for one in listener.caller if one.ae_title == caller.calling_ae_title]
    if any(one.host in (None, caller.host) for one in same):
        return (), ""
    title, host = toml_string(caller.calling_ae_title), toml_string(caller.host)
    if same:
        known = ", ".join(str(one.host) for one in same)
        moved = f"service.toml has this AE title at {known}. If that device has another address now, change its host to"
        return (f"host = {host}",), moved
    return ("[[listener.caller]]", f"ae_title = {title}", f"host = {host}"), "If it may send, add to service.toml:"


def _is_ae_title(text: str) -> bool:
    try:
        _AE_TITLE.validate_python(text)
    except ValidationError:
        return False
    return True
