"""The first page until there is another one: where to go from here."""

from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, page
from dxatrend.desk.visit import Visit
from pipeline.edge.configuration.desk_settings import Role


def show(visit: Visit) -> Response:
    """Show the pages that the visitor may see."""
    return visit.render("home.html", title="Welcome")


ROUTES: tuple[DeskRoute, ...] = (page("/", show, role=Role.LOOK),)
