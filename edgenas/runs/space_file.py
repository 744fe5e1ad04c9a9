"""A run whose space is a file of the user's: its hash, its copy in the folder, who may run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.spaces import files


def asked_for(
    asked: dict[str, Any],
    stored: str = "",
    stored_sha256: str | None = None,
    folder: RunFolder | None = None,
) -> dict[str, Any]:
    """Return the options that the user gave with the hash of the file that they name as the space.

    stored, stored_sha256 : --space of the run in `folder`, and the hash that its file had. Its copy
    in the run folder may be named too: the same content is the same space.

    Raises
    ------
    InputError : it cannot be read. RunFolderError : the file of the run is another by now.
    """
    named = asked.get("space", "")
    if files.is_file(named):
        sha256 = files.name(Path(named)).sha256
    elif named or stored_sha256 is None or not Path(stored).exists():
        return asked
    else:
        named, sha256 = stored, files.read(Path(stored)).sha256
    if stored_sha256 is None or folder is None:
        return {**asked, "space_sha256": sha256}
    if sha256 != stored_sha256:
        raise RunFolderError(
            f"The space {named} is another than that with which {folder.path} was started.",
            f"Put the file back, name the run's own copy with --space {folder.space_file(stored)}, "
            "or start a new run with another --out.",
        )
    return {name: value for name, value in asked.items() if name != "space"}


def member(folder: RunFolder, space: str, sha256: str | None) -> files.Member:
    """Return what makes the space of a run. sha256 : of the file that `space` names, if it does.

    The file is kept in the run folder. Its code is run only where the user named it.

    Raises
    ------
    PluginError : no such plug-in, or code that the user did not name. InputError : the file cannot
        be read. RunFolderError : it is not the one that the run was started with.
    """
    if sha256 is None:
        return files.find_installed(space)
    copy = folder.space_file(space)
    kept = copy.exists()
    file = files.read(copy if kept else Path(space))
    if file.sha256 != sha256:
        raise RunFolderError(
            f"{file.path} is not the space that the run was started with.",
            "Put the file back, or start a new run with another --out.",
        )
    if not kept:
        copy.parent.mkdir(exist_ok=True)
        write_bytes(copy, file.content)
    return files.of_file(file)
