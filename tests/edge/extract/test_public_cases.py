"""Small reports after faults that people have met elsewhere end as a department would want them to."""

from pathlib import Path

import pytest
from pydicom import dcmread

from pipeline.edge.app import App, open_app
from tests.edge.configuration.test_scanner_spellings import PRODIGY, UPGRADED
from tests.factories.answered_exams import follow_all, held, latest, latest_readback, lsc, receive, withdraw


def send(app: App, cases: Path, *names: str) -> None:
    """Take these reports in their order, and follow up what is due after each."""
    for name in names:
        report = dcmread(cases / f"{name}.dcm")
        receive(app, report, str(report.SOPInstanceUID))
        follow_all(app)


def test_a_scanner_whose_model_an_upgrade_has_respelt_is_one_scanner(cases: Path, folder: Path) -> None:
    (folder / "scanners.toml").write_text((PRODIGY + UPGRADED).replace('"DF+1"', '"DF+500475"'))
    (folder / "precision.toml").write_text(lsc().replace('"DF+1"', '"DF+500475"'))
    with open_app(folder) as app:
        send(app, cases, "mod1", "mod2")
        assert latest_readback(app, 2).regions["L1-L4"]["RESULT"] != ("NOT_COMPARABLE",)
        assert "PRIOR_BMD" in latest_readback(app, 2).regions["L1-L4"]


def test_one_scan_under_two_patients_is_noticed_and_the_wrong_one_can_be_withdrawn(cases: Path, folder: Path) -> None:
    with open_app(folder) as app:
        send(app, cases, "two1", "two2")
        assert sorted(held(app)) == [("E1", "same_scan"), ("E2", "same_scan")]
        withdraw(app, 1)
        assert held(app) == []
        assert latest_readback(app, 1).overall == "WITHDRAWN"
        assert latest_readback(app, 2).overall == "NO_PRIOR"


@pytest.mark.parametrize("names", [("acc1", "acc2"), ("acc3", "acc4")], ids=" then ".join)
def test_a_corrected_accession_number_is_quoted(cases: Path, folder: Path, names: tuple[str, str]) -> None:
    with open_app(folder) as app:
        send(app, cases, names[0])
        before = latest(app, 1).AccessionNumber
        send(app, cases, names[1])
        assert held(app) == []
        assert latest(app, 1).AccessionNumber == dcmread(cases / f"{names[1]}.dcm").AccessionNumber != before


@pytest.fixture
def judged(folder: Path) -> Path:
    """A department with an LSC of 0.028 for the scanner of the cases, at the default for what is late."""
    (folder / "precision.toml").write_text(lsc().replace('"DF+1"', '"DF+500475"'))
    settings = folder / "service.toml"
    settings.write_text(settings.read_text().replace("late_days = 36500", ""))
    return folder


def test_a_loss_that_floating_point_hid_is_seen_and_printed_without_its_noise(cases: Path, judged: Path) -> None:
    with open_app(judged) as app:
        send(app, cases, "f32_1", "f32_2")
        told = latest_readback(app, 2).regions["L1-L4"]
        assert told["RESULT"] == ("LOSS",)
        assert (told["BMD"], told["PRIOR_BMD"]) == (("0.912",), ("0.940",))


def test_an_exam_over_midnight_is_one(cases: Path, judged: Path) -> None:
    with open_app(judged) as app:
        send(app, cases, "mid1", "mid2")
        assert held(app) == []
        assert {"L1-L4", "total hip left"} <= latest_readback(app, 1).regions.keys()


def test_two_people_without_an_id_are_held(cases: Path, judged: Path) -> None:
    with open_app(judged) as app:
        send(app, cases, "unk_1", "unk_2")
        assert held(app) == [("1", "placeholder_id"), ("2", "placeholder_id")]


def test_an_exam_before_birth_is_held_and_the_next_one_stands_alone(cases: Path, judged: Path) -> None:
    with open_app(judged) as app:
        send(app, cases, "birth_1900", "birth_2024")
        assert held(app) == [("1", "implausible_date")]
        assert latest_readback(app, 1).overall == "NO_PRIOR"


def test_what_rests_on_a_clock_that_was_reset_says_so(cases: Path, judged: Path) -> None:
    with open_app(judged) as app:
        send(app, cases, "reset_2000", "reset_2022", "reset_2026")
        assert all("DATE_LATE" in latest_readback(app, number).flags for number in (1, 2, 3))
