"""Set-up: first steps, callers that were rejected, scanners that lack something, and what ``dxatrend check`` says."""

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit
from dxatrend.installation_check import (
    check_alarms,
    check_certificates,
    check_configuration,
    check_destination,
    check_precision,
    check_prefect,
    check_store,
)
from pipeline.edge.app import App
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.folders import SYSTEM_FOLDER
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.ip_address import LOOPBACK
from pipeline.edge.operations.sender_confirmation import confirm_sender
from pipeline.edge.overview.check_result import CheckResult, Level
from pipeline.edge.overview.first_steps import first_steps
from pipeline.edge.overview.new_destination import NewDestination, new_destination
from pipeline.edge.overview.rejected_callers import callers_to_admit
from pipeline.edge.overview.scanner_gaps import scanner_gaps
from pipeline.sr.dialects.model import Dialect

REFRESH_SECONDS = 5
"""How often the page asks for itself while somebody waits for the next of the first steps."""

MOST_ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installation:
    """The configuration as the files are now; where they have errors, as the desk has read it before."""

    app: App
    dialects: tuple[Dialect, ...]
    mistakes: tuple[str, ...] = ()

    @property
    def service(self) -> ServiceSettings:
        """The settings of ``service.toml``."""
        return self.app.settings.service


def show(visit: Visit) -> Response:
    """Show the installation; nobody is called for it."""
    return _page(visit, _read(visit), asked=())


def ask(visit: Visit) -> Response:
    """Ask the Prefect server and every destination, all at once, and show what they answer."""
    installation = _read(visit)
    service = installation.service
    with ThreadPoolExecutor(MOST_ASKED_AT_ONCE) as pool:
        prefect = pool.submit(check_prefect, service.prefect)
        answers = pool.map(lambda to: list(check_destination(to, service, on=visit.today)), service.destination)
        asked = [one for answer in answers for one in answer]
    return _page(visit, installation, asked=(*asked, prefect.result()))


def confirm(visit: Visit) -> Response:
    """Confirm that a caller new to a scanner may send its reports."""
    number = visit.number("sender")
    due = None if number is None else confirm_sender(visit.app.database, number)
    if due is None:
        return visit.redirect("/setup", problem="This caller was confirmed already, or is no longer on file.")
    return visit.redirect("/setup", done=f"The caller is confirmed. {due} of its exams are examined again.")


def _read(visit: Visit) -> _Installation:
    app = visit.app
    try:
        settings, dialects = load_configuration(visit.desk.folder)
    except SettingsError as unusable:
        return _Installation(app=app, dialects=app.dialects, mistakes=unusable.mistakes)
    reference_data = reference_data_of(settings, dialects)
    return _Installation(
        app=replace(app, settings=settings, dialects=dialects, reference_data=reference_data), dialects=dialects
    )


def _page(visit: Visit, installation: _Installation, *, asked: Sequence[CheckResult]) -> Response:
    app, service = installation.app, installation.service
    entered = {name: visit.text(name, longest=100) for name in ("ae_title", "host", "port")}
    taken = [to.name for to in service.destination]
    new = new_destination(entered, taken=taken) if any(entered.values()) else NewDestination()
    results = [*_check(visit, installation), *asked]
    with app.database.read() as connection:
        reference_data = app.reference_in_force(connection).reference_data
        steps = first_steps(connection, service, has_lsc=bool(reference_data.clinical.lscs), at=visit.now)
        callers = callers_to_admit(connection, service.listener, at=visit.now)
        gaps = scanner_gaps(connection, reference_data, on=visit.today)
    return visit.render(
        "setup.html",
        title="Set-up",
        refresh=REFRESH_SECONDS if not (steps.are_done or asked or visit.query) else 0,
        steps=steps,
        callers=callers,
        gaps=gaps,
        results={level: [one.text for one in results if one.level is level] for level in Level},
        levels=Level,
        asked=asked,
        service=service,
        listens_here_only=service.listener.host in LOOPBACK,
        start=_start(visit.desk.folder),
        is_system=visit.desk.folder.resolve() == SYSTEM_FOLDER,
        service_file=visit.desk.folder.resolve() / "service.toml",
        entered=entered,
        new=new,
    )


def _check(visit: Visit, installation: _Installation) -> list[CheckResult]:
    """Return what the check says without calling anybody, except what scanners lack, which has its own section."""
    if installation.mistakes:
        return [CheckResult(Level.PROBLEM, mistake) for mistake in installation.mistakes]
    app = installation.app
    return [
        *check_configuration(visit.desk.folder, app.settings, installation.dialects, on=visit.today),
        *check_precision(app, on=visit.today),
        *check_store(app, on=visit.today),
        *check_certificates(app.settings.service),
        *check_alarms(app.settings.service.alarms),
    ]


def _start(folder: Path) -> str:
    """Return the command that starts the service with this configuration, as a shell takes it."""
    if folder.resolve() == SYSTEM_FOLDER:
        return "sudo systemctl restart dxatrend"
    program = Path(sys.executable).parent / "dxatrend"
    return shlex.join([str(program), "--config", str(folder.resolve()), "serve"])


ROUTES: tuple[DeskRoute, ...] = (
    page("/setup", show, role=Role.CONFIGURE),
    action("/setup/ask", ask, role=Role.CONFIGURE),
    action("/setup/confirm", confirm, role=Role.CONFIGURE),
)
