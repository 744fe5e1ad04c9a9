"""Which columns of a table say what class an image is of, and to which split it belongs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgenas.data.split_names import part_of

NAMES = (
    "label", "class", "category", "labels", "class_name", "label_name", "category_name", "target",
    "species", "breed", "diagnosis", "dx", "y", "classes", "tag", "type", "kind",
    "classid", "class_id",
)  # fmt: skip
IDENTIFIERS = {"id", "index", "unnamed: 0", "width", "height", "size", "bytes", "sha256", "md5"}


BOX_COLUMNS = (
    {"bbox"}, {"bounding_box"}, {"bboxes"}, {"xmin", "ymin", "xmax", "ymax"},
    {"x_min", "y_min", "x_max", "y_max"}, {"x1", "y1", "x2", "y2"}, {"x", "y", "w", "h"},
    {"xmin", "xmax", "ymin", "ymax"}, {"roi.x1", "roi.y1", "roi.x2", "roi.y2"},
)  # fmt: skip
MASK_COLUMNS = {"encodedpixels", "rle", "rle_mask", "segmentation"}


@dataclass(frozen=True)
class LabelColumn:
    """The number of the column, and its classes in an order that another column says, or ()."""

    column: int
    order: tuple[str, ...] = ()


def task_of_columns(header: list[str], files: list[str]) -> str:
    """Return the other task than classification that columns speak of, "" if of none.

    files : the image of each row. A table of boxes with one row an image and a column of classes
    by name is one of classes: of signs cut out of a street, say.
    """
    names = {name.strip().lower() for name in header}
    if names & MASK_COLUMNS:
        return "segmentation"
    boxes = any(columns <= names for columns in BOX_COLUMNS)
    classed = bool(names & set(NAMES))
    return "detection" if boxes and (len(set(files)) < len(files) or not classed) else ""


def split_column(columns: dict[int, list[str]]) -> int | None:
    """Return the column in which every cell names a split, and one names training."""
    for index, cells in columns.items():
        parts = {part_of(cell) for cell in cells}
        if "train" in parts and None not in parts:
            return index
    return None


def one_hot(header: list[str], columns: dict[int, list[str]]) -> list[int]:
    """Return the columns of which each is one class, 0 or 1 in each row; [] if it is not so."""
    if any(header[index].strip().lower() in NAMES for index in columns):
        return []
    binary = [i for i, cells in columns.items() if {_number(cell) for cell in cells} <= {0.0, 1.0}]
    return binary if len(binary) > 1 else []


def composed(labels: list[str]) -> str:
    """Return a label that lists others, as "sun sea" beside "sun" and "sea"; "" if none does."""
    return _composed(labels)[0]


def listed(labels: list[str]) -> list[tuple[str, ...]]:
    """Return the labels that each text lists: those between | or ;, or as a `composed` one has."""
    separators = [one for one in "|;" if any(one in label for label in labels)]
    delimiter = separators[0] if separators else _composed(labels)[1]
    if not delimiter:
        return [(label,) for label in labels]
    words = ([word.strip() for word in label.split(delimiter)] for label in labels)
    return [tuple(filter(None, some)) or ("",) for some in words]


def _composed(labels: list[str]) -> tuple[str, str]:
    """Return a label that lists others, and what stands between them; "" and "" if none does."""
    known = set(labels)
    for label in sorted(known):
        for delimiter in (" ", "|", ";", ","):
            words = [word.strip() for word in label.split(delimiter)]
            if len(words) < 2:
                continue
            # "cat|dog" beside "cat" lists labels, be "dog" there alone or not; "hot dog" does not
            if known.issuperset(words) or (delimiter in "|;" and not known.isdisjoint(words)):
                return label, delimiter
    return "", ""


def label_column(header: list[str], columns: dict[int, list[str]]) -> LabelColumn | str:
    """Return the column of classes, or why none is."""
    repeated = {
        index: classes
        for index, cells in columns.items()
        if len(classes := {cell for cell in cells if cell}) >= 2
        and len(classes) <= max(2, len(cells) // 2)
        and not any(_fraction(cell) for cell in classes)
    }
    named = [i for i in repeated if header[i].strip().lower() in NAMES]
    texts = [i for i in repeated if any(_number(cell) is None for cell in repeated[i])]
    others = [i for i in repeated if header[i].strip().lower() not in IDENTIFIERS]
    candidates = [i for i in named if i in texts] or named or texts or others
    if not candidates:
        numbers = [
            header[i] for i, cells in columns.items() if any(_fraction(cell) for cell in cells)
        ]
        if numbers:
            return (
                f"{numbers[0]} has measured numbers, as for regression, and no column has classes"
            )
        return "no column has classes"
    first = min(candidates, key=lambda i: _rank(header[i]))
    alike = [i for i in candidates if _rank(header[i]) == _rank(header[first])]
    if len(alike) > 1 and not _says_the_same(columns[alike[0]], columns[alike[1]]):
        names = ", ".join(f"'{header[i]}'" for i in alike)
        return f"each of the columns {names} may hold the classes; call that of classes 'label'"
    return LabelColumn(first, _order(columns, first))


def _rank(name: str) -> int:
    lower = name.strip().lower()
    return NAMES.index(lower) if lower in NAMES else len(NAMES)


def _order(columns: dict[int, list[str]], label: int) -> tuple[str, ...]:
    """Return the classes by the whole numbers of a column that has just one for each of them."""
    classes = [cell for cell in columns[label] if cell]
    if all(_number(cell) is not None for cell in classes):
        return ()
    for index, cells in columns.items():
        if index != label and _says_the_same(columns[label], cells):
            numbers = {
                label: _number(cell) for label, cell in zip(columns[label], cells, strict=True)
            }
            known = {
                name: number for name, number in numbers.items() if name and number is not None
            }
            if len(known) == len(set(classes)):
                return tuple(sorted(known, key=lambda name: known[name]))
    return ()


def _says_the_same(one: list[str], other: list[str]) -> bool:
    """Whether each value of a column stands beside just one value of the other."""
    pairs = set(zip(one, other, strict=True))
    return len(pairs) == len(set(one)) == len(set(other))


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _fraction(cell: str) -> bool:
    number = _number(cell)
    return number is not None and not number.is_integer()
