"""``dxatrend precision`` and ``cross-calibration``: the register on the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.app import open_app
from tests.factories.answered_exams import EPOCH, follow_all, l1_l4, lsc, receive, run
from tests.factories.studies import paired_rows, study_rows, table, vertebra_rows

SERVICE = '[store]\nurl = "sqlite:///{0}/store.sqlite3"\n[exam]\nlate_days = 36500\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A department whose scanner DF+1 has sent three exams, without an LSC."""
    (tmp_path / "service.toml").write_text(SERVICE.format(tmp_path))
    with open_app(tmp_path) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101"), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
    return tmp_path


def called(config: Path, *words: str) -> int:
    return main([*words, "--config", str(config)])


def study(folder: Path, content: bytes, name: str = "study.csv") -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


def proposed(config: Path, file: str, *more: str) -> int:
    return called(config, "precision", "propose", file, "--source", "study of March", *more)


def test_a_study_is_proposed_compared_accepted_listed_and_withdrawn(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = study(config, table(study_rows()))
    assert proposed(config, file, "--valid-from", "2023-01-01", "--valid-until", "2050-01-01", "--reason", "new") == 0
    assert "proposed as R1; none of them counts yet" in capsys.readouterr().out
    assert called(config, "precision", "accept", "R1", "--dry-run") == 0
    dry_run = capsys.readouterr().out
    assert "E2" in dry_run
    assert "NO_LSC" in dry_run
    assert called(config, "precision", "accept", "r1", "--reason", "checked") == 0
    assert "R1 is accepted" in capsys.readouterr().out
    assert called(config, "precision", "list") == 0
    listed = capsys.readouterr().out
    assert "study of March" in listed
    assert "30 x 2" in listed
    assert "No LSC counts today" not in listed
    assert called(config, "precision", "worksheet", "R1") == 0
    assert "degrees of freedom     30" in capsys.readouterr().out
    assert called(config, "precision", "accept", "R1") == 1
    assert "record 1 is accepted, so it cannot be accepted" in capsys.readouterr().err
    assert called(config, "precision", "withdraw", "R1", "--reason", "the wrong scanner") == 0
    capsys.readouterr()
    assert called(config, "precision", "list", "--all") == 0
    listed = capsys.readouterr().out
    assert "No LSC counts today" in listed
    assert "the wrong scanner" in listed
    assert called(config, "precision", "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counting"] == []
    assert [one["decisions"][-1]["standing"] for one in found["past"]] == ["withdrawn"]


def test_a_decision_reaches_the_next_exam_without_a_reload(config: Path) -> None:
    assert proposed(config, study(config, table(study_rows())), "--valid-from", "2023-01-01") == 0
    with open_app(config) as running:
        assert run(running).issued == 0
        assert called(config, "precision", "accept", "R1") == 0
        assert run(running).issued == 1


def test_a_declined_record_never_counts(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert proposed(config, study(config, table(study_rows()))) == 0
    assert called(config, "precision", "decline", "R1", "--reason", "other scanner") == 0
    assert called(config, "precision", "accept", "R1") == 1
    assert "record 1 is declined" in capsys.readouterr().err


def test_a_table_with_mistakes_is_refused_with_all_of_them(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = study_rows(patients=14)
    rows[0]["region"] = "elbow"
    rows[5]["bmd"] = "912"
    file = study(config, table(rows))
    for command in ("study", "propose"):
        words = ["--source", "x"] if command == "propose" else []
        assert called(config, "precision", command, file, *words) == 1
        told = capsys.readouterr().err
        assert "This is not a usable precision study:\n  line 2: region" in told
        assert "two units: line 7" in told
        assert "degrees of freedom" in told
    assert called(config, "precision", "study", str(config / "nowhere.csv")) == 1
    assert "nowhere.csv: No such file or directory" in capsys.readouterr().err


def test_every_set_of_vertebrae_is_proposed_and_a_single_vertebra_is_left_out(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R1.15"""
    assert proposed(config, study(config, table(vertebra_rows()))) == 0
    assert "proposed as R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11;" in capsys.readouterr().out
    rows = [{name: row[name] for name in ("patient", "scan", "region", "bmd", "date")} for row in vertebra_rows()]
    assert proposed(config, study(config, table(rows + study_rows()))) == 0
    assert "left out: L1 is not monitored" in capsys.readouterr().out


def test_the_scanner_of_a_study_has_to_be_known(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert proposed(config, study(config, table(study_rows())), "--serial-number", "NOBODY") == 1
    assert "known are: GE Healthcare Lunar Prodigy (serial number DF+1)" in capsys.readouterr().err
    assert called(config, "precision", "accept", "seven") == 1
    assert "records are written as R3" in capsys.readouterr().err
    for words in (["accept", "R7", "--dry-run"], ["accept", "R7"], ["worksheet", "R7"]):
        assert called(config, "precision", *words) == 1
        assert capsys.readouterr().err == "the register has no record 7\n"


def test_the_file_is_imported_once_and_check_names_an_entry_without_effect(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / "precision.toml").write_text(lsc())
    assert called(config, "precision", "import") == 0
    assert "1 entries imported, 0 in the register before" in capsys.readouterr().out
    assert called(config, "precision", "import") == 0
    assert "0 entries imported, 1 in the register before" in capsys.readouterr().out
    (config / "precision.toml").write_text(lsc(lsc="0.035"))
    called(config, "check")
    assert "L1-L4, in vivo study: this entry has no effect" in capsys.readouterr().out
    assert called(config, "precision", "import") == 0
    assert "another record from the same day on: R2" in capsys.readouterr().out


def test_check_asks_for_a_new_study_after_a_new_calibration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R1.11"""
    assert proposed(config, study(config, table(study_rows())), "--valid-from", "2025-01-01") == 0
    assert called(config, "precision", "accept", "R1") == 0
    called(config, "check")
    assert "please repeat the precision study" not in capsys.readouterr().out
    (config / "scanners.toml").write_text(EPOCH.format(begins="2026-01-01"))
    called(config, "check")
    told = (
        "L1-L4 on GE Healthcare Lunar Prodigy (serial number DF+1): a new calibration epoch began on 2026-01-01 (moved)"
    )
    assert told in capsys.readouterr().out
    assert called(config, "precision", "list") == 0
    assert "repeat the study: a new calibration epoch began on 2026-01-01" in capsys.readouterr().out


def test_status_reminds_of_an_lsc_of_the_register(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    today = datetime.now(UTC).date().isoformat()
    file = study(config, table(study_rows()))
    assert proposed(config, file, "--valid-from", "2020-01-01", "--valid-until", today) == 0
    assert called(config, "precision", "accept", "R1") == 0
    capsys.readouterr()
    assert called(config, "status") == 0
    assert f"expires on {today}" in capsys.readouterr().out


def test_a_new_scanner_is_cross_calibrated_from_worksheet_to_addendum(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R2.7, R2.10"""
    (config / "precision.toml").write_text(lsc())
    with open_app(config) as app:
        receive(app, l1_l4("0.850", study="2.25.12", date="20250101", DeviceSerialNumber="DF+2"), "2.25.3")
        follow_all(app)
        run(app)
    file = study(config, table(paired_rows()), "pairs.csv")
    scanners = ("--old", "DF+1", "--new", "DF+2", "--valid-from", "2024-06-01")
    assert called(config, "cross-calibration", "study", file, *scanners) == 0
    worksheet = capsys.readouterr().out
    assert "generalised LSC" in worksheet
    assert "NOT FOR CLINICAL USE" not in worksheet
    assert called(config, "cross-calibration", "propose", file, *scanners, "--source", "in vivo, May") == 0
    assert called(config, "precision", "accept", "R1", "--dry-run") == 0
    assert "E3" in capsys.readouterr().out
    assert called(config, "precision", "accept", "R1") == 0
    assert called(config, "precision", "list") == 0
    assert "in vivo, May" in capsys.readouterr().out
    few = study(config, table(paired_rows(patients=29)), "few.csv")
    assert called(config, "cross-calibration", "study", few, *scanners) == 1
    assert "NOT FOR CLINICAL USE: 29 patients" in capsys.readouterr().out
    assert called(config, "cross-calibration", "propose", few, *scanners, "--source", "x") == 1
    assert "L1-L4: 29 patients; 30 are needed (R2.7)" in capsys.readouterr().err


def test_a_doubtful_cross_calibration_is_told_by_its_worksheet_and_by_check(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R2.10: a GLSC below what both precisions allow."""
    (config / "precision.toml").write_text(lsc(lsc="0.090"))
    file = study(config, table(paired_rows()), "pairs.csv")
    with open_app(config) as app:
        receive(app, l1_l4("0.850", study="2.25.12", date="20250101", DeviceSerialNumber="DF+2"), "2.25.3")
    scanners = ("--old", "DF+1", "--new", "DF+2")
    assert called(config, "cross-calibration", "study", file, *scanners) == 0
    assert "is better than the scanners' own precision allows" in capsys.readouterr().out
    assert called(config, "cross-calibration", "propose", file, *scanners, "--source", "in vivo") == 0
    assert called(config, "precision", "accept", "R1") == 0
    called(config, "check")
    assert "please check: cross-calibration of L1-L4" in capsys.readouterr().out


def test_a_phantom_on_two_scanners_is_compared(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R2.6"""
    for shift, status in (("0.004", 0), ("0.020", 1)):
        rows = [
            {"scanner": scanner, "scan": at, "region": "L1-L4", "bmd": f"{1 + at / 1000 + more:.3f}"}
            for scanner, more in (("old", 0.0), ("new", float(shift)))
            for at in range(10)
        ]
        assert called(config, "cross-calibration", "phantom", study(config, table(rows), "phantom.csv")) == status
    assert "MORE THAN 1 %" in capsys.readouterr().out
