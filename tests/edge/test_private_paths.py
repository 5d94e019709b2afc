"""Who else can change a file: whoever may write to it, or put something else in its place."""

import os
from pathlib import Path

import pytest

from pipeline.edge.private_paths import who_else_can_change
from tests import peers

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours in another one, into which nobody else can write whatever the umask."""
    made = tmp_path / "above" / "folder"
    made.mkdir(parents=True)
    for one in (tmp_path, made.parent, made):
        one.chmod(0o755)
    (made / "file").touch(0o644)
    return made


@pytest.fixture
def as_root() -> None:
    """The test gives files to others."""
    if os.geteuid() != 0:
        peers.missing("the rights of root")


def test_a_folder_of_ours_is_ours_alone(folder: Path) -> None:
    for path in (folder, folder / "file", folder / "not" / "there"):
        assert who_else_can_change(path) is None


def test_what_everybody_can_write_to_is_not_ours_alone(folder: Path) -> None:
    (folder / "file").chmod(0o666)
    assert who_else_can_change(folder / "file") == f"every user can write to {folder}/file"
    assert who_else_can_change(folder) is None


@pytest.mark.parametrize("name", [".", "file", "not there"])
def test_what_is_in_a_folder_where_others_could_replace_it_is_not_ours_alone(folder: Path, name: str) -> None:
    folder.parent.chmod(0o777)
    assert who_else_can_change(folder / name) == f"every user can write to {folder.parent}"


def test_in_a_sticky_folder_nobody_moves_what_is_ours(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    assert who_else_can_change(folder / "file") is None
    assert who_else_can_change(folder.parent) == f"every user can write to {folder.parent}"


def test_in_a_sticky_folder_others_can_put_something_also_where_a_link_leads_to_it(folder: Path) -> None:
    (folder / "link").symlink_to("../../above")
    folder.parent.chmod(0o1777)
    assert str(who_else_can_change(folder / "link")).startswith("every user can write to ")
    assert who_else_can_change(folder / "link" / "folder") is None


@pytest.mark.usefixtures("as_root")
def test_what_somebody_else_owns_in_a_sticky_folder_is_not_ours_alone(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    os.chown(folder, NOBODY, NOBODY)
    assert who_else_can_change(folder / "file") == f"the user nobody can write to {folder}"


def test_every_folder_on_the_way_of_links_counts(folder: Path, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (open_to_all / "moved").symlink_to(folder)
    (tmp_path / "first").symlink_to("open/moved")
    assert who_else_can_change(tmp_path / "first" / "file") == f"every user can write to {open_to_all}"
    open_to_all.chmod(0o755)
    assert who_else_can_change(tmp_path / "first" / "file") is None
    folder.chmod(0o777)
    assert f"every user can write to {folder}" == who_else_can_change(folder / "file")
    assert str(who_else_can_change(tmp_path / "first" / "file")).startswith("every user can write to ")


def test_links_that_lead_round_in_a_circle_lead_to_nothing(folder: Path) -> None:
    (folder / "one").symlink_to("other")
    (folder / "other").symlink_to("one")
    assert who_else_can_change(folder / "one") is None


@pytest.mark.usefixtures("as_root")
def test_a_group_counts_unless_it_is_the_users_own(folder: Path) -> None:
    folder.chmod(0o775)
    assert who_else_can_change(folder) is None, "root's own group"
    os.chown(folder, 0, NOBODY)
    assert who_else_can_change(folder) == f"the group nogroup can write to {folder}"


@pytest.mark.usefixtures("as_root")
def test_for_root_a_file_is_of_whoever_was_given_the_folder(folder: Path) -> None:
    os.chown(folder / "file", NOBODY, NOBODY)
    assert who_else_can_change(folder / "file") is None
    os.chown(folder, NOBODY, NOBODY)
    assert who_else_can_change(folder / "file") is None
    os.chown(folder / "file", 1, 1)
    assert who_else_can_change(folder / "file") == f"the user daemon can write to {folder}/file"
    assert who_else_can_change(folder / "not there") is None
