"""Patients: search, one patient's exams and trends, clinical context, merges, and questions to archives."""

from starlette.responses import Response

from dxatrend.desk import patient_words
from dxatrend.desk.pages.trail import WORDS
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.trend_figures import trends_of
from dxatrend.desk.visit import Visit, not_found
from pipeline.clinical.model import Patient
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import clinical_context, patient_merge
from pipeline.edge.operations.archive_questions import ask_archives
from pipeline.edge.operations.clinical_context import PatientRecord, UnusableRecordError
from pipeline.edge.operations.patient_merge import PatientMergeError
from pipeline.edge.overview.examined import examine_now
from pipeline.edge.overview.patient import PatientOverview, patient_overview
from pipeline.edge.store import patient_file
from pipeline.edge.store.patient_file import PatientOnFile
from pipeline.edge.store.receipt_contents import DamagedContentError

LONGEST_ID = 64
"""Characters of a Patient ID, an issuer, an accession number or a UID that are searched for."""


def search(visit: Visit) -> Response:
    """Show the form to search a patient by."""
    return visit.render("patients.html", title="Patients", searched=False, found=[])


def find(visit: Visit) -> Response:
    """Show the patients that are found; a single one is shown at once."""
    text, issuer = (visit.text(name, longest=LONGEST_ID) for name in ("text", "issuer"))
    with visit.app.database.read() as connection:
        found = patient_file.find(connection, text, issuer)
    if len(found) == 1:
        return visit.redirect(f"/patients/{found[0].number}")
    for one in found:
        visit.viewed(one.number, by="search")
    return visit.render("patients.html", title="Patients", searched=True, found=found)


def show(visit: Visit) -> Response:
    """Show everything that is known of a patient."""
    number = visit.path["number"]
    with visit.app.database.read() as connection:
        found = _overview(visit, number)
        latest = found.latest
        rows = [line.row for line in found.exams]
        examined, damaged = None, ""
        try:
            examined = examine_now(visit.app, connection, latest.row.number, rows) if latest else None
        except DamagedContentError as error:
            damaged = error.sentence
    visit.viewed(number)
    return visit.render(
        "patient.html",
        title=f"Patient {number}",  # a browser keeps the titles of pages in its history
        patient=found,
        identities={one.number: one for one in (*found.identities, *found.namesakes)},
        trends=trends_of(examined, about=visit.query.get("about")),
        damaged=damaged,
        latest=latest,
        words=patient_words,
        event_words=WORDS,
        archives=[archive.name for archive in visit.app.settings.service.archives],
    )


def context_form(visit: Visit) -> Response:
    """Show the form in which a clinical record is entered."""
    found = _patient(visit)
    visit.viewed(found.number)
    return _context_page(visit, found, {"recorded_on": str(visit.today)}, {})


def record_context(visit: Visit) -> Response:
    """Store a clinical record, or show what is wrong with it."""
    found = _patient(visit)
    fields = {name: visit.text(name, longest=200) for name in clinical_context.readers()}
    try:
        record = clinical_context.read_record(fields, today=visit.today)
    except UnusableRecordError as unusable:
        problems = {field: f"{text[:1].upper()}{text[1:]}." for field, text in unusable.mistakes}
        visit.viewed(found.number)
        return _context_page(visit, found, fields, problems)
    if not patient_words.record_in_words(record):
        visit.viewed(found.number)
        return _context_page(visit, found, fields, {"": "Nothing is stated: fill in at least one field."})
    one = PatientRecord(patient_id=found.patient_id, issuer=found.issuer, record=record)
    with visit.app.database.write() as connection:
        loaded = clinical_context.store_records(connection, [one])
    if not loaded.records:
        return visit.redirect(f"/patients/{found.number}#context", done="This was on record already.")
    again = "1 exam is" if loaded.exams == 1 else f"{loaded.exams} exams are"
    return visit.redirect(f"/patients/{found.number}#context", done=f"Recorded. {again} examined again.")


def choose_merge(visit: Visit) -> Response:
    """Find the patient to merge, and go to the page that asks for confirmation."""
    number = visit.path["number"]
    found = _patient(visit)
    text, issuer = (visit.text(name, longest=LONGEST_ID) for name in ("patient_id", "issuer"))
    with visit.app.database.read() as connection:
        others = [
            one
            for one in patient_file.find(connection, text)
            if (one.patient_id, one.issuer) == (text, issuer) and one.number != found.number
        ]
    if not others:
        return visit.redirect(f"/patients/{number}#identity", problem="Nobody else on file has this id and issuer.")
    return visit.redirect(f"/patients/{number}/merge/{others[0].number}")


def confirm_merge(visit: Visit) -> Response:
    """Show both patients side by side before they are merged."""
    if visit.path["number"] == visit.path["other"]:
        raise not_found()
    into, other = _overview(visit, visit.path["number"]), _overview(visit, visit.path["other"])
    for one in (into, other):
        visit.viewed(one.number)
    differences = [
        what
        for what, one, another in (
            ("name", (into.name.casefold(),), (other.name.casefold(),)),
            ("birth date", into.birth_dates, other.birth_dates),
            ("sex", into.sexes, other.sexes),
        )
        if any(one) and any(another) and set(one) != set(another)
    ]
    return visit.render(
        "merge.html",
        title="Are these one person?",
        into=into,
        other=other,
        differences=differences,
        words=patient_words,
    )


def merge(visit: Visit) -> Response:
    """Merge another id into this patient, or undo that."""
    number, undo = visit.path["number"], visit.text("undo") == "yes"
    with visit.app.database.read() as connection:
        pair = {one.number: one for one in patient_file.patients_of(connection, [number, visit.path["other"]])}
    if len(pair) != 2:
        raise not_found()
    old, new = _as_patient(pair[visit.path["other"]]), _as_patient(pair[number])
    change = patient_merge.unmerge if undo else patient_merge.merge
    try:
        change(visit.app.database, old, new, make_due=True)
    except PatientMergeError as problem:
        text = "They are one already, or were merged otherwise" if not undo else "That merge is undone already"
        return visit.redirect(f"/patients/{number}#identity", problem=f"{text}: {problem}.")
    done = "The merge is undone" if undo else "They count as one person now"
    return visit.redirect(f"/patients/{number}#identity", done=f"{done}; their exams are examined again.")


def ask(visit: Visit) -> Response:
    """Ask the archives once more for earlier reports of a patient."""
    found = _patient(visit)
    archives = [archive.name for archive in visit.app.settings.service.archives]
    if not archives:
        return visit.redirect(f"/patients/{found.number}#archives", problem="No archive is configured to be asked.")
    ask_archives(visit.app.database, found.number, archives)
    text = f"{', '.join(archives)} will be asked now; what comes back is compared with at once."
    return visit.redirect(f"/patients/{found.number}#archives", done=text)


def _overview(visit: Visit, number: int) -> PatientOverview:
    with visit.app.database.read() as connection:
        found = patient_overview(connection, number, visit.app.reference_data.clinical.rules)
    if found is None:
        raise not_found()
    return found


def _patient(visit: Visit) -> PatientOnFile:
    with visit.app.database.read() as connection:
        found = patient_file.patients_of(connection, [visit.path["number"]])
    if not found:
        raise not_found()
    return found[0]


def _as_patient(one: PatientOnFile) -> Patient:
    return Patient(patient_id=one.patient_id, issuer=one.issuer)


def _context_page(visit: Visit, found: PatientOnFile, fields: dict[str, str], problems: dict[str, str]) -> Response:
    return visit.render(
        "clinical_context.html",
        title="Record clinical context",
        status=400 if problems else 200,
        patient=found,
        fields=fields,
        problems=problems,
        words=patient_words,
        choices={name: clinical_context.choices(name) for name in clinical_context.readers()},
        days=clinical_context.DAYS,
    )


ROUTES: tuple[DeskRoute, ...] = (
    page("/patients", search, role=Role.READ),
    action("/patients", find, role=Role.READ),
    page("/patients/{number:number}", show, role=Role.READ),
    page("/patients/{number:number}/context", context_form, role=Role.ACT),
    action("/patients/{number:number}/context", record_context, role=Role.ACT),
    action("/patients/{number:number}/merge", choose_merge, role=Role.ACT),
    page("/patients/{number:number}/merge/{other:number}", confirm_merge, role=Role.ACT),
    action("/patients/{number:number}/merge/{other:number}", merge, role=Role.ACT),
    action("/patients/{number:number}/ask", ask, role=Role.ACT),
)
