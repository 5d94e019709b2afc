"""Which phantom was scanned: named by the configuration, kept apart until it is, or taken for a patient."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.alarms.conditions import Conditions
from pipeline.edge.app import open_app
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.operations.scanner_quality import record_service
from pipeline.edge.overview import scanner_fitness
from pipeline.edge.overview.phantom_candidates import phantom_candidates
from pipeline.edge.overview.scanner_fitness import Fitness
from pipeline.edge.reprocess import reprocessing
from pipeline.edge.store.reprocessing_runs import Scope
from tests.factories.phantoms import IN_CONTROL, SCANNERS, PhantomDepartment, now, phantom_department

NO_PHANTOM = SCANNERS.partition("[[phantom]]")[0]


def test_a_phantom_that_nobody_has_named_is_kept_apart_and_counts_once_it_is(tmp_path: Path) -> None:
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3", scanners=NO_PHANTOM) as department:
        for day in range(-20, 0):
            department.phantom(day, IN_CONTROL[day % 5], PatientID="SPINE PHANTOM 8", work=False)
        department.made.work()
        (one,) = scanner_fitness.fitness_of_all(department.app, at=now())
        assert (one.fitness, one.series) == (Fitness.UNKNOWN_PHANTOM, [])
        (phantom,) = one.unknown
        assert (phantom.scans, phantom.patient_id) == (20, "SPINE PHANTOM 8")
        lines = "\n".join(phantom.lines).replace('name = ""', 'name = "Eight"')
    (tmp_path / "scanners.toml").write_text(f"{NO_PHANTOM}\n{lines}\n")
    with open_app(tmp_path) as app:
        (one,) = scanner_fitness.fitness_of_all(app, at=now())
        assert (one.fitness, one.unknown) == (Fitness.FIT, ())
        assert len(one.series[0].chart.scans) == 20


def test_the_days_of_a_phantom_tell_two_apart_that_were_scanned_under_one_id(tmp_path: Path) -> None:
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        changed = department.date_of(-5)
        replaced = f'until = {department.date_of(-6)}\n[[phantom]]\nname = "New"\npatient_id = ["QC-7*"]\n'
        replaced += f'region = "L1-L4"\nsince = {changed}\nreplaces = "Spine phantom 7"\n'
        department.baseline(20, until=-6)
        for day in range(-5, 1):
            department.phantom(day, "1.0500", work=False)
        department.made.work()
        assert len(department.stops()) == 1, "until somebody says that it is another one"
    (tmp_path / "scanners.toml").write_text(f"{SCANNERS}{replaced}")
    with open_app(tmp_path) as app:
        (one,) = scanner_fitness.fitness_of_all(app, at=now())
        (series,) = one.series
        assert series.phantom.name == "New"
        assert [segment.phantom for segment in series.chart.segments] == ["Spine phantom 7", "New"]
        assert not series.chart.failures


def test_a_phantom_that_was_scanned_as_a_patient_is_proposed_and_then_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exams are withdrawn, their addenda say so, and its scans judge the scanner."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        for day in range(-16, 0):
            department.patient(day, IN_CONTROL[day % 5], patient="DAILY", work=False)
        department.made.work()
        with department.app.database.read() as connection:
            (candidate,) = phantom_candidates(connection)
        assert len(candidate.exams) == 16
        assert department.run("qc") == 0
        assert 'patient_id = ["DAILY"]' in capsys.readouterr().out
    lines = "\n".join(candidate.lines).replace('name = ""', 'name = "Daily"')
    (tmp_path / "scanners.toml").write_text(f"{SCANNERS}\n{lines}\n")
    with open_app(tmp_path) as app:
        run = reprocessing.begin(app, Scope())
        counts = reprocessing.take_part(app, run)
        assert counts.held == 0
        moved = PhantomDepartment.of(tmp_path, app)
        moved.made.work()
        assert {moved.overall(number) for number in candidate.exams} == {"WITHDRAWN"}
        (one,) = scanner_fitness.fitness_of_all(app, at=now())
        assert [series.phantom.name for series in one.series] == ["Daily"]
        assert len(one.series[0].chart.scans) == 16
        with app.database.read() as connection:
            assert phantom_candidates(connection) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('name = "A"\nregion = "L1-L4"', "under which of them"),
        ('name = "A"\nregion = "L1-L4"\npatient_id = ["*"]', "at least 3 letters"),
        ('name = "A"\nregion = "L1-L4"\npatient_id = ["Q1*"]', "at least 3 letters"),
        ('name = "A"\nregion = "skull"\npatient_id = ["QC1"]', "phantom"),
        ('name = "A"\nregion = "L1-L4"\npatient_id = ["QC1"]\nreplaces = "B"', "not listed"),
        ('name = "A"\nregion = "L1-L4"\npatient_id = ["QC1"]\nreplaces = "A"', "replaces itself"),
        ('name = "A"\nregion = "L1-L4"\npatient_id = ["QC1"]\nsince = 2026-01-02\nuntil = 2026-01-01', "before since"),
        (
            'name = "A"\nregion = "L1-L4"\npatient_id = ["QC1"]\n'
            '[[phantom]]\nname = "A"\nregion = "L1-L4"\npatient_id = ["QC2"]',
            "two phantoms",
        ),
    ],
)
def test_a_phantom_that_could_be_a_patient_or_another_one_is_refused(tmp_path: Path, lines: str, problem: str) -> None:
    (tmp_path / "scanners.toml").write_text(f"[[phantom]]\n{lines}\n")
    with pytest.raises(SettingsError, match=problem):
        load_configuration(tmp_path)


def test_a_region_that_the_scans_do_not_have_is_told_and_harms_nothing(tmp_path: Path) -> None:
    scanners = SCANNERS.replace('region = "L1-L4"', 'region = "L2-L4"')
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3", scanners=scanners) as department:
        department.phantom(0, "1.177")
        assert department.made.held() == {}
        (one,) = scanner_fitness.fitness_of_all(department.app, at=now())
        assert "has no L2-L4" in one.advice[0]
        assert "L1-L4. Correct the region" in one.advice[0]
        assert one.last is None
        assert department.run("status") == department.run("qc") == 0


def test_scanners_without_serial_number_are_not_judged_together(tmp_path: Path) -> None:
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        for day in range(-20, 0):
            department.phantom(day, IN_CONTROL[day % 5], work=False, DeviceSerialNumber="")
        for at in ("070000", "071000", "072000"):
            department.phantom(0, "1.2500", at, work=False, DeviceSerialNumber="")
        department.made.work()
        assert department.stops() == []


def test_a_phantom_from_the_future_is_held_as_it_would_hide_that_none_is_scanned(tmp_path: Path) -> None:
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.phantom(5, "1.177")
        ((number, held),) = department.made.held().items()
        assert held.reason == "implausible_date"
        assert department.run("release", number) == 0
        department.made.work()
        assert department.made.held() == {}


HEADS = "date,phantom,bmd,time,region,bmc,area\n"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A configuration whose store knows the scanner, and no phantom scan."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.patient(-1)
    return tmp_path


def load(config: Path, text: str, *options: str) -> int:
    table = config / "phantom.csv"
    table.write_text(text)
    return main(["qc", "import", str(table), "--serial-number", "DF+1", *options, "--config", str(config)])


def test_history_that_was_typed_elsewhere_is_loaded_whole(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"2025-0{month}-1{day},Spine phantom 7,{IN_CONTROL[day % 5]}" for month in (3, 4) for day in range(10)]
    assert load(empty, HEADS + "\n".join(lines), "--dry-run") == 0
    assert "20 phantom scans from 2025-03-10 to 2025-04-19 can be loaded; nothing was" in capsys.readouterr().out
    assert load(empty, HEADS + "\n".join(lines)) == 0
    assert "20 phantom scans from 2025-03-10 to 2025-04-19 are on file now" in capsys.readouterr().out
    assert main(["qc", "chart", "--serial-number", "DF+1", "--config", str(empty)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 21
    assert printed[1].startswith("2025-03-10 00:00,Spine phantom 7,L1-L4,1.1770")


def test_every_mistake_of_a_table_is_told_at_once_and_nothing_is_taken(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(empty, HEADS + "2025-03-01,Spine phantom 7,1.177\n2025-03-02,Spine phantom 7,1.177,07:00") == 0
    capsys.readouterr()
    table = [
        "2025-03-01,Spine phantom 7,1.178",
        "2025-03-02,Spine phantom 7,1.178,07:10",
        "2025-03-03,Spine phantom 7,1177",
        "2025-03-04,Hip phantom,1.177",
        "04.03.2025,Spine phantom 7,1.177",
        "2025-03-05,Spine phantom 7,1.177,,skull",
        "2125-03-05,Spine phantom 7,1.177",
        "2025-03-06,Spine phantom 7,",
        "2025-03-07,Spine phantom 7,1.177,seven",
        "2025-03-08,Spine phantom 7,1.177",
        "2025-03-08,Spine phantom 7,1.177",
    ]
    assert load(empty, HEADS + "\n".join(table)) == 1
    told = capsys.readouterr().err
    for line, problem in (
        (2, "on 2025-03-01 is on file already"),
        (4, "bmd is not between 0 and 10"),
        (5, "phantom is none of scanners.toml, which names Spine phantom 7"),
        (6, "a date is written 2026-03-02"),
        (7, "region names no region we know"),
        (8, "date is in the future"),
        (9, "bmd is empty"),
        (10, "a time is written 07:45"),
        (12, "on 2025-03-08 is in line 11 too"),
    ):
        assert any(f"line {line}: " in found and problem in found for found in told.splitlines()), problem
    assert "line 3:" not in told
    assert len(told.splitlines()) == 10
    main(["qc", "chart", "--serial-number", "DF+1", "--config", str(empty)])
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("text", ["", HEADS, "date,bmd\n2025-03-01,1.177", "date,phantom,bmd,colour\n"])
def test_a_table_without_its_columns_or_lines_is_refused(empty: Path, text: str) -> None:
    assert load(empty, text) == 1


@pytest.mark.parametrize(("days", "fitness"), [(-6, Fitness.FIT), (-7, Fitness.DUE), (-14, Fitness.OVERDUE)])
def test_a_scanner_in_use_whose_phantom_was_not_scanned_for_long_is_told(
    tmp_path: Path, days: int, fitness: Fitness
) -> None:
    """A notice after 7 days, an alarm after 14, by setting."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.baseline(16, until=days + 1)
        (one,) = scanner_fitness.fitness_of_all(department.app, at=now())
    assert (one.fitness, one.days_ago) == (fitness, -days)
    assert bool(one.advice) is (fitness is not Fitness.FIT)


@pytest.mark.parametrize(
    ("days", "fitness", "alarm"),
    [(6, Fitness.NO_PHANTOM, ""), (7, Fitness.DUE, "phantom_due"), (14, Fitness.OVERDUE, "phantom_overdue")],
)
def test_a_scanner_of_whose_phantom_no_scan_has_ever_come_is_told(
    tmp_path: Path, days: int, fitness: Fitness, alarm: str
) -> None:
    """Counted from its first exam, or from the first day of the phantom."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.patient(0)
        later = now() + timedelta(days=days)
        one = scanner_fitness.fitness_of(department.app, 1, at=later)
        alarms = _alarms(department, at=later)
    assert (one.fitness, one.days_ago, one.awaited_since) == (fitness, None, now().date())
    assert one.phantom_age == f"never, awaited since {now().date()}"
    assert alarms == ([alarm] if alarm else [])


def test_no_phantom_is_awaited_before_its_first_day_or_where_none_is_configured(tmp_path: Path) -> None:
    later = now() + timedelta(days=14)
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3", scanners=NO_PHANTOM) as department:
        department.patient(0)
        assert scanner_fitness.fitness_of(department.app, 1, at=later).fitness is Fitness.NO_PHANTOM
        assert _alarms(department, at=later) == []
    since = (later - timedelta(days=7)).date()
    (tmp_path / "scanners.toml").write_text(f"{SCANNERS}since = {since}\n")
    with open_app(tmp_path) as app:
        one = scanner_fitness.fitness_of(app, 1, at=later)
        assert (one.fitness, one.awaited_since) == (Fitness.DUE, since)


def _alarms(department: PhantomDepartment, *, at: datetime) -> list[str]:
    found = Conditions().read(department.app, Calendar(), (), at)
    return [one.kind for one in found if one.kind.startswith("phantom")]


def test_a_chart_is_judged_anew_for_a_scan_or_a_service_and_not_for_every_look(tmp_path: Path) -> None:
    """The first page of the desk looks at every chart each time it refreshes."""
    with phantom_department(tmp_path, f"sqlite:///{tmp_path}/store.sqlite3") as department:
        department.baseline()
        first, again = (scanner_fitness.fitness_of(department.app, 1, at=now()) for _ in range(2))
        assert again.quality is first.quality
        department.phantom(0, "1.2500")
        after_scan = scanner_fitness.fitness_of(department.app, 1, at=now())
        assert (first.fitness, after_scan.fitness) == (Fitness.FIT, Fitness.REPEAT)
        record_service(department.app, 1, "detector replaced", on=department.date_of(0))
        after_service = scanner_fitness.fitness_of(department.app, 1, at=now())
        assert [mark.what for mark in after_service.quality.marks] == ["detector replaced"]
