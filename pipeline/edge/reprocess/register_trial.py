"""What would change in issued addenda if a record of the precision register were accepted or withdrawn: a dry run."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange, Scanner
from pipeline.clinical.precision_register import Registered, Standing, Value
from pipeline.edge.app import App
from pipeline.edge.reprocess.differences import differences_of
from pipeline.edge.reprocess.scope import next_linked_patients
from pipeline.edge.store import precision_register, scanners
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.store.reprocessing_results import Difference
from pipeline.edge.store.reprocessing_runs import Scope


def differences_if(app: App, number: int, standing: Standing) -> list[Difference]:
    """Return the addenda that would be superseded because of this record alone; nothing is changed."""
    return [difference for _, found in trial(app, number, standing) for difference in found]


def trial(app: App, number: int, standing: Standing) -> Iterator[tuple[int, list[Difference]]]:
    """Yield step by step how many exams were compared, and the addenda that would be superseded.

    Exams on other scanners, or before the record's first day, are not concerned. What would be superseded anyway, in
    the same words, is left out.

    Raises:
        KeyError: the register has no such record.
    """
    with app.database.read() as connection:
        held = precision_register.registered(connection)
        values: dict[int, LeastSignificantChange | CrossCalibration] = {
            one.number: one.value for records in (held.lscs, held.cross_calibrations) for one in records
        }
        value = values[number]
        machine = scanners.find(connection, _scanner(value))
    if machine is None:
        return  # nothing was ever measured on it
    scope = Scope(scanner=machine, since=value.valid_from)
    supposing = replace(app, supposed=_supposed(held, number, standing))
    after = 0
    while numbers := next_linked_patients(app.database, scope, after):
        anyway = {one.exam: one for one in differences_of(app, numbers, scope)[1]}
        compared, found = differences_of(supposing, numbers, scope)
        yield compared, [one for one in found if anyway.get(one.exam) != one]
        after = numbers[-1]


def _scanner(value: LeastSignificantChange | CrossCalibration) -> Scanner:
    return value.scanner if isinstance(value, LeastSignificantChange) else value.new


def _supposed(held: RegisteredRecords, number: int, standing: Standing) -> RegisteredRecords:
    """Return the register as if this were decided now, under a version that no decision has."""
    decisions = [*(one.decision for one in held.lscs), *(one.decision for one in held.cross_calibrations)]

    def decided(registered: tuple[Registered[Value], ...]) -> tuple[Registered[Value], ...]:
        return tuple(
            replace(one, standing=standing, decision=max(decisions) + 1) if one.number == number else one
            for one in registered
        )

    return RegisteredRecords(
        lscs=decided(held.lscs), cross_calibrations=decided(held.cross_calibrations), version=-number
    )
