"""Float ONNX files of other people: as the one graph, in float, and in int8 on engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgenas.core.errors import ExportError, InputError
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.graph import float_reference, graph_file, integer_reference
from edgenas.int8.graph.ir import OUTPUT, Graph
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.int8.graph.ranges import calibrate
from edgenas.int8.importer.read import import_onnx
from helpers.own_networks import built, exported, networks, pictures, unit

SIZE = 16
EXPORTERS = {"onnx": onnx_exporter, "tflite": tflite_exporter}


def in_order(values: np.ndarray, graph: Graph, exporter: str) -> np.ndarray:
    """Return what a file made, channels first."""
    shape = graph.shapes[OUTPUT]
    if exporter == "tflite" and len(shape) == 4:
        values = values.reshape(len(values), *shape[2:], shape[1]).transpose(0, 3, 1, 2)
    return values.reshape(len(values), *shape[1:])


@pytest.mark.parametrize("name", sorted(networks()))
def test_import_computes_what_torch_computes(name: str) -> None:
    module, images = built(name), pictures(3)
    graph = import_onnx(exported(module, (3, SIZE, SIZE)), name).graph
    with torch.inference_mode():
        expected = (module[:-1] if name == "ds-cnn" else module)(torch.from_numpy(images)).numpy()
    found = float_reference.run(graph, images)
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("name", sorted(networks()))
@pytest.mark.parametrize(
    ("exporter", "scheme", "engine"),
    [
        ("onnx", "u8s8", "onnxruntime"),
        pytest.param("onnx", "s8s8", "onnxruntime", marks=pytest.mark.slow),
        ("tflite", "s8s8", "litert"),
    ],
)
def test_engines_compute_the_int8_reference(
    name: str, exporter: str, scheme: str, engine: str
) -> None:
    images = pictures(8)
    graph = import_onnx(exported(built(name), (3, SIZE, SIZE)), name).graph
    ranges = calibrate(graph, images)
    content = EXPORTERS[exporter].emit(graph, ranges, scheme=scheme)
    quantization = quantize(graph, ranges, stored_scheme(scheme, exporter))
    expected = integer_reference.run(graph, quantization, images)
    found = in_order(logits(content, images, engine), graph, exporter)
    steps = np.abs(found - expected) / float(quantization.tensors[OUTPUT].scale)
    assert steps.mean() < 0.5
    assert unlike_lowered(content, graph, ranges, exporter=exporter, scheme=scheme) == ""
    if scheme == "u8s8":
        assert float_islands(content) == ()


@pytest.mark.parametrize("name", ["ds-cnn", "regnet", "resnet", "shufflenet", "u-net"])
def test_float_tflite_computes_the_reference(name: str) -> None:
    images = pictures(2)
    graph = import_onnx(exported(built(name), (3, SIZE, SIZE)), name).graph
    found = in_order(logits(tflite_exporter.emit(graph, None), images, "litert"), graph, "tflite")
    np.testing.assert_allclose(found, float_reference.run(graph, images), atol=1e-3)


def test_graph_file_keeps_an_imported_graph() -> None:
    images = pictures(2)
    for name in ("shufflenet", "regnet", "ds-cnn", "resnet"):
        graph = import_onnx(exported(built(name), (3, SIZE, SIZE)), name).graph
        ranges = calibrate(graph, images)
        again, same = graph_file.read(graph_file.write(graph, ranges), name)
        assert same == ranges
        np.testing.assert_array_equal(
            float_reference.run(again, images), float_reference.run(graph, images)
        )


def test_h_swish_of_an_old_export_costs_no_more_than_its_operator() -> None:
    class OldSwish(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * nn.functional.relu6(x + 3) / 6

    def of(act: nn.Module) -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(
            *unit(3, 4), act, *unit(4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
        ).eval()

    kinds = [
        [node.kind for node in import_onnx(exported(of(act), (3, 8, 8)), "x").graph.nodes]
        for act in (OldSwish(), nn.Hardswish())
    ]
    assert kinds[0] == kinds[1]
    assert kinds[0].count("depthwise") == 1


def file(
    nodes: Sequence[Any],
    constants: Sequence[np.ndarray] = (),
    *,
    shape: Sequence[Any] = (1, 3, 8, 8),
    opset: int = 17,
    outputs: Sequence[str] = ("out",),
    domains: Sequence[str] = ("",),
) -> bytes:
    """Return an ONNX file of these nodes; constants are called c0, c1, …."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, f"c{at}") for at, value in enumerate(constants)],
    )
    opsets = [helper.make_opsetid(domain, opset if not domain else 1) for domain in domains]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


WEIGHT = np.ones((4, 3, 3, 3), np.float32)


def node(kind: str, inputs: str = "x", to: str = "out", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), to.split(), **attributes)


def convolution(to: str = "y") -> Any:
    return node("Conv", "x c0", to)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "no protobuf": (lambda: b"\xff" * 40, "cannot be read"),
    "custom operator": (
        lambda: file([node("Fancy", domain="ai.mine")], domains=("", "ai.mine")),
        "not of the ONNX standard: ai.mine.Fancy",
    ),
    "old opset": (lambda: file([convolution("out")], [WEIGHT], opset=8), "opset 8"),
    "future opset": (lambda: file([convolution("out")], [WEIGHT], opset=99), "opset 99"),
    "no batch": (lambda: file([node("Relu")], shape=(3, 8, 8)), "no batch"),
    "open size": (lambda: file([node("Relu")], shape=(1, 3, "h", "w")), "open: 3 x ? x ?"),
    "two outputs": (
        lambda: file([node("Relu", to="a"), node("Neg", to="b")], outputs=("a", "b")),
        "2 outputs",
    ),
    "quantized": (
        lambda: file([node("QuantizeLinear", "x c0")], [np.float32(1)]),
        "quantized already",
    ),
    "dilation": (
        lambda: file([node("Conv", "x c0", dilations=[1, 2])], [WEIGHT]),
        "Conv ('out', 100.0% of the work): a dilation that differs",
    ),
    "not covered": (
        lambda: file([convolution(), node("Elu", "y", "z"), node("Relu", "z")], [WEIGHT]),
        "Elu ('z', 0.0% of the work): no such operator",
    ),
    "missing weights": (lambda: file([convolution("out")]), "ONNX Runtime does not load"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_what_is_not_covered_is_named_in_one_line(case: str) -> None:
    make, said = BAD[case]
    with pytest.raises(InputError) as raised:
        import_onnx(make(), "model.onnx")
    assert said in raised.value.message
    assert "\n" not in str(raised.value)


def test_changed_bytes_are_imported_or_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """No other error, and nothing is printed."""
    content = exported(built("mobilenet-v3"), (3, SIZE, SIZE))
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        changed = bytearray(content)
        changed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        try:
            import_onnx(bytes(changed), "model.onnx")
        except InputError as problem:
            refused += 1
            assert "\n" not in str(problem)
    assert 0 < refused < 60
    assert capfd.readouterr() == ("", "")


def test_control_flow_is_refused() -> None:
    body = helper.make_graph(
        [node("Relu", to="then")],
        "b",
        [],
        [helper.make_tensor_value_info("then", TensorProto.FLOAT, None)],
    )
    content = file([node("If", "c0", then_branch=body, else_branch=body)], [np.array(True)])
    with pytest.raises(InputError, match="control flow \\(If\\)"):
        import_onnx(content, "model.onnx")


def test_sizes_that_are_open_can_be_said() -> None:
    content = file(
        [convolution(), node("GlobalAveragePool", "y", "p"), node("Flatten", "p")],
        [WEIGHT],
        shape=("n", 3, "h", "w"),
    )
    assert import_onnx(content, "m", (3, 8, 8)).graph.input_shape == (1, 3, 8, 8)
    with pytest.raises(InputError, match="takes 3 x \\? x \\?, not 1 x 8 x 8"):
        import_onnx(content, "m", (1, 8, 8))


def test_metadata_and_work_are_read() -> None:
    model = onnx.load_model_from_string(file([convolution("out")], [WEIGHT]))
    helper.set_model_props(model, {"a": "b"})
    found = import_onnx(model.SerializeToString(), "m")
    assert found.metadata == {"a": "b"}
    assert found.macs == 4 * 3 * 3 * 3 * 6 * 6


@pytest.mark.parametrize(
    ("window", "stride", "pad", "more"),
    [(2, 2, 0, 0), (4, 2, 1, 0), (3, 2, 1, 1), (5, 2, 2, 1), (6, 3, 2, 1), (3, 1, 1, 0)],
)
def test_transposed_convolutions_are_convolutions_of_phases(
    window: int, stride: int, pad: int, more: int
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.ConvTranspose2d(3, 2, window, stride, pad, more), nn.BatchNorm2d(2), nn.ReLU()
    )
    images = pictures(2, 5)
    graph = import_onnx(exported(module, (3, 5, 5)), "x").graph
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(float_reference.run(graph, images), expected, atol=1e-5)
    assert [node.kind for node in graph.nodes] == ["conv", "depth_to_space"]


def test_gelu_of_an_export_is_one_operator() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GELU(), nn.Conv2d(4, 2, 1))
    for opset in (17, 20):  # as several operators, and as its own
        graph = import_onnx(exported(module, (3, 8, 8), opset=opset), "x").graph
        assert [node.kind for node in graph.nodes] == ["conv", "gelu", "conv"]


def test_operators_that_are_not_covered_stay_in_float() -> None:
    content, images = exported(built("elu"), (3, SIZE, SIZE)), pictures(8)
    with pytest.raises(InputError, match="no such operator"):
        import_onnx(content, "m")
    found = import_onnx(content, "m", keep_float=True)
    assert [(one.kind, one.share) for one in found.kept] == [("Elu", 0.0), ("Resize", 0.0)]
    exact = float_reference.run(found.graph, images)
    np.testing.assert_allclose(exact, logits(content, images), atol=1e-4)
    ranges = calibrate(found.graph, images)
    file = onnx_exporter.emit(found.graph, ranges)
    quantization = quantize(found.graph, ranges, stored_scheme("u8s8", "onnx"))
    expected = integer_reference.run(found.graph, quantization, images)
    step = float(quantization.tensors[OUTPUT].scale)
    assert np.abs(logits(file, images) - expected).mean() < 0.5 * step
    assert unlike_lowered(file, found.graph, ranges, exporter="onnx", scheme="u8s8") == ""
    for write in (tflite_exporter.emit, graph_file.write):
        with pytest.raises(ExportError, match="no place for"):
            write(found.graph, ranges)


def test_operators_that_take_no_images_are_refused_though_float_may_stay() -> None:
    content = file([convolution(), node("Flatten", "y", "z"), node("Elu", "z")], [WEIGHT])
    with pytest.raises(InputError, match="other things than images"):
        import_onnx(content, "m", keep_float=True)
    old = file([convolution(), node("Elu", "y")], [WEIGHT], opset=13)
    with pytest.raises(InputError, match="from opset 17 on"):
        import_onnx(old, "m", keep_float=True)


def test_means_that_are_nearly_zero_are_computed_by_engines() -> None:
    """Their range is far below the image's; ONNX Runtime refuses such a step."""
    weight = np.eye(2, dtype=np.float32)[:, :, None, None]
    nodes = [node("Conv", "x c0", "y"), node("GlobalAveragePool", "y")]
    content = file(nodes, [weight], shape=(1, 2, 8, 8))
    images = np.random.default_rng(0).standard_normal((8, 2, 8, 8)).astype(np.float32)
    images -= images.mean((2, 3), keepdims=True)
    graph = import_onnx(content, "m").graph
    ranges = calibrate(graph, images)
    quantization = quantize(graph, ranges, stored_scheme("u8s8", "onnx"))
    expected = integer_reference.run(graph, quantization, images)
    found = logits(onnx_exporter.emit(graph, ranges), images)
    assert np.abs(found - expected).max() <= 2 * float(quantization.tensors[OUTPUT].scale)
