"""`imagefolder:DIR`: images in class folders, with or without splits, or beside a label file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePath

import numpy as np

from edgenas.core import plugins
from edgenas.core.counted import counted
from edgenas.core.errors import DataError, closest
from edgenas.core.progress import Progress, Silent, SilentTask
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Reading
from edgenas.data.copies import warn_of_copies
from edgenas.data.decode import (
    Decoded,
    decode_split,
    how_to_read,
    native_size,
    tell,
)
from edgenas.data.label_files import has_label_files, of_label_files
from edgenas.data.layout import LAYOUT, Layout, inner_root, of_folders
from edgenas.data.other_tasks import SUPPORTED, refuse_other_tasks
from edgenas.data.pixel_store import check_room
from edgenas.data.split_names import Part, part_of
from edgenas.data.tree import Folder, PassedOver, as_text, scan, without_masks

TEXTS = {
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".rst", ".yaml", ".yml", ".toml",
    ".html", ".htm", ".log", ".ini", ".cfg", ".py", ".sh", ".db", ".pkl", ".parquet", ".url", "",
}  # fmt: skip
LARGEST_SIDE = 10_000  # pixels
NAMED = 3  # folders or files of a kind, in a message


def load(argument: str, *, reading: Reading, progress: Progress) -> Dataset:
    """Return the images in a folder, as RGB at the size that most of them have.

    With only one of val/ and test/, that is the test split, and validation is cut from train/; with
    neither both are.

    Raises
    ------
    DataError : the folder is missing, empty or not laid out so, or train/ lacks a class; or its
        images are for another task than classification.
    """
    root = Path(argument).expanduser()
    if not argument or not root.is_dir():
        what = "It is a file: unpack it first. " if argument and root.is_file() else ""
        meant = _beside(root) if argument and not what else ""
        raise DataError(f"There is no image folder '{as_text(argument)}'.", what + meant + LAYOUT)
    layout = _layout(root, reading, progress)
    parts = layout.parts
    class_names = reading.ordered(parts["train"], layout.order)
    for part, classes in parts.items():
        used = {name for name, paths in classes.items() if paths}
        unknown = sorted(used - set(class_names))
        if len(unknown) == len(used) > 1:
            raise DataError(
                f"{root}: train and {part} have no class in common: {_some(list(class_names))} "
                f"here, {_some(unknown)} there. Identities and few-shot classes, of which {part} "
                f"has others, are no classes. {SUPPORTED}",
                f"If both have the same classes, call their folders alike. {LAYOUT}",
            )
        if unknown:
            raise DataError(
                f"{root}: {part} has the class '{unknown[0]}', which train has not.",
                _renamed(unknown[0], class_names),
            )
        if part != "train" and (lacking := sorted(set(class_names) - used)):
            progress.warning(
                f"{part} has no images of {_some(lacking)}: no accuracy on {part} says anything of "
                + ("that class." if len(lacking) == 1 else "these classes.")
            )
    if not plugins.load_task(reading.task).SEVERAL_CLASSES:
        warn_of_copies(root, parts, progress)
    decoded = _decode(root, parts, class_names, reading, progress)
    splits = {part: one.split for part, one in decoded.items()}
    test = splits.get("test", splits.get("val"))
    dataset = assemble(
        f"imagefolder:{as_text(root.resolve().name)}",
        class_names,
        splits["train"],
        splits["val"] if len(splits) == 3 else None,
        test,
        seed=reading.seed,
        skipped=tuple(file for one in decoded.values() for file in one.skipped),
        fit=reading.fit or "crop",
        task=reading.task,
    )
    if test is None:
        missing = "labelled test images" if _test_left_out(layout) else "test/"
        progress.message(
            f"{as_text(str(root))} has no {missing}: {len(dataset.test)} of its images, the same "
            "each time, are kept to test."
        )
    return dataset


def _test_left_out(layout: Layout) -> bool:
    return any(part_of(line.split("/", 1)[0]) == "test" for line in layout.left_out)


def _renamed(name: str, class_names: tuple[str, ...]) -> str:
    """Return what to do about a class that training lacks."""
    plain = {_plain(one): one for one in class_names}
    meant = plain.get(_plain(name)) or closest(name, class_names)
    same = f"Is it '{meant}' of train? Then call both alike. " if meant else ""
    return f"{same}Rename or remove it, or add training images."


def _plain(name: str) -> str:
    words = name.casefold().replace("_", " ").replace("-", " ").split()
    return " ".join(word.lstrip("0") or "0" for word in words)


def sample(argument: str, count: int, size: int) -> tuple[np.ndarray, int]:
    """Return up to `count` of a folder's images, uint8 [n, size, size, 3], evenly from all of them,
    and the short side that most have; what cannot be read is left out, and said by `load`.
    """
    root = Path(argument).expanduser()
    paths = scan(root)[0].all_images() if argument and root.is_dir() else []
    if not paths:
        return np.zeros((0, size, size, 3), np.uint8), 0
    chosen = paths[:: max(1, len(paths) // count)][:count]
    labels = np.zeros(len(chosen), np.int64)
    task = SilentTask()
    decoded = decode_split(chosen, labels, [str(path) for path in chosen], size, "crop", task)
    return decoded.split.images, native_size(chosen, LARGEST_SIDE, "crop")


def count_train(argument: str, task: str) -> int:
    """Return how many training images a folder has, before any is read.

    Raises
    ------
    DataError : as `load` does of the layout.
    """
    layout = _layout(Path(argument).expanduser(), Reading(task=task), Silent())
    return sum(map(len, layout.parts["train"].values()))


def _beside(root: Path) -> str:
    """Return the folder beside the missing `root` that was meant, as a question; "" for none."""
    try:
        names = [entry.name for entry in os.scandir(root.parent) if entry.is_dir()]
    except OSError:
        return ""
    meant = closest(root.name, names)
    return f"Did you mean 'imagefolder:{as_text(str(root.parent / meant))}'? " if meant else ""


def _layout(root: Path, reading: Reading, progress: Progress) -> Layout:
    """Return where everything is, and say what is left out."""
    tree, passed = scan(root)
    if not tree.count:
        raise DataError(f"{as_text(str(root))} has no images{_unknown(tree)}.", LAYOUT)
    refuse_other_tasks(tree)
    inner = inner_root(tree)
    if inner is not tree and not has_label_files(tree):
        at = as_text(str(inner.path.relative_to(root)))
        empty = [name for name, one in tree.folders.items() if not one.count]
        others = f" (without images: {_some(empty)})" if empty else ""
        progress.message(f"The data set is read from {at}/{others}.")
        tree = inner
    several = plugins.load_task(reading.task).SEVERAL_CLASSES
    of_files = of_label_files(tree, several) if several and has_label_files(tree) else None
    layout = of_files or of_folders(tree, reading.class_names) or of_label_files(tree, several)
    masks: list[Path] = []
    for classes in layout.parts.values():
        for name, paths in classes.items():
            classes[name], beside = without_masks(paths)
            masks += beside
    if masks:
        names = _some([path.name for path in masks])
        progress.warning(f"Left out: {counted(len(masks), 'mask')} beside images ({names}).")
    if layout.read_as:
        progress.message(layout.read_as)
    for sentence in layout.left_out:
        progress.warning(sentence)
    if unknown := _unknown(tree):
        progress.warning(f"Left out as no images that can be read here{unknown}.")
    _tell_of_folders(passed, progress)
    _tell_of_names(layout, progress)
    return layout


def _unknown(tree: Folder) -> str:
    """Return ": 4 .heic (pip install …)" of the files below `tree` that are neither images that
    can be read here nor texts, "" if there are none.
    """
    suffixes = Counter(
        suffix
        for folder in tree.below()
        for name in folder.others
        if (suffix := PurePath(name).suffix.lower()) not in TEXTS
    )
    texts = []
    for suffix, count in sorted(suffixes.items()):
        remedy = how_to_read(suffix)
        texts.append(f"{count} {as_text(suffix)}{f' ({remedy})' if remedy else ''}")
    return f": {', '.join(texts)}" if texts else ""


def _tell_of_folders(passed: PassedOver, progress: Progress) -> None:
    if passed.hidden:
        progress.message(f"Passed over as hidden: {_some(passed.hidden)}.")
    if passed.loops:
        progress.warning(
            f"{_some(passed.loops)}: links back to a folder that they lie in are not followed."
        )
    if passed.unreadable:
        progress.warning(f"{_some(passed.unreadable)} cannot be read, and may have more images.")


def _tell_of_names(layout: Layout, progress: Progress) -> None:
    """Say where classes are read from folder names that are not UTF-8."""
    odd = sorted(
        {
            name
            for classes in layout.parts.values()
            for name, paths in classes.items()
            for path in paths[:1]
            if not _is_utf8(path.parent.name)
        }
    )
    if odd:
        progress.warning(f"Names that are not UTF-8 are read as Latin-1: {_some(odd)}.")


def _is_utf8(name: str) -> bool:
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _some(names: list[str]) -> str:
    texts = [as_text(name) for name in names]
    more = len(texts) - NAMED
    return ", ".join(texts[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _decode(
    root: Path,
    parts: dict[Part, dict[str, list[Path]]],
    class_names: tuple[str, ...],
    reading: Reading,
    progress: Progress,
) -> dict[Part, Decoded]:
    """Return each part's images, class by class."""
    classes_of = {part: _classes_of(found, class_names) for part, found in parts.items()}
    fit, count = reading.fit or "crop", sum(map(len, classes_of.values()))
    size = native_size(list(classes_of["train"]), reading.image_size, fit)
    check_room(f"imagefolder:{as_text(root.name)}", count, size, progress)
    labelling = plugins.load_task(reading.task)
    decoded: dict[Part, Decoded] = {}
    with progress.task("Reading images", count) as task:
        for part, found in classes_of.items():
            labels = labelling.labels(list(found.values()), class_names)
            paths = list(found)
            names = [as_text(str(path.relative_to(root))) for path in paths]
            decoded[part] = decode_split(paths, labels, names, size, fit, task)
    tell(list(decoded.values()), fit, progress)
    return decoded


def _classes_of(
    found: dict[str, list[Path]], class_names: tuple[str, ...]
) -> dict[Path, list[str]]:
    """Return the classes of each image, those of the first class first."""
    classes: dict[Path, list[str]] = {}
    for name in class_names:
        for path in found.get(name, []):
            classes.setdefault(path, []).append(name)
    return classes
