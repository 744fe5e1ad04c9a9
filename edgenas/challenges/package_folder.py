"""A package's folder: written anew each time, and put in the place of the last one whole."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import read_json, write_json


@contextmanager
def fresh_folder(out: Path, told: Callable[[str], None]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `out` once all in it was written.

    What an earlier call wrote to `out`, and nobody changed, goes; anything else there is kept in
    a folder beside it, which `told` names.

    Raises
    ------
    RunFolderError : the folder cannot be made or moved.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as problem:
        raise _unusable(out, problem) from problem
    try:
        yield made
        made.chmod(0o755)
        written = _hashes(made)
        if out.is_symlink() or out.exists():
            _put_away(out, told)
        made.rename(out)
    except OSError as problem:
        raise _unusable(out, problem) from problem
    finally:
        if made.exists():
            shutil.rmtree(made)
    write_json(_list_of(out), written)


def _put_away(out: Path, told: Callable[[str], None]) -> None:
    """Remove from `out` what was written there; move it aside if anything else is in it."""
    listed = _list_of(out)
    known = read_json(listed) if listed.is_file() else {}
    found = {} if out.is_symlink() or not out.is_dir() else _hashes(out)
    for name, sha256 in found.items():
        if isinstance(known, dict) and known.get(name) == sha256:
            (out / name).unlink()
    if found:
        for folder in sorted((x for x in out.rglob("*") if x.is_dir()), reverse=True):
            if not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()
    if not out.is_symlink() and out.is_dir() and not any(out.iterdir()):
        out.rmdir()
        return
    names = (out.with_name(f"{out.name}.kept-{number}") for number in itertools.count(1))
    kept = next(name for name in names if not (name.exists() or name.is_symlink()))
    out.rename(kept)
    told(f"{out} held what this edgenas did not write, or not so: it is now {kept}.")


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every regular file of a folder, by its name in it."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


def _list_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.files.json")


def _unusable(out: Path, problem: OSError) -> RunFolderError:
    return RunFolderError(
        f"Cannot write the package {out}: {problem.strerror or problem}.",
        "Free some space, or make its folder writable.",
    )
