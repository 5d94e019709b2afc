"""Accounts of the desk: name, role and password hash, in the table ``desk_account``."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store.desk_schema import desk_account
from pipeline.edge.store.inserts import insert_if_absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person who may use the desk."""

    name: str
    role: Role
    password: str | None
    """An Argon2id hash as a PHC string; ``None`` where only a proxy says who it is."""
    created_at: datetime
    changed_at: datetime


def add(connection: Connection, name: str, role: Role, password: str | None, *, at: datetime) -> bool:
    """Add an account, and return whether there was none of this name."""
    values = {"name": name, "role": role.value, "password": password, "created_at": at, "changed_at": at}
    return insert_if_absent(connection, desk_account, **values) is not None


def find(connection: Connection, name: str) -> Account | None:
    """Return the account of a name."""
    row = connection.execute(select(desk_account).where(desk_account.c.name == name)).one_or_none()
    if row is None:
        return None
    return Account(
        name=row.name,
        role=Role(row.role),
        password=row.password,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def names(connection: Connection) -> list[str]:
    """Return the names of all accounts."""
    return list(connection.scalars(select(desk_account.c.name).order_by(desk_account.c.name)))


def count(connection: Connection) -> int:
    """Return how many accounts there are."""
    return connection.execute(select(func.count()).select_from(desk_account)).scalar_one()


def set_password(connection: Connection, name: str, password: str, *, at: datetime) -> bool:
    """Store another password hash, and return whether the account exists."""
    changed = update(desk_account).where(desk_account.c.name == name).values(password=password, changed_at=at)
    return connection.execute(changed).rowcount == 1


def set_role(connection: Connection, name: str, role: Role, *, at: datetime) -> bool:
    """Give an account another role, and return whether it exists."""
    changed = update(desk_account).where(desk_account.c.name == name).values(role=role.value, changed_at=at)
    return connection.execute(changed).rowcount == 1


def remove(connection: Connection, name: str) -> bool:
    """Remove an account, and return whether it existed."""
    return connection.execute(delete(desk_account).where(desk_account.c.name == name)).rowcount == 1
