"""Today: what is not as it should be, what was received and delivered, what waits and is held, and what runs out."""

from urllib.parse import urlencode

from starlette.responses import Response

from dxatrend.desk import shapes
from dxatrend.desk.rendering import counted
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit, not_found
from flows.prefect_disk_space import prefect_disk_reserve
from pipeline.edge.alarm_kinds import KINDS
from pipeline.edge.alarms.listing import raised
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations.release import release_destination
from pipeline.edge.overview.held_reasons import explanation
from pipeline.edge.overview.today import today
from pipeline.edge.overview.troubles import Kind, Trouble, Urgency, troubles
from pipeline.edge.store.scanner_activity import PERIODS

REFRESH_SECONDS = 30

_SHAPES = {Urgency.NOW: "bad", Urgency.TODAY: "look", Urgency.SOON: "wait"}

_PAGES = {
    Kind.QUALITY: ("/scanners", "To Scanners"),
    Kind.SCANNER: ("/setup", "To Set-up"),
    Kind.CALLER: ("/setup", "To Set-up"),
    Kind.CONFIGURATION: ("/setup", "To Set-up"),
    Kind.LSC: ("/precision", "To Precision"),
}
"""The page that helps with a trouble, and the words of the link to it."""


def show(visit: Visit) -> Response:
    """Show the state of the service, and first what is not as it should be."""
    prefect = prefect_disk_reserve(visit.app.settings.service.prefect)
    now = today(visit.app, at=visit.now, other_disks={"Prefect": prefect})
    found = troubles(now)
    with visit.app.database.read() as connection:
        alarms = [
            one
            for one in raised(connection, at=visit.now)
            if one.shelf is None and not KINDS[one.kind].is_seen_at_once  # a trouble tells of the others
        ]
    return visit.render(
        "today.html",
        title="Today",
        refresh=REFRESH_SECONDS,
        today=now,
        troubles=[(one, _SHAPES[one.urgency], _link(visit, one)) for one in found if one.kind is not Kind.HELD],
        alarms=[(one, shapes.ALARMS[one.priority]) for one in alarms],
        held=[(one, explanation(one.reason), f"/held?{urlencode({'reason': one.reason})}") for one in now.held],
        fitness={
            (one.scanner.manufacturer, one.scanner.model, one.scanner.serial_number): {
                "kind": shapes.FITNESS[one.fitness],
                "word": one.fitness.value,
            }
            for one in now.fitness
        },
        late=now.status.late[-_MOST_LATE:] if visit.may(Role.READ) else (),
        periods=PERIODS,
        exam_heads=[(f"Exams of {counted(days, 'day')}", "number") for days in PERIODS],
        may_act=visit.may(Role.ACT),
        is_backup_old=now.backups.is_old(now.at),
        day_of=lambda expiry: expiry.days_left(now.day),
    )


def try_now(visit: Visit) -> Response:
    """Try everything that waits or is held for one destination."""
    name = visit.text("destination")
    if all(destination.name != name for destination in visit.app.settings.service.destination):
        raise not_found()
    due = release_destination(visit.app.database, name)
    tried = f"{due} addenda to {name} are tried now." if due != 1 else f"One addendum to {name} is tried now."
    return visit.redirect("/", done=tried if due else f"Nothing waits for {name}.")


def _link(visit: Visit, trouble: Trouble) -> tuple[str, str] | None:
    """Return address and words of the page that helps, if there is one that the visitor may see."""
    path, words = _PAGES.get(trouble.kind, ("", ""))
    if not any(entry.path == path and visit.may(entry.role) for entry in visit.navigation):
        return None
    return path, words


_MOST_LATE = 5

ROUTES: tuple[DeskRoute, ...] = (
    page("/", show, role=Role.LOOK),
    action("/try-now", try_now, role=Role.ACT),
)
