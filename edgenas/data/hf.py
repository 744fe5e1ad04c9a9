"""`hf:NAME_OR_PATH`: an image classification data set through Hugging Face `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from edgenas.core.errors import DataError
from edgenas.core.progress import Progress
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Reading
from edgenas.data.decode import Decoded, Source, decode_split, native_size, tell
from edgenas.data.pixel_store import check_room

SPLIT_NAMES = {"train": ("train",), "val": ("validation", "valid", "val", "dev"), "test": ("test",)}


def load(argument: str, *, reading: Reading, progress: Progress) -> Dataset:
    """Return the data set of that name or in that folder, as RGB at the size that most images have.

    With only one of validation and test, that is the test split, and validation is cut from train;
    with neither both are.

    Raises
    ------
    DataError : `datasets` is not installed; the data set is not to be had, or has no image and
        label columns, or no train split.
    """
    parts = _parts(argument, _opened(argument, progress))
    image_column, label_column = _columns(argument, parts["train"])
    class_names = _class_names(parts["train"], label_column, reading)
    fit = reading.fit or "crop"
    encoded = {part: _Encoded(table, image_column) for part, table in parts.items()}
    size = native_size(encoded["train"], reading.image_size, fit)
    check_room(f"hf:{argument}", sum(map(len, encoded.values())), size, progress)
    decoded: dict[str, Decoded] = {}
    with progress.task("Reading images", sum(map(len, encoded.values()))) as task:
        for part, sources in encoded.items():
            labels = _labels(f"{argument} {part}", parts[part], label_column, class_names)
            names = [f"{part}[{index}]" for index in range(len(sources))]
            decoded[part] = decode_split(sources, labels, names, size, fit, task)
    tell(list(decoded.values()), fit, progress)
    splits = {part: one.split for part, one in decoded.items()}
    skipped = tuple(file for one in decoded.values() for file in one.skipped)
    test = splits.get("test", splits.get("val"))
    val = splits["val"] if len(splits) == 3 else None
    name = f"hf:{argument}"
    train = splits["train"]
    return assemble(
        name, class_names, train, val, test, seed=reading.seed, skipped=skipped, fit=fit
    )


def _opened(argument: str, progress: Progress) -> Any:
    try:
        import datasets
    except ImportError as problem:
        raise DataError(
            "--data hf:… needs the package 'datasets'.", "pip install 'edgenas[huggingface]'"
        ) from problem
    if not argument:
        raise DataError(
            "--data hf: needs a data set's name or folder.", "Such as: hf:uoft-cs/cifar10"
        )
    datasets.disable_progress_bars()
    progress.message(f"Opening {argument} with Hugging Face datasets …")
    try:
        if (Path(argument) / "dataset_dict.json").exists():
            return datasets.load_from_disk(argument)
        return datasets.load_dataset(argument)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as problem:
        first_line = str(problem).strip().splitlines()[0] if str(problem).strip() else problem
        raise DataError(
            f"Cannot open the Hugging Face data set '{argument}': {first_line}",
            "Check its name, and that this machine can reach huggingface.co.",
        ) from problem


def _parts(argument: str, opened: Any) -> dict[str, Any]:
    known = dict(opened) if isinstance(opened, dict) else {}
    parts: dict[str, Any] = {}
    for part, names in SPLIT_NAMES.items():
        for name in names:
            if name in known:
                parts.setdefault(part, known[name])
    if "train" not in parts:
        found = ", ".join(known) or "none"
        raise DataError(f"'{argument}' needs the split train; it has: {found}.")
    return parts


def _columns(argument: str, table: Any) -> tuple[str, str]:
    import datasets

    features = table.features
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    named = [name for name in ("label", "labels") if name in features]
    if not images or not named + classes:
        missing = "label" if images else "image"
        raise DataError(f"'{argument}' has no {missing} column; it has: {', '.join(features)}.")
    return images[0], (named + classes)[0]


def _class_names(table: Any, column: str, reading: Reading) -> tuple[str, ...]:
    names = getattr(table.features[column], "names", None)
    return tuple(names) if names else reading.ordered(str(value) for value in table[column])


def _labels(where: str, table: Any, column: str, class_names: tuple[str, ...]) -> np.ndarray:
    """Return int64 [n], from class numbers or from names."""
    values = list(table[column])
    if getattr(table.features[column], "names", None) is None:
        numbers = {name: index for index, name in enumerate(class_names)}
        values = [numbers.get(str(value), -1) for value in values]
    labels = np.array([-1 if value is None else value for value in values], np.int64)
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(class_names)):
        raise DataError(f"{where} has images without a label, or of a class that train lacks.")
    return labels


class _Encoded(Sequence[Source]):
    """The encoded bytes or the path of each image, read when asked for."""

    def __init__(self, table: Any, column: str) -> None:
        import datasets

        self._table = table.select_columns(column).cast_column(column, datasets.Image(decode=False))
        self._column = column

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Source: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Source]: ...

    def __getitem__(self, index: int | slice) -> Source | Sequence[Source]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        encoded = self._table[index][self._column] or {}
        return encoded.get("bytes") or Path(encoded.get("path") or "no image")
