"""The web application of the desk: its pages behind the checks that hold for all of them."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dxatrend.desk.desk import Desk
from dxatrend.desk.error_pages import ErrorPages
from dxatrend.desk.navigation import LABELS, Entry
from dxatrend.desk.pages import (
    account,
    alarms,
    exams,
    held,
    log_in,
    patients,
    phantom_history,
    precision,
    precision_studies,
    reprocessing,
    scanners,
    setup,
    today,
    trail,
)
from dxatrend.desk.rendering import STATIC
from dxatrend.desk.routes import DeskRoute, Dispatcher
from dxatrend.desk.security import Guard

PAGES = (
    account,
    alarms,
    exams,
    held,
    log_in,
    patients,
    precision,
    precision_studies,
    reprocessing,
    scanners,
    phantom_history,
    setup,
    today,
    trail,
)
"""The modules of ``dxatrend.desk.pages``, each with its ``ROUTES``."""

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def routes() -> tuple[DeskRoute, ...]:
    """Return the routes of every page."""
    return tuple(route for page in PAGES for route in page.ROUTES)


def application(desk: Desk) -> ASGIApp:
    """Return the application that serves a desk."""
    every = routes()
    errors = ErrorPages(desk.renderer, desk.settings)
    dispatcher = Dispatcher(desk, errors, navigation(every))

    async def error_page(_: Request, error: Exception) -> Response:
        return errors.response(getattr(error, "status_code", 500))

    starlette = Starlette(
        routes=[*_static_files(), *(dispatcher.route(route) for route in every)],
        exception_handlers={404: error_page, 405: error_page},
    )
    starlette.router.redirect_slashes = False
    return Guard(starlette, desk.settings, errors, uploads=[route.path for route in every if route.takes_file])


def navigation(every: Sequence[DeskRoute]) -> tuple[Entry, ...]:
    """Return the links to those pages that exist, in their order."""
    roles = {route.path: route.role for route in every if route.method == "GET"}
    return tuple(Entry(label, path, role) for path, label in LABELS.items() if (role := roles.get(path)) is not None)


def _static_files() -> list[Route]:
    """Return a route for each file; its address changes with its content, so a browser may keep it."""

    def route(name: str, content: bytes, media_type: str) -> Route:
        async def endpoint(_: Request) -> Response:
            headers = {"cache-control": "public, max-age=31536000, immutable"}
            return Response(content, media_type=media_type, headers=headers)

        return Route(f"/static/{name}", endpoint)

    return [
        route(path.name, path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in sorted(STATIC.iterdir())
        if path.suffix in _MEDIA_TYPES
    ]
