"""Simulated scanners that send years of phantom scans to the real service, whose clock moves with them.

They stand side by side in one department. A technologist scans each phantom once a working day, and twice more when
the service asks for it; the scans of four weeks come in one association, up to a scan after which it will ask.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from pipeline.clinical.phantom_chart import ControlChart, ControlScan, JudgedScan, ServiceMark
from pipeline.clinical.phantom_qc import QualityRule
from pipeline.edge.app import App
from pipeline.edge.overview.phantom_candidates import phantom_candidates
from pipeline.edge.overview.scanner_fitness import Fitness, fitness_of
from pipeline.edge.quality_control.charts import quality_of
from pipeline.edge.store import qc_stops, scanners
from pipeline.edge.store.qc_stops import Stop
from tests import peers
from tests.factories import fast_scanner
from tests.factories.moved_clock import MovedClock
from tests.factories.phantoms import (
    BEGIN,
    WORKING_DAYS_A_YEAR,
    Shift,
    SimulatedScanner,
    drift,
    no_shift,
    step,
)
from tests.factories.reports import ENHANCED_SR, encode, region, report, spine
from tests.factories.service import Service

YEARS = 4
SETTLED = 30
"""Days before anything happens: the baseline is complete."""

AFTER_WORK = 100
"""Days with the other tube, or the other phantom, and before them."""

ROUND = 20
"""Working days for which the clock moves at once: four weeks, after which a scan may still stop its scanner."""

PHANTOMS = """
[[phantom]]
name = "Spine"
patient_id = ["QC-7*"]
region = "L1-L4"
[[phantom]]
name = "New"
patient_id = ["QC-8*"]
region = "L1-L4"
replaces = "Spine"
"""


AS_A_PATIENT = ("A-77", "Room^Number-4")


def date_of(day: int) -> datetime:
    """Return when the phantom is scanned on a working day."""
    return BEGIN + timedelta(days=7 * (day // 5) + day % 5)


@dataclass(slots=True, kw_only=True)
class Course:
    """One scanner: what happens to it, and its judgement by the pure rules beside that of the service."""

    what: str
    number: int
    sd: float
    scanner: SimulatedScanner
    most_days: int
    changes_on: int | None = None
    """The day of a change, from which on its first stop ends the simulation."""
    epoch: ServiceMark | None = None
    replaced_on: int | None = None
    as_a_patient: bool = False
    """Whether it is scanned under an id and a name that no phantom has."""
    day: int = 0
    repeats: list[JudgedScan] = field(default_factory=list)
    is_over: bool = False

    @property
    def ae_title(self) -> str:
        """Its own name in DICOM."""
        return f"SCANNER{self.number:04d}"

    @property
    def serial_number(self) -> str:
        """Its own serial number."""
        return f"DF+{self.number:04d}"

    def next_scans(self, until: int) -> list[ControlScan]:
        """Return its scans up to a day, or to one that has to be repeated; then the repeats come first."""
        found, self.repeats = [one.scan for one in self.repeats], []
        while self.day < min(until, self.most_days) and not self.repeats and not self.is_over:
            first = len(self.scanner.judging.judged)
            self.scanner.run(1, first=self.day)
            self.day += 1
            scan, *self.repeats = self.scanner.judging.judged[first:]
            found.append(scan.scan)
        return found


def in_control(scanners_each: int) -> list[Course]:
    """Return scanners in control for four years."""
    return [
        _course("nothing, 4 years", sd, seed, most_days=YEARS * WORKING_DAYS_A_YEAR)
        for sd in (0.3, 0.5)
        for seed in range(scanners_each)
    ]


def changed(scanners_each: int) -> list[Course]:
    """Return scanners with steps and with a drift."""
    shifts: list[tuple[str, Shift, int]] = [
        *((f"step of {size} %", step(size, on=SETTLED), WORKING_DAYS_A_YEAR) for size in (0.5, 1.0, 1.5)),
        ("drift of 0.5 % a year", drift(0.5, since=SETTLED), 2 * WORKING_DAYS_A_YEAR),
    ]
    return [
        _course(what, sd, 10_000 + seed, shift=shift, most_days=SETTLED + patience, changes_on=SETTLED)
        for what, shift, patience in shifts
        for sd in (0.3, 0.5)
        for seed in range(scanners_each)
    ]


def worked_on(scanners_each: int) -> list[Course]:
    """Return scanners with a new tube, an epoch of the configuration, and with another phantom, which it names."""
    day = AFTER_WORK
    mark = ServiceMark(day=date_of(day).date(), what="tube", is_epoch=True)
    tubes = [
        _course("new tube, +0.6 %, with its epoch", sd, 20_000 + seed, shift=step(0.6, on=day), epoch=mark)
        for sd in (0.3, 0.5)
        for seed in range(scanners_each)
    ]
    phantoms = [
        _course(
            "phantom replaced by one 5 % denser, named", sd, 30_000 + seed, shift=step(5.0, on=day), replaced_on=day
        )
        for sd in (0.3, 0.5)
        for seed in range(scanners_each)
    ]
    return [*tubes, *phantoms]


def taken_for_a_patient() -> Course:
    """Return a scanner whose phantom is scanned as a patient, by no name of a phantom."""
    course = _course("a phantom scanned as a patient", 0.3, 40_000, most_days=0)
    course.as_a_patient = True
    return course


def _course(
    what: str,
    sd: float,
    seed: int,
    *,
    shift: Shift = no_shift,
    most_days: int = 2 * AFTER_WORK,
    changes_on: int | None = None,
    epoch: ServiceMark | None = None,
    replaced_on: int | None = None,
) -> Course:
    marks = [] if epoch is None else [epoch]
    scanner = SimulatedScanner(seed, sd_percent=sd, shift=shift, marks=marks, replaced_on=replaced_on)
    return Course(
        what=what,
        number=0,
        sd=sd,
        scanner=scanner,
        most_days=most_days,
        changes_on=changes_on,
        epoch=epoch,
        replaced_on=replaced_on,
    )


class PhantomYears:
    """The service of a department with these scanners, and the clock that it goes by."""

    def __init__(self, service: Service, clock: MovedClock, courses: Sequence[Course]) -> None:
        self.service, self.clock, self.courses = service, clock, courses
        self._sent = 0
        for number, course in enumerate(courses, start=1):
            course.number = number
        configuration = {"scanners.toml": self._scanners(), "precision.toml": ""}
        for name, text in configuration.items():
            (service.config / name).unlink()
            (service.config / name).write_text(text)
        path = service.config / "service.toml"
        settings = re.sub(r"\[\[destination\]\][^\[]*", "", path.read_text())  # nothing waits for a PACS
        callers = (f'[[listener.caller]]\nae_title = "{course.ae_title}"\n' for course in courses)
        path.write_text("\n".join([settings, *callers]))

    def run(self, app: App) -> None:
        """Let the years pass, until every scanner is stopped, or has sent all its days."""
        until = 0
        while any(not course.is_over for course in self.courses):
            until += ROUND
            self.clock.move_to(date_of(until - 1).replace(hour=12, tzinfo=UTC))
            self._pass_weeks(app, until)

    def number_of(self, app: App, course: Course) -> int:
        """Return the number of a scanner on file."""
        with app.database.read() as connection:
            (number,) = scanners.with_serial_number(connection, course.serial_number)
        return number

    def chart_of(self, app: App, course: Course) -> ControlChart:
        """Return the control chart of a scanner from the store."""
        number = self.number_of(app, course)
        with app.database.read() as connection:
            (series,) = quality_of(connection, app.reference_data, number).series
        return series.chart

    def stops_of(self, app: App, course: Course) -> list[Stop]:
        """Return the stops of a scanner that two repeats confirmed.

        The clock moves by weeks, so the night often comes before the repeats of a day: what it stopped, they annul.
        """
        number = self.number_of(app, course)
        with app.database.read() as connection:
            stops = qc_stops.of_scanner(connection, number)
        if not course.repeats:
            assert all(stop.confirmed or stop.annulled for stop in stops), "the repeats have come"
        return [stop for stop in stops if stop.confirmed]

    def send(self, course: Course, scans: Sequence[ControlScan]) -> None:
        """Send scans in one association; the test fails unless every one is taken."""
        with fast_scanner.Scanner(self.service.port, called="DXATREND", calling=course.ae_title) as sender:
            for position, scan in enumerate(scans, start=1):
                assert sender.store(self._report(course, scan), position) == 0
            sender.release()

    def scan_as_a_patient(self, app: App, course: Course) -> int:
        """Scan a phantom as a patient each day from now on, until it is told that it may be one; return after how many.

        The test fails where it has not been told for a month.
        """
        for day in range(1, 31):
            self.clock.move_to((self.clock.now() + timedelta(days=1)).replace(hour=12, minute=0))
            at = self.clock.now().replace(tzinfo=None, hour=7, microsecond=0)
            bmd = course.scanner.measure(day)
            self.send(course, [ControlScan(number=day, performed_at=at, phantom="", bmd=bmd)])
            self.rest(app)
            with app.database.read() as connection:
                candidates = phantom_candidates(connection)
            if candidates:
                (candidate,) = candidates
                assert candidate.patient_id == AS_A_PATIENT[0]
                assert len(candidate.exams) == day
                return day
        raise AssertionError("nobody was told")

    def rest(self, app: App) -> None:
        """Wait until the service has read and followed up everything."""
        peers.wait_until(lambda: self.service.status(app).is_idle, seconds=300, what="nothing waits")

    def _pass_weeks(self, app: App, until: int) -> None:
        with ThreadPoolExecutor(8) as technologists:
            while sending := [(one, scans) for one in self.courses if (scans := one.next_scans(until))]:
                list(technologists.map(lambda pair: self.send(*pair), sending))
                self.rest(app)
                for course, _ in sending:
                    self._look(app, course)
        for course in self.courses:
            course.is_over = course.is_over or course.day >= course.most_days

    def _look(self, app: App, course: Course) -> None:
        """Do what a technologist does who looks at the scanner's line after the phantom."""
        if course.repeats:
            assert fitness_of(app, self.number_of(app, course), at=self.clock.now()).fitness in ASKS, course
            return
        for stop in self.stops_of(app, course):
            if not stop.is_open:
                continue
            if course.changes_on is not None and stop.shown_at >= date_of(course.changes_on):
                course.is_over = True
                continue
            what = ("qc", "remedy", str(stop.number), "--what", "it lay askew", "--on", str(stop.shown_at.date()))
            done = self.service.run(*what, "--not-the-scanner", environment=self.clock.environment)
            assert done.returncode == 0, done.stderr

    def _report(self, course: Course, scan: ControlScan) -> fast_scanner.Object:
        self._sent += 1
        uid = f"2.25.{1_000_000_000 + self._sent}"
        values = {
            "2.25.8888888888": uid,
            "2.25.9999999999": uid.replace("2.25.1", "2.25.2"),
            "19991231": f"{scan.performed_at:%Y%m%d}",
            "235959": f"{scan.performed_at:%H%M%S}",
            "DF+9999": course.serial_number,
            "QC-9": AS_A_PATIENT[0] if course.as_a_patient else "QC-8" if scan.phantom == "New" else "QC-7",
            "Spine^Phantom": AS_A_PATIENT[1] if course.as_a_patient else "Spine^Phantom",
            "9.9999": str(scan.bmd),
        }
        data_set = _TEMPLATE
        for marked, value in values.items():
            assert len(marked) == len(value)
            data_set = data_set.replace(marked.encode(), value.encode())
        return fast_scanner.Object(ENHANCED_SR, uid, data_set)

    def _scanners(self) -> str:
        return PHANTOMS + "".join(
            f"""
            [[scanner]]
            manufacturer = "GE Healthcare"
            model = "Lunar Prodigy"
            serial_number = "{course.serial_number}"
            [[scanner.epoch]]
            from = {course.epoch.day}
            reason = "{course.epoch.what}"
            cross_calibrated = true
            """
            for course in self.courses
            if course.epoch
        )


ASKS = (Fitness.REPEAT, Fitness.STOPPED)
"""A scanner that is stopped already is asked for nothing else."""

_TEMPLATE = encode(
    report(
        spine(region("L1-L4", "9.9999")),
        SOPInstanceUID="2.25.8888888888",
        StudyInstanceUID="2.25.9999999999",
        StudyDate="19991231",
        StudyTime="235959",
        DeviceSerialNumber="DF+9999",
        PatientID="QC-9",
        PatientName="Spine^Phantom",
        PatientBirthDate="",
    )
)


def table(years: PhantomYears, app: App) -> Iterator[str]:
    """Yield the lines of the table: what happened to so many scanners, as the store has it."""
    yield "| what happens | SD from day to day | scanners | stops the scanner | noticed, by CUSUM or a stop |"
    yield "| --- | --- | --- | --- | --- |"
    judged = [course for course in years.courses if not course.as_a_patient]
    for (what, sd), group in groupby(judged, key=lambda course: (course.what, course.sd)):
        courses = list(group)
        stops, noticed = _told(years, app, courses)
        yield f"| {what} | {sd} % | {len(courses)} | {stops} | {noticed} |"


def _told(years: PhantomYears, app: App, courses: Sequence[Course]) -> tuple[str, str]:
    if courses[0].changes_on is None:
        stops = sum(len(years.stops_of(app, course)) for course in courses)
        days = sum(course.day for course in courses)
        charts = [years.chart_of(app, course) for course in courses]
        if courses[0].epoch:
            held = sum(chart.bridges[0].holds is True for chart in charts)
            return f"{stops} in {days} days", f"{held} of {len(courses)}: held within 1 %"
        if courses[0].replaced_on:
            begun = sum(chart.segments[-1].reason.startswith("phantom") for chart in charts)
            return f"{stops} in {days} days", f"{begun} of {len(courses)}: a new baseline"
        notices = sum(QualityRule.CUSUM in one.rules for chart in charts for one in chart.scans)
        a_year = days / WORKING_DAYS_A_YEAR
        return f"{stops} in {a_year:.0f} years: {stops / a_year:.2f} a year", f"{notices / a_year:.1f} a year"
    delays = [delays_of(years, app, course) for course in courses]
    return _days([stop for stop, _ in delays]), _days([notice for _, notice in delays])


def delays_of(years: PhantomYears, app: App, course: Course) -> tuple[int | None, int | None]:
    """Return on which day after its change a scanner was stopped, and noticed by CUSUM or the stop."""
    assert course.changes_on is not None
    change = date_of(course.changes_on)
    days = [date_of(day).date() for day in range(course.changes_on, course.most_days)]
    stopped = [stop.shown_at.date() for stop in years.stops_of(app, course) if stop.shown_at >= change]
    seen = [
        one.scan.day
        for one in years.chart_of(app, course).scans
        if QualityRule.CUSUM in one.rules and one.scan.performed_at >= change
    ]
    stop = days.index(min(stopped)) + 1 if stopped else None
    notice = days.index(min([*stopped, *seen])) + 1 if stopped or seen else None
    return stop, notice


def _days(found: Sequence[int | None]) -> str:
    known = sorted(day for day in found if day is not None)
    never = len(found) - len(known)
    return f"after {', '.join(map(str, known))} days" + (f"; {never} not in time" if never else "")
