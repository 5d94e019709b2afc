"""Tables that people type are read whole or not at all, and every error is reported with its line."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical.clinical_context import FractureSite, Menopause, Therapy
from pipeline.clinical.precision_study import PrecisionScan
from pipeline.clinical.regions import parse_region
from pipeline.edge.operations import clinical_context
from pipeline.edge.operations.clinical_context import PatientRecord, readers
from pipeline.edge.operations.clinical_context_csv import read_context
from pipeline.edge.operations.csv_table import CsvTableError
from pipeline.edge.operations.precision_study_csv import read_table
from pipeline.edge.store import exams, patients, readings, receipts, work_queue
from pipeline.edge.store.database import Database
from pipeline.edge.store.schema import exam
from tests.factories.instances import NOW, instance, report


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read_study(path: Path) -> list[PrecisionScan]:
    table = read_table(path.read_bytes())
    if table.mistakes:
        raise CsvTableError(table.mistakes)
    return table.scans


def _mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(CsvTableError) as refused:
        read_context(_file(folder, text))
    return list(refused.value.mistakes)


def test_a_record_is_read_with_every_kind_of_column(tmp_path: Path) -> None:
    (one,) = read_context(
        _file(
            tmp_path,
            "patient_id,issuer,recorded_on,menopause,therapy,therapy_since,glucocorticoid_mg,spinal_hardware,source\n"
            " P1 ,HOSPITAL,2026-02-01,after,antiresorptive,2025-01-15,7.5,no,questionnaire\n",
        )
    )
    assert (one.patient_id, one.issuer) == ("P1", "HOSPITAL")
    assert (one.record.menopause, one.record.therapy) == (Menopause.AFTER, Therapy.ANTIRESORPTIVE)
    assert (one.record.therapy_since, one.record.glucocorticoid_mg) == (date(2025, 1, 15), Decimal("7.5"))
    assert (one.record.spinal_hardware, one.record.contrast) == (False, None), "empty is unknown, and never no"


def test_a_line_of_thousands_of_columns_is_no_table_and_is_not_compared_with_itself(tmp_path: Path) -> None:
    told = _mistakes(tmp_path, ",".join(f"c{number}" for number in range(150_000)))
    assert told == ["the first line has more than 100 columns: it is no table of ours"]


def test_semicolons_and_a_byte_order_mark_are_what_spreadsheets_write(tmp_path: Path) -> None:
    (one,) = read_context(_file(tmp_path, "\ufeffpatient_id;recorded_on;pregnancy\nP1;2026-02-01;Yes\n\n"))
    assert one.record.pregnancy is True


def test_all_errors_are_reported_together_by_line_and_column_without_the_text(tmp_path: Path) -> None:
    told = _mistakes(
        tmp_path,
        "patient_id,recorded_on,menopause,glucocorticoid_mg,contrast\n"
        ",01.02.2026,perhaps,\n"
        'SECRET,2026-02-01,after,"7,5",maybe,too many\n'
        "P3,2026-02-01,after,-1,\n",
    )
    assert told == [
        "line 2: patient_id is empty",
        "line 2: recorded_on: a date is written 2026-03-02",
        "line 2: menopause: one of before, transition, after",
        "line 3: more cells than columns",
        "line 3: contrast: yes or no, or empty where nothing is known",
        *[mistake for mistake in told if mistake.startswith("line 4")],
    ]
    assert len(told) == 6
    assert "SECRET" not in "".join(told)


def test_columns_that_are_missing_unknown_or_doubled_are_named(tmp_path: Path) -> None:
    told = _mistakes(tmp_path, "patient_id,drug,therapy,therapy\nP1,x,,\n")
    assert told == [
        "the column recorded_on is missing",
        "the column 'drug' is unknown",
        "the column therapy is there twice",
    ]


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CsvTableError):
        read_context(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"patient\x81id")
    with pytest.raises(CsvTableError, match="is not UTF-8 text"):
        read_context(tmp_path / "binary.csv")


def test_a_day_that_has_not_come_is_refused_by_its_line_and_today_is_not(tmp_path: Path) -> None:
    """E7"""
    text = "patient_id,recorded_on,therapy,therapy_since\nP1,{},anabolic,{}\n"
    today = date(2026, 3, 2)
    for recorded_on, since, wrong in (
        ("2026-03-02", "2026-03-02", []),
        ("2026-03-03", "2026-03-02", ["recorded_on"]),
        ("2026-03-02", "2026-03-03", ["therapy_since"]),
        ("2062-03-02", "2062-03-02", ["recorded_on", "therapy_since"]),
    ):
        path = _file(tmp_path, text.format(recorded_on, since))
        if not wrong:
            assert len(read_context(path, today=today)) == 1
            continue
        with pytest.raises(CsvTableError) as refused:
            read_context(path, today=today)
        assert list(refused.value.mistakes) == [f"line 2: {name}: a day that has not come yet" for name in wrong]
    assert _mistakes(tmp_path, text.format("9999-01-01", "")) == ["line 2: recorded_on: a day that has not come yet"]


def test_a_fracture_has_a_site_of_three(tmp_path: Path) -> None:
    """E14"""
    text = "patient_id,recorded_on,fragility_fracture,fracture_site\n"
    lines = "P1,2026-02-01,,Hip\nP1,2026-02-02,yes,vertebra\nP1,2026-02-03,,other\n"
    found = [one.record for one in read_context(_file(tmp_path, text + lines))]
    assert [record.fracture_site for record in found] == list(FractureSite)
    assert all(record.fragility_fracture for record in found)
    assert _mistakes(tmp_path, text + "P1,2026-02-01,no,hip\nP1,2026-02-01,,wrist\n") == [
        "line 2: fracture_site is set, but fragility_fracture is no",
        "line 3: fracture_site: one of hip, vertebra, other",
    ]


def test_unknown_takes_back_and_empty_tells_nothing(tmp_path: Path) -> None:
    """E7: for every column of what is known of a patient."""
    names = [name for name in readers() if name not in ("recorded_on", "source")]
    path = _file(tmp_path, f"patient_id,recorded_on,{','.join(names)}\nP1,2026-02-01{',Unknown' * len(names)}\n")
    (one,) = read_context(path)
    assert one.record.unknown == tuple(names)
    assert {getattr(one.record, name) for name in names} == {None, ""}
    (one,) = read_context(_file(tmp_path, f"patient_id,recorded_on,{','.join(names)}\nP1,2026-02-01\n"))
    assert one.record.unknown == ()


def test_every_column_of_the_context_has_a_reader() -> None:
    assert {"recorded_on", "menopause", "frax_hip_percent", "non_dominant_arm", "pregnancy"} <= readers().keys()


def test_loading_context_makes_the_exams_from_that_day_on_due_again_once(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        number, _ = receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
        exam_number = readings.record(connection, number, report(), readings.ReportArrival(due_at=NOW, seen_at=NOW))
        work_queue.claim(connection, exam, limit=1, at=NOW)
        exams.finish_follow_up(connection, exams.load(connection, [exam_number])[0])
    records = read_context(
        _file(tmp_path, "patient_id,recorded_on,menopause\nP1,2026-02-01,after\nP9,2026-02-01,after\n")
    )
    with database.write() as connection:
        loaded = clinical_context.store_records(connection, records, at=NOW)
        assert (loaded.records, loaded.exams) == (2, 1)
        assert work_queue.claim(connection, exam, limit=1, at=NOW) == [exam_number]
        exams.finish_follow_up(connection, exams.load(connection, [exam_number])[0])
    with database.write() as connection:
        again = clinical_context.store_records(connection, records, at=NOW)
        assert (again.records, again.exams) == (0, 0)
        (told,) = patients.contexts_of(connection, report().exam.patient)
    assert told == records[0].record


def test_context_of_a_later_day_leaves_earlier_exams_alone(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        number, _ = receipts.store(connection, instance(), calling_ae_title="SCANNER1", at=NOW)
        exam_number = readings.record(connection, number, report(), readings.ReportArrival(due_at=NOW, seen_at=NOW))
        work_queue.claim(connection, exam, limit=1, at=NOW)
        exams.finish_follow_up(connection, exams.load(connection, [exam_number])[0])
        late = read_context(_file(tmp_path, "patient_id,recorded_on,pregnancy\nP1,2026-03-03,no\n"))
        assert clinical_context.store_records(connection, late, at=NOW).exams == 0


def test_a_correction_for_a_day_is_kept_beside_what_it_corrects(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        for answer in ("yes", "no", "yes"):
            one: list[PatientRecord] = read_context(
                _file(tmp_path, f"patient_id,recorded_on,pregnancy\nP1,2026-02-01,{answer}\n")
            )
            clinical_context.store_records(connection, one, at=NOW)
        found = patients.contexts_of(connection, report().exam.patient)
    assert [record.pregnancy for record in found] == [True, False, True]


def test_a_precision_study_is_read_scan_by_scan(tmp_path: Path) -> None:
    scans = read_study(
        _file(
            tmp_path, "patient,scan,region,bmd,technologist\nA,1,total hip left,0.812,KL\nA,2,total hip left,0.820,\n"
        )
    )
    assert [(scan.scan, scan.bmd, scan.technologist) for scan in scans] == [
        ("1", Decimal("0.812"), "KL"),
        ("2", Decimal("0.820"), ""),
    ]
    assert scans[0].region == parse_region("total hip left")


def test_a_precision_study_with_mistakes_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(CsvTableError) as refused:
        read_study(_file(tmp_path, "patient,scan,region,bmd\nA,1,elbow,0.8\nA,,L1-L4,x\nA,3,L1-L4,\n"))
    assert refused.value.mistakes == (
        "line 2: region names no region we know",
        "line 3: scan is empty",
        "line 3: bmd: a number is written 0.927 or 0,927",
        "line 4: bmd is empty",
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_table_as_spreadsheets_save_it_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "context.csv").write_bytes("patient_id;recorded_on;source\r\nP1;2026-03-02;Müller".encode(encoding))
    (found,) = read_context(tmp_path / "context.csv")
    assert found.record.source == "Müller"


def test_a_table_in_another_encoding_or_with_an_endless_cell_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "context.csv"
    path.write_bytes("patient_id,recorded_on,source\nP1,2026-03-02,Müller".encode("latin-1"))
    with pytest.raises(CsvTableError, match="is not UTF-8 text in line 2"):
        read_context(path)
    path.write_text(f"patient_id,recorded_on,source\nP1,2026-03-02,{'x' * 200_000}")
    with pytest.raises(CsvTableError, match="line 2"):
        read_context(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_precision_study_is_read_as_spreadsheets_save_it(tmp_path: Path, encoding: str, separator: str) -> None:
    """E8: decimal commas, and every encoding and separator of a spreadsheet."""
    rows = [
        ("patient", "scan", "region", "bmd", "technologist", "date"),
        ("A", "1", "L1-L4", "0,912", "Müller", "2026-01-07"),
        ("A", "2", "L1-L4", "1", "Müller", "2026-01-08"),
        ("A", "3", "L1-L4", "0.9", "", ""),
    ]
    path = tmp_path / "study.csv"
    path.write_bytes("\r\n".join(separator.join(row) for row in rows).encode(encoding))
    found = [(scan.bmd, scan.technologist, scan.day) for scan in read_study(path)]
    assert found == [
        (Decimal("0.912"), "Müller", date(2026, 1, 7)),
        (Decimal(1), "Müller", date(2026, 1, 8)),
        (Decimal("0.9"), "", None),
    ]


@pytest.mark.parametrize("text", ["1.234,5", "1,2,3", "0,9.1", ",9", "9,", "1_0", "1e-1", "٠.٩", "NaN", "0'9", "- 1"])
def test_a_number_that_may_mean_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = _file(tmp_path, f"patient;scan;region;bmd\nA;1;L1-L4;{text}\n")
    with pytest.raises(CsvTableError) as refused:
        read_study(path)
    assert refused.value.mistakes == ("line 2: bmd: a number is written 0.927 or 0,927",)


def test_a_decimal_comma_between_separating_commas_is_refused_and_never_read_as_a_whole_number(tmp_path: Path) -> None:
    for heads, line, mistake in (
        ("patient,scan,region,bmd", "A,1,L1-L4,1,034", "more cells than columns"),
        (
            "patient,scan,region,bmd,technologist",
            "A,1,L1-L4,1,034",
            "bmd: a decimal comma in a table",
        ),
        ("patient,scan,region,bmd,date", "A,1,L1-L4,1,034", "date: a date is written"),
    ):
        with pytest.raises(CsvTableError, match=mistake):
            read_study(_file(tmp_path, f"{heads}\n{line}\n"))


def test_a_record_of_context_may_have_a_decimal_comma(tmp_path: Path) -> None:
    (one,) = read_context(_file(tmp_path, "patient_id;recorded_on;glucocorticoid_mg\nP1;2026-02-01;7,5\n"))
    assert one.record.glucocorticoid_mg == Decimal("7.5")


def test_what_is_in_no_encoding_of_a_spreadsheet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    for content in (b"patient,scan,region,bmd\nM\x81,1,L1-L4,0.9\n", b"p\0a\0t\0"):
        path.write_bytes(content)
        with pytest.raises(CsvTableError, match="is not UTF-8 text"):
            read_study(path)
