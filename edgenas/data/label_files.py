"""Images whose classes stand in a file: a table with the names of files, or COCO's JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgenas.core.counted import counted
from edgenas.core.errors import DataError
from edgenas.core.files.regular import irregular
from edgenas.data.label_columns import (
    composed,
    label_column,
    listed,
    one_hot,
    split_column,
    task_of_columns,
)
from edgenas.data.layout import LAYOUT, Layout
from edgenas.data.other_tasks import other_task
from edgenas.data.split_names import Part, part_of
from edgenas.data.tree import Folder, as_text, without_masks

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt")
DEPTH = 2  # folders below the root in which a label file may lie
LARGEST_BYTES = 512_000_000
MOST_FILES = 50  # in one folder: more are not of all images, but of one each
NAMED = 5


@dataclass(frozen=True)
class Labels:
    """What a file says: of each image named in it a class; "" for none. `order` of the classes.

    An image of several classes is there once for each.
    """

    classes: list[tuple[str, str]]
    parts: list[Part | None]
    order: tuple[str, ...] = ()


def of_label_files(root: Folder, several: bool = False) -> Layout:
    """Return the layout of images that lie beside files of their classes.

    several : whether an image may have more than one class; it is listed under each.

    Raises
    ------
    DataError : there is no such file, or it cannot be read; or it says more than one class an
        image, unless there may be several.
    """
    parts: dict[Part, dict[str, list[Path]]] = {}
    left_out: list[str] = []
    order: tuple[str, ...] = ()
    unusable: list[str] = []
    labelled: dict[Path, str] = {}
    unclassed: set[Path] = set()
    for folder, file in _candidates(root):
        scope = folder if folder.count else root
        names = _Names(scope)
        try:
            labels = _read(root, file, names, several)
        except _NoLabelsError as problem:
            if file.suffix.lower() != ".txt":  # most are about other things
                unusable.append(f"{as_text(file.name)}: {problem}")
            continue
        file_part = part_of(file.stem) or (part_of(folder.name) if folder is not root else None)
        missing, without = [], []
        for (name, label), said in zip(labels.classes, labels.parts, strict=True):
            path = names.find(name, file_part)
            if path is None:
                missing.append(name)
            elif not label:
                without.append(name)
                unclassed.add(path)
            elif labelled.setdefault(path, label) != label and not several:
                raise other_task(
                    root,
                    "several labels an image",
                    f"{as_text(file.name)} says both {labelled[path]} and {label} of "
                    f"{as_text(name)}",
                )
            else:
                part = said or file_part or _part_of_path(root, path) or "train"
                parts.setdefault(part, {}).setdefault(label, []).append(path)
        left_out += _told("Not there", missing, f"that {as_text(file.name)} lists")
        left_out += _told("Left out", without, f"without a class in {as_text(file.name)}")
        order = order + tuple(name for name in labels.order if name not in order)
    if "train" not in parts:
        raise _flat(root, unusable)
    known = labelled.keys() | unclassed
    rest = [str(p.relative_to(root.path)) for p in root.all_images() if p not in known]
    left_out += _told("Left out", rest, "in no label file")
    named: tuple[Part, ...] = ("train", "val", "test")
    ordered = {part: _unrepeated(parts[part]) for part in named if part in parts}
    return Layout(ordered, left_out, order)


def has_label_files(root: Folder) -> bool:
    """Return whether tables lie in the folder itself."""
    return any(name.lower().endswith((".csv", ".tsv", ".jsonl")) for name in root.others)


class _NoLabelsError(Exception):
    """The file holds no labels of these images, for the reason that is its text."""


class _Names:
    """The images below a folder, found by what label files call them."""

    def __init__(self, folder: Folder) -> None:
        self._paths: dict[str, list[Path]] = {}
        for path in folder.all_images():
            relative = PurePosixPath(as_text(path.relative_to(folder.path).as_posix()))
            for name in {str(relative), relative.name, relative.stem}:
                self._paths.setdefault(name.casefold(), []).append(path)

    def find(self, name: str, part: Part | None = None) -> Path | None:
        """Return the image; of several, that in the folder of `part`, of training if None."""
        whole = name.strip().replace("\\", "/").removeprefix("./").casefold()
        found = self._paths.get(whole) or self._paths.get(whole.rsplit("/", 1)[-1], [])
        if len(found) > 1:
            wanted = part or "train"
            found = [p for p in found if any(part_of(one) == wanted for one in p.parts[-4:-1])]
        return found[0] if len(found) == 1 else None


def _candidates(root: Folder) -> Iterator[tuple[Folder, Path]]:
    level = [root]
    for _ in range(DEPTH + 1):
        for folder in level:
            of_one = {path.stem for path in folder.images}
            texts = [name for name in folder.others if name.lower().endswith(SUFFIXES)]
            for name in [name for name in texts if PurePosixPath(name).stem not in of_one]:
                if "submission" not in name.lower() and len(texts) <= MOST_FILES:
                    yield folder, folder.path / name
        level = [inner for folder in level for inner in folder.folders.values()]


def _read(root: Folder, file: Path, names: _Names, several: bool) -> Labels:
    try:
        if kind := irregular(file):
            raise _NoLabelsError(f"it is {kind}")
        if file.stat().st_size > LARGEST_BYTES:
            raise _NoLabelsError(f"it has more than {LARGEST_BYTES / 1e6:.0f} MB")
        raw = file.read_bytes()
    except OSError as problem:
        raise _NoLabelsError(problem.strerror or "it cannot be read") from problem
    try:
        wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    try:
        if file.suffix.lower() == ".json":
            document = json.loads(text)
            if isinstance(document, dict) and "annotations" in document:
                return _of_coco(root, file, document, several)
            rows = _of_document(document)
        else:
            rows = _json_lines(text) if file.suffix.lower() == ".jsonl" else _table(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error) as problem:
        raise _NoLabelsError("it cannot be read") from problem
    return _of_table(root, file, rows, names, several)


def _table(text: str) -> list[list[str]]:
    """Return the rows of a table, whatever separates its cells, stripped."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    if not first.count(delimiter):  # "a.jpg 3", as lists for Caffe and PyTorch are
        return [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]


def _of_document(document: Any) -> list[list[str]]:
    """Return the rows of JSON: records, the class of each file, or the files of each class."""
    if isinstance(document, list) and all(isinstance(one, dict) for one in document):
        return _of_records(document)
    if isinstance(document, dict):
        pairs = [
            (str(file), str(name))
            for name, files in document.items()
            if isinstance(files, list)
            for file in files
        ] or [(str(file), str(name)) for file, name in document.items()]
        return [["file", "label"], *map(list, pairs)]
    raise _NoLabelsError("it is no label file of COCO's form")


def _json_lines(text: str) -> list[list[str]]:
    return _of_records([json.loads(line) for line in text.splitlines() if line.strip()])


def _of_records(records: list[Any]) -> list[list[str]]:
    header = list(dict.fromkeys(key for record in records for key in record))
    return [header, *([str(record.get(key, "")) for key in header] for record in records)]


def _of_table(
    root: Folder, file: Path, rows: list[list[str]], names: _Names, several: bool
) -> Labels:
    if len(rows) < 2:
        raise _NoLabelsError("it has no rows")
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows]
    if any(names.find(cell) for cell in rows[0]):  # no header
        rows = [[f"column {number}" for number in range(1, width + 1)], *rows]
    header, body = rows[0], rows[1:]
    columns = {index: [row[index] for row in body] for index in range(width)}
    hits = {i: sum(names.find(cell) is not None for cell in cells) for i, cells in columns.items()}
    best = max(hits, key=lambda index: hits[index])
    if not hits[best]:
        raise _NoLabelsError("no column names the images")
    files = columns.pop(best)
    parts: list[Part | None] = [None] * len(body)
    split = split_column(columns)
    if split is not None:
        parts = [part_of(cell) for cell in columns.pop(split)]
    hot = one_hot(header, columns)
    if hot:
        ones = [[index for index in hot if float(row[index]) == 1] for row in body]
        many = sum(len(one) > 1 for one in ones)
        if many and not several:
            have = counted(many, "row has", "rows have")
            seen = f"{have} more than one class in {as_text(file.name)}"
            raise other_task(root, "several labels an image", seen)
        named = [tuple(as_text(header[index]) for index in one) or ("",) for one in ones]
        return _each(files, named, parts, tuple(as_text(header[index]) for index in hot))
    if task := task_of_columns(header, files):
        raise other_task(root, task, f"{as_text(file.name)} has columns for it")
    if several:
        lists = {index: listed(cells) for index, cells in columns.items()}
        columns = {index: [one[0] for one in cells] for index, cells in lists.items()}
    found = label_column(header, columns)
    if isinstance(found, str):
        raise _NoLabelsError(found)
    if several:
        return _each(files, [tuple(map(as_text, one)) for one in lists[found.column]], parts)
    labels = [as_text(cell) for cell in columns[found.column]]
    if label := composed(labels):
        seen = f"{as_text(file.name)} has '{label}' beside the labels that it is made of"
        raise other_task(root, "several labels an image", seen)
    order = tuple(map(as_text, found.order))
    return Labels(list(zip(files, labels, strict=True)), parts, order)


def _each(
    files: list[str],
    named: list[tuple[str, ...]],
    parts: list[Part | None],
    order: tuple[str, ...] = (),
) -> Labels:
    """Return labels of images that may have several classes; ("",) for none."""
    rows = [
        (file, name, part)
        for file, names, part in zip(files, named, parts, strict=True)
        for name in names
    ]
    return Labels([row[:2] for row in rows], [row[2] for row in rows], order)


def _of_coco(root: Folder, file: Path, document: Any, several: bool) -> Labels:
    """Return the classes of COCO's JSON, one category an image unless there may be several.

    Raises
    ------
    DataError : it is of boxes, masks, points or captions, or of several categories an image.
    """
    if not isinstance(document, dict) or not {"images", "annotations"} <= document.keys():
        raise _NoLabelsError("it is no label file of COCO's form")
    for key, task in (
        ("segmentation", "segmentation"), ("keypoints", "key points"), ("bbox", "detection"),
        ("caption", "captions"),
    ):  # fmt: skip
        if any(one.get(key) for one in document["annotations"]):
            seen = f"the annotations of {as_text(file.name)} have '{key}'"
            raise other_task(root, task, seen)
    categories = sorted(document["categories"], key=lambda one: int(one["id"]))
    names = {one["id"]: as_text(str(one["name"])) for one in categories}
    found: dict[Any, set[str]] = {}
    for one in document["annotations"]:
        found.setdefault(one["image_id"], set()).add(names[one["category_id"]])
    many = sum(len(classes) > 1 for classes in found.values())
    if many and not several:
        have = counted(many, "image has", "images have")
        seen = f"{have} more than one category in {as_text(file.name)}"
        raise other_task(root, "several labels an image", seen)
    images = [str(one["file_name"]) for one in document["images"]]
    named = [tuple(sorted(found.get(one["id"], {""}))) for one in document["images"]]
    used = {name for some in named for name in some}
    order = tuple(dict.fromkeys(name for name in names.values() if name in used))
    return _each(images, named, [None] * len(images), order)


def _part_of_path(root: Folder, path: Path) -> Part | None:
    for name in path.relative_to(root.path).parts[:-1]:
        if (part := part_of(name)) is not None:
            return part
    return None


def _unrepeated(classes: dict[str, list[Path]]) -> dict[str, list[Path]]:
    return {name: sorted(set(paths), key=str) for name, paths in classes.items()}


def _told(state: str, names: list[str], which: str) -> list[str]:
    if not names:
        return []
    shown = ", ".join(map(as_text, names[:NAMED])) + " …" * (len(names) > NAMED)
    return [f"{state}: {counted(len(names), 'image')} {which} ({shown})."]


def _flat(root: Folder, unusable: list[str]) -> DataError:
    _, masks = without_masks(root.all_images())
    if 3 * len(masks) >= root.count:
        raise other_task(root, "segmentation", f"{as_text(masks[0].name)} lies beside its image")
    where = f"{root.path} has {counted(root.count, 'image')} in no class folders"
    if names := _named_after_classes(root):
        shown = ", ".join(map(as_text, names[:NAMED]))
        hint = (
            f"If files are named after their classes ({shown}), move them to folders of that name. "
        )
        return DataError(f"{where}, and no file of their classes.", hint + LAYOUT)
    if unusable:
        return DataError(f"{where}, and no file of their classes ({'; '.join(unusable)}).", LAYOUT)
    return DataError(f"{where}, and no file of their classes.", LAYOUT)


def _named_after_classes(root: Folder) -> list[str]:
    """Return what the names of most files begin with, before a number: cat.1.jpg, dog_2.jpg."""
    images = root.all_images()
    matches = [re.fullmatch(r"(.*?[^\W\d_])[ ._-]*\d+", path.stem) for path in images]
    counts = Counter(match[1] for match in matches if match)
    usual = sorted(name for name, count in counts.items() if count > 1)
    covered = sum(counts[name] for name in usual)
    return usual if len(usual) > 1 and 10 * covered >= 9 * len(images) else []
