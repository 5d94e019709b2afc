"""A run over all exams that is killed in the middle comes, begun again, to what it would have come to by itself."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select

from pipeline.edge.app import App, open_app
from pipeline.edge.store import outbox
from pipeline.edge.store.schema import addendum
from pipeline.sr.author.readback import ReadBack
from tests import peers
from tests.factories.answered_exams import follow_all, l1_l4, latest_readback, lsc, receive, run_in
from tests.folders import ROOT

PATIENTS = 16
SERVICE = """
[store]
url = "sqlite:///{folder}/store.sqlite3"
[reprocess]
addenda_per_minute = 10000
shards = 3
"""


def test_a_run_that_is_killed_goes_on_where_it_was_and_nothing_is_issued_twice(tmp_path: Path) -> None:
    killed, whole = (tmp_path / name for name in ("killed", "whole"))
    _fill(killed)
    shutil.copytree(killed, whole)
    for folder in (killed, whole):
        (folder / "service.toml").write_text(SERVICE.format(folder=folder))
        (folder / "precision.toml").write_text(lsc(begins="2023-01-01"))
    run_in(whole)
    with open_app(killed) as app:
        dying = _command(killed)
        peers.wait_until(lambda: _issued(app) >= 2 * PATIENTS + 3, what="some addenda are superseded")
        dying.kill()
        assert dying.wait(10) == -signal.SIGKILL
        assert _issued(app) < 3 * PATIENTS
        assert _command(killed).wait(60) == 0
        assert _issued(app) == 3 * PATIENTS
        with open_app(whole) as other:
            assert list(_told(app)) == list(_told(other))


def _fill(folder: Path) -> None:
    """Patients with two exams each; the second one will be a loss once there is an LSC."""
    folder.mkdir()
    (folder / "service.toml").write_text(SERVICE.format(folder=folder))
    with open_app(folder) as app:
        for patient in range(PATIENTS):
            for visit, (bmd, date) in enumerate((("0.950", "20220101"), ("0.912", "20240101"))):
                number = 10 * patient + visit + 10
                sent = l1_l4(bmd, study=f"2.25.{number}", date=date, PatientID=f"P{patient}")
                receive(app, sent, f"2.25.1.{number}")
        follow_all(app)


def _command(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dxatrend", "reprocess", "--config", str(folder)]
    return subprocess.Popen(command, cwd=ROOT)


def _issued(app: App) -> int:
    with app.database.read() as connection:
        return connection.execute(select(func.count()).select_from(addendum)).scalar_one()


def _told(app: App) -> Iterator[tuple[int, ReadBack]]:
    """Of every exam how many addenda it has, and what the last one says."""
    for number in range(1, 2 * PATIENTS + 1):
        with app.database.read() as connection:
            count = len(outbox.addenda(connection, number))
        yield count, latest_readback(app, number)
