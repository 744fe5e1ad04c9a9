"""An int8 file is read back and held against what was lowered: no number may differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.files.run_folder import write_json
from edgenas.core.records import Candidate, ExportedModel, Interval, to_json
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.host import logits
from edgenas.int8.graph import graph_file
from edgenas.int8.graph.integer_reference import run
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.pixels import take_pixels, with_background
from edgenas.int8.graph.quantize import SCHEMES, quantize, stored_scheme
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.runs import submission
from edgenas.spaces import foxnas_cpu, mbv3_tiny

NETWORKS = {"plain": mbv3_tiny.create(10, 1, 16), "squeeze-excite": foxnas_cpu.create(10, 3, 32)}
NEEDS = {"onnx": "onnx", "tflite": "ai_edge_litert"}
Network = tuple[Graph, Ranges]


def made(space_name: str) -> Network:
    space = NETWORKS[space_name]
    layers = space.layers(space.sample(np.random.default_rng(3)))
    graph = lower(layers, random_state(layers, 0))
    images = np.random.default_rng(0).standard_normal((4, *graph.input_shape[1:]), np.float32)
    return graph, calibrate(graph, images)


@pytest.fixture(scope="module")
def plain() -> Network:
    return made("plain")


@pytest.fixture(params=sorted(NEEDS))
def exporter(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(NEEDS[request.param], reason=f"needs {NEEDS[request.param]}")
    return request.param


def emitted(exporter: str, network: Network, scheme: str) -> bytes:
    return plugins.load("exporters", exporter).emit(*network, scheme=scheme)


def said(content: bytes, exporter: str, network: Network, scheme: str) -> str:
    return unlike_lowered(content, *network, exporter=exporter, scheme=scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_holds_what_was_lowered(exporter: str, name: str, scheme: str) -> None:
    network = made(name)
    assert said(emitted(exporter, network, scheme), exporter, network, scheme) == ""
    channels = network[0].input_shape[1]
    graph, ranges = take_pixels(*network, (0.5,) * channels, (0.25,) * channels)
    taking = with_background(graph, ranges), ranges
    assert said(emitted(exporter, taking, scheme), exporter, taking, scheme) == ""


def onnx_changed(content: bytes, name: str, place: int, change: Callable[[Any], Any]) -> bytes:
    """Change the number at `place` of the constant called `name`."""
    model = onnx.load_model_from_string(content)
    (entry,) = [one for one in model.graph.initializer if one.name == name]
    values = numpy_helper.to_array(entry).copy()
    values.reshape(-1)[place] = change(values.reshape(-1)[place])
    entry.CopyFrom(numpy_helper.from_array(values, name))
    return bytes(model.SerializeToString())


def tflite_changed(
    content: bytes, name: str, place: int, change: Callable[[Any], Any], field: str
) -> bytes:
    """Change the number at `place` of a tensor's scale, zeroPoint or data."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (tensor,) = [one for one in model.subgraphs[0].tensors if one.name.decode() == name]
    if field == "data":
        buffer = model.buffers[tensor.buffer]
        dtype = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}[tensor.type]
        values = np.frombuffer(bytes(bytearray(buffer.data)), dtype).copy()
        values[place] = change(values[place])
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    else:
        values = np.array(getattr(tensor.quantization, field))
        values[place] = change(values[place])
        setattr(tensor.quantization, field, values)
    builder = schema.flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def one_more(value: Any) -> Any:
    return value + 1 if value < 127 else value - 1


def next_float(value: Any) -> Any:
    return np.nextafter(np.float32(value), np.float32(1))


FLIPS = {  # constant in ONNX; tensor and field in TFLite; the change; what is said of it
    "input zero point": ("input_zero_point", ("input", "zeroPoint"), one_more, "zero point"),
    "zero point inside": ("stem_zero_point", ("stem", "zeroPoint"), one_more, "zero point"),
    "scale": ("stem_scale", ("stem", "scale"), next_float, "stem: its output has the scale"),
    "scale of a channel": (
        *("stem_weight_scale", ("stem_weight", "scale"), next_float),
        "stem: its weight has the scale",
    ),
    "weight": ("stem_weight_stored", ("stem_weight", "data"), one_more, "stem: its weight is"),
    "bias": ("stem_bias_stored", ("stem_bias", "data"), one_more, "stem: its bias is"),
}


@pytest.mark.parametrize("flip", FLIPS)
def test_one_number_that_differs_is_found(exporter: str, flip: str, plain: Network) -> None:
    constant, (tensor, field), change, words = FLIPS[flip]
    scheme = "u8s8" if exporter == "onnx" else "s8s8"
    content = emitted(exporter, plain, scheme)
    if exporter == "onnx":
        changed = onnx_changed(content, constant, 0, change)
    else:
        changed = tflite_changed(content, tensor, 0, change, field)
    found = said(changed, exporter, plain, scheme)
    assert found.startswith("The file does not hold what was lowered: ")
    assert words in found
    assert " instead of " in found


def test_the_input_zero_point_is_what_outputs_do_not_show(plain: Network) -> None:
    graph, ranges = plain
    changed = onnx_changed(emitted("onnx", plain, "u8s8"), "input_zero_point", 0, one_more)
    images = np.random.default_rng(1).standard_normal((32, *graph.input_shape[1:]), np.float32)
    quantization = quantize(graph, ranges, stored_scheme("u8s8", "onnx"))
    off = np.abs(logits(changed, images) - run(graph, quantization, images))
    assert off.mean() < 0.5 * quantization.tensors["logits"].scale  # what the gate tolerates


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 64])
def test_what_is_no_such_file_is_said(exporter: str, plain: Network, content: bytes) -> None:
    assert "This is no int8" in said(content, exporter, plain, "u8s8")
    with pytest.raises(ExportError, match="This is no int8"):
        plugins.load("exporters", exporter).read(content)


def test_a_float_file_or_another_network_is_not_what_was_lowered(
    exporter: str, plain: Network
) -> None:
    module = plugins.load("exporters", exporter)
    assert said(module.emit(plain[0], None), exporter, plain, "u8s8")
    other = emitted(exporter, made("squeeze-excite"), "u8s8")
    assert "other layers" in said(other, exporter, plain, "u8s8")


def test_a_file_in_a_runs_models_is_held_against_the_graph_beside_it(
    tmp_path: Path, plain: Network
) -> None:
    content, models = emitted("onnx", plain, "u8s8"), tmp_path / "run" / "models"
    models.mkdir(parents=True)
    (models / "net.graph.safetensors").write_bytes(graph_file.write(*plain))
    network = mbv3_tiny.create(10, 1, 16).smallest()
    about = Interval(0, 0, 0)
    card = ExportedModel(
        *(Candidate(network, about, about), "net.int8.onnx", "net.fp32.onnx", "0" * 64),
        *(len(content), "u8s8", (0.5,), (0.25,), ("a", "b"), None, None, 0, ""),
    )
    write_json(models / "net.json", to_json(card))
    file = models / "net.int8.onnx"
    file.write_bytes(content)
    assert json.loads((models / "net.json").read_text())["int8_file"] == file.name
    assert submission.check("generic", file, {})["findings"] == []
    file.write_bytes(onnx_changed(content, "input_zero_point", 0, one_more))
    document = submission.check("generic", file, {})
    assert document["status"] == "fail"
    (finding,) = document["findings"]
    assert "does not hold what was lowered" in finding["message"]
    assert finding["remedy"] == f"Export it again: edgenas export {tmp_path / 'run'}"
