"""A scanner without an LSC is named with the command that leads to one, however its serial number reads."""

import shlex
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.clinical.model import Scanner
from pipeline.edge.app import App, open_app
from pipeline.edge.overview.scanner_gaps import ScannerGaps, scanner_gaps
from pipeline.edge.store import scanners
from tests.factories.answered_exams import lsc
from tests.factories.instances import NOW

LUNAR = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
TODAY = date(2026, 3, 1)


def _gaps(folder: Path, *machines: Scanner) -> ScannerGaps:
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"\n')
    with open_app(folder) as app:
        for number, machine in enumerate(machines):
            _see(app, machine, minutes=-number)
        with app.database.read() as connection:
            return scanner_gaps(connection, app.reference_data, on=TODAY)


def _see(app: App, machine: Scanner, *, minutes: int) -> None:
    with app.database.write() as connection:
        at = NOW + timedelta(minutes=minutes)
        scanners.number_of(connection, machine, station_name="DXA1", institution="Hospital", at=at)


def test_an_installation_without_scanners_lacks_nothing(tmp_path: Path) -> None:
    assert not _gaps(tmp_path)


def test_a_scanner_without_an_lsc_that_is_valid_today_is_named(tmp_path: Path) -> None:
    (tmp_path / "precision.toml").write_text(lsc(ends="2026-02-28"))
    other = Scanner("Hologic", "Horizon A", "1")
    gaps = _gaps(tmp_path, LUNAR, other)
    assert [(one.scanner, one.expired_on) for one in gaps.without_lsc] == [(LUNAR, date(2026, 2, 28)), (other, None)]
    (tmp_path / "precision.toml").write_text(lsc(ends="2026-03-01"))
    assert [one.scanner for one in _gaps(tmp_path).without_lsc] == [other]


@pytest.mark.parametrize("serial_number", ["DF+1", "1; touch hacked", "$(touch hacked)", "a'b"])
def test_the_command_names_the_scanner_and_does_nothing_else(tmp_path: Path, serial_number: str) -> None:
    (one,) = _gaps(tmp_path, Scanner("Hologic", "Horizon A", serial_number)).without_lsc
    assert shlex.split(one.command)[-2:] == ["--serial-number", serial_number]


def test_a_scanner_that_tells_no_serial_number_gets_the_lines_to_fill_in_and_no_reminder_of_an_lsc(
    tmp_path: Path,
) -> None:
    gaps = _gaps(tmp_path, Scanner("GE Healthcare", "Lunar iDXA", ""))
    (one,) = gaps.unidentified
    assert 'station_name = "DXA1"' in one.lines
    assert not gaps.without_lsc
