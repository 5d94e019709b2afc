"""Which scanners' reports a caller may send, by ``listener.caller.serial_numbers``."""

from collections.abc import Sequence

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.store.senders import Sender
from pipeline.sr.extract.scanner_alias import Spelling

OTHER_CALLER = "other_caller"
"""The reason for which a report is held that came from a caller bound to other scanners."""


def is_bound_to_other_scanners(
    callers: Sequence[CallerSettings], sender: Sender, scanner: Scanner, spellings: Sequence[Spelling] = ()
) -> bool:
    """Return whether a caller is bound to serial numbers, and this scanner has none of them in any of its spellings.

    A scanner without a serial number is compared with nothing anyway, and is not refused.
    """
    if not (sender.host and scanner.identified):
        return False
    bound = bound_serial_numbers(callers, sender)
    names = [scanner, *(spelling.reported for spelling in spellings if spelling.scanner == scanner)]
    return bound is not None and not any(
        Scanner(name.manufacturer, name.model, number) == name for number in bound for name in names
    )


def bound_serial_numbers(callers: Sequence[CallerSettings], sender: Sender) -> tuple[str, ...] | None:
    """Return the serial numbers a caller is bound to; ``None`` where it may send the reports of any scanner."""
    same = [caller for caller in callers if caller.ae_title == sender.ae_title]
    if len(same) > 1:  # then each has an address, where any of them is bound
        same = [caller for caller in same if caller.host in (None, sender.host)]
    bound = [caller.serial_numbers for caller in same]
    if not bound or None in bound:
        return None
    return tuple(number for numbers in bound for number in numbers or ())
