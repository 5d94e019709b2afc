"""A scanner without an LSC is named with the command that leads to one, however its serial number reads."""

import shlex
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.clinical.model import Scanner
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.overview.scanner_gaps import ScannerGaps, scanner_gaps
from pipeline.edge.store import scanners
from pipeline.edge.store.scanners import UnidentifiedScanner
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


def test_no_alias_is_proposed_that_rests_on_an_institution_alone() -> None:
    """A second scanner of the model in the same hospital would be taken for the first, and the two compared."""
    machine = UnidentifiedScanner(
        scanner=Scanner("GE Healthcare", "Lunar iDXA", ""), station_name=" ", institution="Hospital", last_seen_at=NOW
    )
    assert machine.lines == (
        "# GE Healthcare Lunar iDXA (serial number not stated): its reports name no station that tells it from another "
        "scanner, and its institution may have several; have it tell its serial number, or a station name of its own",
    )
    assert machine.presumes == ""


def test_a_proposed_alias_says_what_it_presumes_and_can_be_read_once_it_is_filled_in(tmp_path: Path) -> None:
    (one,) = _gaps(tmp_path, Scanner("GE Healthcare", "Lunar iDXA", "")).unidentified
    assert one.presumes.startswith(
        "This presumes that no other scanner of this model has reported, or will report, under this station name"
    )
    for serial, complaint in (("", "is empty"), ("N/A", "this stands for a missing serial number"), ("ME+1", None)):
        filled = "\n".join(one.lines).replace('serial_number = ""', f'serial_number = "{serial}"')
        (tmp_path / "scanners.toml").write_text(filled)
        if complaint is None:
            assert load_configuration(tmp_path)[0].aliases[0].station_name == "DXA1"
        else:
            with pytest.raises(SettingsError, match=f"scanners.toml, line 4: scanner.serial_number: {complaint}"):
                load_configuration(tmp_path)
