"""Log in to the desk and out of it, by password or by the word of a proxy; the audit trail has each.

Refused log-ins are delayed in the database, by name and by address, before a password is even hashed. The name that
somebody types may be a password or a patient's, so one that no account has is stored nowhere.
"""

import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.edge.audit import events
from pipeline.edge.audit.events import Operator
from pipeline.edge.operations.desk_accounts import is_password, normal_name
from pipeline.edge.store import audit_trail, desk_accounts, desk_sessions
from pipeline.edge.store.audit_trail import Event, Outcome
from pipeline.edge.store.database import Database
from pipeline.errors import DxatrendError

FREE_BY_NAME = 5
FREE_BY_ADDRESS = 20
LONGEST_WAIT = timedelta(minutes=15)
"""After so many refused log-ins of one name, or from one address, each further one doubles the wait for the next."""

UNKNOWN = "unknown"
"""How the audit trail names whoever typed a name that no account has."""

_one_at_a_time = threading.Lock()
"""Hashing takes 19 MiB and a tenth of a second, and every failure must count before the next attempt."""


class LogInRefusedError(DxatrendError):
    """A wrong name or password, or an attempt before the next one is due."""

    def __init__(self, due_again: datetime | None = None) -> None:
        super().__init__("refused")
        self.due_again = due_again
        """When the next attempt is heard, if that is not at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The secret of a session, which only its browser has."""

    secret: str

    @property
    def digest(self) -> str:
        """What the database knows of it."""
        return desk_sessions.digest_of("session", self.secret)

    @property
    def form_token(self) -> str:
        """What every form of the session carries; nobody can forge it, and the session does not follow from it."""
        return desk_sessions.digest_of("form", self.secret)


def log_in(database: Database, name: str, password: str, *, host: str, idle: timedelta) -> Token:
    """Begin a session of an account by its password.

    Raises:
        LogInRefusedError: the name or the password is wrong, or it is too early for another attempt.
    """
    name = normal_name(name)
    require_password(database, name, password, host=host)
    return _begin(database, Operator(name=name, host=host), idle=idle, forget=desk_sessions.digest_of_name(name))


def require_password(database: Database, name: str, password: str, *, host: str) -> None:
    """Require that a password is that of an account; whoever guesses waits ever longer.

    Raises:
        LogInRefusedError: the name or the password is wrong, or it is too early for another attempt.
    """
    by_name, by_address = desk_sessions.digest_of_name(name), desk_sessions.digest_of("address", host)
    with _one_at_a_time:
        now = datetime.now(UTC)
        with database.read() as connection:
            due = desk_sessions.due_again(connection, (by_name, by_address))
            account = desk_accounts.find(connection, name) if name.isprintable() else None
        if due is not None and now < due <= now + LONGEST_WAIT:  # else the clock was set back
            raise LogInRefusedError(due)
        if not is_password(password, account.password if account else None):
            known = Operator(name=name if account else UNKNOWN, host=host)
            _refuse(database, by_name, by_address, known)


def begin_trusted(database: Database, name: str, *, host: str, idle: timedelta) -> Token:
    """Begin a session of a person who has logged in to the proxy in front of the desk."""
    return _begin(database, Operator(name=name, host=host), idle=idle)


def log_out(database: Database, token: Token, who: Operator) -> None:
    """End a session."""
    with database.write() as connection, events.acting(who):
        desk_sessions.end(connection, token.digest)
        audit_trail.record(connection, events.by_operator(Event.LOGGED_OUT, at=datetime.now(UTC)))


def _begin(database: Database, who: Operator, *, idle: timedelta, forget: str = "") -> Token:
    token, now = Token(secret=secrets.token_urlsafe(32)), datetime.now(UTC)
    with database.write() as connection, events.acting(who):
        desk_sessions.begin(connection, token.digest, who.name, idle=idle, at=now)
        if forget:
            desk_sessions.forget_failures(connection, forget)
        audit_trail.record(connection, events.by_operator(Event.LOGGED_IN, at=now))
    return token


def _refuse(database: Database, by_name: str, by_address: str, who: Operator) -> None:
    now = datetime.now(UTC)
    with database.write() as connection, events.acting(who):
        desk_sessions.count_failure(connection, by_name, free=FREE_BY_NAME, longest=LONGEST_WAIT, at=now)
        desk_sessions.count_failure(connection, by_address, free=FREE_BY_ADDRESS, longest=LONGEST_WAIT, at=now)
        refused = events.by_operator(Event.LOG_IN_REFUSED, at=now, outcome=Outcome.MINOR_FAILURE)
        audit_trail.record(connection, refused)
        due = desk_sessions.due_again(connection, (by_name, by_address))
    raise LogInRefusedError(due if due is not None and due > now else None)
