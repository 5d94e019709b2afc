"""Show which issued addenda would be superseded today, and what would differ in them; nothing is changed."""

from collections.abc import Iterator, Sequence

from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import Connection

from pipeline.clinical.exam_assembly import ContradictionError
from pipeline.edge.app import App
from pipeline.edge.follow_up.examination import examine
from pipeline.edge.overview.addendum_text import Kind, changes, sentences_of
from pipeline.edge.provenance import ChangedInput
from pipeline.edge.reference_in_force import ReferenceInForce
from pipeline.edge.reprocess.reextract import reextract
from pipeline.edge.reprocess.scope import answered_exams, next_linked_patients
from pipeline.edge.store import exam_summaries, exams, outbox
from pipeline.edge.store.exam_summaries import ExamSummary, LinkedPatients
from pipeline.edge.store.reprocessing_results import BeforeAfter, Difference
from pipeline.edge.store.reprocessing_runs import Scope
from pipeline.sr.author.content import document
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.header import UnusableEvidenceError
from pipeline.sr.dicom.reader import read_elements


def differences(app: App, scope: Scope) -> Iterator[Difference]:
    """Yield the addenda of a scope that would be superseded, patient by patient."""
    after = 0
    while numbers := next_linked_patients(app.database, scope, after):
        _, found = differences_of(app, numbers, scope)
        yield from found
        after = numbers[-1]


def differences_of(app: App, numbers: Sequence[int], scope: Scope) -> tuple[int, list[Difference]]:
    """Return how many exams of linked patients were compared, and the addenda of these that would be superseded."""
    reader_fingerprint = app.reference_data.reader_fingerprint
    with app.database.read() as connection:
        if not exam_summaries.has_stale_readings(connection, reader_fingerprint):
            return _differences(app, connection, numbers, scope)
    compared, found = 0, []
    for number in numbers:
        with app.database.trial() as connection:  # reports are extracted again, and that is rolled back
            reextract(app, connection, exam_summaries.stale_exams(connection, [number], reader_fingerprint))
            of_patient = _differences(app, connection, [number], scope)
        compared += of_patient[0]
        found += of_patient[1]
    return compared, found


def _differences(
    app: App, connection: Connection, numbers: Sequence[int], scope: Scope
) -> tuple[int, list[Difference]]:
    compared, found = 0, []
    reference = app.reference_in_force(connection)
    for summary, linked_patients in answered_exams(connection, numbers, scope):
        compared += 1
        changed_inputs = reference.provenance_tracker.changed_inputs(summary, linked_patients)
        if not changed_inputs:
            continue
        difference = _difference(connection, summary, linked_patients, reference, changed_inputs)
        if difference is not None:
            found.append(difference)
    return compared, found


def _difference(
    connection: Connection,
    summary: ExamSummary,
    linked_patients: LinkedPatients,
    reference: ReferenceInForce,
    changed_inputs: tuple[ChangedInput, ...],
) -> Difference | None:
    (on_file,) = exams.load(connection, [summary.number])
    issued = outbox.latest(connection, summary.number)
    if issued is None:
        return None
    superseded = read_tree(read_elements(issued.data_set, ExplicitVRLittleEndian))
    before = read_back(superseded)
    try:
        found = examine(connection, on_file, linked_patients, reference)
    except (ContradictionError, UnusableEvidenceError) as problem:
        return Difference(
            exam=summary.number,
            addendum=issued.number,
            changed_inputs=changed_inputs,
            overall=(before.overall, before.overall),
            regions={},
            held=str(problem),
        )
    if not found.is_new:
        return None
    superseding = document(found.interpretation)
    after = read_back(superseding)
    sentences = changes(sentences_of(superseding), sentences_of(superseded))
    return Difference(
        exam=summary.number,
        addendum=issued.number,
        changed_inputs=changed_inputs,
        overall=(before.overall, after.overall),
        regions=_regions(before, after),
        removed=tuple(one.text for one in sentences if one.kind is Kind.REMOVED),
        added=tuple(one.text for one in sentences if one.kind is Kind.ADDED),
    )


def _regions(before: ReadBack, after: ReadBack) -> dict[str, dict[str, BeforeAfter]]:
    pairs: dict[str, dict[str, BeforeAfter]] = {}
    for key in sorted(before.regions.keys() | after.regions.keys()):
        old, new = before.regions.get(key, {}), after.regions.get(key, {})
        names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        if names:
            pairs[key] = {name: (_text(old.get(name)), _text(new.get(name))) for name in names}
    flags = (", ".join(before.flags), ", ".join(after.flags))
    return pairs if flags[0] == flags[1] else {"": {"FLAG": flags}, **pairs}


def _text(values: Sequence[str] | None) -> str:
    return ", ".join(values or ())
