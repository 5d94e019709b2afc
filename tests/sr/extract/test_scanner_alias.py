"""An alias supplies the serial number that a report lacks, and overrules nothing."""

from datetime import date
from typing import Any

from pydicom.dataset import Dataset

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.extract.report import Report, extract
from pipeline.sr.extract.scanner_alias import Alias
from tests.factories.elements import elements_of
from tests.factories.reports import report, spine

PRODIGY = Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475")


def _sent(**header: str | None) -> Dataset:
    attributes: dict[str, Any] = {
        "Manufacturer": "GE Healthcare",
        "ManufacturerModelName": "Lunar Prodigy",
        "DeviceSerialNumber": None,
        "StationName": "DXA1",
        "StudyDate": "20240301",
        **header,
    }
    return report(spine(), **attributes)


def _read(sent: Dataset, *aliases: Alias) -> Report:
    return extract(elements_of(sent), shipped_dialects(), aliases)


def test_an_alias_supplies_the_serial_number_and_the_report_says_so() -> None:
    """R2.1: the department's registry may tell what the report does not."""
    read = _read(_sent(), Alias(scanner=PRODIGY, station_name="dxa1"))
    assert read.exam.scanner == PRODIGY
    assert any("the configuration's word" in remark for remark in read.remarks)


def test_without_an_alias_the_scanner_stays_unidentified() -> None:
    assert not _read(_sent()).exam.scanner.identified


def test_a_serial_number_in_the_report_is_never_overruled() -> None:
    read = _read(_sent(DeviceSerialNumber="OTHER"), Alias(scanner=PRODIGY, station_name="DXA1"))
    assert read.exam.scanner.serial_number == "OTHER"


def test_an_alias_fits_by_model_name_and_day_or_not_at_all() -> None:
    """A replaced machine often inherits the station name."""
    alias = Alias(scanner=PRODIGY, station_name="DXA1", begins=date(2020, 1, 1), ends=date(2024, 3, 1))
    assert _read(_sent(), alias).exam.scanner.identified
    for otherwise in (
        {"StudyDate": "20240302"},
        {"StudyDate": "20191231"},
        {"StationName": "DXA2"},
        {"StationName": None},
        {"ManufacturerModelName": "Lunar iDXA"},
    ):
        assert not _read(_sent(**otherwise), alias).exam.scanner.identified


def test_two_aliases_for_different_scanners_supply_nothing() -> None:
    other = Scanner("GE Healthcare", "Lunar Prodigy", "DF+999999")
    both = (Alias(scanner=PRODIGY, station_name="DXA1"), Alias(scanner=other, institution="Hospital"))
    assert not _read(_sent(InstitutionName="Hospital"), *both).exam.scanner.identified
    assert _read(_sent(InstitutionName="Elsewhere"), *both).exam.scanner == PRODIGY
