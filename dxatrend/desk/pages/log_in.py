"""Log in and out."""

from starlette.responses import RedirectResponse, Response

from dxatrend.desk.identity import cookie
from dxatrend.desk.rendering import how_long_ago
from dxatrend.desk.routes import DeskRoute, action
from dxatrend.desk.visit import Visit
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import desk_log_in
from pipeline.edge.operations.desk_accounts import LONGEST_PASSWORD
from pipeline.edge.operations.desk_log_in import LogInRefusedError
from pipeline.edge.store import desk_accounts

_LONGEST_NAME = 64


def show(visit: Visit) -> Response:
    """Show the form, or the first page to whoever is logged in."""
    if visit.visitor is not None:
        return RedirectResponse(_next(visit), 303)
    return _form(visit)


def log_in(visit: Visit) -> Response:
    """Begin a session, and go to the page that was asked for."""
    name, password = visit.form.get("name"), visit.form.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        return _form(visit, status=400)
    if len(name) > _LONGEST_NAME or len(password) > LONGEST_PASSWORD:
        return _form(visit, problem=_WRONG, status=403)
    try:
        token = desk_log_in.log_in(visit.app.database, name, password, host=visit.host, idle=visit.desk.idle)
    except LogInRefusedError as refused:
        if refused.due_again is None:
            return _form(visit, problem=_WRONG, status=403)
        wait = how_long_ago(refused.due_again, visit.now).removeprefix("in ").replace("a moment", "a few seconds")
        return _form(visit, problem=f"Too many attempts. The next one is heard in {wait}.", status=429)
    return RedirectResponse(_next(visit), 303, headers=dict(cookie(visit.desk.settings, token)))


def log_out(visit: Visit) -> Response:
    """End the session."""
    assert visit.visitor is not None  # the route asks for a role
    desk_log_in.log_out(visit.app.database, visit.visitor.token, visit.visitor.operator)
    return RedirectResponse("/log-in", 303, headers=dict(cookie(visit.desk.settings, None)))


def _form(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    with visit.app.database.read() as connection:
        has_accounts = desk_accounts.count(connection) > 0
    return visit.render(
        "log_in.html", title="Log in", status=status, problem=problem, next=_next(visit), has_accounts=has_accounts
    )


def _next(visit: Visit) -> str:
    """Return the page that was asked for, if it is one of ours."""
    path = visit.text("next", longest=2_000)
    ours = path.startswith("/") and not path.startswith(("//", "/\\", "/log-")) and path.isprintable()
    return path if ours else "/"


_WRONG = "This name and password do not belong together."

ROUTES = (
    DeskRoute(path="/log-in", handler=show, role=None, method="GET"),
    DeskRoute(path="/log-in", handler=log_in, role=None, method="POST"),
    action("/log-out", log_out, role=Role.LOOK),
)
