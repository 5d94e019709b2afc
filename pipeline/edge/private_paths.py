"""Who besides its user and root can change a file or a folder, or put another in its place (path_resolution(7)).

Whoever can write to a folder on the way to it can rename what is there, and put something else or a link in its place;
in a sticky folder only what is their own.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path


def who_else_can_change(path: Path) -> str | None:
    """Return who else can write to a path, or on the way to it, as a clause; ``None`` if nobody can, as far as we see.

    Its user is whoever runs this; for root, the first other owner on the way. What does not exist yet is judged by the
    folders above it.
    """
    absolute = path.absolute()
    end, user, is_given = os.path.realpath(absolute), os.geteuid(), False
    try:
        for place in _way_to(absolute):
            found = place.lstat()
            user = user or (found.st_uid if is_given else 0)
            if clause := _who_else(place, found, user, is_end=os.path.realpath(place) == end):
                return clause
            is_given = not found.st_mode & stat.S_ISVTX  # in a sticky folder, what is somebody's is of their making
    except OSError:  # it does not exist, or the user who runs this may not see it
        pass
    return None


def _way_to(path: Path) -> Iterator[Path]:
    """Yield every folder and link on the way to a path, from the root of the file system, and itself."""
    for place in (*reversed(path.parents), path):
        yield place
        if place.is_symlink():
            place.stat()  # raises OSError where links lead round in a circle
            yield from _way_to(place.parent / place.readlink())


def _who_else(place: Path, found: os.stat_result, user: int, *, is_end: bool) -> str | None:
    if found.st_uid not in (0, user):
        return f"the user {_user_name(found.st_uid)} can write to {place}"  # as its owner, if need be after a chmod
    if stat.S_ISLNK(found.st_mode) or (found.st_mode & stat.S_ISVTX and not is_end):
        return None
    if found.st_mode & stat.S_IWOTH:
        return f"every user can write to {place}"
    if found.st_mode & stat.S_IWGRP and not _is_alone(found.st_gid, user):
        return f"the group {_group_name(found.st_gid)} can write to {place}"
    return None


def _is_alone(group: int, user: int) -> bool:
    """Return whether a group is a user's own, as many systems make one for each user, or root's."""
    names = {"root", _user_name(user)}
    try:
        found = grp.getgrgid(group)
    except KeyError:
        return False
    return found.gr_name in names and names.issuperset(found.gr_mem)


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
