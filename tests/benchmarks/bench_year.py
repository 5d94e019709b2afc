"""Live through a year of a department: 10,000 exams, 365 nights of schedules, an open desk, two outages of the PACS.

It takes an hour or more, so it runs by its name only.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import peers
from tests.benchmarks.table import Row, at_most
from tests.factories.simulated_year import SimulatedYear

EXAMS, NIGHTS = 10_000, 365
OUTAGES = {100: 3, 250: 5}


def rows() -> Iterator[Row]:
    """What the service holds at the end, beside what it held after a tenth of the year."""
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name:
        folder = Path(name)
        (folder / "orthanc").mkdir()
        with peers.orthanc(folder / "orthanc") as pacs:
            year = SimulatedYear(folder, exams=EXAMS, nights=NIGHTS, outages=OUTAGES).live(pacs)
    assert (year.addenda_in_pacs, year.held, year.nights_run) == (EXAMS, 0, NIGHTS)
    before, after = year.moments[0], year.moments[-1]
    peer = f"itself, night {before.night}"
    yield Row(
        what=f"memory after {EXAMS:,} exams, {NIGHTS} nights and {year.pages_shown:,} pages of the desk",
        ours=after.megabytes,
        unit="MB",
        peer=peer,
        theirs=before.megabytes,
        target=at_most(1.1, times=True),
    )
    for name, use in after.parts.items():
        was = before.parts[name]
        yield Row(what=f"of it {name}", ours=use.megabytes, unit="MB", peer=peer, theirs=was.megabytes)
    yield Row(
        what="kinds of threads, descriptors and temporary files that were left behind",
        ours=len(year.left_behind),
        unit="",
        target=at_most(0),
    )
    first, second = year.store_bytes_per_exam
    yield Row(
        what="growth of the store for an exam, second half of the year",
        ours=second / 1000,
        unit="kB",
        peer="first half",
        theirs=first / 1000,
        target=at_most(1.1, times=True),
    )
