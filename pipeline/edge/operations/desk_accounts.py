"""Add and remove accounts of the desk, and change their passwords and roles; the audit trail has each change.

Passwords are kept as Argon2id hashes (RFC 9106) with the parameters that OWASP names for it: 19 MiB, two passes.
"""

import os
import re
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import audit_trail, desk_accounts, desk_sessions
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from pipeline.errors import DxatrendError

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
FEWEST_DIFFERENT = 6
"""Characters of a password that are not the same."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)
_TELLING_NAME = 3
_KIBIBYTES, _PASSES = 19 * 1024, 2


class AccountError(DxatrendError):
    """An account that cannot be added or changed; the text says why, and never quotes a password."""


def normal_name(text: str) -> str:
    """Return the name of an account as it is stored: in small letters, without spaces about it."""
    return text.strip().lower()


def add(database: Database, name: str, role: Role, password: str | None) -> None:
    """Add an account; without a password only a proxy can say that it is this person.

    Raises:
        AccountError: the name or password cannot be used, or the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise AccountError("a name has 1 to 64 small letters, digits and . _ @ + -, and begins with a letter or digit")
    hashed = None if password is None else _hash(name, password)
    now = datetime.now(UTC)
    with database.write() as connection:
        if not desk_accounts.add(connection, name, role, hashed, at=now):
            raise AccountError(f"there is an account {name} already")
        audit_trail.record(connection, _entry(name, now, change="added", role=role.value))


def set_password(database: Database, name: str, password: str, *, keep_session: str = "") -> None:
    """Give an account another password, end its sessions besides one, and the wait after refused log-ins.

    Raises:
        AccountError: there is no such account, or the password cannot be used.
    """
    hashed, now = _hash(name, password), datetime.now(UTC)
    with database.write() as connection:
        if not desk_accounts.set_password(connection, name, hashed, at=now):
            raise AccountError(f"there is no account {name}")
        desk_sessions.end_all(connection, name, besides=keep_session)
        desk_sessions.forget_failures(connection, desk_sessions.digest_of_name(name))
        audit_trail.record(connection, _entry(name, now, change="password"))


def set_role(database: Database, name: str, role: Role) -> None:
    """Give an account another role, which its sessions have from now on.

    Raises:
        AccountError: there is no such account.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        if not desk_accounts.set_role(connection, name, role, at=now):
            raise AccountError(f"there is no account {name}")
        audit_trail.record(connection, _entry(name, now, change="role", role=role.value))


def remove(database: Database, name: str) -> None:
    """Remove an account, and end its sessions.

    Raises:
        AccountError: there is no such account.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        if not desk_accounts.remove(connection, name):
            raise AccountError(f"there is no account {name}")
        desk_sessions.end_all(connection, name)
        audit_trail.record(connection, _entry(name, now, change="removed"))


def is_password(password: str, hashed: str | None) -> bool:
    """Return whether a password is the one that was hashed; it takes as long where there is none."""
    try:
        Argon2id.verify_phc_encoded(password.encode(), hashed or _NOBODYS)
    except InvalidKey:
        return False
    return hashed is not None


def _hash(name: str, password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    if len(name) >= _TELLING_NAME and name in password.lower():
        raise AccountError("a password does not contain the name of the account")
    if len(set(password)) < FEWEST_DIFFERENT:
        raise AccountError("a password has at least six different characters")
    return _argon2id().derive_phc_encoded(password.encode())


def _argon2id() -> Argon2id:
    return Argon2id(salt=os.urandom(16), length=32, iterations=_PASSES, lanes=1, memory_cost=_KIBIBYTES)


_NOBODYS = (
    f"$argon2id$v=19$m={_KIBIBYTES},t={_PASSES},p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash that no password has, so that an unknown name takes as long as a wrong password."""


def _entry(name: str, at: datetime, **detail: Any) -> audit_trail.Entry:
    return events.by_operator(Event.ACCOUNT_CHANGED, at=at, detail={"account": name, **detail})
