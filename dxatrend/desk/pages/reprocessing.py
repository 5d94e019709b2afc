"""Reprocessing: what would change today as a list of before and after, begin it, watch it, and the last runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.loading import SettingsError
from pipeline.edge.live_configuration import outdated, reload
from pipeline.edge.reprocess import requested_runs
from pipeline.edge.store import reprocessing_results, scanners
from pipeline.edge.store.reprocessing_results import MOST_DIFFERENCES, Difference, RunOnFile
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.sr import codes

REFRESH_SECONDS = 3
"""How often the page asks for itself while a run goes on."""

RUNS_SHOWN = 20
DIFFERENCES_SHOWN = 50

_NAMES = {"RESULT": "result since the prior exam", "BRESULT": "result since the baseline"}
"""Names of values that say more here than the meanings of their codes."""

_OF_A_CHANGE = frozenset(
    [
        *("DIFF", "PDIFF", "CI_LOW", "CI_HIGH", "RATE", "SLOPE", "SLOPE_SE"),
        *("BDIFF", "BPDIFF", "BCI_LOW", "BCI_HIGH"),
    ]
)
"""The numbers of changes: the sentences have those that may be told, and no reader gets the others (N6)."""

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_OF_ANOTHER_EXAM = ("PRIOR", "BASELINE", "OBSTACLE")


@dataclass(frozen=True, slots=True)
class Change:
    """One value of an addendum that would be another: of which region, what, before and after."""

    region: str
    what: str
    before: str
    after: str


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
        differences=[(difference, list(_values(difference))) for difference in shown],
        inputs=_inputs,
        in_words=_in_words,
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
    text, scanner = visit.text("since", longest=10), visit.number("scanner")
    try:
        since = date.fromisoformat(text) if text else None
    except ValueError:
        raise HTTPException(400, "The day is written as year, month and day, such as 2026-03-01.") from None
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


def _values(difference: Difference) -> Iterator[Change]:
    """Yield the values of regions that would be others, in words, without numbers of changes and UIDs of studies."""
    for region, concepts in difference.regions.items():
        for name, (before, after) in sorted(concepts.items(), key=lambda one: one[0] not in _NAMES):
            if name not in _OF_A_CHANGE and not name.endswith("STUDY"):
                yield Change(region, _name_in_words(name), _in_words(before), _in_words(after))


def _name_in_words(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    of, _, what = name.partition("_")
    if codes.words(name) == name and of in _OF_ANOTHER_EXAM and what:
        return f"{what.lower().replace('_', ' ')} of the {'exam not compared' if of == 'OBSTACLE' else of.lower()}"
    return codes.words(name) if codes.words(name) != name else name.replace("_", " ")


def _in_words(values: str) -> str:
    parts = []
    for value in filter(None, values.split(", ")):
        day = _DATE.fullmatch(value)
        parts.append("-".join(day.groups()) if day else codes.words(value))
    return ", ".join(parts)


ROUTES: tuple[DeskRoute, ...] = (
    page("/reprocessing", show, role=Role.READ),
    action("/reprocessing/dry-run", begin_dry_run, role=Role.CONFIGURE),
    action("/reprocessing/begin", begin, role=Role.CONFIGURE),
    action("/reprocessing/stop", stop, role=Role.CONFIGURE),
)
