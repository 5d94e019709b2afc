"""Alarms: what is wrong and what to do, who is told, and what a person wants to hear nothing of until a day."""

from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk import shapes
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import NotADayError, Visit
from pipeline.edge.alarms import listing, shelving, wording
from pipeline.edge.alarms.shelving import NotShelvedError
from pipeline.edge.alarms.watch import calendar_of
from pipeline.edge.alarms.ways_out import ways_out
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store import alarm_messages

RECENTLY = timedelta(days=14)
REFRESH_SECONDS = 60


def show(visit: Visit) -> Response:
    """Show the alarms that are raised, those that are over, and whether messages get out."""
    settings = visit.app.settings.service.alarms
    with visit.app.database.read() as connection:
        raised = listing.raised(connection, at=visit.now)
        over = listing.over(connection, since=visit.now - RECENTLY)
        unwatched = listing.unwatched_since(connection, at=visit.now)
        ways = alarm_messages.status(connection, tuple(ways_out(settings)))
    return visit.render(
        "alarms.html",
        title="Alarms",
        refresh=REFRESH_SECONDS,
        raised=[one for one in raised if one.shelf is None],
        shelved=[one for one in raised if one.shelf is not None],
        over=[(one, wording.duration((one.ended_at or visit.now) - one.since)) for one in over],
        unwatched=unwatched,
        ways=ways,
        heartbeat=settings.heartbeat is not None,
        may_shelve=visit.may(Role.ACT),
        tomorrow=visit.today + timedelta(days=1),
        pages={entry.path for entry in visit.navigation if visit.may(entry.role)} - {"/alarms"},
        shapes=shapes.ALARMS,
    )


def shelve(visit: Visit) -> Response:
    """Hear nothing of an alarm until the end of a day."""
    kind, subject = _name(visit)
    try:
        until = visit.day("until")
    except NotADayError:
        until = None
    if until is None:
        return visit.redirect("/alarms", problem="Nothing was changed: until which day? Write it as 2026-12-24.")
    try:
        shelving.shelve(
            visit.app.database,
            kind,
            subject,
            until=until,
            reason=visit.text("reason"),
            calendar=calendar_of(visit.app.settings.service),
            at=visit.now,
        )
    except NotShelvedError as problem:
        return visit.redirect("/alarms", problem=f"Nothing was changed: {problem}.")
    return visit.redirect("/alarms", done=f"Nobody is told of it until the end of {until}. It stays on this page.")


def unshelve(visit: Visit) -> Response:
    """Hear of an alarm again."""
    kind, subject = _name(visit)
    shelving.unshelve(visit.app.database, kind, subject, at=visit.now)
    return visit.redirect("/alarms", done="It is told again.")


def _name(visit: Visit) -> tuple[str, str]:
    try:
        return shelving.parse_name(visit.text("alarm"))
    except NotShelvedError:
        raise HTTPException(400) from None


ROUTES: tuple[DeskRoute, ...] = (
    page("/alarms", show, role=Role.LOOK),
    action("/alarms/shelve", shelve, role=Role.ACT),
    action("/alarms/unshelve", unshelve, role=Role.ACT),
)
