"""Graphs of which some layers stay in float: references, files of both formats, engines."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import ExportError
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.graph import float_reference, graph_file, integer_reference
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph
from edgenas.int8.graph.mixed import mixed
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.int8.importer.read import import_onnx
from helpers.own_networks import built, exported, pictures

EXPORTERS = {"onnx": onnx_exporter, "tflite": tflite_exporter}
IMAGES = pictures(8)


def calibrated(name: str) -> tuple[Graph, Ranges]:
    graph = import_onnx(exported(built(name), (3, 16, 16)), name).graph
    return graph, calibrate(graph, IMAGES)


@pytest.mark.parametrize("name", ["mobilenet-v3", "resnet", "shufflenet", "vgg"])
@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize(
    ("exporter", "scheme", "engine"),
    [("onnx", "u8s8", "onnxruntime"), ("tflite", "s8s8", "litert"), ("tflite", "u8s8", "litert")],
)
def test_engines_compute_the_reference_of_a_mixed_graph(
    name: str, share: float, exporter: str, scheme: str, engine: str
) -> None:
    graph, ranges = calibrated(name)
    drawn = np.random.default_rng(0).random(len(graph.shapes)) < share
    floats = [layer for layer, kept in zip(graph.shapes, drawn, strict=True) if kept]
    graph, ranges = mixed(graph, ranges, floats)
    content = EXPORTERS[exporter].emit(graph, ranges, scheme=scheme)
    quantization = quantize(graph, ranges, stored_scheme(scheme, exporter))
    expected = integer_reference.run(graph, quantization, IMAGES)
    stored = quantization.tensors.get(OUTPUT)
    step = np.ptp(expected) / 255 if stored is None else float(stored.scale)
    found = logits(content, IMAGES, engine).reshape(expected.shape)
    assert np.abs(found - expected).mean() < 0.5 * step
    assert unlike_lowered(content, graph, ranges, exporter=exporter, scheme=scheme) == ""
    if exporter == "onnx":
        kept = {node.output for node in graph.nodes if node.in_float}
        assert {one.removesuffix("_plain") for one in float_islands(content)} <= kept


@pytest.mark.parametrize("exporter", sorted(EXPORTERS))
def test_all_in_float_is_the_float_network(exporter: str) -> None:
    graph, ranges = calibrated("mobilenet-v3")
    whole, ranges = mixed(graph, ranges, list(graph.shapes))
    assert not whole.stored
    content = EXPORTERS[exporter].emit(whole, ranges)
    engine = "litert" if exporter == "tflite" else "onnxruntime"
    np.testing.assert_allclose(
        logits(content, IMAGES, engine), float_reference.run(graph, IMAGES), atol=1e-4
    )


def test_border_is_made_once_and_only_where_int8_reads_float() -> None:
    graph, ranges = calibrated("resnet")
    first = graph.nodes[0].output
    one, seen = mixed(graph, ranges, [first])
    borders = [node for node in one.nodes if node.kind == "quantize"]
    assert [node.inputs for node in borders] == [(first,)]
    every, _ = mixed(one, seen, [node.output for node in graph.nodes])
    assert [node.output for node in every.nodes] == [node.output for node in graph.nodes]
    of_input, _ = mixed(graph, ranges, [INPUT])
    assert of_input.nodes[0].in_float
    assert INPUT not in of_input.stored
    with pytest.raises(ExportError, match="no layer 'x'"):
        mixed(graph, ranges, ["x"])


def test_graph_file_keeps_what_is_in_float() -> None:
    graph, ranges = calibrated("mobilenet-v3")
    half, seen = mixed(graph, ranges, [node.output for node in graph.nodes[::2]])
    again, same = graph_file.read(graph_file.write(half, seen), "half")
    assert same == seen
    assert again.stored == half.stored
