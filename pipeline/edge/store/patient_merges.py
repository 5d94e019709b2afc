"""Patient merges stated by a person, and the linked patients who may be one human being.

Linked patients are all patients of one id, whatever the issuer, and all who were merged with them, so that everything
that may concern a patient is found by one number. Which exams really count as the same patient's is decided exam by
exam, by issuer, birth date and merges.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from pipeline.clinical.model import Patient
from pipeline.edge.store.compiled_statement import CompiledStatement
from pipeline.edge.store.schema import linked_patients, patient, patient_merge

MergedIdentities = Collection[frozenset[tuple[str, str]]]
"""Sets of (patient id, issuer) that count as one patient."""

_LOCK = 7_311_004


def new_linked_patients(connection: Connection, patient_id: str) -> int:
    """Return the number of the linked patients that a new patient belongs to."""
    if (
        connection.dialect.name == "postgresql"
    ):  # else two who see a new id at once, of two issuers, would not be linked
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(patient_id))))
    known = (
        select(patient.c.linked_patients_id).where(patient.c.patient_id == patient_id).order_by(patient.c.id).limit(1)
    )
    number = connection.scalar(known)
    if number is None:
        number = connection.execute(insert(linked_patients).returning(linked_patients.c.id)).scalar_one()
    return int(number)


def merge(connection: Connection, old: int, new: int, *, at: datetime) -> bool:
    """Let a patient's exams count as another one's for comparison from now on.

    Returns whether they do: not where the two are one already, or the old one was merged into somebody else.
    """
    if merged_into(connection, old) is not None or old in _chain(connection, new):
        return False
    connection.execute(insert(patient_merge).values(old_id=old, new_id=new, merged_at=at))
    _link(connection, _related(connection, {old, new}))
    return True


def undo(connection: Connection, old: int, new: int, *, at: datetime) -> bool:
    """Undo a merge, as if it had never been, and return whether there was one."""
    merged_here = (patient_merge.c.old_id == old) & (patient_merge.c.new_id == new) & _ACTIVE
    if connection.execute(update(patient_merge).where(merged_here).values(undone_at=at)).rowcount == 0:
        return False
    separated = _related(connection, {old})
    if new not in separated:
        number = connection.execute(insert(linked_patients).returning(linked_patients.c.id)).scalar_one()
        connection.execute(update(patient).where(patient.c.id.in_(separated)).values(linked_patients_id=number))
    return True


def merged_into(connection: Connection, number: int) -> int | None:
    """Return the patient that this one was merged into, if any."""
    found: int | None = connection.scalar(
        select(patient_merge.c.new_id).where(patient_merge.c.old_id == number, _ACTIVE)
    )
    return found


def was_undone(connection: Connection, one: int, other: int) -> bool:
    """Return whether a person has undone a merge of these two patients, in whichever direction."""
    pairs = (patient_merge.c.old_id == one) & (patient_merge.c.new_id == other)
    pairs |= (patient_merge.c.old_id == other) & (patient_merge.c.new_id == one)
    undone = select(patient_merge.c.old_id).where(pairs, patient_merge.c.undone_at.is_not(None)).limit(1)
    return connection.scalar(undone) is not None


def merged_patients(connection: Connection, number: int) -> set[int]:
    """Return a patient and everyone merged with it, over any number of steps."""
    found: set[int] = set()
    wanted = {number}
    while wanted:
        found |= wanted
        wanted = _merged_directly(connection, wanted) - found
    return found


def merged_identities(connection: Connection, who: Patient) -> frozenset[tuple[str, str]]:
    """Return every (id, issuer) that was merged with this patient's, its own included."""
    own = (who.patient_id, who.issuer)
    for together in _sets(_PAIRS_LINKED_TO.execute(connection, {"patient_id": who.patient_id})):
        if own in together:
            return together
    return frozenset([own])


def merged(connection: Connection, all_linked_patients: Collection[int]) -> MergedIdentities:
    """Return the sets of identities that were merged among these linked patients."""
    return _sets(_PAIRS_AMONG.execute(connection, {"linked_patients": list(all_linked_patients)}))


_ACTIVE = patient_merge.c.undone_at.is_(None)
_OLD, _NEW = patient.alias("old"), patient.alias("new")
_PAIRS = (
    select(_OLD.c.patient_id.label("old_patient_id"), _OLD.c.issuer.label("old_issuer"))
    .add_columns(_NEW.c.patient_id.label("new_patient_id"), _NEW.c.issuer.label("new_issuer"))
    .select_from(patient_merge)
    .join(_OLD, _OLD.c.id == patient_merge.c.old_id)
    .join(_NEW, _NEW.c.id == patient_merge.c.new_id)
    .where(_ACTIVE)
)
_PAIRS_AMONG = CompiledStatement(
    _PAIRS.where(_NEW.c.linked_patients_id.in_(bindparam("linked_patients", expanding=True)))
)
_PAIRS_LINKED_TO = CompiledStatement(
    _PAIRS.where(
        _NEW.c.linked_patients_id.in_(
            select(patient.c.linked_patients_id).where(patient.c.patient_id == bindparam("patient_id"))
        )
    )
)
_NUMBERS = bindparam("numbers", expanding=True, type_=patient.c.id.type)
_INTO = CompiledStatement(select(patient_merge.c.new_id).where(_ACTIVE, patient_merge.c.old_id.in_(_NUMBERS)))
_FROM = CompiledStatement(select(patient_merge.c.old_id).where(_ACTIVE, patient_merge.c.new_id.in_(_NUMBERS)))


def _sets(pairs: Sequence[Any]) -> list[frozenset[tuple[str, str]]]:
    """Return the sets of identities that pairs of merged patients form."""
    sets: list[frozenset[tuple[str, str]]] = []
    for row in pairs:
        pair = frozenset([(row.old_patient_id, row.old_issuer), (row.new_patient_id, row.new_issuer)])
        touched = [together for together in sets if together & pair]
        sets = [together for together in sets if together not in touched] + [pair.union(*touched)]
    return sets


def _chain(connection: Connection, number: int) -> set[int]:
    """Return a patient, the one it was merged into, and so on."""
    found: set[int] = set()
    following: int | None = number
    while following is not None and following not in found:
        found.add(following)
        following = merged_into(connection, following)
    return found


def _related(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Return these patients and all who share an id with them or were merged with them, over any number of steps."""
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


def _link(connection: Connection, numbers: Collection[int]) -> None:
    """Make these patients one group of linked patients."""
    members = patient.c.id.in_(numbers)
    number: int = connection.scalar(select(func.min(patient.c.linked_patients_id)).where(members)) or 0
    connection.execute(update(patient).where(members).values(linked_patients_id=number))
