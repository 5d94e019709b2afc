"""Routes of the desk: the address of each page, the role that may see it, and the checks of every request before it."""

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import quote

from anyio import CapacityLimiter, fail_after, move_on_after, to_thread
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dxatrend.desk.desk import Desk
from dxatrend.desk.error_pages import ErrorPages
from dxatrend.desk.identity import (
    UNATTENDED,
    NoRoleError,
    Visitor,
    cookie,
    cookie_name,
    has_session,
    identify,
    peer,
)
from dxatrend.desk.navigation import Entry
from dxatrend.desk.security import BodyTooLargeError, comes_from_our_page
from dxatrend.desk.visit import Visit
from pipeline.edge.audit import events
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.errors import describe_error
from pipeline.edge.store.database import StoreError, StoreTooNewError
from pipeline.edge.store.receipt_contents import DamagedContentError

log = logging.getLogger(__name__)

Handler = Callable[[Visit], Response]

THREADS = 8
"""How many pages are made at once; others wait."""

LONGEST_ANSWER = 25.0
"""Seconds after which a browser is told that the database does not answer: one that hangs would say nothing."""

_MOST_FIELDS = 2_000


class _NumberConvertor(Convertor[int]):
    """A number of ours in a path; one that fits into no database is at no address."""

    regex = "[1-9][0-9]{0,17}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", _NumberConvertor())


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRoute:
    """One address of the desk."""

    path: str
    """Such as ``/patients/{number:number}``."""
    handler: Handler
    role: Role | None
    """The least role that may go there; ``None`` where nobody need be logged in."""
    method: Literal["GET", "POST"]
    takes_file: bool = False


def page(path: str, handler: Handler, *, role: Role) -> DeskRoute:
    """Return the route of a page that is looked at."""
    return DeskRoute(path=path, handler=handler, role=role, method="GET")


def action(path: str, handler: Handler, *, role: Role, takes_file: bool = False) -> DeskRoute:
    """Return the route of a form that does something; only a page of ours, in the same session, can send it."""
    return DeskRoute(path=path, handler=handler, role=role, method="POST", takes_file=takes_file)


class Dispatcher:
    """Makes endpoints of routes: who asks, may they, was it our form; then the handler, in a thread of its own."""

    def __init__(self, desk: Desk, errors: ErrorPages, navigation: tuple[Entry, ...]) -> None:
        self._desk, self._errors, self._navigation = desk, errors, navigation
        self._threads: CapacityLimiter | None = None

    def route(self, route: DeskRoute) -> Route:
        """Return the route with its endpoint."""
        return Route(route.path, partial(self._endpoint, route), methods=[route.method])

    async def _endpoint(self, route: DeskRoute, request: Request) -> Response:
        if route.method == "POST" and not comes_from_our_page(request.scope["headers"], self._desk.settings):
            return self._errors.response(403, title="This form came from elsewhere", text=_FORGED)
        self._threads = self._threads or CapacityLimiter(THREADS)
        form = FormData()
        try:
            if route.takes_file:  # eight megabytes are not for strangers
                refusal = await self._in_thread(route, partial(self._refusal_of_stranger, request))
                if refusal is not None:
                    return refusal
            if route.method == "POST":
                with fail_after(LONGEST_ANSWER):
                    form = await request.form(max_files=1, max_fields=_MOST_FIELDS)
            answer = await self._in_thread(route, partial(self._serve, route, request, form))
            assert answer is not None, "a handler answers"
            return answer
        except BodyTooLargeError:
            return self._errors.response(413)
        except TimeoutError:
            return self._errors.response(408)
        except ClientDisconnect:
            return self._errors.response(400)  # nobody reads it any more
        except HTTPException as error:
            return self._errors.response(error.status_code, text=error.detail if error.status_code == 400 else "")
        finally:
            await form.close()

    async def _in_thread(self, route: DeskRoute, make: Callable[[], Response | None]) -> Response | None:
        """Return what is made in a thread, or an error page once that takes too long."""
        with move_on_after(LONGEST_ANSWER):
            return await to_thread.run_sync(self._answer, route, make, limiter=self._threads, abandon_on_cancel=True)
        log.error("a page took longer than %s seconds", LONGEST_ANSWER, extra={"detail": route.path})
        return self._errors.response(503, text=_TOO_SLOW if route.method == "POST" else "")

    def _answer(self, route: DeskRoute, make: Callable[[], Response | None]) -> Response | None:
        """Return the answer, an error page if need be; runs in a thread."""
        try:
            return make()
        except HTTPException:
            raise
        except StoreError as failure:
            log.error("a page could not be shown: %s", failure)
            return self._errors.response(503)
        except StoreTooNewError:
            return self._errors.response(503, title="The database is of a newer version", text=_TOO_NEW)
        except DamagedContentError as damaged:
            log.error("a page could not be shown: %s", damaged, extra={"receipt": damaged.number})
            return self._errors.response(404, title="A received report cannot be read", text=damaged.sentence)
        except NoRoleError:
            return self._errors.response(403, title="You have no role here yet", text=_NO_ROLE)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one page, the others are shown
            log.error("a page failed: %s", describe_error(error), extra={"detail": route.path})
            return self._errors.response(500)

    def _refusal_of_stranger(self, request: Request) -> Response | None:
        """Return the refusal of a request without a session, from which no file is read."""
        if has_session(self._desk, self._desk.app(), request):
            return None
        return self._errors.response(403, title="You are no longer logged in", text=_LOGGED_OUT)

    def _serve(self, route: DeskRoute, request: Request, form: FormData) -> Response:
        desk, app = self._desk, self._desk.app()
        visitor = identify(desk, app, request)
        if route.role is not None:
            if visitor is None:
                return self._to_log_in(request)
            if not visitor.role.includes(route.role):
                return self._errors.response(403, text=_ROLE.format(visitor.role.value, route.role.value))
            if route.method == "POST" and not _has_token(form, visitor):
                return self._errors.response(403, title="This page was open too long", text=_OLD_FORM)
        visit = Visit(
            desk=desk,
            app=app,
            visitor=visitor,
            target=request.url.path,
            path=request.path_params,
            query=request.query_params,
            form=form,
            host=peer(request, desk.settings),
            unattended=UNATTENDED in request.headers,
            navigation=self._navigation,
        )
        if visitor is None:
            return route.handler(visit)
        with events.acting(visitor.operator):
            response = route.handler(visit)
        if request.cookies.get(cookie_name(desk.settings)) != visitor.token.secret and "set-cookie" not in (
            response.headers
        ):
            response.headers.update(cookie(desk.settings, visitor.token))
        return response

    def _to_log_in(self, request: Request) -> Response:
        if request.method == "POST" or UNATTENDED in request.headers:
            return self._errors.response(403, title="You are no longer logged in", text=_LOGGED_OUT)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("sec-fetch-site") == "cross-site":
            return self._again(target)
        return RedirectResponse("/log-in" if target == "/" else f"/log-in?next={quote(target, safe='/')}", 303)

    def _again(self, target: str) -> Response:
        """Let the browser ask once more by itself: it keeps our cookie back where a page of others has led here."""
        return HTMLResponse(self._desk.renderer.render("again.html", {"title": "One moment", "target": target}))


def _has_token(form: FormData, visitor: Visitor) -> bool:
    token = form.get("token")
    return isinstance(token, str) and hmac.compare_digest(token.encode(), visitor.token.form_token.encode())


_FORGED = "Nothing was changed. Forms are taken from pages of the desk only: open the page again and send it there."
_OLD_FORM = "Nothing was changed. Somebody has logged in anew since it was opened: reload it, and send it again."
_LOGGED_OUT = "Nothing was changed. Log in, and do it again."
_TOO_SLOW = (
    "It is not known whether what you asked for was done: look, once the database answers, before you repeat it."
)
_ROLE = "Your role is {}; this needs the role {}. Ask whoever administers dxatrend."
_NO_ROLE = "You are logged in, but nobody has given you a role: an administrator does it by dxatrend desk user add."
_TOO_NEW = "It was written by a newer version of dxatrend than this page. Restart dxatrend, or install that version."
