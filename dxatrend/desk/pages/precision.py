"""Precision: the register of LSCs and cross-calibrations, one record with what it would change, and the decisions."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit, not_found
from pipeline.clinical.cross_calibration import lsc_across
from pipeline.clinical.model import CrossCalibration
from pipeline.clinical.precision import REMIND
from pipeline.clinical.precision_register import Standing
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import precision_register
from pipeline.edge.operations.precision_register import RegisterError
from pipeline.edge.overview import precision_register as overview
from pipeline.edge.overview.difference_words import result_in_words
from pipeline.edge.overview.precision_register import CrossCalibrationLine, LscLine
from pipeline.edge.reprocess.register_trial import trial
from pipeline.edge.store import precision_register as store
from pipeline.edge.store.precision_register import RecordOnFile
from pipeline.edge.store.reprocessing_results import Difference

URGENT_DAYS = 30
"""So few days before the last one a study is urgent."""

TRIAL_SECONDS = 15.0
"""How long a page looks for what would change; the command line looks to the end."""

MOST_SHOWN = 200
"""How many addenda that would change are listed; all that were found are counted."""

DECIDED = {Standing.ACCEPTED: "accepted", Standing.DECLINED: "declined", Standing.WITHDRAWN: "withdrawn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One region of one exam whose addendum would say something else."""

    exam: int
    region: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What would change: how many exams were compared, which addenda would differ, and whether all were looked at."""

    compared: int
    addenda: int
    changes: tuple[Change, ...]
    summary: tuple[tuple[int, str, str], ...]
    is_complete: bool


def show(visit: Visit) -> Response:
    """Show what counts, what is missing, what waits for a decision, and what no longer counts."""
    found = overview.register(visit.app, on=visit.today)
    lines: list[LscLine | CrossCalibrationLine] = [*found.counting, *found.cross_calibrations]
    return visit.render(
        "precision.html",
        title="Precision",
        register=found,
        urgent_days=URGENT_DAYS,
        soon_days=REMIND.days,
        unregistered=sum(line.record is None for line in lines),
        may_propose=visit.may(Role.ACT),
        may_decide=visit.may(Role.CONFIGURE),
        standing_words={**{one: one.value for one in Standing}, Standing.ACCEPTED: "superseded or ended"},
    )


def show_record(visit: Visit) -> Response:
    """Show one record, its study and its decisions; with ``trial`` also what would change by the next decision."""
    number = visit.path["number"]
    record = _record(visit, number)
    worksheet = precision_register.worksheet_of(visit.app, number) if record.study and visit.sees_patients else ""
    next_standing = {Standing.PROPOSED: Standing.ACCEPTED, Standing.ACCEPTED: Standing.WITHDRAWN}.get(record.standing)
    may_try = visit.may(Role.ACT)  # it takes seconds of everybody's time
    wants_trial = may_try and bool(visit.text("trial")) and next_standing is not None
    found = _trial(visit, number, next_standing) if wants_trial and next_standing else None
    if found is not None:
        visit.viewed_exams(change.exam for change in found.changes)
    if worksheet:  # it names the patients of the study as its table does
        visit.viewed(record=number)
    return visit.render(
        "precision_record.html",
        title=f"Record R{number}",
        record=record,
        counting=overview.counts_as(visit.app, record),
        today=visit.today,
        is_cross_calibration=isinstance(record.value, CrossCalibration),
        glsc=lsc_across(record.value, record.value.region) if isinstance(record.value, CrossCalibration) else None,
        doubts=overview.doubts_of(record),
        worksheet=worksheet,
        trial=found,
        decides=next_standing,
        may_try=may_try,
        may_decide=visit.may(Role.CONFIGURE),
        decided=DECIDED,
    )


def study_file(visit: Visit) -> Response:
    """Return the table of a record's study, byte for byte as it was handed in."""
    record = _record(visit, visit.path["number"])
    with visit.app.database.read() as connection:
        study = store.study(connection, record.study) if record.study is not None else None
    if study is None:
        raise not_found()
    visit.viewed(record=record.number)
    return visit.download(study.content, study.file_name or "study.csv", "text/csv")


def accept(visit: Visit) -> Response:
    """Let a proposed record count."""
    return _decide(visit, Standing.ACCEPTED)


def decline(visit: Visit) -> Response:
    """Decide that a proposed record is not to count."""
    return _decide(visit, Standing.DECLINED)


def withdraw(visit: Visit) -> Response:
    """Let an accepted record count no longer, for any day."""
    return _decide(visit, Standing.WITHDRAWN)


def decide(visit: Visit) -> Response:
    """Accept or decline several proposed records with one remark."""
    reason, chosen = visit.text("reason", longest=500), visit.texts("record")
    accepts = visit.text("decision") == Standing.ACCEPTED.value
    if not chosen:
        return visit.redirect("/precision", problem="Nothing was changed: choose at least one record.")
    if not (accepts or reason):
        return visit.redirect("/precision", problem="Nothing was changed: say why, for whoever asks later.")
    decided: list[str] = []
    try:
        for number in map(precision_register.parse_record_number, chosen):
            (precision_register.accept if accepts else precision_register.decline)(visit.app.database, number, reason)
            decided.append(f"R{number}")
    except RegisterError as problem:
        before = f"{', '.join(decided)} decided; then: " if decided else "Nothing was changed: "
        return visit.redirect("/precision", problem=f"{before}{problem}.")
    word = DECIDED[Standing.ACCEPTED if accepts else Standing.DECLINED]
    return visit.redirect("/precision", done=f"{', '.join(decided)}: {word}.")


def import_files(visit: Visit) -> Response:
    """Take the entries of the configuration files into the register."""
    done = precision_register.import_configured(visit.app)
    text = f"{len(done.accepted)} imported, {len(done.proposed)} proposed, {done.known} were in the register before."
    return visit.redirect("/precision", done=text)


def _decide(visit: Visit, standing: Standing) -> Response:
    number, reason = visit.path["number"], visit.text("reason", longest=500)
    back = f"/precision/{number}"
    if not reason and standing is not Standing.ACCEPTED:
        return visit.redirect(back, problem="Nothing was changed: say why, for whoever asks later.")
    decisions = {
        Standing.ACCEPTED: precision_register.accept,
        Standing.DECLINED: precision_register.decline,
        Standing.WITHDRAWN: precision_register.withdraw,
    }
    try:
        decisions[standing](visit.app.database, number, reason)
    except RegisterError as problem:
        return visit.redirect(back, problem=f"Nothing was changed: {problem}.")
    follows = "" if standing is Standing.DECLINED else " The exams that it concerns are examined again tonight."
    return visit.redirect(back, done=f"R{number} is {DECIDED[standing]}.{follows}")


def _record(visit: Visit, number: int) -> RecordOnFile:
    try:
        return precision_register.find_record(visit.app.database, number)
    except RegisterError:
        raise not_found() from None


def _trial(visit: Visit, number: int, standing: Standing) -> Trial:
    """Look for what would change until the time is up."""
    began = time.monotonic()
    compared, found, is_complete = 0, list[Difference](), True
    for compared_now, differing in trial(visit.app, number, standing):
        compared += compared_now
        found += differing
        if time.monotonic() - began > TRIAL_SECONDS:
            is_complete = False
            break
    changes = [change for difference in found for change in _changes(difference)]
    return Trial(
        compared=compared,
        addenda=len(found),
        changes=tuple(changes[:MOST_SHOWN]),
        summary=_summary(found),
        is_complete=is_complete,
    )


def _changes(difference: Difference) -> list[Change]:
    """Return what a person wants to know of a difference: the result of each region, and the overall result."""
    if difference.held:
        return [Change(exam=difference.exam, region="", before="", after=f"the exam would be held: {difference.held}")]
    changes = [
        Change(
            exam=difference.exam,
            region=region,
            before=result_in_words(values["RESULT"][0]),
            after=result_in_words(values["RESULT"][1]),
        )
        for region, values in difference.regions.items()
        if "RESULT" in values
    ]
    if not changes:
        changes = [
            Change(
                exam=difference.exam, region=region, before="same result", after="same result, another LSC or wording"
            )
            for region in [*difference.regions] or [""]
        ]
    return changes


def _summary(found: Sequence[Difference]) -> tuple[tuple[int, str, str], ...]:
    """Count the changes of result, the most frequent first."""
    pairs = Counter(
        (result_in_words(values["RESULT"][0]), result_in_words(values["RESULT"][1]))
        for difference in found
        for values in difference.regions.values()
        if "RESULT" in values
    )
    return tuple((count, before, after) for (before, after), count in pairs.most_common())


ROUTES: tuple[DeskRoute, ...] = (
    page("/precision", show, role=Role.LOOK),
    page("/precision/{number:number}", show_record, role=Role.LOOK),
    page("/precision/{number:number}/study", study_file, role=Role.READ),
    action("/precision/{number:number}/accept", accept, role=Role.CONFIGURE),
    action("/precision/{number:number}/decline", decline, role=Role.CONFIGURE),
    action("/precision/{number:number}/withdraw", withdraw, role=Role.CONFIGURE),
    action("/precision/decide", decide, role=Role.CONFIGURE),
    action("/precision/import", import_files, role=Role.CONFIGURE),
)
