"""What a model file says of itself: how its input is made, and its classes.

An .onnx file has texts by key. A .tflite file has the same, and TFLite Metadata beside them: a
flatbuffer called TFLITE_METADATA, whose labels are a text file in a ZIP archive behind the model.
Field numbers are those of metadata_schema.fbs (tflite-support 0.4.4, Apache-2.0).
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgenas.core.records import ImageInput, canonical
from edgenas.core.records.image_input import CLASSES_KEY, INPUT_KEY, INPUT_TEXT_KEY
from edgenas.int8.exporters.flatbuffer import load_schema

TASK_KEY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_IDENTIFIER, _PARSER = b"M001", "1.0.0"
_LABELS_OF_AXIS, _RGB, _GREY = 2, 1, 2
_IMAGE_PROPERTIES, _NORMALIZATION = 2, 1  # of the unions of content and of process units


def texts(made: ImageInput | None, class_names: Sequence[str]) -> dict[str, str]:
    """Return the texts of a file by key: input and class names as JSON, the input in words."""
    known = {}
    if made is not None:
        known[INPUT_KEY] = canonical(made)
        known[INPUT_TEXT_KEY] = str(made)
    if class_names:
        known[CLASSES_KEY] = canonical(list(class_names))
    return known


def read_metadata(content: bytes) -> dict[str, str]:
    """Return the texts in a .tflite file's metadata by name; what is no text is left out.

    Raises
    ------
    ExportError : ai-edge-litert is absent.
    """
    model = load_schema().Model.GetRootAs(content, 0)
    found: dict[str, str] = {}
    try:
        for index in range(model.MetadataLength()):
            entry = model.Metadata(index)
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            if isinstance(data, np.ndarray) and entry.Name() != TASK_KEY.encode():
                found[entry.Name().decode("utf-8")] = data.tobytes().decode("utf-8")
    except (struct.error, UnicodeDecodeError, AttributeError, IndexError):
        return found
    return found


def labels_archive(class_names: Sequence[str]) -> bytes:
    """Return the ZIP archive of the labels, a line each, which stands behind a model."""
    lines = "".join(f"{' '.join(name.split())}\n" for name in class_names)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), lines.encode("utf-8"))
    return stream.getvalue()


def task_metadata(made: ImageInput, class_names: Sequence[str], ends: tuple[str, str]) -> bytes:
    """Return TFLite Metadata: the image's size, colours and normalisation, and the labels.

    ends : names of input and output.
    """
    fields = _Fields(load_schema().flatbuffers.Builder(1024))
    subgraph = fields.table(
        10,
        {
            2: fields.list([_input(fields, made, ends[0])]),
            3: fields.list([_output(fields, class_names, ends[1])]),
        },
    )
    model = fields.table(
        8,
        {
            0: fields.text("edgenas classifier"),
            1: fields.text(f"Input: {made}."),
            3: fields.list([subgraph]),
            7: fields.text(_PARSER),
        },
    )
    fields.builder.Finish(model, _IDENTIFIER)
    return bytes(fields.builder.Output())


def _input(fields: _Fields, made: ImageInput, name: str) -> int:
    mean, std = _of_pixels(made)
    size = fields.table(2, {}, {0: ("Uint32", made.size), 1: ("Uint32", made.size)})
    colours = _GREY if made.channels == "grey" else _RGB
    image = fields.table(2, {1: size}, {0: ("Int8", colours)})
    content = fields.table(3, {1: image}, {0: ("Uint8", _IMAGE_PROPERTIES)})
    options = fields.table(2, {0: fields.floats(mean), 1: fields.floats(std)})
    unit = fields.table(2, {1: options}, {0: ("Uint8", _NORMALIZATION)})
    greatest = [(255 - m) / s for m, s in zip(mean, std, strict=True)]
    least = [-m / s for m, s in zip(mean, std, strict=True)]
    stats = fields.table(2, {0: fields.floats(greatest), 1: fields.floats(least)})
    return fields.table(
        7,
        {
            0: fields.text(name),
            1: fields.text(str(made)),
            3: content,
            4: fields.list([unit]),
            5: stats,
        },
    )


def _output(fields: _Fields, class_names: Sequence[str], name: str) -> int:
    known = {0: fields.text(name), 1: fields.text("A score a class; the greatest is the answer.")}
    if class_names:
        file = fields.table(
            5,
            {0: fields.text(LABELS_FILE), 1: fields.text("Class names, in the scores' order.")},
            {2: ("Int8", _LABELS_OF_AXIS)},
        )
        known[6] = fields.list([file])
    return fields.table(7, known)


def _of_pixels(made: ImageInput) -> tuple[list[float], list[float]]:
    """Return mean and std a channel with which (pixel - mean) / std is what the file takes."""
    if made.formula == "(pixel / 255 - mean) / std":
        return [255 * mean for mean in made.mean], [255 * std for std in made.std]
    whole = 255.0 if made.formula == "pixel / 255" else 1.0
    return [0.0] * len(made.mean), [whole] * len(made.mean)


class _Fields:
    """Tables and vectors of a flatbuffer, by the numbers of their fields."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def text(self, text: str) -> int:
        return int(self.builder.CreateString(text))

    def floats(self, values: Sequence[float]) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, np.float32)))

    def list(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def table(
        self, size: int, offsets: dict[int, int], scalars: dict[int, tuple[str, int]] | None = None
    ) -> int:
        """Return a table of `size` fields. scalars : type and value, by number of the field."""
        self.builder.StartObject(size)
        for number, offset in offsets.items():
            self.builder.PrependUOffsetTRelativeSlot(number, offset, 0)
        for number, (kind, value) in (scalars or {}).items():
            getattr(self.builder, f"Prepend{kind}Slot")(number, value, 0)
        return int(self.builder.EndObject())
