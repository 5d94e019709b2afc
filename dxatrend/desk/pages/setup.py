"""Set-up: first steps, callers that were rejected, scanners that lack something, and what ``dxatrend check`` says."""

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit
from dxatrend.installation_check import (
    CheckResult,
    Level,
    check_certificates,
    check_configuration,
    check_desk,
    check_destination,
    check_prefect,
    precision_in_use,
)
from pipeline.edge.app import App
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.folders import SYSTEM_FOLDER
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.edge.live_configuration import outdated
from pipeline.edge.operations.sender_confirmation import confirm_sender
from pipeline.edge.overview.first_steps import first_steps
from pipeline.edge.overview.rejected_callers import callers_to_admit
from pipeline.edge.overview.scanner_gaps import scanner_gaps
from pipeline.edge.text_files import toml_string
from pipeline.sr.dialects.loader import Dialect

REFRESH_SECONDS = 5
"""How often the page asks for itself while somebody waits for the next of the first steps."""

MOST_ASKED_AT_ONCE = 8

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


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
        answers = list(pool.map(lambda to: check_destination(to, service), service.destination))
    return _page(visit, installation, asked=(*answers, prefect.result()))


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
    on = visit.now.astimezone(visit.desk.zone).date()
    results = [*_check(visit, installation), *asked]
    with app.database.read() as connection:
        reference_data = app.reference_in_force(connection).reference_data
        steps = first_steps(connection, service, has_lsc=bool(reference_data.clinical.lscs), at=visit.now)
        callers = callers_to_admit(connection, service.listener, at=visit.now)
        gaps = scanner_gaps(connection, reference_data, on=on)
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
        listens_here_only=service.listener.host in _LOOPBACK,
        start=_start(visit.desk.folder),
        is_system=visit.desk.folder.resolve() == SYSTEM_FOLDER,
        service_file=visit.desk.folder.resolve() / "service.toml",
        **_destination_form(visit, service),
    )


def _check(visit: Visit, installation: _Installation) -> list[CheckResult]:
    """Return what the check says without calling anybody."""
    if installation.mistakes:
        return [CheckResult(Level.PROBLEM, mistake) for mistake in installation.mistakes]
    app = installation.app
    on = visit.now.astimezone(visit.desk.zone).date()
    precision = precision_in_use(app)
    return [
        *check_configuration(visit.desk.folder, app.settings, installation.dialects, precision, on=on),
        *(CheckResult(Level.PROBLEM, message) for message in outdated(app)),
        *check_certificates(app.settings.service.listener),
        *check_desk(app.settings.service.desk),
    ]


def _start(folder: Path) -> str:
    """Return the command that starts the service with this configuration, as a shell takes it."""
    if folder.resolve() == SYSTEM_FOLDER:
        return "sudo systemctl restart dxatrend"
    program = Path(sys.executable).parent / "dxatrend"
    return shlex.join([str(program), "--config", str(folder.resolve()), "serve"])


def _destination_form(visit: Visit, service: ServiceSettings) -> dict[str, Any]:
    """Return what was entered about a PACS, the lines of ``service.toml`` for it, and what is wrong with it."""
    names = ("ae_title", "host", "port")
    entered = {name: visit.text(name, longest=100) for name in names}
    if not any(entered.values()):
        return {"entered": entered, "destination_lines": (), "destination_problems": {}}
    taken = {destination.name for destination in service.destination}
    name = next(name for name in ("pacs", *(f"pacs{number}" for number in range(2, 1000))) if name not in taken)
    try:
        to = DicomDestination.model_validate({"name": name, **entered})
    except ValidationError as error:
        problems = {
            str(one["loc"][0]): one["msg"].removeprefix("Value error, ") for one in error.errors() if one["loc"]
        }
        return {"entered": entered, "destination_lines": (), "destination_problems": problems}
    lines = (
        "[[destination]]",
        f"name = {toml_string(to.name)}",
        f"ae_title = {toml_string(to.ae_title)}",
        f"host = {toml_string(to.host)}",
        f"port = {to.port}",
    )
    return {"entered": entered, "destination_lines": lines, "destination_problems": {}}


ROUTES: tuple[DeskRoute, ...] = (
    page("/setup", show, role=Role.CONFIGURE),
    action("/setup/ask", ask, role=Role.CONFIGURE),
    action("/setup/confirm", confirm, role=Role.CONFIGURE),
)
