"""A year of a department in minutes: exams by day, schedules by night, somebody at the desk, a PACS that fails.

All processes are those of ``dxatrend serve``, with Prefect's own server and schedules; their clock is moved from day to
night, and everything else is as it is. The days are not waited for, nor is the night: its runs are due once the clock
has passed their time, and are waited for until they are over.
"""

import math
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from pipeline.edge.app import App
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import desk_accounts
from pipeline.edge.store import service_status
from tests import peers
from tests.benchmarks import processes
from tests.factories.browser import PASSWORD, Client
from tests.factories.fast_scanner import Object, Scanner
from tests.factories.moved_clock import MovedClock
from tests.factories.reports import encode, region, report, spine
from tests.factories.service import Service

SCANNER = {
    "Manufacturer": "GE Healthcare",
    "ManufacturerModelName": "Lunar Prodigy",
    "DeviceSerialNumber": "DF+500475",
}

PAGES = ("/", "/held", "/patients", "/scanners", "/precision", "/alarms", "/trail", "/exams/1", "/addenda/1/pages")
"""What somebody looks at on the desk, by turns; the last one is drawn."""

NIGHTLY = {"reprocess": timedelta(hours=1), "housekeeping": timedelta(hours=3, minutes=30)}
"""The flows that the schedules run each night, and how long after midnight."""

MINUTE = timedelta(minutes=1)

OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
"""The states of a run that has ended."""

PARTS = {
    "serve": "supervisor",
    "listen": "listener",
    "work": "worker",
    "monitor": "monitor",
    "desk": "desk",
    "server": "Prefect server",
}
"""By a word of the command, what each process is; ``server`` is no word of ours."""


POOLS_OF_PREFECT = 8
"""Threads and connections that its server keeps once they were needed, and that more of may be needed later."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one process holds."""

    megabytes: float
    threads: int
    descriptors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the service holds at rest."""

    night: int
    exams: int
    parts: Mapping[str, Use]
    store_bytes: int
    files: int
    """How many temporary files there are."""

    @property
    def megabytes(self) -> float:
        """The resident memory of all processes."""
        return sum(use.megabytes for use in self.parts.values())


@dataclass(slots=True)
class Year:
    """What was seen; the first moment is that of a service that has warmed up."""

    moments: list[Moment] = field(default_factory=list)
    nights_run: int = 0
    pages_shown: int = 0
    outages: int = 0
    addenda_in_pacs: int = 0
    exams: int = 0
    held: int = 0

    @property
    def memory_growth(self) -> float:
        """The memory of all processes at the end, as a multiple of that at the first moment."""
        return self.moments[-1].megabytes / self.moments[0].megabytes

    @property
    def store_bytes_per_exam(self) -> tuple[float, float]:
        """How much the store grew for each exam in the first and in the second half."""
        return _growth(self.moments[0], self._middle), _growth(self._middle, self.moments[-1])

    @property
    def left_behind(self) -> Mapping[str, tuple[int, int]]:
        """What there is more of in the second half than there ever was in the first: the most then, the least now.

        Connections come and go, so a single moment tells of no leak; a leak shows at every later one.
        """
        counts: dict[str, list[int]] = {"temporary files": [moment.files for moment in self.moments]}
        for part in self.moments[0].parts:
            counts[f"threads of {part}"] = [moment.parts[part].threads for moment in self.moments]
            counts[f"descriptors of {part}"] = [moment.parts[part].descriptors for moment in self.moments]
        half = len(self.moments) // 2
        seen = {what: (max(many[:half]), min(many[half:])) for what, many in counts.items()}
        return {
            what: (then, now)
            for what, (then, now) in seen.items()
            if now > then + (POOLS_OF_PREFECT if what.endswith("Prefect server") else 0)
        }

    @property
    def _middle(self) -> Moment:
        return self.moments[len(self.moments) // 2]


def _growth(one: Moment, other: Moment) -> float:
    return (other.store_bytes - one.store_bytes) / (other.exams - one.exams)


class Visitor(threading.Thread):
    """Somebody who looks at one page of the desk after another, and logs in again when a session is over."""

    def __init__(self, service: Service, app: App) -> None:
        super().__init__(name="visitor", daemon=True)
        desk_accounts.add(app.database, "mary", Role.CONFIGURE, PASSWORD)
        self._client = Client(f"http://{peers.LOOPBACK}:{service.desk_port}", {})
        self._over = threading.Event()
        self.shown = 0
        self.wrong: list[str] = []

    def is_let_in(self) -> bool:
        """Log in, and return whether the desk took it."""
        try:
            return self._log_in().is_redirect
        except httpx.TransportError:
            return False

    def _log_in(self) -> httpx.Response:
        return self._client.send_form("/log-in", {"name": "mary", "password": PASSWORD})

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(0.25):
            path = PAGES[self.shown % len(PAGES)]
            try:
                answer = self._client.get(path)
                if answer.is_redirect:
                    self._log_in()
                    answer = self._client.get(path)
            except httpx.TransportError as failure:
                self.wrong.append(f"{path}: {failure!r}")
                continue
            if answer.status_code not in (200, 404):  # the first exam is still to come
                self.wrong.append(f"{path}: {answer.status_code}")
            self.shown += 1

    def stop(self) -> None:
        """Look at nothing more."""
        self._over.set()
        self.join()
        self._client.close()


class SimulatedYear:
    """So many exams over so many nights; ``outages`` tell on which day the PACS goes away, and for how many days."""

    def __init__(self, folder: Path, *, exams: int, nights: int, outages: Mapping[int, int]) -> None:
        self._folder, self._exams, self._nights, self._outages = folder, exams, nights, outages
        self._clock = MovedClock(folder)
        self._chance = random.Random(nights)
        self._sent = 0
        self._later = 4 * math.ceil(exams / nights / 2) + 1
        """Every fourth exam is of a patient who was there two days and so many exams ago."""
        self._temporary = folder / "tmp"
        self._temporary.mkdir()

    def live(self, pacs: peers.Orthanc, *, looks: int = 10) -> Year:
        """Live through the year, and look at what the service holds ``looks`` times."""
        service = Service(self._folder / "service", destination_port=pacs.dicom_port, settle_seconds=0.2)
        year, moments = Year(), {round(self._nights * n / looks) for n in range(1, looks + 1)}
        began = datetime(2027, 1, 4, 12, tzinfo=UTC)
        self._clock.move_to(began)
        environment = {**self._clock.environment, "TMPDIR": str(self._temporary), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        service.start(environment=environment)
        try:
            with service.app() as app:
                visitor = Visitor(service, app)
                peers.wait_until(visitor.is_let_in, seconds=120, what="the desk answers")
                visitor.start()
                peers.wait_until(service.prefect_answers, seconds=120, what="the Prefect server answers")
                back = 0
                for night in range(1, self._nights + 1):
                    day = began + timedelta(days=night - 1)
                    self._clock.move_to(day)
                    if night == back:
                        pacs.start()
                    if night in self._outages:
                        pacs.stop()
                        back = night + self._outages[night]
                        year.outages += 1
                    self._receive(service, self._exams * night // self._nights - self._sent, day)
                    self._rest(app, away=night < back)
                    self._sleep_through(service, day)
                    year.nights_run += 1
                    if night in moments:
                        self._rest(app, away=night < back)
                        year.moments.append(self._look(service, app, night))
                visitor.stop()
                year.pages_shown, year.exams = visitor.shown, self._sent
                assert visitor.wrong == [], visitor.wrong[:5]
                year.held = self._status(app).held
                year.addenda_in_pacs = len(pacs.rest("instances"))
        finally:
            service.kill()
        return year

    def _receive(self, service: Service, count: int, day: datetime) -> None:
        """Send the exams of a day in one association."""
        with Scanner(service.port, called="DXATREND") as scanner:
            for _ in range(count):
                assert scanner.store(self._report(self._sent, day)) == 0x0000
                self._sent += 1
            scanner.release()

    def _report(self, number: int, day: datetime) -> Object:
        is_back = number % 4 == 1 and number > self._later
        patient = number - self._later if is_back else number
        bmd = 0.85 + self._chance.random() / 4
        made = report(
            spine(region("L1-L4", f"{bmd:.3f}"), region("L2-L4", f"{bmd + 0.02:.3f}")),
            StudyInstanceUID=f"2.25.7.{number}",
            SOPInstanceUID=f"2.25.8.{number}",
            PatientID=f"Y{patient}",
            PatientName=f"Year^{patient}",
            StudyDate=f"{day:%Y%m%d}",
            StudyTime=f"{8 + number % 60 // 20:02}{number % 20:02}{number // 60 % 60:02}",
            **SCANNER,
        )
        return Object(str(made.SOPClassUID), str(made.SOPInstanceUID), encode(made))

    def _status(self, app: App) -> service_status.Status:
        with app.database.read() as connection:
            return service_status.status(connection, ["pacs"], self._clock.now())

    def _rest(self, app: App, *, away: bool) -> None:
        """Wait until everything is followed up and, unless the PACS is away, delivered."""

        def is_at_rest() -> bool:
            status = self._status(app)
            waits = status.to_be_read + status.exams_waiting
            return waits == 0 if away else status.is_idle

        peers.wait_until(is_at_rest, seconds=300, what="the day's work is done")

    def _sleep_through(self, service: Service, day: datetime) -> None:
        """Let the night pass: its runs become due as the clock passes the time of each, and are waited for."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)

        def states(name: str) -> list[str]:
            due = midnight + NIGHTLY[name]
            window = {"after_": (due - MINUTE).isoformat(), "before_": (due + MINUTE).isoformat()}
            question = {"flows": {"name": {"any_": [name]}}, "flow_runs": {"expected_start_time": window}}
            return [run["state_type"] for run in service.ask_prefect("flow_runs/filter", question)]

        peers.wait_until(lambda: all(map(states, NIGHTLY)), seconds=300, what="tonight's runs are planned")
        self._clock.move_to(midnight + max(NIGHTLY.values()) + MINUTE)
        peers.wait_until(
            lambda: all(set(states(name)) <= OVER for name in NIGHTLY), seconds=300, what="tonight's runs are over"
        )
        assert all(states(name) == ["COMPLETED"] for name in NIGHTLY), midnight

    def _look(self, service: Service, app: App, night: int) -> Moment:
        parts: dict[str, Use] = {}
        for pid in processes.descendants(service.process_group()):
            words = set(processes.command(pid))
            for word, name in PARTS.items():
                if word in words and name not in parts:
                    parts[name] = Use(
                        processes.resident_megabytes(pid),
                        len(list(Path(f"/proc/{pid}/task").iterdir())),
                        len(list(Path(f"/proc/{pid}/fd").iterdir())),
                    )
        with app.database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return Moment(
            night=night,
            exams=self._sent,
            parts=parts,
            store_bytes=pages * page_bytes,
            files=len(list(self._temporary.rglob("*"))),
        )
