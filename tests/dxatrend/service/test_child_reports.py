"""What the supervisor knows of its children is written soon, and holds up nobody's stop."""

from contextlib import closing
from pathlib import Path

import pytest

from dxatrend.service import child_reports
from dxatrend.service.child_reports import ChildReports
from pipeline.edge.store.database import Database


def test_where_the_store_is_locked_a_stop_waits_for_one_report_and_not_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.edge.store.database.SQLITE_BUSY_SECONDS", 0.2)
    monkeypatch.setattr(child_reports, "FINISH_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    with closing(Database(url)) as database, closing(Database(url)) as another:
        database.migrate()
        reports = ChildReports(database)
        for part in ("listener", "worker", "monitor", "desk"):
            reports.stopped(part)
        with another.write():
            reports.finish()
        # What it wrote, or tried to, is its own heartbeat: all reports, its beginning and its end are left.
        assert len(reports._todo) == 1 + 4 + 1
