"""The visitor's own account: role, and another password."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import desk_accounts, desk_log_in
from pipeline.edge.operations.desk_accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD, AccountError
from pipeline.edge.operations.desk_log_in import LogInRefusedError
from pipeline.edge.store import desk_accounts as accounts

MEANINGS = {
    Role.LOOK: "see how the service is doing, without names and ids of patients",
    Role.READ: "see patients, their exams and addenda",
    Role.ACT: "release, set aside, merge and withdraw, and enter clinical context",
    Role.CONFIGURE: "change what all comparisons rest on, and see who did what",
}
"""What each role may do, beside all that those before it may."""


def show(visit: Visit) -> Response:
    """Show what the visitor may do, and the form for another password."""
    assert visit.visitor is not None  # the route asks for a role
    with visit.app.database.read() as connection:
        account = accounts.find(connection, visit.visitor.name)
    return visit.render(
        "account.html",
        title="Your account",
        allowed=[(role.value, meaning) for role, meaning in MEANINGS.items() if visit.may(role)],
        has_password=account is not None and account.password is not None and not visit.visitor.by_proxy,
        shortest=SHORTEST_PASSWORD,
    )


def change_password(visit: Visit) -> Response:
    """Set another password, and end the visitor's other sessions."""
    assert visit.visitor is not None  # the route asks for a role
    name, database = visit.visitor.name, visit.app.database
    present, new = (_password(visit, field) for field in ("present", "new"))
    try:
        desk_log_in.require_password(database, name, present, host=visit.host)
    except LogInRefusedError as refused:
        if refused.due_again is None:
            return visit.redirect("/account", problem="Your present password is another one. Nothing was changed.")
        return visit.redirect("/account", problem="Too many attempts. Wait a little. Nothing was changed.")
    try:
        desk_accounts.set_password(database, name, new, keep_session=visit.visitor.token.digest)
    except AccountError as problem:
        return visit.redirect("/account", problem=f"Nothing was changed: {problem}.")
    return visit.redirect("/account", done="You have another password. Your other browsers are logged out.")


def _password(visit: Visit, field: str) -> str:
    """Return a password as it was typed, with its spaces, as the log-in takes it."""
    value = visit.form.get(field) or ""
    if not isinstance(value, str) or len(value) > LONGEST_PASSWORD:
        raise HTTPException(400)
    return value


ROUTES: tuple[DeskRoute, ...] = (
    page("/account", show, role=Role.LOOK),
    action("/account/password", change_password, role=Role.LOOK),
)
