"""Tables of clinical context and the exams on file: what is due again, what is warned of, what an addendum rests on."""

from datetime import date
from pathlib import Path

from pipeline.clinical.clinical_context import ClinicalContext, Therapy
from pipeline.edge.app import App, open_app
from pipeline.edge.operations import clinical_context
from pipeline.edge.operations.clinical_context import Loaded, PatientRecord
from pipeline.edge.operations.clinical_context_csv import read_context
from pipeline.edge.store import exam_summaries, patient_merges, patients
from pipeline.edge.store.exam_counts import ExamCounts
from tests.factories.answered_exams import follow_all, in_both_databases, l1_l4, receive, run
from tests.factories.instances import NOW, report

HEADS = "patient_id,issuer,recorded_on,pregnancy\n"


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@in_both_databases
def test_a_table_with_several_lines_for_a_day_tells_nothing_new_the_second_time(folder: Path) -> None:
    text = "patient_id,recorded_on,source,pregnancy,therapy\n" + "P1,{0},order,no,\nP1,{0},ward,,anabolic\n" * 2
    records = read_context(_file(folder, text.format("2026-02-01")))
    with open_app(folder) as app, app.database.write() as connection:
        assert clinical_context.store_records(connection, records, at=NOW).records == 2
        assert clinical_context.store_records(connection, records, at=NOW).records == 0
        back = read_context(_file(folder, "patient_id,recorded_on,therapy\nP1,2026-02-01,unknown\n"))
        assert clinical_context.store_records(connection, back, at=NOW).records == 1
        assert clinical_context.store_records(connection, back, at=NOW).records == 0
        assert clinical_context.store_records(connection, records, at=NOW).records == 1, (
            "what was taken back is recorded again"
        )
        kept = patients.contexts_of(connection, report().exam.patient)
    assert [record.unknown for record in kept if record.unknown] == [("therapy",)]


@in_both_databases
def test_a_patient_on_file_only_under_another_issuer_is_named_by_the_field_and_loaded(folder: Path) -> None:
    """E7: the exams are of no issuer; the record concerns them once the two are merged, and not after the undoing."""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", PatientID="SECRET1"), "2.25.1")
        follow_all(app)
        path = _file(
            folder, "patient_id,issuer,recorded_on,pregnancy\nSECRET1,SECRET2,2026-02-01,no\nNEW,,2026-02-01,no\n"
        )
        warning = (
            "line 2: the patient is on file only under another Issuer of Patient ID (0010,0021) than the one in the "
            "column issuer; the record concerns none of those exams",
        )
        assert _loaded(app, path) == Loaded(2, 0, warning)
        assert _loaded(app, path) == Loaded(0, 0, warning), "as long as it is so"
        _merge(app, ("SECRET1", "SECRET2"), ("SECRET1", ""))
        assert _loaded(app, path).warnings == ()
        _merge(app, ("SECRET1", "SECRET2"), ("SECRET1", ""), undo=True)
        assert _loaded(app, path).warnings == warning
        right = _file(folder, f"{HEADS}SECRET1,,2026-02-01,no\n")
        assert _loaded(app, right).warnings == ()


def _loaded(app: App, path: Path) -> Loaded:
    with app.database.write() as connection:
        return clinical_context.store_records(connection, read_context(path), at=NOW)


def _merge(app: App, old: tuple[str, str], new: tuple[str, str], *, undo: bool = False) -> None:
    with app.database.write() as connection:
        one, other = (patients.number_of(connection, *who) for who in (old, new))
        assert (patient_merges.undo if undo else patient_merges.merge)(connection, one, other, at=NOW)


@in_both_databases
def test_every_record_up_to_an_exams_day_is_an_input_of_its_addendum_and_a_later_one_is_not(folder: Path) -> None:
    """E7: the oldest record may be the one that holds; a new one beside a newer one changes the inputs all the same."""
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        newer = ClinicalContext(recorded_on=date(2023, 6, 1), therapy=Therapy.NONE)
        older = ClinicalContext(recorded_on=date(2023, 1, 1), cancer_therapy=True)
        later = ClinicalContext(recorded_on=date(2024, 1, 2), cancer_therapy=False)
        for record, counts in ((newer, True), (older, True), (later, False)):
            with app.database.write() as connection:
                one = PatientRecord(patient_id="P1", issuer="", record=record)
                assert clinical_context.store_records(connection, [one], at=NOW).exams == counts
            assert ["context" in changed_inputs for changed_inputs in _shifts(app)] == [False, counts]
            follow_all(app)
            assert _shifts(app) == [(), ()]
        assert run(app) == ExamCounts(examined=2)


def _shifts(app: App) -> list[tuple[str, ...]]:
    with app.database.read() as connection:
        linked_patients = exam_summaries.linked_patients_of(connection, 1)
        tracker = app.reference_in_force(connection).provenance_tracker
    return [tuple(tracker.changed_inputs(visit, linked_patients)) for visit in linked_patients.summaries]
