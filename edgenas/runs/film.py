"""The film of a run's search, as a file."""

from __future__ import annotations

from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.core.files.outputs import claim
from edgenas.core.files.run_folder import RunFolder, write_text
from edgenas.runs.results import Run


def write(run: Path, output: Path, *, overwrite: bool = False) -> str:
    """Write the search of a finished run as an SVG that moves; return its path.

    Raises
    ------
    InputError : the name does not end in .svg, the run is on a measured table, or something is at
        `output` that edgenas did not write. RunFolderError : the run is not finished, or nothing
        can be written there.
    """
    from edgenas.reporting.plots.film import film

    if output.suffix != ".svg":
        raise InputError(f"{output} is no name of an SVG.", "End it in .svg.")
    there = claim(output, "--animate", _is_film, overwrite=overwrite)
    folder = RunFolder(run)
    if folder.config.exists():
        folder.require(folder.verification, "verify")
    write_text(there, film(Run(run).tradeoff))
    return str(there)


def _is_film(path: Path) -> bool:
    from edgenas.reporting.plots.film import OWN

    with path.open("rb") as stream:
        return OWN.encode() in stream.read(2000)
