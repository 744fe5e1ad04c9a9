"""What files say of themselves: read back as a reader of metadata_schema.fbs reads it.

That the Task Library of tflite-support 0.4.4 takes the files, and names the right classes, was seen
by hand: it needs protobuf 3 and numpy 1, which are not installed beside edgenas.
"""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import onnx
import pytest

from edgenas.core.records import ImageInput
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.exporters.metadata import read_metadata
from edgenas.int8.graph.ranges import calibrate
from edgenas.int8.importer.read import import_onnx
from helpers.own_networks import built, exported, pictures
from helpers.tflite_logits import REASON

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=REASON)
Table = schema.flatbuffers.table.Table
numbers = schema.flatbuffers.number_types
NAMES = ("cat", "dög", "cow", "hen", "a  fish\n")
MADE = ImageInput("crop", 16, 16, "rgb", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "nhwc", "int8")


@pytest.fixture(scope="module")
def file() -> bytes:
    images = pictures(4)
    graph = import_onnx(exported(built("mobilenet-v2"), (3, 16, 16)), "m").graph
    return tflite_exporter.emit(graph, calibrate(graph, images), made=MADE, class_names=NAMES)


class Reader:
    """A table of a flatbuffer, by the numbers of its fields in the schema."""

    def __init__(self, content: bytes, at: int) -> None:
        self.table = Table(content, at)

    @classmethod
    def root(cls, content: bytes) -> Reader:
        return cls(content, int.from_bytes(content[:4], "little"))

    def place(self, field: int) -> int:
        offset = self.table.Offset(4 + 2 * field)
        assert offset, f"field {field} is missing"
        return int(offset)

    def text(self, field: int) -> str:
        return str(self.table.String(self.place(field) + self.table.Pos).decode())

    def one(self, field: int) -> Reader:
        return Reader(self.table.Bytes, self.table.Indirect(self.place(field) + self.table.Pos))

    def first(self, field: int) -> Reader:
        vector = self.table.Vector(self.place(field))
        assert self.table.VectorLen(self.place(field)) == 1
        return Reader(self.table.Bytes, self.table.Indirect(vector))

    def number(self, field: int, kind: object) -> int:
        return int(self.table.Get(kind, self.place(field) + self.table.Pos))

    def floats(self, field: int) -> list[float]:
        return list(self.table.GetVectorAsNumpy(numbers.Float32Flags, self.place(field)))


def task_metadata(file: bytes) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(file)
    (entry,) = [one for one in model.metadata if one.name == b"TFLITE_METADATA"]
    return bytes(np.asarray(model.buffers[entry.buffer].data, np.uint8))


def test_task_metadata_says_how_pixels_become_the_input(file: bytes) -> None:
    content = task_metadata(file)
    assert content[4:8] == b"M001"
    subgraph = Reader.root(content).first(3)
    entry = subgraph.first(2)
    assert entry.text(0) == "input"
    assert entry.one(3).number(0, numbers.Uint8Flags) == 2  # ImageProperties
    image = entry.one(3).one(1)
    assert image.number(0, numbers.Int8Flags) == 1  # RGB
    size = image.one(1)
    assert [size.number(at, numbers.Uint32Flags) for at in (0, 1)] == [16, 16]
    unit = entry.first(4)
    assert unit.number(0, numbers.Uint8Flags) == 1  # NormalizationOptions
    assert unit.one(1).floats(0) == pytest.approx([127.5, 102.0, 76.5])
    assert unit.one(1).floats(1) == pytest.approx([51.0, 76.5, 102.0])
    assert entry.one(5).floats(0) == pytest.approx([2.5, 2.0, 1.75])
    assert entry.one(5).floats(1) == pytest.approx([-2.5, -4 / 3, -0.75])
    output = subgraph.first(3)
    assert output.text(0) == "logits"
    assert output.first(6).text(0) == "labels.txt"
    assert output.first(6).number(2, numbers.Int8Flags) == 2  # TENSOR_AXIS_LABELS


def test_labels_are_an_archive_behind_the_model(file: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode() == "cat\ndög\ncow\nhen\na fish\n"
    assert logits(file, pictures(2), "litert").shape == (2, 5)


def test_both_formats_say_the_same_in_words(file: bytes) -> None:
    graph = import_onnx(exported(built("mobilenet-v2"), (3, 16, 16)), "m").graph
    content = onnx_exporter.emit(graph, None, made=MADE, class_names=NAMES)
    model = onnx.load_model_from_string(content)
    known = {one.key: one.value for one in model.metadata_props}
    assert read_metadata(file) == known
    assert json.loads(known["edgenas.class_names"]) == list(NAMES)
    assert json.loads(known["edgenas.input"])["std"] == [0.2, 0.3, 0.4]


def test_file_without_input_has_no_metadata() -> None:
    graph = import_onnx(exported(built("mobilenet-v2"), (3, 16, 16)), "m").graph
    content = tflite_exporter.emit(graph, None)
    assert read_metadata(content) == {}
    assert not zipfile.is_zipfile(io.BytesIO(content))
