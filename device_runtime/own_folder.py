"""A folder that is edgenas's own: made by it, marked by it, and closed to other users.

Nothing is kept in, run from or removed from a folder that is not. What is on the way to it counts,
too: who may rename a folder above it may put another in its place.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
import uuid
from pathlib import Path
from typing import List, NamedTuple

MARKER = "edgenas-folder.json"

_KIND = "a folder of edgenas, which makes and removes what is in it"
_MOST_MARKER_BYTES = 4096
_MOST_LINKS = 40
_ID = re.compile(r"[0-9a-f]{32}\Z")


class ForeignFolderError(OSError):
    """A folder is not edgenas's own, or others may change what is in it."""


class Mark(NamedTuple):
    """What the file in the folder says. made : folders above it that were made for it."""

    id: str
    made: List[str]


def is_there(path: Path) -> bool:
    """Return whether anything is at the path, also a link that leads nowhere."""
    return os.path.lexists(str(path))


def make(folder: Path) -> Mark:
    """Make the folder with its mark, unless it is there; return the mark.

    Raises
    ------
    ForeignFolderError : it is not edgenas's own, or others may change it.
    OSError : it cannot be made.
    """
    if not is_there(folder):
        require_safe(folder.parent)
        made = [str(above) for above in folder.parents if not is_there(above)]
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        prepared = Path(tempfile.mkdtemp(prefix=".edgenas-", dir=str(folder.parent)))
        try:
            text = json.dumps({"kind": _KIND, "id": uuid.uuid4().hex, "made": made})
            (prepared / MARKER).write_text(text, encoding="utf-8")
            prepared.rename(folder)
        except OSError:
            if not is_there(folder):  # else another agent was faster
                raise
        finally:
            shutil.rmtree(str(prepared), ignore_errors=True)
    return require(folder)


def remove(folder: Path) -> None:
    """Remove the folder, which holds only its mark, and what was made for it if that is empty."""
    made = require(folder).made
    (folder / MARKER).unlink()
    folder.rmdir()
    with contextlib.suppress(OSError):
        for above in folder.parents:
            if str(above) not in made:
                break
            above.rmdir()


def require(folder: Path) -> Mark:
    """Return the folder's mark.

    Raises
    ------
    ForeignFolderError : it is not edgenas's own, or others may change what is in it.
    """
    require_safe(folder.parent)
    require_folder(folder)
    try:
        return _mark(folder / MARKER)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ForeignFolderError(
            f"{folder} is not a folder that edgenas made: it has no {MARKER}"
        ) from problem


def require_folder(folder: Path) -> None:
    """Raise `ForeignFolderError` unless this is a real folder of this user, closed to others."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise ForeignFolderError(f"{folder} is a symbolic link, not a folder that edgenas made")
    if not stat.S_ISDIR(status.st_mode):
        raise ForeignFolderError(f"{folder} is not a folder")
    if status.st_uid != os.geteuid():
        raise ForeignFolderError(f"{folder} belongs to {_name(status.st_uid)}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ForeignFolderError(f"others may write to {folder}: chmod go-w it")


def require_safe(path: Path) -> None:
    """Raise `ForeignFolderError` if another user may change what the path leads to.

    Each folder and link on the way belongs to this user or to root, and no other may write to it
    (but to one such as /tmp, where nobody can remove what is another's). What is not there yet is
    passed over.
    """
    left = list(reversed(Path(os.path.abspath(str(path))).parts))  # noqa: PTH100 - keeps links
    here, links = Path(left.pop()), 0
    while True:
        try:
            status = here.lstat()
        except FileNotFoundError:
            return
        if status.st_uid not in (0, os.geteuid()):
            raise ForeignFolderError(f"{here} belongs to {_name(status.st_uid)}")
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise ForeignFolderError(f"{path} has too many symbolic links")
            left += reversed(Path(os.readlink(str(here))).parts)  # noqa: PTH115 - Python 3.8
            here = here.parent
        elif _others_may_write(status):
            raise ForeignFolderError(f"other users may write to {here}")
        if not left:
            return
        here = _joined(here, left.pop())


def _joined(here: Path, part: str) -> Path:
    return here.parent if part == ".." else here / part


def _others_may_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX:
        return False
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_users_own_group(status.st_gid)


def _is_users_own_group(number: int) -> bool:
    """Whether the group is this user's alone, as many systems make one for each user."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _mark(marker: Path) -> Mark:
    file = os.open(str(marker), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise ValueError("no mark of this user")
        said = json.loads(os.read(file, _MOST_MARKER_BYTES).decode("utf-8"))
    finally:
        os.close(file)
    if said["kind"] != _KIND or not _ID.match(said["id"]):
        raise ValueError("another mark")
    return Mark(str(said["id"]), [str(above) for above in said["made"]])


def _name(number: int) -> str:
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"
