"""A scanner that an upgrade has given another name is one scanner once the department says so, as status proposes."""

import tomllib
from pathlib import Path

import pytest

from pipeline.clinical.model import Scanner
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.extract.caller_scanners import is_bound_to_other_scanners
from pipeline.edge.store import service_status
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.scanners import Respelt
from pipeline.edge.store.senders import Sender
from tests.factories.answered_exams import (
    EPOCH,
    follow_all,
    in_both_databases,
    l1_l4,
    latest_readback,
    lsc,
    receive,
    run,
)
from tests.factories.instances import NOW

PRODIGY = """
[[scanner]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
"""
UPGRADED = """
[[scanner.spelling]]
model = "Prodigy"
[[scanner.spelling]]
manufacturer = "GE MEDICAL SYSTEMS, LUNAR"
model = "Prodigy Advance"
serial_number = "1"
"""


def before_and_after(app: App, **then: str) -> None:
    """An exam of 2022 under one name of the scanner, and one of 2024 under that of scanners.toml."""
    told = {"ManufacturerModelName": "Prodigy"} | then
    receive(app, l1_l4("0.950", date="20220101", **told), "2.25.1")
    receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
    follow_all(app)


def scanners_of(app: App) -> list[str]:
    with app.database.read() as connection:
        return [one.model for one in service_status.status(connection, [], NOW).scanners]


def proposed(app: App) -> list[Respelt]:
    with app.database.read() as connection:
        return list(service_status.status(connection, [], NOW, reference_data=app.reference_data).respelt)


@pytest.mark.parametrize(
    "then",
    [
        {"ManufacturerModelName": "Prodigy"},
        {
            "Manufacturer": "GE MEDICAL SYSTEMS, LUNAR",
            "ManufacturerModelName": "PRODIGY  Advance",
            "DeviceSerialNumber": "1",
        },
    ],
    ids=["the model alone", "all three"],
)
def test_an_exam_under_a_spelling_is_compared_as_the_scanners_own(folder: Path, then: dict[str, str]) -> None:
    (folder / "scanners.toml").write_text(PRODIGY + UPGRADED)
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        before_and_after(app, **then)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert proposed(app) == []


@in_both_databases
def test_a_spelling_that_is_added_makes_earlier_exams_the_scanners_own(folder: Path) -> None:
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        before_and_after(app)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("OTHER_SCANNER",)
    (folder / "scanners.toml").write_text(PRODIGY + UPGRADED)
    with open_app(folder) as app:
        run(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)
        assert run(app) == ExamCounts(examined=2)
    (folder / "scanners.toml").write_text(PRODIGY)
    with open_app(folder) as app:
        run(app)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("OTHER_SCANNER",)


def test_what_is_configured_under_a_spelling_counts_for_the_scanner(folder: Path) -> None:
    (folder / "scanners.toml").write_text(PRODIGY + UPGRADED)
    (folder / "precision.toml").write_text(lsc().replace('"Lunar Prodigy"', '"Prodigy"'))
    with open_app(folder) as app:
        before_and_after(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)


def test_an_epoch_counts_for_every_spelling(folder: Path) -> None:
    (folder / "scanners.toml").write_text(EPOCH.format(begins="2023-01-01") + UPGRADED)
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        before_and_after(app)
        assert latest_readback(app, 2).regions["L1-L4"]["OBSTACLE"] == ("OTHER_EPOCH",)


def test_an_alias_supplies_the_serial_number_under_every_spelling(folder: Path) -> None:
    alias = '[[scanner.alias]]\nstation_name = "DXA1"\n'
    (folder / "scanners.toml").write_text(PRODIGY + alias + UPGRADED)
    (folder / "precision.toml").write_text(lsc())
    with open_app(folder) as app:
        nameless = l1_l4("0.950", date="20220101", ManufacturerModelName="Prodigy", StationName="DXA1")
        del nameless.DeviceSerialNumber
        receive(app, nameless, "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101"), "2.25.2")
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] == ("LOSS",)


@in_both_databases
@pytest.mark.parametrize(
    "then",
    [
        {"ManufacturerModelName": "Prodigy"},
        {"DeviceSerialNumber": "500475"},
        {"Manufacturer": "GE MEDICAL SYSTEMS, LUNAR", "ManufacturerModelName": "Prodigy"},
    ],
    ids=["model", "serial number without its prefix", "manufacturer and model"],
)
def test_status_proposes_what_makes_one_scanner_of_the_two(folder: Path, then: dict[str, str]) -> None:
    configured = PRODIGY.replace("DF+1", "DF+500475")
    (folder / "scanners.toml").write_text(configured)
    with open_app(folder) as app:
        told = {"DeviceSerialNumber": "DF+500475"} | then
        receive(app, l1_l4("0.950", date="20220101", **told), "2.25.1")
        receive(app, l1_l4("0.912", study="2.25.11", date="20240101", DeviceSerialNumber="DF+500475"), "2.25.2")
        follow_all(app)
        (found,) = proposed(app)
        assert found.scanner == Scanner("GE Healthcare", "Lunar Prodigy", "DF+500475")
        assert found.lines[0].startswith("# below [[scanner]]")
    (folder / "scanners.toml").write_text(configured + "\n".join(found.lines))
    with open_app(folder) as app:
        run(app)
        assert proposed(app) == []


def test_a_scanner_that_is_not_configured_is_proposed_with_its_whole_entry(folder: Path) -> None:
    with open_app(folder) as app:
        before_and_after(app)
        (found,) = proposed(app)
    (entry,) = tomllib.loads("\n".join(found.lines))["scanner"]
    assert (entry["model"], entry["spelling"]) == ("Prodigy", [{"model": "Lunar Prodigy"}])


@pytest.mark.parametrize(
    ("then", "more"),
    [
        ({"DeviceSerialNumber": "DF+2"}, ""),
        ({"Manufacturer": "Hologic"}, ""),
        ({"ManufacturerModelName": "Horizon A"}, ""),
        ({"ManufacturerModelName": "Prodigy"}, EPOCH.format(begins="2023-01-01")),
        ({"ManufacturerModelName": "Prodigy"}, PRODIGY + PRODIGY.replace("Lunar ", "")),
    ],
    ids=["another serial number", "another maker", "another model", "another epoch", "two that are configured"],
)
def test_what_may_be_two_scanners_is_not_proposed(folder: Path, then: dict[str, str], more: str) -> None:
    (folder / "scanners.toml").write_text(more or PRODIGY)
    with open_app(folder) as app:
        before_and_after(
            app, **({} if "Manufacturer" not in then else {"ManufacturerModelName": "Lunar Prodigy"}) | then
        )
        assert len(scanners_of(app)) == 2
        assert proposed(app) == []


@pytest.mark.parametrize(
    ("scanners", "precision", "mistake"),
    [
        (PRODIGY + "[[scanner.spelling]]\n", "", "give what is spelt otherwise"),
        (PRODIGY + UPGRADED + PRODIGY.replace("Lunar ", ""), "", "stands for two scanners"),
        (
            PRODIGY + UPGRADED + PRODIGY.replace("Lunar Prodigy", "iDXA") + '[[scanner.spelling]]\nmodel = "Prodigy"',
            "",
            "stands for two scanners",
        ),
        (PRODIGY + UPGRADED, lsc() + lsc().replace("Lunar ", ""), "two entries for L1-L4 at the same time"),
    ],
    ids=["nothing", "another scanner's name", "two scanners' name", "two LSCs"],
)
def test_spellings_that_cannot_be_meant_are_refused(folder: Path, scanners: str, precision: str, mistake: str) -> None:
    (folder / "scanners.toml").write_text(scanners)
    (folder / "precision.toml").write_text(precision)
    with pytest.raises(SettingsError, match=mistake):
        load_configuration(folder)


def test_a_caller_bound_to_a_scanner_may_name_it_by_any_of_its_serial_numbers(folder: Path) -> None:
    (folder / "scanners.toml").write_text(PRODIGY + UPGRADED)
    with open_app(folder) as app:
        caller = CallerSettings(ae_title="SCANNER1", serial_numbers=("1",))
        sender = Sender(ae_title="SCANNER1", host="192.0.2.1")
        machine = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
        assert not is_bound_to_other_scanners([caller], sender, machine, app.reference_data.spellings)
        assert is_bound_to_other_scanners([caller], sender, machine)
