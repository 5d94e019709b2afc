"""Which patients may be one human being, and which of them has somebody said to be one?

A person gathers every patient of one id, whatever its issuer, and those who were merged: so that what may concern a
patient is found by one number. Who is really taken for one is decided exam by exam, by issuer, birth date and mergers.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.schema import linked_patients, patient, patient_merge

Merged = Collection[frozenset[tuple[str, str]]]
"""Sets of (id, issuer) that count as one patient."""

_LOCK = 7_311_004


def new_linked_patients(connection: Connection, patient_id: str) -> int:
    """The number of the person a patient new to us belongs to."""
    if connection.dialect.name == "postgresql":  # else two who see a new id at once, of two issuers, make two persons
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(patient_id))))
    known = (
        select(patient.c.linked_patients_id).where(patient.c.patient_id == patient_id).order_by(patient.c.id).limit(1)
    )
    number = connection.scalar(known)
    if number is None:
        number = connection.execute(insert(linked_patients).returning(linked_patients.c.id)).scalar_one()
    return int(number)


def merge(connection: Connection, old: int, new: int, *, at: datetime) -> bool:
    """From now on a patient's exams count as another one's for comparison.

    Returns whether they do: not where the two are one already, or the old one was merged into somebody else.
    """
    if merged_into(connection, old) is not None or old in _chain(connection, new):
        return False
    connection.execute(insert(patient_merge).values(old_id=old, new_id=new, merged_at=at))
    _gather(connection, _relatives(connection, {old, new}))
    return True


def undo(connection: Connection, old: int, new: int, *, at: datetime) -> bool:
    """The merger counts no more, as if it had never been; whether there was one."""
    active = (patient_merge.c.old_id == old) & (patient_merge.c.new_id == new) & patient_merge.c.undone_at.is_(None)
    if connection.execute(update(patient_merge).where(active).values(undone_at=at)).rowcount == 0:
        return False
    apart = _relatives(connection, {old})
    if new not in apart:
        number = connection.execute(insert(linked_patients).returning(linked_patients.c.id)).scalar_one()
        connection.execute(update(patient).where(patient.c.id.in_(apart)).values(linked_patients_id=number))
    return True


def merged_into(connection: Connection, number: int) -> int | None:
    """The patient that this one was merged into, if so."""
    active = (patient_merge.c.old_id == number) & patient_merge.c.undone_at.is_(None)
    found: int | None = connection.scalar(select(patient_merge.c.new_id).where(active))
    return found


def merged_patients(connection: Connection, number: int) -> set[int]:
    """A patient and everyone somebody has said to be the same."""
    found: set[int] = set()
    wanted = {number}
    while wanted:
        found |= wanted
        wanted = _merged_directly(connection, wanted) - found
    return found


def merged_identities(connection: Connection, who: Patient) -> frozenset[tuple[str, str]]:
    """Every id and issuer that somebody has said to be this patient's, its own included."""
    own = (who.patient_id, who.issuer)
    for together in _sets(connection, _MERGED_WITH, {"patient_id": who.patient_id}):
        if own in together:
            return together
    return frozenset([own])


def merged(connection: Connection, all_linked_patients: Collection[int]) -> Merged:
    """Of some persons the patients who were merged, set by set."""
    return _sets(connection, _MERGED, {"persons": list(all_linked_patients)})


_OLD, _NEW = patient.alias("old"), patient.alias("new")
_PAIRS = (
    select(_OLD.c.patient_id, _OLD.c.issuer, _NEW.c.patient_id, _NEW.c.issuer)
    .select_from(patient_merge)
    .join(_OLD, _OLD.c.id == patient_merge.c.old_id)
    .join(_NEW, _NEW.c.id == patient_merge.c.new_id)
    .where(patient_merge.c.undone_at.is_(None))
)
_MERGED = CompiledStatement(_PAIRS.where(_NEW.c.linked_patients_id.in_(bindparam("persons", expanding=True))))
_MERGED_WITH = CompiledStatement(
    _PAIRS.where(
        _NEW.c.linked_patients_id.in_(
            select(patient.c.linked_patients_id).where(patient.c.patient_id == bindparam("patient_id"))
        )
    )
)
_ACTIVE = patient_merge.c.undone_at.is_(None)
_NUMBERS = bindparam("numbers", expanding=True, type_=patient.c.id.type)
_INTO = CompiledStatement(select(patient_merge.c.new_id).where(_ACTIVE, patient_merge.c.old_id.in_(_NUMBERS)))
_FROM = CompiledStatement(select(patient_merge.c.old_id).where(_ACTIVE, patient_merge.c.new_id.in_(_NUMBERS)))


def _sets(
    connection: Connection, query: CompiledStatement, values: Mapping[str, object]
) -> list[frozenset[tuple[str, str]]]:
    pairs = query.execute(connection, values)
    sets: list[frozenset[tuple[str, str]]] = []
    for old_id, old_issuer, new_id, new_issuer in pairs:
        pair = frozenset([(old_id, old_issuer), (new_id, new_issuer)])
        touched = [together for together in sets if together & pair]
        sets = [together for together in sets if together not in touched] + [pair.union(*touched)]
    return sets


def _chain(connection: Connection, number: int) -> set[int]:
    """A patient, the one it was merged into, and so on."""
    found: set[int] = set()
    following: int | None = number
    while following is not None and following not in found:
        found.add(following)
        following = merged_into(connection, following)
    return found


def _relatives(connection: Connection, numbers: Collection[int]) -> set[int]:
    """These patients and all who share an id with them or were merged with them, however many steps away."""
    found: set[int] = set()
    wanted = set(numbers)
    while wanted:
        found |= wanted
        same_id = select(patient.c.patient_id).where(patient.c.id.in_(wanted))
        near = set(connection.scalars(select(patient.c.id).where(patient.c.patient_id.in_(same_id))))
        wanted = (near | _merged_directly(connection, wanted)) - found
    return found


def _merged_directly(connection: Connection, numbers: Collection[int]) -> set[int]:
    values = {"numbers": list(numbers)}
    return {*_INTO.scalars(connection, values), *_FROM.scalars(connection, values)}


def _gather(connection: Connection, numbers: Collection[int]) -> None:
    """Make these patients one person."""
    members = patient.c.id.in_(numbers)
    number: int = connection.scalar(select(func.min(patient.c.linked_patients_id)).where(members)) or 0
    connection.execute(update(patient).where(members).values(linked_patients_id=number))
