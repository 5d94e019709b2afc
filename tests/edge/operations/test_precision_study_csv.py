"""A study's table with mistakes is refused whole, with all of them at once; nothing of it is taken."""

import pytest

from pipeline.clinical.precision_study import UnfitStudyError
from pipeline.edge.operations.cross_calibration_csv import read_pairs
from pipeline.edge.operations.precision_study_csv import MOST_BYTES, evaluate_table
from tests.factories.studies import paired_rows, study_rows, table, vertebra_rows


def mistakes_of(content: bytes) -> tuple[str, ...]:
    with pytest.raises(UnfitStudyError) as refused:
        evaluate_table(content)
    return refused.value.reasons


def test_a_sound_table_gives_one_study_for_each_region() -> None:
    found = evaluate_table(table(study_rows(regions=("L1-L4", "total hip left"))))
    assert [str(one.study.region) for one in found] == ["L1-L4", "total hip left"]
    assert [one.study.degrees_of_freedom for one in found] == [30, 30]
    assert [one.study.objections for one in found] == [(), ()]


def test_everything_wrong_with_a_table_is_said_at_once() -> None:
    """A missing scan, two units, a region nobody knows and 14 patients, in one table."""
    rows = study_rows(patients=14, scans=3)
    rows += study_rows(regions=("femoral neck left",), patients=30)
    rows[0]["region"] = "elbow"
    rows[3]["bmd"] = "912"
    rows.remove(next(row for row in rows if row["patient"] == "P09" and row["region"] == "femoral neck left"))
    assert mistakes_of(table(rows)) == (
        "line 2: region names no region we know",
        "bmd: two units: line 5 is as in mg/cm2; every bmd has to be in g/cm2",
        "femoral neck left: patient P09 was scanned once",
        "L1-L4: 26 degrees of freedom; 15 patients x 3 scans or 30 x 2 give 30 (R1.2)",
    )


def test_a_line_that_cannot_be_read_makes_no_second_mistake_of_its_patient() -> None:
    rows = study_rows()
    rows[1]["bmd"] = "0.9x"
    assert mistakes_of(table(rows)) == ("line 3: bmd: a number is written 0.927 or 0,927",)


def test_a_missing_scan_among_three_is_named_with_its_patient() -> None:
    rows = study_rows(patients=15, scans=3)
    del rows[4]
    (found,) = evaluate_table(table(rows))
    assert found.study.objections == ("29 degrees of freedom; 15 patients x 3 scans or 30 x 2 give 30 (R1.2)",)
    assert "most patients have 3 scans, and fewer have: P02 (2)" in found.study.doubts


@pytest.mark.parametrize(
    ("units", "mistake"),
    [
        (["g/cm2", "mg/cm2"], "unit: the table has two units; every bmd has to be in g/cm2"),
        (["mg/cm2"], "unit: lines 2, 3, 4, 5, 6 and 55 more are not in g/cm2; every bmd has to be"),
    ],
)
def test_a_table_in_another_unit_is_refused(units: list[str], mistake: str) -> None:
    rows = [row | {"unit": units[at % len(units)]} for at, row in enumerate(study_rows())]
    assert mistake in mistakes_of(table(rows))


def test_a_table_that_is_all_in_mg_is_refused() -> None:
    rows = [row | {"bmd": str(row["bmd"]).replace("0.", "").replace("1.", "1")} for row in study_rows()]
    (mistake,) = mistakes_of(table(rows))
    assert mistake == "bmd: lines 2, 3, 4, 5, 6 and 55 more are as in mg/cm2; every bmd has to be in g/cm2"


def test_vertebrae_give_a_study_of_each_set_and_none_of_one_vertebra() -> None:
    """R1.15"""
    found = evaluate_table(table(vertebra_rows()))
    assert [str(one.study.region) for one in found] == [
        "L1-L4",
        "L1-L3",
        "L1-L2,L4",
        "L1,L3-L4",
        "L2-L4",
        "L1-L2",
        "L1,L3",
        "L1,L4",
        "L2-L3",
        "L2,L4",
        "L3-L4",
    ]
    assert all(one.reanalysed for one in found)
    assert {one.study.degrees_of_freedom for one in found} == {30}


def test_a_vertebra_without_area_is_a_line_like_any_other() -> None:
    rows = [{name: row[name] for name in ("patient", "scan", "region", "bmd")} for row in vertebra_rows()]
    assert [str(one.study.region) for one in evaluate_table(table(rows))] == ["L1", "L2", "L3", "L4"]


def test_a_missing_vertebra_is_named() -> None:
    rows = vertebra_rows()
    del rows[2]
    assert mistakes_of(table(rows)) == ("patient P01, scan 1: L3 missing",)


def test_what_is_too_large_or_no_table_is_refused() -> None:
    assert mistakes_of(b"x" * (MOST_BYTES + 1)) == ("the table is larger than 1000 kB: it is no study",)
    assert mistakes_of(b"\0\0")[0].startswith("the table is not UTF-8 text")
    assert mistakes_of(b"") == tuple(f"the column {name} is missing" for name in ("patient", "scan", "region", "bmd"))
    assert mistakes_of(b"patient,scan,region,bmd\n") == ("there are no scans",)


def test_pairs_with_mistakes_are_refused_whole() -> None:
    """R2.7"""
    rows = paired_rows()
    rows[0]["scanner"] = "room 2"
    rows[1]["region"] = "elbow"
    rows[2]["bmd"] = "812"
    with pytest.raises(UnfitStudyError) as refused:
        read_pairs(table(rows))
    assert refused.value.reasons == (
        "line 2: scanner: old or new",
        "line 3: region names no region we know",
        "bmd: two units: line 4 is as in mg/cm2; every bmd has to be in g/cm2",
    )


def test_a_phantoms_table_needs_no_patient() -> None:
    rows = [{name: value for name, value in row.items() if name != "patient"} for row in paired_rows()]
    assert len(read_pairs(table(rows), phantom=True)) == 90
    with pytest.raises(UnfitStudyError, match="the column patient is missing"):
        read_pairs(table(rows))
