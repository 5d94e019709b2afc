"""Tell who asks for a page: by the session of the browser, or by the word of the proxy in front of the desk."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import HTTPConnection

from dxatrend.desk.desk import Desk
from pipeline.edge.app import App
from pipeline.edge.audit.events import Operator
from pipeline.edge.configuration.desk_settings import DeskSettings, Role
from pipeline.edge.operations import desk_log_in
from pipeline.edge.operations.desk_accounts import normal_name
from pipeline.edge.operations.desk_log_in import Token
from pipeline.edge.store import desk_accounts, desk_sessions
from pipeline.edge.store.desk_accounts import Account
from pipeline.edge.store.desk_sessions import Session
from pipeline.errors import DxatrendError

UNATTENDED = "dxatrend-refresh"
"""The header of a request that a page makes by itself: it keeps no session alive that may see patients."""

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A person who is logged in, and the browser's session."""

    name: str
    role: Role
    host: str
    token: Token
    message: str | None = None
    """What the next page is to tell."""
    by_proxy: bool = False
    """Whether the proxy says who it is, so that there is nothing to log out of here."""

    @property
    def operator(self) -> Operator:
        """Who acts, for the audit trail."""
        return Operator(name=self.name, host=self.host)


class NoRoleError(DxatrendError):
    """The proxy has let somebody in to whom nobody has given a role."""


def cookie_name(settings: DeskSettings) -> str:
    """Return the name of the session's cookie; browsers bind one with this prefix to our host, and to HTTPS."""
    return "__Host-dxatrend" if settings.is_https else "dxatrend"


def cookie(settings: DeskSettings, token: Token | None) -> Mapping[str, str]:
    """Return the header that gives a browser its session, or takes it away."""
    value, age = (token.secret, "") if token else ("", "; Max-Age=0")
    secure = "; Secure" if settings.is_https else ""
    return {"set-cookie": f"{cookie_name(settings)}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"}


def peer(connection: HTTPConnection, settings: DeskSettings) -> str:
    """Return the address of the browser, as the proxy saw it where there is one."""
    direct = connection.client.host if connection.client else ""
    if _is_proxy(direct, settings):
        forwarded = connection.headers.getlist("x-forwarded-for")
        return forwarded[-1].rpartition(",")[2].strip()[:64] if forwarded else direct
    return direct


def has_session(desk: Desk, app: App, connection: HTTPConnection) -> bool:
    """Return whether a browser has a session, whoever it is of; without one no form of it is taken.

    Raises:
        StoreError: the database could not be queried.
    """
    token = _token(connection, desk.settings)
    with app.database.read() as reading:
        return token is not None and (
            desk_sessions.find(reading, token.digest, idle=desk.idle, at=datetime.now(UTC)) is not None
        )


def identify(desk: Desk, app: App, connection: HTTPConnection) -> Visitor | None:
    """Return who asks, or ``None`` where nobody is logged in.

    Raises:
        NoRoleError: the proxy names somebody who has no role here.
        StoreError: the database could not be queried.
    """
    settings, now = desk.settings, datetime.now(UTC)
    named = _named_by_proxy(connection, settings)
    token = _token(connection, settings)
    with app.database.read() as reading:
        session = desk_sessions.find(reading, token.digest, idle=desk.idle, at=now) if token else None
        name = named or (session.name if session else "")
        account = desk_accounts.find(reading, name) if name else None
    if not name or (named is None and (account is None or account.password is None)):
        return None
    role = _role(account, settings, named)
    host = peer(connection, settings)
    if session is None or token is None or session.name != name:
        token = desk_log_in.begin_trusted(app.database, name, host=host, idle=desk.idle)
        return Visitor(name=name, role=role, host=host, token=token, by_proxy=True)
    _renew(app, session, role, connection, now)
    return Visitor(name=name, role=role, host=host, token=token, message=session.message, by_proxy=named is not None)


def _role(account: Account | None, settings: DeskSettings, named: str | None) -> Role:
    if account is not None:
        return account.role
    if named is not None and settings.proxy is not None and settings.proxy.role is not None:
        return settings.proxy.role
    raise NoRoleError


def _renew(app: App, session: Session, role: Role, connection: HTTPConnection, now: datetime) -> None:
    """Keep a session alive that somebody uses, or that shows a screen on the wall, where no patient is seen."""
    unattended = UNATTENDED in connection.headers and role is not Role.LOOK
    if unattended or now - session.seen_at < desk_sessions.RENEWED_EVERY:
        return
    with app.database.write() as writing:
        desk_sessions.renew(writing, session.digest, at=now)


def _token(connection: HTTPConnection, settings: DeskSettings) -> Token | None:
    secret = connection.cookies.get(cookie_name(settings), "")
    return Token(secret=secret) if secret else None


def _named_by_proxy(connection: HTTPConnection, settings: DeskSettings) -> str | None:
    """Return the user whom the proxy names; from anybody else the header says nothing, nor does one given twice."""
    if settings.proxy is None or settings.proxy.user_header is None:
        return None
    if not _is_proxy(connection.client.host if connection.client else "", settings):
        return None
    names = connection.headers.getlist(settings.proxy.user_header)
    if len(names) != 1:
        return None
    name = normal_name(names[0])
    return name if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else None


def _is_proxy(direct: str, settings: DeskSettings) -> bool:
    if settings.proxy is None:
        return False
    return not direct if settings.socket is not None else direct in settings.proxy.address
