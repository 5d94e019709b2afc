"""Reprocessing: what would change today as a list of before and after, begin it, watch it, and the last runs."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.loading import SettingsError
from pipeline.edge.live_configuration import outdated, reload
from pipeline.edge.overview.difference_words import changed_values, codes_in_words
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store import reprocessing_results, scanners
from pipeline.edge.store.reprocessing_results import MOST_DIFFERENCES, Difference, RunOnFile
from pipeline.edge.store.reprocessing_runs import Scope

REFRESH_SECONDS = 3
"""How often the page asks for itself while a run goes on."""

RUNS_SHOWN = 20
DIFFERENCES_SHOWN = 50


def show(visit: Visit) -> Response:
    """Show what the last dry run has found, and the last runs."""
    after = visit.number("after", 0) or 0
    with visit.app.database.read() as connection:
        runs = reprocessing_results.latest(connection, RUNS_SHOWN, at=visit.now)
        dry_run = reprocessing_results.latest_dry_run(connection, at=visit.now)
        found = (
            reprocessing_results.differences_of(connection, dry_run.number, after=after, limit=DIFFERENCES_SHOWN + 1)
            if dry_run and dry_run.finished_at
            else []
        )
        known = scanners.all_of_them(connection)
    shown, more = found[:DIFFERENCES_SHOWN], found[DIFFERENCES_SHOWN:]
    visit.viewed_exams(one.exam for one in shown)
    is_running = any(run.finished_at is None and run.requested_by for run in runs)
    return visit.render(
        "reprocessing.html",
        title="Reprocessing",
        refresh=REFRESH_SECONDS if is_running else 0,
        dry_run=dry_run,
        differences=[(difference, list(changed_values(difference))) for difference in shown],
        inputs=_inputs,
        in_words=codes_in_words,
        after=after,
        next_after=shown[-1].exam if more else None,
        most_kept=MOST_DIFFERENCES,
        runs=runs,
        scope=_scope_in_words,
        scanners=[("", "all scanners"), *((number, str(machine)) for number, machine in known)],
        configures=visit.may(Role.CONFIGURE),
        outdated=outdated(visit.app),
    )


def begin_dry_run(visit: Visit) -> Response:
    """Have the workers find out what would change with the files as they are now."""
    try:
        reload(visit.app)
    except SettingsError as unusable:
        errors = "; ".join(unusable.mistakes)
        return visit.redirect("/reprocessing", problem=f"The configuration files have errors: {errors}")
    requested_runs.request(visit.app, _scope(visit), dry_run=True)
    return visit.redirect("/reprocessing", done="The workers find out what would change. This page shows it.")


def begin(visit: Visit) -> Response:
    """Have the workers supersede the addenda that would say something else today."""
    if different := outdated(visit.app):
        return visit.redirect("/reprocessing", problem=f"Nothing was begun: {'; '.join(different)}")
    run = requested_runs.request(visit.app, _scope(visit), dry_run=False)
    return visit.redirect("/reprocessing", done=f"Run {run} has begun. Exams that have just come go first.")


def stop(visit: Visit) -> Response:
    """Stop a run; what it has superseded stays."""
    number = visit.number("run")
    if number is None or not requested_runs.stop(visit.app, number):
        return visit.redirect("/reprocessing", problem="This run had ended already.")
    return visit.redirect("/reprocessing", done=f"Run {number} is stopped. What it has superseded stays.")


def _scope(visit: Visit) -> Scope:
    """Return the exams that the form names.

    Raises:
        HTTPException: it names no scanner that is on file, or a day that there is not.
    """
    since, scanner = visit.day("since"), visit.number("scanner")
    if scanner is not None:
        with visit.app.database.read() as connection:
            if scanner not in {number for number, _ in scanners.all_of_them(connection)}:
                raise HTTPException(400, "No scanner on file has this number.")
    return Scope(scanner=scanner, since=since)


def _scope_in_words(run: RunOnFile) -> str:
    if run.scope.linked_patients is not None:
        return "one patient"
    words = f"exams on {run.scanner}" if run.scanner else "all exams"
    return f"{words} since {run.scope.since:%Y-%m-%d}" if run.scope.since else words


def _inputs(difference: Difference) -> str:
    return ", ".join(one.replace("_", " ") for one in difference.changed_inputs)


ROUTES: tuple[DeskRoute, ...] = (
    page("/reprocessing", show, role=Role.READ),
    action("/reprocessing/dry-run", begin_dry_run, role=Role.CONFIGURE),
    action("/reprocessing/begin", begin, role=Role.CONFIGURE),
    action("/reprocessing/stop", stop, role=Role.CONFIGURE),
)
