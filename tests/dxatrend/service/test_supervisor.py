"""A part that cannot start ends the first start, but neither while it is tried again nor by ending the supervisor."""

import contextlib
import subprocess
import time
from pathlib import Path

from dxatrend.service.child import Child
from dxatrend.service.child_reports import ChildReports
from dxatrend.service.child_signs import ChildSigns
from dxatrend.service.supervisor import PATIENCE_SECONDS, _reasons
from pipeline.edge.store.database import Database


def test_a_part_that_is_being_tried_again_is_waited_for_and_one_that_has_failed_again_is_not(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/store.sqlite3")
    with contextlib.closing(database), contextlib.closing(ChildSigns("listener")) as signs:
        listener = Child("listener", ["listen"], ChildReports(database), signs, lambda: 0)
        listener.failed_at = time.monotonic() - PATIENCE_SECONDS - 1
        listener.reason = "the port is taken"
        assert _reasons([listener]) == ["listener: the port is taken"]
        listener.process = subprocess.Popen(["sleep", "60"])
        try:
            assert _reasons([listener]) == []
        finally:
            listener.process.kill()
            listener.process.wait()
        listener.process = None
        assert _reasons([listener]) == ["listener: the port is taken"]


def test_a_part_for_which_the_system_has_no_room_is_tried_again(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/store.sqlite3")
    with contextlib.closing(database), contextlib.closing(ChildSigns("prefect server")) as signs:
        folder = tmp_path / "folder"
        log = folder / "server.log"
        server = Child("prefect server", ["sleep", "60"], ChildReports(database), signs, output=log)
        server.ensure_running()
        assert (server.process, server.reason) == (None, "it cannot be started now: No such file or directory")
        folder.mkdir()
        server.due = 0
        server.ensure_running()
        assert server.process is not None
        server.process.kill()
        server.process.wait()
