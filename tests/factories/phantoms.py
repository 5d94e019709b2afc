"""Simulated scanners: phantom scans day by day with a standard deviation, steps, drift and repeats on request."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import func, select

from pipeline.clinical.phantom_chart import ControlScan, Judging, ServiceMark
from pipeline.edge.app import App
from pipeline.edge.store import qc_stops
from pipeline.edge.store.qc_stops import Stop
from pipeline.edge.store.schema import exam
from tests.factories.department import Department, department, scan

TRUE_BMD = Decimal("1.177")
BEGIN = datetime(2022, 1, 3, 7, 0)
WORKING_DAYS_A_YEAR = 250

Shift = Callable[[int], float]
"""The true deviation of the scanner in percent on a day, counted from 0."""


def step(size: float, *, on: int) -> Shift:
    """Return a shift of so many percent from a day on."""
    return lambda day: size if day >= on else 0.0


def drift(a_year: float, *, since: int) -> Shift:
    """Return a shift that grows by so many percent in a year of working days."""
    return lambda day: a_year * max(0, day - since) / WORKING_DAYS_A_YEAR


def no_shift(day: int) -> float:
    """A scanner in control."""
    del day
    return 0.0


class SimulatedScanner:
    """A scanner whose phantom is scanned once a working day at seven, and repeated twice when the chart asks for it."""

    def __init__(
        self,
        seed: int,
        *,
        sd_percent: float,
        shift: Shift = no_shift,
        marks: Sequence[ServiceMark] = (),
        replaced_on: int | None = None,
    ) -> None:
        self._random = random.Random(seed)
        self._sd, self._shift = sd_percent, shift
        self._scans = 0
        self._replaced_on = replaced_on
        self.judging = Judging(marks)

    def measure(self, day: int) -> Decimal:
        """Return the BMD of one scan, printed as scanners print it."""
        deviation = self._random.gauss(self._shift(day), self._sd)
        return (TRUE_BMD * Decimal(1 + deviation / 100)).quantize(Decimal("0.0001"))

    def run(self, days: int, *, first: int = 0) -> None:
        """Scan the phantom on so many days, and twice more where the chart asks for it."""
        for day in range(first, first + days):
            self._scan(day, 0)
            for repeat in (1, 2):
                if self.judging.awaiting is not None:
                    self._scan(day, repeat)

    def _scan(self, day: int, repeat: int) -> None:
        weeks, of_week = divmod(day, 5)
        at = BEGIN + timedelta(days=7 * weeks + of_week, minutes=10 * repeat)
        phantom = "Spine" if self._replaced_on is None or day < self._replaced_on else "New"
        scan = ControlScan(number=self._scans + 1, performed_at=at, phantom=phantom, bmd=self.measure(day))
        self._scans += 1
        self.judging.add(scan)


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


SCANNERS = """
[[scanner]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
name = "Room 2"
[[phantom]]
name = "Spine phantom 7"
patient_id = ["QC-7*"]
region = "L1-L4"
"""
CALLER = """
[[listener.caller]]
ae_title = "SCANNER1"
"""
LSC = """
[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
region = "L1-L4"
precision_error = "0.010"
same_day = false
patients = 30
repeats = 2
valid_from = 2020-01-01
valid_until = 2099-12-31
source = "study of 2020"
"""
IN_CONTROL = ("1.1770", "1.1800", "1.1740", "1.1785", "1.1755")
"""BMD of scans in control, again and again: a standard deviation of 0.2 %."""


class PhantomDepartment:
    """A scanner whose phantom and patients come over DICOM; ``day`` 0 is yesterday, day -1 the one before."""

    def __init__(self, made: Department) -> None:
        self.made, self.app = made, made.app
        self._sent = 0

    def phantom(self, day: int, bmd: str, at: str = "070000", *, work: bool = True, **header: str) -> None:
        """Scan the phantom on a day."""
        given = {"PatientID": "QC-7", "PatientName": "Spine^Phantom", "PatientBirthDate": ""} | header
        self._send(day, bmd, at, **given)
        if work:
            self.made.work()

    def baseline(self, days: int = 16, *, until: int = -2) -> None:
        """Scan the phantom on so many days in a row, in control."""
        for number in range(days):
            day = until - days + 1 + number
            self.phantom(day, IN_CONTROL[number % len(IN_CONTROL)], work=False)
        self.made.work()

    @classmethod
    def of(cls, config: Path, app: App) -> "PhantomDepartment":
        """Return a department that is opened again, to look and to work, with nobody to send to it."""
        return cls(Department(config, app, 0))

    def run(self, *command: str) -> int:
        """Run one command and return its exit status."""
        return self.made.run(*command)

    def overall(self, number: int) -> str:
        """Return the overall result of the present addendum of an exam."""
        found = self.made.addendum_of(number)
        assert found is not None
        return found.overall

    def patient(
        self, day: int, bmd: str = "0.912", at: str = "100000", *, patient: str = "P1", work: bool = True
    ) -> int:
        """Examine a patient on a day and return the number of the exam, if the work is done now."""
        self._send(day, bmd, at, PatientID=patient)
        if not work:
            return 0
        self.made.work()
        with self.app.database.read() as connection:
            number: int = connection.execute(select(func.max(exam.c.id))).scalar_one()
        return number

    def flags(self, number: int) -> list[str]:
        """Return the flags of the present addendum of an exam that concern the quality control."""
        found = self.made.addendum_of(number)
        assert found is not None
        of_regions = [flag for values in found.regions.values() for flag in values.get("FLAG", ())]
        return sorted({flag for flag in (*found.flags, *of_regions) if flag == "QC_UNVERIFIED"})

    def stops(self) -> list[Stop]:
        """Return every stop on file."""
        with self.app.database.read() as connection:
            return qc_stops.of_scanner(connection, 1)

    def date_of(self, day: int) -> date:
        """Return the date of a day."""
        return (datetime.now(UTC) + timedelta(days=day - 1)).date()

    def _send(self, day: int, bmd: str, at: str, **header: str) -> None:
        self._sent += 1
        uid = f"2.25.{1000 + self._sent}"
        self.made.send(scan(bmd, f"{self.date_of(day):%Y%m%d}", uid=uid, StudyTime=at, **header))


@contextmanager
def phantom_department(folder: Path, url: str, *, scanners: str = SCANNERS) -> Iterator[PhantomDepartment]:
    """Run a listener for one scanner and its phantom."""
    (folder / "scanners.toml").write_text(scanners)
    (folder / "precision.toml").write_text(LSC)
    with department(folder, url, CALLER) as made:
        yield PhantomDepartment(made)
