"""Data sets of other tasks than classification, recognised by what lies beside their images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from edgenas.core.errors import DataError
from edgenas.core.files.regular import irregular
from edgenas.data.identities import identities
from edgenas.data.layout import IMAGE_FOLDERS, LAYOUT
from edgenas.data.tree import Folder, as_text

MASK_FOLDERS = {
    "mask", "masks", "label", "labels", "gt", "groundtruth", "ground_truth", "annotation",
    "annotations", "annots", "seg", "segmentation", "segmentations", "segmentationclass",
    "segmentationobject", "target", "targets", "trimaps", "labelids", "gtfine",
}  # fmt: skip
INPUT_FOLDERS = IMAGE_FOLDERS | {"rgb", "input", "inputs", "frames", "leftimg8bit", "x"}
DEPTH = 3  # folders below the root that are looked at
LOOKED_AT = 20  # files that may hold boxes
HEAD_BYTES = 20_000
SUPPORTED = "edgenas searches networks that classify: one class for each image."


def other_task(root: Folder, task: str, seen: str) -> DataError:
    """Return the error of a data set for `task`, of which `seen` is the sign."""
    return DataError(f"{root.path} is a data set for {task}: {seen}. {SUPPORTED}", LAYOUT)


def refuse_other_tasks(root: Folder) -> None:
    """Raise `DataError` if the images come with masks or boxes, or in pairs of domains."""
    for folder in _levels(root):
        _refuse_masks(root, folder)
        _refuse_boxes(root, folder)
    if seen := identities(root):
        raise other_task(root, "re-identification or retrieval", seen)
    lower = {name.lower() for name in root.folders}
    if lower == {"hr", "lr"}:
        raise other_task(root, "super-resolution", "it has HR/ and LR/")
    if {"traina", "trainb"} <= lower:
        raise other_task(root, "image translation", "it has trainA/ and trainB/")


def _levels(root: Folder) -> Iterator[Folder]:
    level = [root]
    for _ in range(DEPTH):
        yield from level
        level = [inner for folder in level for inner in folder.folders.values()]


def _refuse_masks(root: Folder, folder: Folder) -> None:
    filled = {name.lower(): name for name in folder.filled}
    inputs = [filled[name] for name in filled if name in INPUT_FOLDERS]
    masks = [filled[name] for name in filled if name in MASK_FOLDERS]
    if inputs and masks and len(inputs) + len(masks) == len(filled):
        seen = f"{_within(root, folder)} has images in {inputs[0]}/ and masks in {masks[0]}/"
        raise other_task(root, "segmentation", seen)


def _refuse_boxes(root: Folder, folder: Folder) -> None:
    """Raise if text files beside images, or in a folder beside theirs, hold boxes."""
    places = [
        inner
        for name, inner in folder.folders.items()
        if name.lower().rstrip("_0123456789") in MASK_FOLDERS
    ]
    for place in places:
        for one in place.below():
            _refuse_box_files(root, [one.path / name for name in one.others])
    stems = {path.stem for path in folder.images}
    beside = [folder.path / name for name in folder.others if Path(name).stem in stems]
    if 2 * len(beside) >= len(stems):
        _refuse_box_files(root, beside)


def _refuse_box_files(root: Folder, files: list[Path]) -> None:
    texts = (path for path in files if path.suffix.lower() in {".txt", ".xml"})
    for path in islice(texts, LOOKED_AT):
        kind = _boxes(path)
        if kind:
            name = as_text(str(path.relative_to(root.path)))
            raise other_task(root, "detection", f"{name} holds boxes ({kind})")


def _boxes(path: Path) -> str:
    """Return the format of the boxes in a file, "" if it holds none."""
    if irregular(path):
        return ""
    try:
        with path.open("rb") as stream:
            text = stream.read(HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    if path.suffix.lower() == ".xml":
        return "Pascal VOC" if "<bndbox" in text else ""
    lines = [line.split() for line in text.splitlines()[:50] if line.strip()]
    if lines and all(_is_kitti(line) for line in lines):
        return "KITTI"
    return "YOLO" if lines and all(_is_box(line) for line in lines[:-1] or lines) else ""


def _is_kitti(words: list[str]) -> bool:
    """Whether a line is a class, then 14 numbers or 15: among them a box and its place."""
    try:
        numbers = [float(word) for word in words[1:]]
    except ValueError:
        return False
    return len(numbers) in (14, 15) and words[0][0].isalpha()


def _is_box(words: list[str]) -> bool:
    """Whether a line is a class number, then 4 numbers of a box, or 6 and more of a polygon."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return False
    return len(numbers) >= 5 and words[0].isdigit() and all(0 <= one <= 1.01 for one in numbers[1:])


def _within(root: Folder, folder: Folder) -> str:
    return "it" if folder is root else f"{as_text(str(folder.path.relative_to(root.path)))}/"
