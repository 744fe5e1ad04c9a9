"""Where an application goes: a folder here, or one on a board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.core.progress import Progress
from edgenas.runs.deploy.folder import (
    SELF_TEST_S,
    Application,
    Deployed,
    deployed,
    require_free,
    self_test_reports,
    write_application,
)
from edgenas.targets.config import Access, TargetConfig, find


@dataclass(frozen=True)
class Place:
    """A folder; of a board, if there is one."""

    folder: str
    board: TargetConfig | None = None


def place_of(to: str) -> Place:
    """Return where `to` is: a folder, or BOARD:FOLDER, as scp writes it; ./a:b is a folder here.

    Raises
    ------
    InputError : the folder is taken, or there is no such board.
    """
    board, colon, folder = to.rpartition(":")
    if not colon or "/" in board or not board:
        require_free(Path(to))
        return Place(to)
    if not folder:
        raise InputError(f"'{to}' names no folder on the board.", "Write user@board:FOLDER.")
    return Place(folder, find(board))


def put(application: Application, place: Place, access: Access, progress: Progress) -> Deployed:
    """Write the application there, and run its self-test there.

    Raises
    ------
    InputError : the folder is taken. RunFolderError : it cannot be written. TargetError : the board
        cannot be reached.
    """
    if place.board is None:
        return write_application(application, Path(place.folder))
    from edgenas.targets.remote.deliver import deliver  # loads paramiko

    progress.message(f"Sending the application to {place.board.name}")
    done = deliver(place.board, place.folder, application.files(), SELF_TEST_S, access)
    status = -1 if done.status is None else done.status
    reports = self_test_reports(status, done.out, done.errors)
    return deployed(application, f"{place.board.name}:{done.folder}", reports, status == 0)
