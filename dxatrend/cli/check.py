"""``dxatrend check``: validate the configuration and ask the store, the Prefect server and each destination."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from dxatrend.cli.output import FAILURE, SUCCESS
from dxatrend.cli.precision_reminders import print_reminders
from flows.prefect_runner import prefect_state
from pipeline.clinical.precision import doubts
from pipeline.edge.app import open_app
from pipeline.edge.configuration.dialects import DialectInForce, Origin, dialects_in_force
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.service_settings import ListenerSettings, ServiceSettings
from pipeline.edge.deliver.kinds import sender
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.dicom_net.tls import TlsError, for_calling, for_listener
from pipeline.edge.live_configuration import outdated
from pipeline.edge.store.database import StoreError, StoreInUseError, StoreMissingError, StoreTooNewError
from pipeline.edge.text_files import printable


def run(options: argparse.Namespace) -> int:
    """Print the result of every check; fails where anything needs to be corrected or does not answer."""
    settings, dialects = load_configuration(options.config)
    print(f"{printable(options.config)}: {len(dialects)} dialects, {len(settings.lscs)} LSC records, no errors")
    for dialect in dialects_in_force(options.config / "dialects"):
        print(_dialect(dialect))
    for lsc in settings.lscs:
        for doubt in doubts(lsc):
            print(f"please check: LSC of {lsc.region} on {lsc.scanner}: {doubt}")
    print_reminders(settings.lscs)
    service = settings.service
    for caller in service.listener.caller:
        if caller.host is None and caller.certificate is None:
            print(
                f"listener.caller {caller.ae_title}: without a host its AE title is the only secret: "
                "anyone who knows it can send in its name"
            )
    problems = 0
    for problem in (*_store_problems(options.config), *_tls_problems(service.listener)):
        problems += 1
        print(problem)
    prefect = prefect_state(service.prefect)
    print(f"the Prefect server {prefect}")
    unreachable = _print_destinations(service)
    return FAILURE if problems or prefect.is_wrong or unreachable else SUCCESS


def _dialect(one: DialectInForce) -> str:
    """Return a line on a dialect: name, version, date and origin, and what to do about an old copy."""
    name = one.dialect if one.dialect.date is None else f"{one.dialect} of {one.dialect.date}"
    if one.path is None:
        return f"dialect {name}: {one.origin.value}"
    line = f"dialect {name}: {printable(one.path)}, {one.origin.value}"
    changed = f" ({one.shipped} of {one.shipped and one.shipped.date}): take over what has changed"
    advice = {
        Origin.OLDER: changed,
        Origin.UNDATED: changed,
        Origin.SAME: ": remove it, and an upgrade brings the next",
    }
    return f"please check: {line}{advice[one.origin]}" if one.origin in advice else line


def _store_problems(config: Path) -> Iterator[str]:
    """Yield what is wrong with the store, which is not created here, or with the configuration of its users."""
    try:
        with open_app(config, existing=True) as app:
            yield from outdated(app)
    except StoreMissingError as missing:
        yield f"store.url: there is no store at {printable(missing)} yet; the service creates it when it first starts"
    except StoreTooNewError:
        yield "store.url: the store was written by a newer version of dxatrend"
    except StoreError as failure:
        yield f"store.url: the database could not be queried: {printable(failure)}"
    except StoreInUseError:
        yield "store.url: a backup is being restored"


def _tls_problems(listener: ListenerSettings) -> Iterator[str]:
    """Yield which certificates cannot be used, of the listener and for calling scanners."""
    try:
        if listener.tls:
            for_listener(listener.tls)
    except TlsError as unusable:
        yield f"listener.{unusable}"
    for caller in listener.caller:
        try:
            if caller.tls:
                for_calling(caller.tls)
        except TlsError as unusable:
            yield f"listener.caller {caller.ae_title}: {unusable}"


def _print_destinations(service: ServiceSettings) -> int:
    """Ask each destination whether it answers, print the result and return how many do not."""
    failed = 0
    for destination in service.destination:
        try:
            sender(destination, service).check()
            print(f"destination {destination.name}: answers")
        except PeerUnavailableError as problem:
            failed += 1
            print(f"destination {destination.name}: {problem}")
    return failed
