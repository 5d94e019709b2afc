"""An LSC that judges nothing, or that is hardly one, is told of, and so is a scanner without any."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.clinical.model import Scanner
from pipeline.edge.app import open_app
from pipeline.edge.overview.precision_doubts import missing_lscs, precision_doubts, precision_in_use, scanner_doubts
from pipeline.edge.store import scanners
from tests.factories.instances import NOW

TODAY = date(2026, 3, 1)
ENTRY = """
[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "{serial}"
region = "total hip"
lsc = "{lsc}"
patients = 30
repeats = 2
valid_from = {begins}
valid_until = {ends}
source = "in vivo study"
"""
LUNAR = Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475")
NAMED = "GE Healthcare Lunar Prodigy (serial number {})"


def entry(serial: str = "DF+500475", lsc: str = "0.028", begins: str = "2020-01-01", ends: str = "2030-01-01") -> str:
    return ENTRY.format(serial=serial, lsc=lsc, begins=begins, ends=ends)


def told(folder: Path, precision: str, *on_file: Scanner, listed: str = "") -> list[str]:
    (folder / "service.toml").write_text(f'[store]\nurl = "sqlite:///{folder}/store.sqlite3"\n')
    (folder / "precision.toml").write_text(precision)
    (folder / "scanners.toml").write_text(listed)
    with open_app(folder) as app:
        with app.database.write() as connection:
            for one in on_file:
                scanners.number_of(connection, one, station_name="DXA1", institution="Hospital", at=NOW)
        with app.database.read() as connection:
            known = app.reference_in_force(connection).reference_data
            found = [
                *precision_doubts(precision_in_use(app, connection, known), on=TODAY),
                *missing_lscs(connection, known, on=TODAY),
                *scanner_doubts(connection, known),
            ]
    return [one.text for one in found]


def test_a_usual_lsc_of_a_scanner_that_sends_leaves_no_doubt(tmp_path: Path) -> None:
    assert told(tmp_path, entry(), LUNAR) == []


@pytest.mark.parametrize("lsc", ["0.28", "0.0028"])
def test_an_lsc_that_is_none_in_grams_is_doubted(tmp_path: Path, lsc: str) -> None:
    """R1.14: the files refuse percent and mg/cm2; a slipped decimal point is still a number below 1."""
    (one,) = told(tmp_path, entry(lsc=lsc), LUNAR)
    assert one == (
        f"please check: LSC of total hip on {NAMED.format('DF+500475')}: {lsc} g/cm2 lies outside the usual 0.010 to "
        "0.060 g/cm2 (R1.14)"
    )


def test_an_lsc_that_begins_later_is_told_unless_another_counts_until_then(tmp_path: Path) -> None:
    later = entry(begins="2026-03-02", lsc="0.030")
    assert told(tmp_path, entry(ends="2026-03-01") + later, LUNAR) == []
    assert told(tmp_path, later, LUNAR) == [
        f"please check: LSC of total hip on {NAMED.format('DF+500475')} begins on 2026-03-02, which is in the "
        "future; until then no change of this region is judged",
        f"no LSC counts today for {NAMED.format('DF+500475')}: its changes are reported as significance unknown; "
        "after a precision study: dxatrend precision study.csv --serial-number DF+500475",
    ]


@pytest.mark.parametrize(
    ("serial", "on_file", "hint"),
    [
        ("DF+500457", LUNAR, "; did you mean 'DF+500475'?"),
        ("ME+1", LUNAR, ""),
        (
            "DF+500475",
            Scanner("GE Healthcare", "Lunar iDXA", "DF+500475"),
            "; did you mean GE Healthcare Lunar iDXA (serial number DF+500475)?",
        ),
    ],
)
def test_an_lsc_of_a_scanner_nobody_has_heard_of_is_told_with_the_one_that_was_meant(
    tmp_path: Path, serial: str, on_file: Scanner, hint: str
) -> None:
    unknown = (
        f"please check: there is an LSC of {NAMED.format(serial)}, which has sent nothing and is not in scanners.toml"
    )
    assert told(tmp_path, entry(serial), on_file)[-1] == unknown + hint


def test_an_lsc_of_a_scanner_that_is_listed_or_before_any_has_sent_is_not_doubted(tmp_path: Path) -> None:
    listed = '[[scanner]]\nmanufacturer = "GE Healthcare"\nmodel = "Lunar Prodigy"\nserial_number = "ME+1"\n'
    assert told(tmp_path, entry("ME+1")) == []
    assert told(tmp_path, entry("ME+1") + entry(), LUNAR, listed=listed) == []


def test_an_expired_lsc_is_left_to_its_reminder(tmp_path: Path) -> None:
    assert told(tmp_path, entry(ends="2026-02-27"), LUNAR) == []
    (one,) = told(tmp_path, entry(begins="2010-01-01", ends="2015-01-01"), LUNAR)
    assert one.startswith("no LSC counts today for")


def test_an_alias_that_rests_on_an_institution_alone_is_doubted(tmp_path: Path) -> None:
    listed = '[[scanner]]\nmanufacturer = "GE Healthcare"\nmodel = "Lunar iDXA"\nserial_number = "ME+1"\n'
    alias = '[[scanner.alias]]\ninstitution = "Hospital"\n'
    (one,) = told(tmp_path, entry(), LUNAR, listed=listed + alias)
    assert one == (
        "please check: scanner.alias of GE Healthcare Lunar iDXA (serial number ME+1) rests on the institution alone, "
        "so any other scanner of this model there without a serial number would be taken for it; add its station_name"
    )
    assert told(tmp_path, entry(), LUNAR, listed=listed + alias + 'station_name = "DXA1"\n') == []
