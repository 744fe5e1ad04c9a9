"""Where the parts of a data set and its classes are in a folder, by structure and by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgenas.core.counted import are, counted
from edgenas.core.errors import DataError
from edgenas.data.split_names import Part, exact_part, part_of, rank
from edgenas.data.tree import Folder, as_text

LAYOUT = (
    "It needs train/CLASS/*.jpg and test/CLASS/*.jpg, or CLASS/*.jpg, of two or more classes; or "
    "images beside a .csv file of their names and classes."
)

IMAGE_FOLDERS = {
    "images",
    "image",
    "imgs",
    "img",
    "photos",
    "pictures",
    "jpegimages",
    "data",
    "jpg",
}


@dataclass(frozen=True)
class Layout:
    """The images of every class in every part. `train` is there always.

    left_out : sentences about images that are in no part. read_as : what folders are read as,
    where their names do not say it; "" where they do. order : of the classes, where a label file
    says it; () for the order of their names.
    """

    parts: dict[Part, dict[str, list[Path]]]
    left_out: list[str] = field(default_factory=list)
    order: tuple[str, ...] = ()
    read_as: str = ""


def inner_root(root: Folder) -> Folder:
    """Return the folder of the data set in folders that only wrap it, such as data/data/.

    A folder wraps one if no other beside it has images, and it has several folders with images.
    """
    inner = root
    while not inner.images and len(inner.filled) == 1:
        (only,) = inner.filled.values()
        if exact_part(only.name) or part_of(only.name) is not None or only.images:
            return root
        inner = only
    if inner is root or inner.images or len(inner.filled) < 2:
        return root
    return inner


def of_folders(root: Folder, known_classes: Collection[str]) -> Layout | None:
    """Return the layout of folders for classes; None where images lie in no such folders.

    known_classes : of a run or a supernet; folders of these names are classes.

    Raises
    ------
    DataError : train/ is missing, or it is not clear which folders are parts and which are classes.
    """
    parts = _parts(root)
    if "train" in parts:
        return _splits_around(root, parts)
    inside = _splits_inside(root)
    if inside is not None:
        return inside
    if parts and any(_has_classes(folder) for folder in parts.values()):
        raise _no_train(root, parts)
    classes = list(root.filled.values())
    if {as_text(one.name) for one in classes} != set(known_classes):
        _require_no_likeness(root, classes)
    return _classes_alone(root, classes)


def _parts(root: Folder) -> dict[Part, Folder]:
    """Return the folders in `root` that hold parts; of several for one part the best named."""
    exact = {name: part for name in root.folders if (part := exact_part(name))}
    if any(_has_classes(root.folders[name]) for name in exact):
        named = exact
    else:  # a class may be called so: bus, car, train
        named = {name: part for name, part in exact.items() if not root.folders[name].images}
    for name, folder in root.folders.items():
        part = part_of(name)
        if part is not None and name not in exact and _has_classes(folder):
            named[name] = part
    found: dict[Part, Folder] = {}
    for name in sorted(named, key=rank):
        part = named[name]
        if part not in found:
            found[part] = root.folders[name]
        elif part == "val" and "test" not in named.values() and "test" not in found:
            found["test"] = root.folders[name]
    order: tuple[Part, ...] = ("train", "val", "test")
    return {part: found[part] for part in order if part in found}


def _has_classes(folder: Folder) -> bool:
    return bool(folder.filled)


def _unwrapped(folder: Folder) -> Folder:
    """Return the folder with several in it that a folder is only the wrapping of."""
    while not folder.images and len(folder.filled) == 1:
        (inner,) = folder.filled.values()
        if inner.images or not inner.filled:
            break
        folder = inner
    return folder


def _splits_around(root: Folder, folders: dict[Part, Folder]) -> Layout | None:
    train = _unwrapped(folders["train"])
    if train.images and not train.filled:
        return None
    parts: dict[Part, dict[str, list[Path]]] = {"train": _classes(train)}
    left_out = []
    for part, outer in folders.items():
        folder = _unwrapped(outer)
        classes = _classes(folder)
        used = {name for name, images in classes.items() if images}
        unlabelled = not used or (len(used) == 1 and not used <= parts["train"].keys())
        if part != "train" and folder.count and unlabelled:
            left_out.append(
                f"{as_text(outer.name)}/ has {counted(folder.count, 'image')} without class "
                f"folders, which {are(folder.count)} left out."
            )
        elif part == "train" or folder.count:
            parts[part] = classes
            left_out += _loose(folder)
    taken = {folder.name for folder in folders.values()}
    for name, folder in root.filled.items():
        if name not in taken:
            left_out.append(
                f"{as_text(name)}/ ({counted(folder.count, 'image')}) is left out: it is none of "
                f"{', '.join(f'{as_text(one)}/' for one in sorted(taken))}. "
                "Name it train, val or test to use it."
            )
    if not any(parts["train"].values()):
        raise DataError(f"{folders['train'].path} has no images in class folders.", LAYOUT)
    names = {part: folders[part].name for part in parts}
    return Layout(parts, left_out + _loose(root), read_as=_read_as(names))


def _read_as(names: dict[Part, str]) -> str:
    """Return a sentence that says which folder is used as what, "" where that is their names."""
    used: dict[Part, str] = dict(names)
    if "val" in used and "test" not in used:
        used["test"] = used.pop("val")
    if all(exact_part(name) == part for part, name in used.items()):
        return ""
    purposes = {"train": "trains", "val": "validates", "test": "tests"}
    said = ", ".join(f"{as_text(name)}/ {purposes[part]}" for part, name in used.items())
    return f"Splits: {said}."


def _splits_inside(root: Folder) -> Layout | None:
    """Return the layout of CLASS/train and CLASS/test; None where it is not that."""
    classes = root.filled
    found = {name: {} if one.images else _parts_inside(one) for name, one in classes.items()}
    having = [name for name, parts in found.items() if "train" in parts]
    if len(having) < 2:
        return None
    without = sorted(set(classes) - set(having))
    if without:
        raise DataError(
            f"{as_text(having[0])}/ has a folder for training, and {as_text(without[0])}/ has "
            "none.",
            f"Give {as_text(without[0])}/ one too, or no class.",
        )
    parts: dict[Part, dict[str, list[Path]]] = {}
    left_out = []
    for name, inside in found.items():
        for part, folder in inside.items():
            parts.setdefault(part, {})[as_text(name)] = folder.all_images()
        more = classes[name].count - sum(folder.count for folder in inside.values())
        if more:
            taken = ", ".join(f"{as_text(one.name)}/" for one in inside.values())
            left_out.append(
                f"{counted(more, 'image')} in {as_text(name)}/ {are(more)} left out, in none of "
                f"{taken}."
            )
    order: tuple[Part, ...] = ("train", "val", "test")
    names: dict[Part, str] = {
        part: folder.name for inside in found.values() for part, folder in inside.items()
    }
    return Layout(
        {part: parts[part] for part in order if part in parts},
        left_out + _loose(root),
        read_as=_read_as(names) or f"Splits: inside each class, {_listed_parts(names)}.",
    )


def _listed_parts(names: dict[Part, str]) -> str:
    order: tuple[Part, ...] = ("train", "val", "test")
    return ", ".join(f"{as_text(names[part])}/" for part in order if part in names)


def _parts_inside(folder: Folder) -> dict[Part, Folder]:
    found: dict[Part, Folder] = {}
    for name in sorted(folder.filled, key=rank):
        part = part_of(name)
        if part is not None:
            found.setdefault(part, folder.filled[name])
    return found


def _no_train(root: Folder, parts: dict[Part, Folder]) -> DataError:
    part = next(one for one in parts.values() if _has_classes(one))
    names = set(_unwrapped(part).filled)
    alike = [
        one.name
        for one in root.filled.values()
        if one.name != part.name and _alike(set(_unwrapped(one).filled), names)
    ]
    if alike:
        hint = (
            f"{as_text(alike[0])}/ holds the same folders as {as_text(part.name)}/: name it train."
        )
        return DataError(f"{root.path} has no train/.", hint)
    return DataError(f"{root.path} has no train/.", LAYOUT)


def _require_no_likeness(root: Folder, folders: list[Folder]) -> None:
    """Raise `DataError` where "classes" hold the same folders, and no images: as splits do."""
    inner = [_unwrapped(folder) for folder in folders]
    if len(inner) < 2 or any(one.images for one in inner):
        return
    names = [set(one.filled) for one in inner]
    if not all(_alike(names[0], other) and len(other) > 1 for other in names):
        return
    outside = _listed(one.name for one in folders)
    shared = _listed(sorted(set.intersection(*names)))
    raise DataError(
        f"{outside} in {root.path} hold the same folders, {shared}, and no images: they look like "
        "splits.",
        f"Name the splits train and test, and val if there is a third, be they {outside} or "
        f"{shared}. If none are splits, move the images of each class into one folder: "
        f"{as_text(folders[0].name)}/*.jpg.",
    )


def _alike(one: set[str], other: set[str]) -> bool:
    shared = len(one & other)
    return shared > 1 and 2 * shared >= len(one | other)


def _classes_alone(root: Folder, classes: list[Folder]) -> Layout | None:
    if not classes:
        return None
    if len(classes) == 1 and len([one for one in root.folders.values() if not one.count]) == 0:
        (only,) = classes
        if "train" in _parts(only) or "train" in _parts_inside(only):
            raise DataError(f"{root.path} has no train/.", f"Try: --data imagefolder:{only.path}")
        if only.filled:
            raise DataError(
                f"{root.path} has one class folder only, {as_text(only.name)}/.",
                f"Try: --data imagefolder:{only.path}",
            )
        if root.images or exact_part(only.name) or only.name.lower() in IMAGE_FOLDERS:
            return None
    if all(_is_flat_part(one) for one in classes):
        return None
    return Layout({"train": _classes(root)}, _loose(root), read_as=_of_folders_inside(classes))


def _of_folders_inside(classes: list[Folder]) -> str:
    """Return a sentence on classes that are made of several folders of images; "" if none is."""
    for one in classes:
        inside = [name for name, inner in one.filled.items() if inner.images]
        if len(inside) > 1 and not one.images:
            return (
                f"{as_text(one.name)}/ is one class; its folders {_listed(inside)} are not told "
                f"apart. To do so: --data imagefolder:{as_text(str(one.path))}, or move "
                "them up."
            )
    return ""


def _is_flat_part(folder: Folder) -> bool:
    """Whether a folder of images is named as a part, or as images are, and has no classes."""
    named = part_of(folder.name) is not None or folder.name.lower() in IMAGE_FOLDERS
    return named and not folder.filled


def _classes(folder: Folder) -> dict[str, list[Path]]:
    """Return the images of every class folder.

    Raises
    ------
    DataError : two folders have names that are the same text.
    """
    found: dict[str, list[Path]] = {}
    for name, inner in folder.folders.items():
        text = as_text(name)
        if text in found:
            raise DataError(f"{folder.path} has two folders that read '{text}'.", "Rename one.")
        found[text] = inner.all_images()
    return found


def _loose(folder: Folder) -> list[str]:
    if not folder.images:
        return []
    return [
        f"{counted(len(folder.images), 'image')} in {as_text(str(folder.path))} "
        f"{are(len(folder.images))} in no class folder, and left out: "
        f"{_listed(path.name for path in folder.images)}."
    ]


def _listed(names: Iterable[str]) -> str:
    texts = [as_text(name) for name in names]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
