"""What lies in a folder of images: folders, image files and others, as far as they count."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from edgenas.data.decode import image_suffixes

DEEPEST = 40  # folders below folders
LITTER = {"thumbs.db", "desktop.ini"}
MASK_ENDS = ("_mask", "-mask", " mask", "_segmentation", "_groundtruth")


@dataclass(frozen=True, eq=False)
class Folder:
    """One folder. Hidden ones are not in `folders`, nor hidden files among the others.

    images : paths with a suffix of images. others : names of all other files, sorted.
    """

    path: Path
    folders: dict[str, Folder] = field(default_factory=dict)
    images: list[Path] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def count(self) -> int:
        """Images in it and below."""
        return len(self.images) + sum(inner.count for inner in self.folders.values())

    @property
    def filled(self) -> dict[str, Folder]:
        """The folders in it that have images, in them or below."""
        return {name: inner for name, inner in self.folders.items() if inner.count}

    def below(self) -> Iterator[Folder]:
        """Yield it and every folder below."""
        yield self
        for inner in self.folders.values():
            yield from inner.below()

    def all_images(self) -> list[Path]:
        """Return the images in it and below, in the order of their paths."""
        return sorted((path for one in self.below() for path in one.images), key=str)


@dataclass(frozen=True)
class PassedOver:
    """Folders that were not looked into: their paths, by the reason."""

    hidden: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def scan(root: Path) -> tuple[Folder, PassedOver]:
    """Return what is in `root`. Links are followed, but never back into a folder that they lie in.

    What begins with ".", "__" or "@" is hidden: folders of tools, and the "._" files of macOS.
    """
    passed, suffixes = PassedOver(), image_suffixes()

    def visit(path: Path, above: frozenset[tuple[int, int]]) -> Folder:
        folder = Folder(path)
        try:
            about = path.stat()
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError:
            passed.unreadable.append(_below(root, path))
            return folder
        here = (about.st_dev, about.st_ino)
        if here in above or len(above) > DEEPEST:
            passed.loops.append(_below(root, path))
            return folder
        for entry in entries:
            inner = path / entry.name
            if _is_folder(entry):
                if entry.name.startswith((".", "__", "@")):
                    passed.hidden.append(_below(root, inner))
                else:
                    folder.folders[entry.name] = visit(inner, above | {here})
            elif entry.name.startswith(".") or entry.name.lower() in LITTER:
                continue
            elif os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122 - as below
                folder.images.append(inner)
            else:
                folder.others.append(entry.name)
        return folder

    return visit(root, frozenset()), passed


def without_masks(images: list[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images of a class, and the masks that lie beside them: x_mask.png beside x.png."""
    stems = {(path.parent, path.stem) for path in images}

    def is_mask(path: Path) -> bool:
        bare = path.stem.rstrip("0123456789").rstrip("_")
        for stem in {path.stem, bare}:
            for end in MASK_ENDS:
                if stem.lower().endswith(end) and (path.parent, stem[: -len(end)]) in stems:
                    return True
        return False

    masks = [path for path in images if is_mask(path)]
    return [path for path in images if path not in set(masks)] if masks else images, masks


def as_text(name: str) -> str:
    """Return a file's name as text of one line, whatever its bytes.

    Names that are not UTF-8 are read as Latin-1, as older systems wrote them.
    """
    raw = os.fsencode(name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c if unicodedata.category(c) not in _UNPRINTABLE else _escaped(c) for c in text)


_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _below(root: Path, path: Path) -> str:
    return as_text(str(path.relative_to(root))) if path != root else as_text(str(path))
