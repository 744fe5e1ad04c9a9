"""One file in several classes: a label is wrong, or an image shows both."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgenas.core.counted import counted
from edgenas.core.progress import Progress
from edgenas.data.split_names import Part
from edgenas.data.tree import as_text

NAMED = 3
CHUNK_BYTES = 1 << 20


def warn_of_copies(
    root: Path, parts: Mapping[Part, Mapping[str, Sequence[Path]]], progress: Progress
) -> None:
    """Warn of files of the same bytes that are in several classes, and name some."""
    copies = list(_copies(parts))
    if copies:
        pairs = ", ".join(
            " = ".join(as_text(str(path.relative_to(root))) for path in group[:2])
            for group in copies[:NAMED]
        )
        more = f" and {len(copies) - NAMED} more" if len(copies) > NAMED else ""
        progress.warning(
            f"{counted(len(copies), 'image lies', 'images lie')} in several classes, so that "
            f"no answer is right: {pairs}{more}."
        )


def _copies(parts: Mapping[Part, Mapping[str, Sequence[Path]]]) -> Iterator[list[Path]]:
    """Yield the paths of each content that has several classes; files of one size are read."""
    by_size: dict[int, list[tuple[str, Path]]] = {}
    for classes in parts.values():
        for name, paths in classes.items():
            for path in paths:
                size = _regular_size(path)
                if size:
                    by_size.setdefault(size, []).append((name, path))
    for group in by_size.values():
        if len({name for name, _ in group}) < 2:
            continue
        by_content: dict[bytes, dict[str, Path]] = {}
        for name, path in group:
            digest = _digest(path)
            if digest:
                by_content.setdefault(digest, {}).setdefault(name, path)
        yield from (list(found.values()) for found in by_content.values() if len(found) > 1)


def _regular_size(path: Path) -> int:
    try:
        about = os.stat(path)  # noqa: PTH116 - many times as fast for a million of them
    except OSError:
        return 0
    return about.st_size if stat.S_ISREG(about.st_mode) else 0


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return b""
    return digest.digest()
