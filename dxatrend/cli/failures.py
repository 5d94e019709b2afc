"""Messages and exit statuses for errors that end a command."""

import sys

from dxatrend.cli.output import FAILURE, UNUSABLE_CONFIGURATION
from dxatrend.service import systemd_notify
from dxatrend.service.supervisor import ServiceCannotStartError
from flows.prefect_home import UnsafeHomeError
from flows.prefect_password import UnusablePasswordError
from pipeline.edge.configuration.loading import SettingsError
from pipeline.edge.heartbeat import AlreadyRunningError
from pipeline.edge.live_configuration import OtherConfigurationError
from pipeline.edge.store.database import StoreError, StoreInUseError, StoreMissingError, StoreTooNewError
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError


def report(error: DxatrendError) -> int:
    """Print what an error means to standard error and return the exit status.

    Raises:
        DxatrendError: the error itself, where no command is expected to end with it.
    """
    status = UNUSABLE_CONFIGURATION if isinstance(error, SettingsError) else FAILURE
    lines = lines_of(error)
    systemd_notify.cannot_start(" ".join(lines))
    print(*lines, sep="\n", file=sys.stderr)
    return status


def lines_of(error: DxatrendError) -> tuple[str, ...]:
    """Return what an error means.

    Raises:
        DxatrendError: the error itself, where no command is expected to end with it.
    """
    match error:
        case SettingsError():
            return ("The configuration cannot be used:", *(f"  {mistake}" for mistake in error.mistakes))
        case StoreError():
            return (f"The database could not be queried: {printable(error)}",)
        case StoreMissingError():
            return (f"There is no store at {printable(error)}; the service creates it when it first starts",)
        case StoreInUseError():
            return ("Another process is using the store; stop the service, or wait until the restore has ended",)
        case StoreTooNewError():
            return ("The store was written by a newer version of dxatrend; install that version",)
        case OtherConfigurationError():
            return (str(error), "Nothing was changed; --force runs the command anyway.")
        case DamagedContentError():
            return (error.sentence,)
        case UnsafeHomeError() | UnusablePasswordError() | AlreadyRunningError():
            return (str(error),)
        case ServiceCannotStartError():
            return ("The service could not start and was stopped:", *(f"  {reason}" for reason in error.reasons))
        case _:
            raise error
