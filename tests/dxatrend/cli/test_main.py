"""Commands and what they print, with a store in a file and no service running."""

import json
import random
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dxatrend.cli.main import main
from pipeline.clinical.model import Scanner
from pipeline.edge.app import open_app
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.store import scanners
from tests.factories import reports as make
from tests.factories.images import HEADS, apex, dxa_results, hologic_picture, picture, roi, scan


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with its store beside it."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    (folder / "scanners.toml").write_text("""
        [[scanner]]
        manufacturer = "Hologic"
        model = "Horizon A"
        serial_number = "302081M"
        """)
    with open_app(folder):
        return folder


def _study(folder: Path, patients: int, *, region: str = "L1-L4", days: Sequence[str] = ("05", "06")) -> Path:
    """Two scans of each patient, on these days of a month."""
    noise = random.Random(1)
    rows = ["patient;scan;region;bmd;technologist;date"]
    for patient in range(patients):
        true = noise.uniform(0.7, 1.2)
        for number, day in enumerate(days):
            on = f"2026-01-{day}" if day else ""
            rows.append(f"P{patient};{number};{region};{noise.gauss(true, 0.01):.3f};KL;{on}".replace(".", ","))
    path = folder / "study.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_precision_study_becomes_an_entry_that_the_configuration_takes(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R1.1, R1.4, R1.7: 30 patients x 2 scans, RMS-SD, LSC = 2.77 x PE."""
    study = _study(tmp_path, 30)
    assert main(["precision", str(study), "--config", str(config), "--valid-until", "2030-01-01"]) == 0
    worksheet, _, block = capsys.readouterr().out.partition("# for config/precision.toml\n")
    assert "degrees of freedom     30" in worksheet
    (entry,) = tomllib.loads(block)["lsc"]
    assert (entry["serial_number"], entry["region"], entry["patients"]) == ("302081M", "L1-L4", 30)
    assert entry["same_day"] is False
    (config / "precision.toml").write_text(block)
    assert len(load_configuration(config)[0].lscs) == 1


def test_a_study_that_is_too_small_is_shown_and_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R1.2: fewer than 30 degrees of freedom are not enough for clinical use."""
    assert main(["precision", str(_study(tmp_path, 20)), "--config", str(config)]) == 1
    printed = capsys.readouterr().out
    assert "NOT FOR CLINICAL USE" in printed
    assert "[[lsc]]" not in printed


def _entry(printed: str) -> dict[str, Any]:
    (entry,) = tomllib.loads(printed.partition("# for config/precision.toml\n")[2])["lsc"]
    return dict(entry)


@pytest.mark.parametrize(
    ("region", "days", "same_day"),
    [
        ("L1-L4", ("05", "05"), True),
        ("L1-L4", ("05", "06"), False),
        ("L1-L4", ("05", "06", "06"), True),
        ("L1-L4", ("05", ""), "FILL IN"),
        ("L1-L4", ("", ""), "FILL IN"),
        ("L1-L3", ("05", "05"), True),
        ("total hip left", ("05", "06"), False),
        ("total hip left", ("", ""), None),
    ],
)
def test_the_days_of_the_scans_show_whether_a_study_repeated_them_on_one_day(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    region: str,
    days: Sequence[str],
    same_day: bool | str | None,
) -> None:
    """E8, R1.15: what the table does not state is asked for, and the configuration does not take it otherwise."""
    assert main(["precision", str(_study(tmp_path, 30, region=region, days=days)), "--config", str(config)]) == 0
    printed = capsys.readouterr().out
    assert _entry(printed).get("same_day") == same_day
    assert ("unknown; fill in same_day" in printed) is (same_day == "FILL IN")
    (config / "precision.toml").write_text(printed.partition("# for config/precision.toml\n")[2])
    if same_day == "FILL IN":
        with pytest.raises(SettingsError):
            load_configuration(config)
    else:
        assert len(load_configuration(config)[0].lscs) == 1


ANOTHER = """
[[scanner]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
[[scanner.epoch]]
from = 2020-01-01
reason = "installed"
cross_calibrated = false
[[scanner.epoch]]
from = 2028-07-01
reason = "moved"
cross_calibrated = false
"""


@pytest.mark.parametrize(
    ("more", "manufacturer", "model", "until"),
    [
        (["--serial-number", "302081m", "--valid-from", "2026-03-02"], "Hologic", "Horizon A", "2031-03-02"),
        (["--serial-number", "302081M", "--valid-from", "2024-02-29"], "Hologic", "Horizon A", "2029-02-28"),
        (["--serial-number", "DF+1", "--valid-from", "2026-03-02"], "GE Healthcare", "Lunar Prodigy", "2028-06-30"),
        (["--serial-number", "DF+1", "--valid-from", "2028-07-01"], "GE Healthcare", "Lunar Prodigy", "2033-07-01"),
        (["--serial-number", "DF+1", "--valid-from", "2019-01-01"], "GE Healthcare", "Lunar Prodigy", "2019-12-31"),
        (
            ["--serial-number", "DF+1", "--valid-from", "2026-03-02", "--valid-until", "2026-03-02"],
            *("GE Healthcare", "Lunar Prodigy", "2026-03-02"),
        ),
        (["--serial-number", "NOBODY", "--valid-from", "2026-03-02"], "FILL IN", "FILL IN", "2031-03-02"),
        (["--valid-from", "2026-03-02"], "FILL IN", "FILL IN", "2031-03-02"),
    ],
)
def test_an_entry_names_the_scanner_and_holds_five_years_or_until_it_is_calibrated_anew(
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    manufacturer: str,
    model: str,
    until: str,
) -> None:
    """E8: and whoever takes it is reminded what happens after its last day."""
    with (config / "scanners.toml").open("a") as scanners:
        scanners.write(ANOTHER)
    assert main(["precision", str(_study(tmp_path, 30)), "--config", str(config), *more]) == 0
    captured = capsys.readouterr()
    entry = _entry(captured.out)
    assert (entry["manufacturer"], entry["model"]) == (manufacturer, model)
    assert entry["valid_until"] == date.fromisoformat(until)
    assert "  # repeat the study before: of later exams no change is judged (NO_LSC)" in captured.out
    assert ("replace FILL IN yourself" in captured.err) is (manufacturer == "FILL IN")


@pytest.mark.parametrize(
    "more", [["--valid-from", "2026-03-02", "--valid-until", "2026-03-01"], ["--valid-until", "2020-01-01"]]
)
def test_an_entry_that_would_end_before_it_begins_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """E8: also where it would begin today."""
    assert main(["precision", str(_study(tmp_path, 30)), "--config", str(config), *more]) == 1
    captured = capsys.readouterr()
    assert "lies before --valid-from" in captured.err
    assert captured.out == ""


def test_check_and_status_remind_of_an_lsc_that_expires(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """E8, R1.12: in time, and for a year after."""
    today = date.today()  # noqa: DTZ011 - the department's own day
    for days, expires in ((91, None), (90, "expires"), (0, "expires"), (-1, "expired"), (-366, None)):
        until = today + timedelta(days=days)
        (config / "precision.toml").write_text(LSC.format(until=until))
        main(["check", "--config", str(config)])
        checked = capsys.readouterr().out
        assert main(["status", "--config", str(config)]) == 0
        for printed in (checked, capsys.readouterr().out):
            assert ("please repeat the precision study" in printed) is (expires is not None), days
            assert not expires or f"(serial number 302081M) {expires} on {until}" in printed
        assert main(["status", "--json", "--config", str(config)]) == 0
        running_out = json.loads(capsys.readouterr().out)["lscs_running_out"]
        assert [one["valid_until"] for one in running_out] == ([until.isoformat()] if expires else [])


LSC = """
[[lsc]]
manufacturer = "Hologic"
model = "Horizon A"
serial_number = "302081M"
region = "total hip"
lsc = "0.027"
patients = 30
repeats = 2
valid_from = 2010-01-01
valid_until = {until}
source = "in vivo study"
"""


def test_a_study_with_a_patient_scanned_once_is_refused_with_the_reason(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.csv"
    path.write_text("patient,scan,region,bmd\nA,1,L1-L4,0.9\nB,1,L1-L4,0.9\nB,2,L1-L4,0.91\n")
    assert main(["precision", str(path), "--config", str(config)]) == 1
    assert "not a usable precision study" in capsys.readouterr().err


def test_context_is_loaded_and_shown(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "context.csv"
    path.write_text("patient_id,recorded_on,menopause,cancer_therapy\nP1,2026-02-01,after,no\n")
    assert main(["context", "load", str(path), "--config", str(config)]) == 0
    assert "1 records read, 1 of them new" in capsys.readouterr().out
    assert main(["--config", str(config), "context", "show", "P1"]) == 0
    shown = capsys.readouterr().out
    assert "menopause                   after" in shown
    assert "cancer_therapy              no" in shown
    assert main(["context", "show", "P2", "--config", str(config)]) == 1


def test_a_table_of_context_with_a_mistake_is_not_loaded_at_all(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "context.csv"
    path.write_text("patient_id,recorded_on,menopause\nP1,2026-02-01,after\nP2,2026-02-01,maybe\n")
    assert main(["context", "load", str(path), "--config", str(config)]) == 1
    assert "line 3: menopause" in capsys.readouterr().err
    assert main(["context", "show", "P1", "--config", str(config)]) == 1


def test_status_lists_a_scanner_without_serial_number_with_lines_that_identify_it(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R2.1: until somebody says which scanner it is, nothing it measures is compared."""
    with open_app(config) as app, app.database.write() as connection:
        scanner = Scanner("GE Healthcare", "Lunar Prodigy", "")
        scanners.number_of(connection, scanner, station_name="DXA1", institution="", at=datetime.now(UTC))
    assert main(["status", "--config", str(config)]) == 0
    captured = capsys.readouterr().out
    lines = captured[captured.index("[[scanner]]") :].replace('serial_number = ""', 'serial_number = "DF+500475"')
    assert main(["status", "--config", str(config), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["unidentified"]
    assert one["station_name"] == "DXA1"
    assert one["lines"][0] == "[[scanner]]"
    (config / "scanners.toml").write_text(lines)
    assert main(["status", "--config", str(config)]) == 0
    assert "[[scanner]]" not in capsys.readouterr().out


def _shown(config: Path, sent: Dataset, capsys: pytest.CaptureFixture[str], *, status: int = 0) -> str:
    path = config.parent / "report.dcm"
    file = FileDataset(str(path), sent, preamble=b"\0" * 128)
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = sent.SOPClassUID
    file.file_meta.MediaStorageSOPInstanceUID = sent.SOPInstanceUID
    file.save_as(path, enforce_file_format=True)
    assert main(["show", str(path), "--config", str(config)]) == status
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_show_prints_what_was_used_what_was_left_out_and_why(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trend = make.container("Trend L1-L4", make.container("04/06/2022", make.num("BMD", "0.932")))
    level = make.region("L1-L4", "0.912", make.text("BMD_TSCORE", "low"), make.num("XYZ", "1"))
    difference = make.region("L1-L4 Diff.", "0.014")
    shown = _shown(config, make.report(make.spine(level, trend, difference)), capsys)
    for line in (
        "the content tree:",
        "CONTAINER DXA Report",
        "read as lunar 2, from the content tree",
        "used: 2024-03-01",
        "  L1-L4                     0.912 g/cm2",
        "the scanner's own trend, never a measurement:",
        "04/06/2022 (2022-06-04 or 2022-04-06)  0.932 g/cm2",
        "ignored:",
        "CONTAINER 'L1-L4 Diff.': a difference",
        "left out:",
        "L1-L4: T-score is not a number: 'low'",
        "remarks:",
        "NUM 'XYZ' is nothing the dialect knows",
        "overall: NO_PRIOR",
    ):
        assert line in shown, line


def test_show_reads_pictures_and_phantoms_and_says_why_something_is_held(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comments = dxa_results(scan("AP Spine", roi("L1-L4", "0.912")))
    shown = _shown(config, picture(comments=comments), capsys)
    assert "read as lunar 2, from Image Comments (0020,4000)" in shown
    phantom = _shown(config, make.report(make.spine(), PatientID="SPINE PHANTOM"), capsys)
    assert "scan of a phantom" in phantom
    assert "0.912 g/cm2" in phantom
    wordy = make.report(make.spine(make.region("L1-L4", "high")))
    assert "no bone mineral density" in _shown(config, wordy, capsys, status=1)
    lateral = hologic_picture(apex([HEADS, ["L2", "13.72", "12.94", "0.943", "", "", ""]], ScanMode="a Lateral Spine"))
    assert "'Data Set 1' was ignored: a spine seen from the side" in _shown(config, lateral, capsys, status=1)


def test_a_configuration_that_cannot_be_used_stops_every_command_with_all_mistakes(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config / "service.toml").write_text("[listener]\nport = 0\n[exam]\nsettle_seconds = -1")
    for command in (["check"], ["status"], ["held"], ["listen"], ["release", "1"]):
        assert main([*command, "--config", str(config)]) == 2
        captured = capsys.readouterr().err
        assert "service.toml, line 2: listener.port: has to be a whole number from 1 to 65535" in captured
        assert "service.toml, line 4: exam.settle_seconds: has to be a number from 0 to 86400" in captured


def test_check_names_each_certificate_that_cannot_be_used(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = "\n".join(f'{name} = "{tmp_path}/{name}.pem"' for name in ("certificate", "key", "ca"))
    (config / "service.toml").write_text(f"""
        [listener.tls]
        {files}
        [[listener.caller]]
        ae_title = "SCANNER1"
        host = "127.0.0.1"
        port = 104
        [listener.caller.tls]
        {files}
        [adt.tls]
        {files}
        """)
    assert main(["check", "--config", str(config)]) == 1
    captured = capsys.readouterr().out
    assert f"adt.tls.key: {tmp_path}/key.pem: No such file or directory" in captured
    assert f"listener.tls.key: {tmp_path}/key.pem: No such file or directory" in captured
    assert f"listener.caller SCANNER1: tls.key: {tmp_path}/key.pem: No such file or directory" in captured


@pytest.mark.parametrize("number", ["1", "E7", "d3"])
def test_what_is_not_held_cannot_be_released(config: Path, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["release", number, "--config", str(config)]) == 1
    assert "is not held" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["", "X1", "E", "-1"])
def test_a_number_that_held_never_prints_is_refused(config: Path, number: str) -> None:
    assert main(["release", number, "--config", str(config)]) == 1
