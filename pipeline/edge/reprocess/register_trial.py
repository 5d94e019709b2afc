"""What would change in issued addenda if a record of the precision register were accepted or withdrawn: a dry run."""

from dataclasses import replace

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.precision_register import Registered, Standing, Value
from pipeline.edge.app import App
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.store import precision_register, scanners
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.store.reprocessing_results import Difference
from pipeline.edge.store.reprocessing_runs import Scope


def differences_if(app: App, number: int, standing: Standing) -> list[Difference]:
    """Return the addenda that would be superseded because of this record alone; nothing is changed.

    What would be superseded anyway, in the same words, is left out.

    Raises:
        LookupError: the register has no such record.
    """
    with app.database.read() as connection:
        held = precision_register.registered(connection)
        values: dict[int, LeastSignificantChange | CrossCalibration] = {
            one.number: one.value for records in (held.lscs, held.cross_calibrations) for one in records
        }
        value = values[number]
        machine = scanners.find(connection, _scanner(value))
    if machine is None:
        return []  # nothing was ever measured on it
    scope = Scope(scanner=machine, since=value.valid_from)
    anyway = {one.exam: one for one in differences(app, scope)}
    found = differences(replace(app, supposed=_supposed(held, number, standing)), scope)
    return [one for one in found if anyway.get(one.exam) != one]


def _scanner(value: LeastSignificantChange | CrossCalibration) -> Scanner:
    return value.scanner if isinstance(value, LeastSignificantChange) else value.new


def _supposed(held: RegisteredRecords, number: int, standing: Standing) -> RegisteredRecords:
    """Return the register as if this were decided now, under a version that no decision has."""

    def decided(registered: tuple[Registered[Value], ...]) -> tuple[Registered[Value], ...]:
        return tuple(
            replace(one, standing=standing, decision=held.version + 1) if one.number == number else one
            for one in registered
        )

    return RegisteredRecords(
        lscs=decided(held.lscs), cross_calibrations=decided(held.cross_calibrations), version=-number
    )
