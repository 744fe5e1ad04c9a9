"""Float ONNX files of vectors and series: as the one graph of images, in float, and in int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgenas.core.errors import ExportError, InputError
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.checks.sensitivity import sensitivity
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.exporters.flatbuffer import load_schema
from edgenas.int8.graph import fixed_point, float_reference, graph_file, integer_reference
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.mixed import mixed
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.int8.graph.ranges import calibrate
from edgenas.int8.graph.truncate import cut
from edgenas.int8.importer.read import import_onnx
from helpers.own_networks import exported
from helpers.own_series import built, inputs, networks

EXPORTERS = {"onnx": onnx_exporter, "tflite": tflite_exporter}
NAMES = sorted(networks())


def imported(name: str) -> Graph:
    return import_onnx(exported(*built(name)), name).graph


def by_file(values: np.ndarray, graph: Graph, exporter: str) -> np.ndarray:
    """Return what a file made in the shape of the .onnx file's output."""
    if exporter == "tflite" and len(graph.gives) > 1:
        channels, length = graph.gives
        values = values.reshape(len(values), length, channels).transpose(0, 2, 1)
    return values.reshape(len(values), *graph.gives)


@pytest.mark.parametrize("name", NAMES)
def test_import_and_float_files_compute_what_torch_computes(name: str) -> None:
    module, shape = built(name)
    values = inputs(5, shape)
    with torch.inference_mode():
        expected = module(torch.from_numpy(values)).numpy()
    graph = imported(name)
    assert (graph.takes, graph.gives) == (shape, expected.shape[1:])
    found = {
        "reference": float_reference.run(graph, values).reshape(expected.shape),
        "onnx": logits(onnx_exporter.emit(graph, None), values),
        "tflite": by_file(
            logits(tflite_exporter.emit(graph, None), values, "litert"), graph, "tflite"
        ),
    }
    for where, scores in found.items():
        assert scores.shape == expected.shape, where
        np.testing.assert_allclose(scores, expected, atol=1e-5, err_msg=where)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("exporter", "scheme", "engine"),
    [
        ("onnx", "u8s8", "onnxruntime"),
        ("onnx", "s8s8", "onnxruntime"),
        ("tflite", "s8s8", "litert"),
        ("tflite", "u8s8", "litert_builtin"),
    ],
)
def test_engines_compute_the_int8_reference(
    name: str, exporter: str, scheme: str, engine: str
) -> None:
    graph = imported(name)
    values = inputs(16, graph.takes)
    ranges = calibrate(graph, values)
    content = EXPORTERS[exporter].emit(graph, ranges, scheme=scheme)
    quantization = quantize(graph, ranges, stored_scheme(scheme, exporter))
    expected = integer_reference.run(graph, quantization, values)
    found = by_file(logits(content, values, engine), graph, exporter)
    steps = np.abs(found - expected.reshape(found.shape))
    steps /= float(quantization.tensors[OUTPUT].scale)
    assert steps.mean() < 0.5
    means = any("pool" in node.kind and node.kind != "max_pool" for node in graph.nodes)
    if engine == "onnxruntime" and not means:  # whose halves engines round in ways of their own
        assert (steps > 0.01).mean() < 0.01
        assert steps.max() < 1.01
    assert unlike_lowered(content, graph, ranges, exporter=exporter, scheme=scheme) == ""
    if scheme == "u8s8":
        assert exporter != "onnx" or float_islands(content) == ()


@pytest.mark.parametrize(
    "name", ["autoencoder", "flattened", "length-first", "one-per-step", "unflattened"]
)
def test_fixed_point_is_within_a_step_of_the_reference(name: str) -> None:
    """The integers alone, as the C file computes them."""
    graph = imported(name)
    values = inputs(16, graph.takes)
    ranges = calibrate(graph, values)
    quantization = quantize(graph, ranges, stored_scheme("s8s8", "tflite"))
    quant = quantization.tensors[OUTPUT]
    stored = fixed_point.run(graph, quantization, values)
    real = (stored - int(quant.zero_point)) * float(quant.scale)
    expected = integer_reference.run(graph, quantization, values)
    assert np.abs(real - expected).max() < 2 * float(quant.scale)


@pytest.mark.parametrize("name", ["length-first", "sensors", "one-per-step", "mlp"])
@pytest.mark.parametrize("floats", [("input",), (OUTPUT,)])
def test_layers_may_stay_in_float(name: str, floats: tuple[str, ...]) -> None:
    graph = imported(name)
    values = inputs(16, graph.takes)
    mixture, ranges = mixed(graph, calibrate(graph, values), floats)
    for exporter, scheme, engine in (
        ("onnx", "u8s8", "onnxruntime"),
        ("tflite", "s8s8", "litert"),
    ):
        content = EXPORTERS[exporter].emit(mixture, ranges, scheme=scheme)
        quantization = quantize(mixture, ranges, stored_scheme(scheme, exporter))
        expected = integer_reference.run(mixture, quantization, values)
        found = by_file(logits(content, values, engine), mixture, exporter)
        off = np.abs(found - expected.reshape(found.shape)).mean()
        assert off < np.ptp(expected) / 255
        assert unlike_lowered(content, mixture, ranges, exporter=exporter, scheme=scheme) == ""


def test_graphs_keep_their_ends() -> None:
    for name in ("length-first", "one-per-step"):
        graph = imported(name)
        values = inputs(4, graph.takes)
        ranges = calibrate(graph, values)
        again, same = graph_file.read(graph_file.write(graph, ranges), name)
        assert (again.ends, same) == (graph.ends, ranges)
        first = graph.nodes[0].output
        part, _ = cut(graph, ranges, first)
        assert part.gives == part.shapes[OUTPUT][1:] == graph.shapes[first][1:]
        assert logits(onnx_exporter.emit(part, None), values).shape == (4, *part.gives)
        layers = sensitivity(
            graph, quantize(graph, ranges, stored_scheme("s8s8", "onnx")), values, None
        ).layers
        assert [layer.name for layer in layers] == list(graph.shapes)
    with pytest.raises(ExportError, match="float32 inputs of shape"):
        float_reference.run(graph, inputs(4, (32, 2)))


def test_even_zeros_around_a_series_need_no_operator_of_their_own() -> None:
    """The window's height of 1 suits TFLite's SAME as well as its VALID."""
    graph = imported("sensors")
    schema = load_schema()
    model = schema.Model.GetRootAs(tflite_exporter.emit(graph, None), 0)
    codes = {model.OperatorCodes(at).BuiltinCode() for at in range(model.OperatorCodesLength())}
    assert schema.BuiltinOperator.PAD not in codes


def file(
    nodes: Sequence[Any], constants: Sequence[np.ndarray], shape: Sequence[Any], *more: Any
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape), *more],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, f"c{at}") for at, value in enumerate(constants)],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def node(kind: str, names: str = "x", to: str = "out", **attributes: Any) -> Any:
    return helper.make_node(kind, names.split(), [to], **attributes)


WEIGHT = np.ones((4, 3, 3), np.float32)
CONVOLUTION = node("Conv", "x c0", "y")
SECOND = helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 3, 8])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (file([node("Relu")], [], ()), "takes 0 dimensions"),
        (file([node("Relu")], [], (8,)), "no batch"),
        (file([node("Relu")], [], (3, 8)), "no batch"),
        (file([node("Relu")], [], (3, 8, 8)), "no batch: its input x is 3 x 8 x 8"),
        (file([node("Relu")], [], (1, 3, 4, 8, 8)), "5 dimensions"),
        (file([node("Relu")], [], (1, 3, "length")), "open: 3 x ?"),
        (file([node("Relu")], [], ("n", "f")), "open: ?"),
        (file([node("Add", "x state")], [], (1, 3, 8), SECOND), "2 inputs (x, state)"),
        (
            file([CONVOLUTION, node("Softmax", "y", "z"), node("Relu", "z")], [WEIGHT], (1, 3, 8)),
            "a softmax that is not at the end",
        ),
        (
            file([CONVOLUTION, node("Transpose", "y", perm=[0, 2, 1])], [WEIGHT], (1, 3, 8)),
            "axes in the order [0, 2, 1]",
        ),
        (
            file(
                [
                    CONVOLUTION,
                    node("Relu", "y", "z"),
                    node("Slice", "z c1 c2 c3", "out"),
                ],
                [WEIGHT, np.array([1]), np.array([3]), np.array([2])],
                (1, 3, 8),
            ),
            "does not begin where it begins",
        ),
        (file([node("Conv", "x c0")], [np.ones((4, 3, 3, 3, 3), np.float32)], (1, 3, 8)), "load"),
    ],
)
def test_what_is_not_covered_is_named_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(InputError) as raised:
        import_onnx(content, "model.onnx")
    assert said in raised.value.message
    assert "\n" not in str(raised.value)


def test_recurrent_layers_are_named() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0][:, -1]

    with pytest.raises(InputError, match=r"GRU \('/layer/GRU', 100\.0% of the work\)"):
        import_onnx(exported(Recurrent(), (8, 3)), "model.onnx")


def test_a_length_that_is_open_can_be_said() -> None:
    content = file([CONVOLUTION, node("GlobalAveragePool", "y")], [WEIGHT], ("n", 3, "length"))
    graph = import_onnx(content, "m", (3, 20)).graph
    assert (graph.takes, graph.input_shape) == ((3, 20), (1, 3, 1, 20))
    with pytest.raises(InputError, match="takes 3 x \\?, not 4 x 20"):
        import_onnx(content, "m", (4, 20))
    with pytest.raises(InputError, match="takes 3 x \\?, not 3 x 1 x 20"):
        import_onnx(content, "m", (3, 1, 20))


def test_changed_bytes_are_imported_or_refused() -> None:
    content = exported(*built("causal"))
    rng, refused = np.random.default_rng(0), 0
    for _ in range(40):
        changed = bytearray(content)
        changed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        try:
            import_onnx(bytes(changed), "model.onnx")
        except InputError as problem:
            refused += 1
            assert "\n" not in str(problem)
    assert 0 < refused < 40
