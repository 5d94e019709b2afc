"""What root or an operator makes in a shared data folder, the service can use."""

import os
import stat
from pathlib import Path

import pytest

from pipeline.edge.operations.backup import BackupError, _prepare, back_up, restore
from pipeline.edge.shared_files import share_like_folder
from pipeline.edge.store.database import Database, StoreError
from tests import peers

NOBODY = 65534


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as ``deploy/install`` makes it: of the service's user, shared with a group."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    folder.chmod(0o2770)
    return folder


def rights(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def test_a_store_and_its_folder_belong_to_the_owner_of_the_data_folder(data: Path) -> None:
    database = Database(f"sqlite:///{data}/var/store.sqlite3")
    database.migrate()
    uid, gid, _ = rights(data)
    assert rights(data / "var")[:2] == (uid, gid)
    assert rights(data / "var")[2] & 0o2770 == 0o2770
    with database.write():  # while it lasts, the files beside the store are there
        for path in (data / "var").glob("store.sqlite3*"):
            assert rights(path) == (uid, gid, 0o660), path.name
    database.close()


def test_a_restored_store_belongs_to_the_owner_of_its_folder(data: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{data}/store.sqlite3")
    database.migrate()
    back_up(database, tmp_path / "backup.sqlite3")
    restore(tmp_path / "backup.sqlite3", database, replace=True)
    uid, gid, _ = rights(data)
    assert rights(data / "store.sqlite3") == (uid, gid, 0o660)
    assert rights(tmp_path / "backup.sqlite3")[2] == 0o600
    database.close()


def test_a_file_in_a_folder_that_nobody_shares_stays_its_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").touch(0o600)
    share_like_folder(tmp_path / "file")
    assert rights(tmp_path / "file")[2] == 0o600


def test_a_link_in_the_place_of_a_new_file_leads_nowhere(data: Path, tmp_path: Path) -> None:
    kept = tmp_path / "of root"
    kept.touch(0o600)
    before = rights(kept)
    (data / "store.sqlite3").symlink_to(kept)
    share_like_folder(data / "store.sqlite3")
    os.link(kept, data / "second name")
    share_like_folder(data / "second name")
    assert rights(kept) == before


def test_root_makes_no_store_where_a_link_of_somebody_else_leads(data: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        peers.missing("the rights of root")
    (data / "store.sqlite3").symlink_to(tmp_path / "made by root")
    os.lchown(data / "store.sqlite3", NOBODY, NOBODY)
    with pytest.raises(StoreError, match="a link of another user"):
        Database(f"sqlite:///{data}/store.sqlite3")
    assert not (tmp_path / "made by root").exists()
    os.lchown(data / "store.sqlite3", 0, 0)  # an administrator may put it on another disk
    Database(f"sqlite:///{data}/store.sqlite3").close()


def test_a_link_in_the_place_of_the_lock_makes_no_file_elsewhere(data: Path, tmp_path: Path) -> None:
    (data / "store.sqlite3.lock").symlink_to(tmp_path / "made by root")
    database = Database(f"sqlite:///{data}/store.sqlite3")
    with pytest.raises(StoreError, match=r"store\.sqlite3\.lock: "), database.exclusive():
        pass
    assert not (tmp_path / "made by root").exists()


def test_a_backup_is_copied_through_no_link_in_the_place_of_the_new_store(data: Path, tmp_path: Path) -> None:
    """Whoever can write there could otherwise have another database of the service overwritten."""
    database = Database(f"sqlite:///{data}/store.sqlite3")
    database.migrate()
    back_up(database, tmp_path / "backup.sqlite3")
    database.close()
    (tmp_path / "another").touch()
    (data / "partial").symlink_to(tmp_path / "another")
    with pytest.raises(BackupError, match="cannot be copied"):
        _prepare(tmp_path / "backup.sqlite3", data / "partial", "")
    assert (tmp_path / "another").stat().st_size == 0
