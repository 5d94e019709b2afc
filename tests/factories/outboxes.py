"""A store with destinations of any kind, into whose outbox exams put their addenda."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy import select, update

from pipeline.edge.app import App, open_app
from pipeline.edge.deliver.dispatcher import deliver_batch
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import outbox, receipts, service_status
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.edge.store.schema import delivery, outage
from pipeline.edge.store.service_status import DestinationStatus
from tests.factories.instances import instance
from tests.factories.reports import encode, region, report, spine

LONG_AGO = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)

LSC = """
[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+1"
region = "L1-L4"
lsc = "0.028"
patients = 30
repeats = 2
same_day = false
valid_from = 2019-01-01
valid_until = 2030-01-01
source = "in vivo study, January 2019"
"""


@contextmanager
def outbox_of(folder: Path, destinations: str, *, url: str = "", service: str = "") -> Iterator[App]:
    """Open an app with these destinations, and an LSC for the spine."""
    store = url or f"sqlite:///{folder}/store.sqlite3"
    (folder / "service.toml").write_text(
        f'[store]\nurl = "{store}"\n[exam]\nlate_days = 36500\nsettle_seconds = 0\n{service}\n{destinations}\n'
    )
    (folder / "precision.toml").write_text(LSC)
    with open_app(folder) as app:
        yield app


def visit(year: int, bmd: str = "0.912", *, part: int = 1, content: Dataset | None = None, **header: str) -> Dataset:
    """Return one report of the visit of a year."""
    given = {
        "StudyInstanceUID": f"2.25.{year}",
        "StudyDate": f"{year}0501",
        "SOPInstanceUID": f"2.25.{year}.{part}",
        "AccessionNumber": f"A{year}",
        **header,
    }
    return report(content or spine(region("L1-L4", bmd)), **given)


def receive(app: App, *sent: Dataset) -> None:
    """Store reports, read them, and issue what addenda are due."""
    with app.database.write() as connection:
        for one in sent:
            kept = instance(encode(one), uid=str(one.SOPInstanceUID))
            receipts.store(connection, kept, calling_ae_title="SCANNER1", at=LONG_AGO)
    while extract_waiting(app):
        pass
    while due := claim_due(app.database, 50):
        follow_up(app, due)


def deliver(app: App, name: str = "") -> tuple[int, int]:
    """Deliver what is due to one destination, by default the first."""
    (to, *_) = (to for to in app.settings.service.destination if name in ("", to.name))
    return deliver_batch(app, to)


def addenda(app: App, exam: int = 1) -> list[AddendumOnFile]:
    """Return the addenda of an exam."""
    with app.database.read() as connection:
        return outbox.addenda(connection, exam)


def wait_is_over(app: App) -> None:
    """Let every wait of the outbox have passed: a day is over."""
    with app.database.write() as connection:
        for row in connection.execute(select(delivery.c.id, delivery.c.due_at)).all():
            earlier = row.due_at - timedelta(days=1)
            connection.execute(update(delivery).where(delivery.c.id == row.id).values(due_at=earlier))
        connection.execute(update(outage).values(due_at=LONG_AGO))


def problems(app: App) -> list[tuple[str, str]]:
    """Return reason and detail of every delivery that has one, in the order of the addenda."""
    with app.database.read() as connection:
        rows = connection.execute(select(delivery.c.reason, delivery.c.detail).order_by(delivery.c.id)).all()
    return [(row.reason, row.detail) for row in rows if row.reason]


def states(app: App) -> list[str]:
    """Return the state of every delivery, in the order of the addenda."""
    with app.database.read() as connection:
        return [str(state) for state in connection.scalars(select(delivery.c.state).order_by(delivery.c.id))]


def status(app: App, name: str) -> DestinationStatus:
    """Return what ``dxatrend status`` says of a destination."""
    with app.database.read() as connection:
        return service_status.status(connection, [name], datetime.now(UTC)).destinations[0]
