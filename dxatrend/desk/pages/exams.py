"""Exam: how far it has come, what its addenda say and why, its pages, and the bytes it rests on."""

from pydicom.uid import ExplicitVRLittleEndian
from starlette.responses import Response

from dxatrend.desk import patient_words
from dxatrend.desk.page_drawing import Drawing, DrawingError, drawing_of
from dxatrend.desk.pages.trail import WORDS
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.trend_figures import trends_of
from dxatrend.desk.visit import Visit, not_found
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import exam_corrections
from pipeline.edge.operations.release import PrintedNumber, release_held
from pipeline.edge.overview.exam import ExamOverview, exam_overview
from pipeline.edge.overview.examined import Examined, examine_now
from pipeline.edge.overview.held_reasons import explanation
from pipeline.edge.overview.patient import MOST_EXAMS, identities_of
from pipeline.edge.store import outbox, patient_file, receipts
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.edge.store.patient_file import ExamRow
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.writer import Authored, dicom_file


def show(visit: Visit) -> Response:
    """Show an exam in its stages, with its results, addenda, reports and trail."""
    found, examined, damaged = _exam(visit, visit.path["number"])
    visit.viewed(found.row.patient, exam=found.row.number)
    return visit.render(
        "exam.html",
        title=f"Exam {found.row.number}",
        exam=found,
        examined=examined,
        damaged=damaged,
        trends=trends_of(examined, about=visit.query.get("about")),
        words=patient_words,
        event_words=WORDS,
        held=explanation(found.row.reason) if found.row.state == State.HELD else None,
    )


def release(visit: Visit) -> Response:
    """Try a held exam again."""
    number = visit.path["number"]
    done = release_held(visit.app.database, PrintedNumber("E", number))
    if done:
        return visit.redirect(f"/exams/{number}", done=f"E{number} is tried again.")
    return visit.redirect(f"/exams/{number}", problem=f"E{number} is not held any longer.")


def withdraw(visit: Visit) -> Response:
    """Take an exam out of every comparison, or undo that."""
    number, undo = visit.path["number"], visit.text("undo") == "yes"
    reason = " ".join(visit.text("reason").split())
    with visit.app.database.read() as connection:
        if patient_file.exam_row(connection, number) is None:
            raise not_found()
    if not (undo or reason):
        return visit.redirect(f"/exams/{number}", problem="Nothing was changed: the addendum has to say why.")
    if undo:
        done = exam_corrections.undo_withdrawal(visit.app.database, number, reason)
    else:
        done = exam_corrections.withdraw(visit.app.database, number, reason)
    if not done:
        return visit.redirect(f"/exams/{number}", problem="Somebody has done that already.")
    text = f"E{number} counts again" if undo else f"E{number} is withdrawn"
    return visit.redirect(f"/exams/{number}", done=f"{text}; the patient's exams from then on are examined again.")


def pages(visit: Visit) -> Response:
    """Show the pages of an addendum as pictures."""
    row, drawing, problem = _drawing(visit)
    visit.viewed(row.patient, exam=row.number, addendum=visit.path["number"])
    return visit.render(
        "addendum_pages.html",
        title=f"Pages of addendum {visit.path['number']}",
        number=visit.path["number"],
        exam=row,
        count=len(drawing.images) if drawing else 0,
        has_pdf=bool(drawing and drawing.pdf),
        problem=problem,
    )


def picture(visit: Visit) -> Response:
    """Return one page of an addendum as an image."""
    row, drawing, _ = _drawing(visit)
    position = visit.path["page"]
    if drawing is None or position > len(drawing.images):
        raise not_found()
    visit.viewed(row.patient, exam=row.number, addendum=visit.path["number"])
    return Response(drawing.images[position - 1], media_type="image/png")


def pdf(visit: Visit) -> Response:
    """Return the pages of an addendum as PDF."""
    row, drawing, _ = _drawing(visit)
    if drawing is None or not drawing.pdf:
        raise not_found()
    visit.viewed(row.patient, exam=row.number, addendum=visit.path["number"])
    return visit.download(drawing.pdf, f"addendum-{visit.path['number']}.pdf", "application/pdf")


def addendum_file(visit: Visit) -> Response:
    """Return an addendum as the DICOM object that was sent."""
    row, addendum = _addendum(visit)
    visit.viewed(row.patient, exam=row.number, addendum=addendum.number)
    return visit.download(_as_file(addendum), f"addendum-{addendum.number}.dcm", "application/dicom")


def receipt_file(visit: Visit) -> Response:
    """Return the bytes of a received report, as a DICOM file."""
    number = visit.path["number"]
    with visit.app.database.read() as connection:
        exam_number = patient_file.exam_of_report(connection, number)
        row = patient_file.exam_row(connection, exam_number) if exam_number is not None else None
        loaded = receipts.load(connection, [number]) if row is not None else []
    if row is None or not loaded:
        raise not_found()
    visit.viewed(row.patient, exam=row.number, receipt=number)
    instance = loaded[0].instance
    authored = Authored(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        data_set=instance.data_set,
    )
    try:
        content = dicom_file(authored, transfer_syntax_uid=instance.transfer_syntax_uid)
    except ValueError:  # a UID that no file may have: the bytes alone
        return visit.download(instance.data_set, f"receipt-{number}.bin", "application/octet-stream")
    return visit.download(content, f"receipt-{number}.dcm", "application/dicom")


def _exam(visit: Visit, number: int) -> tuple[ExamOverview, Examined | None, str]:
    """Return an exam as it is on file and as it would be examined now, or why its bytes forbid that."""
    with visit.app.database.read() as connection:
        found = exam_overview(connection, number, visit.app.reference_data.clinical.rules)
        if found is None:
            raise not_found()
        known = identities_of(connection, found.row.patient)
        numbers = [one.number for one in known[0]] if known else [found.row.patient]
        others = patient_file.exams_of(connection, numbers, most=MOST_EXAMS)
        if all(one.number != number for one in others):
            others = [*others, found.row]
        try:
            return found, examine_now(visit.app, connection, number, others), ""
        except DamagedContentError as damaged:
            return found, None, damaged.sentence


def _addendum(visit: Visit) -> tuple[ExamRow, AddendumOnFile]:
    """Return an addendum on file, which is no rendering, with its exam."""
    with visit.app.database.read() as connection:
        known = patient_file.addendum_row(connection, visit.path["number"])
        if known is None or known.rendering_of is not None:
            raise not_found()
        row = patient_file.exam_row(connection, known.exam)
        assert row is not None, "an addendum is of an exam"
        found = next(one for one in outbox.addenda(connection, known.exam) if one.number == known.number)
        return row, found


def _drawing(visit: Visit) -> tuple[ExamRow, Drawing | None, str]:
    """Return the pages of an addendum: those that were sent, else drawn now where it still says what holds."""
    row, addendum = _addendum(visit)
    with visit.app.database.read() as connection:
        sent = outbox.renderings(connection, addendum.number)
    if sent:
        return row, drawing_of(sent), ""
    found, examined, damaged = _exam(visit, row.number)
    if damaged:
        return row, None, damaged
    is_latest = bool(found.addenda) and found.addenda[0].row.number == addendum.number
    if examined is None or not examined.is_current or not is_latest:
        return row, None, "It was sent without pages, and what it rests on has changed since: it cannot be drawn now."
    try:
        return row, visit.desk.drawer.draw(visit.app, addendum, examined.examination), ""
    except DrawingError as failure:
        return row, None, f"{str(failure)[:1].upper()}{str(failure)[1:]}."


def _as_file(addendum: AddendumOnFile) -> bytes:
    authored = Authored(
        sop_class_uid=addendum.sop_class_uid, sop_instance_uid=addendum.sop_instance_uid, data_set=addendum.data_set
    )
    return dicom_file(authored, transfer_syntax_uid=ExplicitVRLittleEndian)


ROUTES: tuple[DeskRoute, ...] = (
    page("/exams/{number:number}", show, role=Role.READ),
    action("/exams/{number:number}/release", release, role=Role.ACT),
    action("/exams/{number:number}/withdraw", withdraw, role=Role.ACT),
    page("/addenda/{number:number}/pages", pages, role=Role.READ),
    page("/addenda/{number:number}/pages/{page:number}", picture, role=Role.READ),
    page("/addenda/{number:number}/pdf", pdf, role=Role.READ),
    page("/addenda/{number:number}/file", addendum_file, role=Role.READ),
    page("/receipts/{number:number}/file", receipt_file, role=Role.READ),
)
