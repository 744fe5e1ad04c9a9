"""Synthesis reports that the file of an FPGA names: an input of a run, known by its hash."""

from __future__ import annotations

import hashlib

from edgenas.core.errors import EdgeNasError, RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.targets.config import is_fpga, resolve


def sha256(target: str) -> str | None:
    """Return the hash of the reports of a target, and of the files of their networks beside them.

    target : as --target names it. None where its file names none.

    Raises
    ------
    EdgeNasError : a report, or its network, cannot be found or read.
    """
    if not is_fpga(target):
        return None
    from edgenas.hardware.reports import read_files
    from edgenas.targets.fpga import FpgaTarget

    opened = resolve(target)
    assert isinstance(opened, FpgaTarget)
    try:
        hashes = [
            hashlib.sha256(file.read_bytes()).hexdigest()
            for file in read_files(opened.report_paths)
        ]
    except OSError as problem:
        raise RunFolderError(f"Cannot read a report: {problem}.") from problem
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest() if hashes else None


def require_unchanged(folder: RunFolder, target: str, began_with: str | None) -> None:
    """Refuse to go on with other reports than those that the run in `folder` began with.

    Raises
    ------
    RunFolderError : they are others by now, or the target file names none, or some, any more.
    """
    try:
        now = sha256(target)
    except EdgeNasError:  # said when the target is opened: not everything needs it
        return
    if now != began_with:
        raise RunFolderError(
            f"The synthesis reports that {target} names are others than those with which "
            f"{folder.path} was started.",
            "Put them back, or start a new run with another --out.",
        )
