"""How the input of a file becomes the graph's image: as it is, or a vector or a series as one.

A series [n, channels, length] is an image of height 1, a vector one pixel. What a file does first
with such an input, such as to make an image of it, costs nothing: the numbers stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgenas.int8.importer.source import IMAGE_RANK, Operation, Source

_RESHAPES = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Entry:
    """The file from where its input is an image on: `source` begins with that tensor.

    shape : of the graph's image. takes, order : as `ir.FileEnds` has them; None of an image.
    """

    source: Source
    shape: tuple[int, int, int, int]
    takes: tuple[int, ...] | None = None
    order: tuple[int, ...] = ()


def entry_of(source: Source) -> Entry:
    """Return how the file's input becomes the graph's image."""
    whole = source.shapes[source.input]
    if len(whole) == IMAGE_RANK:
        return Entry(source, image_shape(whole))
    takes = whole[1:]
    order = tuple(range(len(takes)))
    best = Entry(source, image_shape(whole), takes, order)
    name, operations, reshaped = source.input, list(source.operations), False
    while (operation := _only_reader(operations, name)) is not None:
        axes = operation.attributes.get("perm", [])
        if operation.kind == "Transpose" and not reshaped and axes[:1] == [0]:
            order = tuple(order[axis - 1] for axis in axes[1:])
        elif operation.kind in _RESHAPES:
            reshaped = True
        else:
            break
        operations.remove(operation)
        (name,) = operation.outputs
        shape = source.shapes[name]
        if _stays(takes, order, shape):
            rest = replace(source, input=name, operations=tuple(operations))
            best = Entry(rest, image_shape(shape), takes, order)
    return best


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the shape in the graph of a tensor of the file: an image, a series or a vector."""
    channels, *sizes = shape[1:]
    height, width = (*(1,) * (2 - len(sizes)), *sizes)
    return 1, channels, height, width


def _only_reader(operations: list[Operation], name: str) -> Operation | None:
    readers = [operation for operation in operations if name in operation.inputs]
    return readers[0] if len(readers) == 1 else None


def _stays(takes: tuple[int, ...], order: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether an image of that shape has its numbers in one order in both layouts of files:
    channels last, too, is then a change of axes."""
    if shape[:1] != (1,) or not 1 < len(shape) <= IMAGE_RANK:
        return False
    _, channels, height, width = image_shape(shape)
    return channels == 1 or height * width == 1 or channels == takes[order[0]]
