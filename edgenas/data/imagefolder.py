"""`imagefolder:DIR`: DIR/train/CLASS/* and DIR/val or DIR/test, or both; or DIR/CLASS/* alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgenas.data.base import Dataset, SkippedFile, Split, assemble
from edgenas.data.decode import decode_split, native_size, require_memory
from edgenas.errors import DataError
from edgenas.progress import Progress

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
LAYOUT = "It needs train/CLASS/*.jpg and test/CLASS/*.jpg, or CLASS/*.jpg, of two or more classes."


def load(argument: str, *, seed: int, progress: Progress, image_size: int) -> Dataset:
    """Return the images in a folder, as RGB at the size that most of them have.

    With only one of val/ and test/, that is the test split, and validation is cut from train/; with
    neither both are.

    Raises
    ------
    DataError : the folder is missing, empty or not laid out so, or train/ lacks a class.
    """
    root = Path(argument).expanduser()
    if not argument or not root.is_dir():
        raise DataError(f"There is no image folder '{argument}'.", LAYOUT)
    folders = _folders(root)
    files = {part: _files(folder) for part, folder in folders.items()}
    class_names = tuple(sorted(files["train"]))
    for part, folder in folders.items():
        used = {name for name, paths in files[part].items() if paths}
        unknown = sorted(used - set(class_names))
        if unknown:
            raise DataError(
                f"{folder} has the class '{unknown[0]}', which {folders['train']} has not.",
                "Rename or remove it, or add training images.",
            )
    splits, skipped = _decode(root, files, class_names, image_size, progress)
    test = splits.get("test", splits.get("val"))
    dataset = assemble(
        f"imagefolder:{root.resolve().name}",
        class_names,
        splits["train"],
        splits["val"] if len(splits) == 3 else None,
        test,
        seed=seed,
        skipped=skipped,
    )
    if test is None:
        progress.message(
            f"{root} has no test/: {len(dataset.test)} of its images, the same each time, are kept "
            "to test."
        )
    return dataset


def _folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part; `root` itself is train/ if it has the classes."""
    inside = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    found = {
        part: inside[name]
        for part, names in PARTS.items()
        for name in names[::-1]
        if name in inside
    }
    if "train" in found:
        return found
    if found:
        raise DataError(f"{root} has no train/.", LAYOUT)
    for path in inside.values():
        if (path / "train").is_dir():
            raise DataError(f"{root} has no train/.", f"Try: --data imagefolder:{path}")
    if len(inside) == 1 and any(child.is_dir() for child in path.iterdir()):
        raise DataError(
            f"{root} has one class folder only, {path.name}/.", f"Try: --data imagefolder:{path}"
        )
    return {"train": root}


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of every class folder, sorted."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    found = {
        name: _images_below(folder / name) for name in names if not name.startswith((".", "__"))
    }
    if not any(found.values()):
        raise DataError(f"{folder} has no images in class folders.", LAYOUT)
    return found


def _images_below(folder: Path) -> list[Path]:
    paths = sorted(
        os.path.join(parent, name)  # noqa: PTH118 - sorting strings is many times as fast
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES)
    )
    return [Path(path) for path in paths]


def _decode(
    root: Path,
    files: dict[str, dict[str, list[Path]]],
    class_names: tuple[str, ...],
    image_size: int,
    progress: Progress,
) -> tuple[dict[str, Split], tuple[SkippedFile, ...]]:
    paths = {
        part: [p for group in classes.values() for p in group] for part, classes in files.items()
    }
    size = native_size(paths["train"], image_size)
    require_memory(f"imagefolder:{root.name}", sum(map(len, paths.values())), size)
    splits: dict[str, Split] = {}
    skipped: tuple[SkippedFile, ...] = ()
    with progress.task("Reading images", sum(map(len, paths.values()))) as task:
        for part, classes in files.items():
            labels = [class_names.index(name) for name, group in classes.items() for _ in group]
            names = [str(path.relative_to(root)) for path in paths[part]]
            splits[part], unreadable = decode_split(
                paths[part], np.array(labels, np.int64), names, size, task
            )
            skipped += unreadable
    return splits, skipped
