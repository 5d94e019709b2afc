"""Which machines' reports a caller may send: ``listener.caller.serial_numbers``."""

from collections.abc import Sequence

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.store.senders import Sender
from pipeline.sr.extract.scanner_alias import Spelling

OTHER_CALLER = "other_caller"
"""The reason for which a report is held that came from a caller of other machines."""


def sends_another_machine(
    callers: Sequence[CallerSettings], sender: Sender, machine: Scanner, spellings: Sequence[Spelling] = ()
) -> bool:
    """Whether a caller is bound to serial numbers of which this machine's, in any of its spellings, is none.

    A machine that tells no serial number is compared with nothing anyway, and is not refused.
    """
    if not (sender.host and machine.identified):
        return False
    bound = serial_numbers(callers, sender)
    names = [machine, *(spelling.told for spelling in spellings if spelling.scanner == machine)]
    return bound is not None and not any(
        Scanner(name.manufacturer, name.model, number) == name for number in bound for name in names
    )


def serial_numbers(callers: Sequence[CallerSettings], sender: Sender) -> tuple[str, ...] | None:
    """The serial numbers a caller is bound to; ``None`` where it may send the reports of any machine."""
    same = [caller for caller in callers if caller.ae_title == sender.ae_title]
    if len(same) > 1:  # then each has an address, where any of them is bound
        same = [caller for caller in same if caller.host in (None, sender.host)]
    bound = [caller.serial_numbers for caller in same]
    if not bound or None in bound:
        return None
    return tuple(number for numbers in bound for number in numbers or ())
