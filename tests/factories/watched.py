"""A department whose alarms are watched in this process, with a clock that a test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.edge.alarms.watch import Watcher, open_alarms
from pipeline.edge.app import App, open_app
from pipeline.edge.live_configuration import LiveConfiguration
from pipeline.edge.store import processes


class Watched:
    """A store and a watcher; ``now`` is what its clock shows."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.running: list[str] = []
        self.now = datetime.now(UTC)
        self.watcher = Watcher(app, clock=lambda: self.now)

    def look(self, *, after: timedelta = timedelta()) -> None:
        """Look once, so much later."""
        self.now += after
        with self.app.database.write() as connection:
            for part in self.running:
                processes.renew(connection, part, at=self.now)
        self.watcher.poll(self.app)

    def pass_time(self, length: timedelta, *, every: timedelta = timedelta(minutes=1)) -> None:
        """Look every minute of a stretch of time."""
        end = self.now + length
        while self.now < end:
            self.look(after=every)

    def until_morning(self) -> None:
        """Look once, when the department's next morning has begun."""
        local = self.now.astimezone(self.app.settings.service.exam.zone)
        following = (local + timedelta(days=1)).replace(hour=6, minute=31)
        self.look(after=following - local)

    def raised(self) -> list[tuple[str, str]]:
        """Kind and subject of each alarm that is raised."""
        with self.app.database.read() as connection:
            return [alarm.key for alarm in open_alarms(connection) if alarm.is_raised]


def zone_where_it_is_eight() -> str:
    """The time zone in which it is between eight and nine now, so that a test holds at any hour."""
    ahead = 8 - datetime.now(UTC).hour
    ahead += 24 if ahead < -12 else 0
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@contextmanager
def watched(folder: Path, alarms: str = "", *, url: str = "", rest: str = "", parts: bool = True) -> Iterator[Watched]:
    """Open a store with these settings below ``[alarms]``; with ``parts`` a listener and a worker seem to run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.toml").write_text(f"""
        {rest}
        [store]
        url = "{url or f"sqlite:///{folder}/store.sqlite3"}"
        reserve_mb = 0
        [exam]
        time_zone = "{zone_where_it_is_eight()}"
        settle_seconds = 0
        late_days = 36500
        [alarms]
        work_days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        {alarms}
        """)
    with open_app(folder) as app:
        live = LiveConfiguration(app)
        if not parts:
            yield Watched(app)
            return
        with live.registered("listener"), live.registered("worker"):
            department = Watched(app)
            department.running = ["listener", "worker"]
            yield department
