"""Measure the pages of the desk in a store that has been filling for years.

The cost is the processor's time of one look over HTTP, server and client together. One scanner has made every exam, and
for each exam a person has made an entry in the audit trail; a department has several scanners, and fewer entries.
"""

import sqlite3
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import process_time

from pipeline.edge.app import App
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.store.audit_trail import Event, Outcome
from tests import peers
from tests.benchmarks import archive
from tests.benchmarks.table import Row, at_most
from tests.factories.browser import Client, running_desk

SIZES = (1_000, 1_000_000)
LOOKS = 15
"""At each page; one more goes before, which loads templates and opens connections."""

MOST_TIMES = 1.5
"""How many times the cost in the smaller store."""

MOST_MILLISECONDS = 100


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who is logged in, and the token of the session's forms."""

    client: Client
    token: str


def rows() -> Iterator[Row]:
    """The cost of each page in the larger store, by itself and beside the smaller; in turn, as the machine is busy."""
    with ExitStack() as stack:
        readers = {exams: stack.enter_context(_reader(exams)) for exams in SIZES}
        costs: dict[tuple[str, int], list[float]] = {(name, exams): [] for name in PAGES for exams in SIZES}
        for look in range(LOOKS + 1):
            for name, open_page in PAGES.items():
                for exams, reader in readers.items():
                    began = process_time()
                    open_page(reader)
                    if look:
                        costs[name, exams].append(1000 * (process_time() - began))
    small, large = SIZES
    for name in PAGES:
        ours = statistics.median(costs[name, large])
        what = f"{name}, {large:,} exams on file"
        yield Row(what=what, ours=ours, unit="ms of processor", target=at_most(MOST_MILLISECONDS))
        yield Row(
            what=what,
            ours=ours,
            unit="ms of processor",
            peer=f"the same, {small:,} on file",
            theirs=statistics.median(costs[name, small]),
            target=at_most(MOST_TIMES, times=True),
        )


def _page(path: str) -> Callable[[Reader], None]:
    def look(reader: Reader) -> None:
        assert reader.client.get(path).status_code == 200, path

    return look


def _search(reader: Reader) -> None:
    fields: dict[str, object] = {"token": reader.token, "text": archive.patient_id(0), "issuer": ""}
    assert reader.client.send_form("/patients", fields).status_code == 303


PAGES: Mapping[str, Callable[[Reader], None]] = {
    "Today": _page("/"),
    "Held": _page("/held"),
    "Patients, a search": _search,
    "a patient": _page("/patients/1"),
    "an exam": _page(f"/exams/{len(archive.VISITS)}"),
    "Scanners": _page("/scanners"),
    "Precision": _page("/precision"),
    "Trail": _page("/trail"),
}
"""One look at each page, of the first patient and that patient's last exam."""


@contextmanager
def _reader(exams: int) -> Iterator[Reader]:
    """Log in to the desk of a store with so many exams."""
    settings = f"[desk]\nport = {peers.free_port()}"
    patients = exams // len(archive.VISITS)
    with archive.archive(patients, rewrite_every=patients, settings=settings) as app:
        _fill_trail(app, exams)
        with running_desk(app.folder) as desk, desk.client(Role.CONFIGURE) as client:
            yield Reader(client, client.token())


def _fill_trail(app: App, entries: int) -> None:
    """Let somebody have looked at a patient every ten minutes."""
    assert app.database.path is not None
    store = sqlite3.connect(app.database.path)
    with store:
        store.execute(
            "WITH RECURSIVE entry(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM entry WHERE n < ?) "
            "INSERT INTO audit (at, event, outcome, actor, host, patient_id, salt, detail) "
            "SELECT strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-' || (600 * n) || ' seconds'), "
            "?, ?, 'reader', '127.0.0.1', 2 + n / 3, hex(randomblob(16)), '{}' FROM entry",
            (entries, Event.VIEWED.value, int(Outcome.SUCCESS)),
        )
    store.close()
    app.database.optimize()
