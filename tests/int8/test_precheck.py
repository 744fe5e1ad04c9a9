"""The pre-check says what the engines then do: its claims are held against their own graphs."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from device_runtime.backends import base
from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.int8.engines.facts import engine_names
from edgenas.int8.engines.float_islands import float_islands
from edgenas.int8.engines.precheck import check_provider, precheck
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import SCHEMES
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces import mbv3_tiny


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.sample(np.random.default_rng(0)))
    return lower(layers, random_state(layers, 0))


def computed_in_float(graph: Graph, scheme: str | None) -> set[str]:
    """Return the layers that onnxruntime computes in float here."""
    ranges = random_ranges(graph, 0) if scheme else None
    model = plugins.load("exporters", "onnx").emit(graph, ranges, scheme=scheme or "u8s8")
    return set(float_islands(model))


def test_all_backends_are_known() -> None:
    assert set(base.names()) <= set(engine_names())


def test_u8s8_is_free_of_obstacles_and_of_float(graph: Graph) -> None:
    assert precheck(graph, "onnxruntime", "u8s8", "x86_64") == ()
    assert not computed_in_float(graph, "u8s8")


def test_a_float_model_is_one_island(graph: Graph) -> None:
    weighted = {node.output for node in graph.nodes if isinstance(node, WeightedNode)}
    assert len(computed_in_float(graph, None)) >= len(weighted)


def test_layers_that_onnxruntime_computes_in_float_are_named(graph: Graph) -> None:
    found = precheck(graph, "onnxruntime", "s8s8-symmetric", "aarch64")
    assert {obstacle.effect for obstacle in found} == {"float"}
    named = {obstacle.layer for obstacle in found}
    activated = {
        node.output
        for node in graph.nodes
        if isinstance(node, WeightedNode) and node.activation != "none"
    }
    assert named == activated
    assert named <= computed_in_float(graph, "s8s8-symmetric")
    assert all("u8s8" in obstacle.remedy for obstacle in found)


def test_signed_int8_on_x86_is_an_obstacle(graph: Graph) -> None:
    (obstacle,) = precheck(graph, "onnxruntime", "s8s8", "x86_64")
    assert (obstacle.layer, obstacle.effect) == ("", "float")
    assert precheck(graph, "onnxruntime", "s8s8", "aarch64") == ()
    if platform.machine() in ("x86_64", "AMD64"):
        assert computed_in_float(graph, "s8s8")


@pytest.mark.parametrize("engine", ["litert", "litert_builtin"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_litert_falls_back_where_it_is_said_to(
    graph: Graph, engine: str, scheme: str, tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    content = plugins.load("exporters", "tflite").emit(
        graph, random_ranges(graph, 0), scheme=scheme
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    provider = base.load(engine).open_model(str(path), 1).provider
    said = {obstacle.effect for obstacle in precheck(graph, engine, scheme)}
    found = check_provider(engine, provider)
    assert said == ({"fallback"} if found else set()), provider


def test_an_operator_without_int8_is_named_with_a_remedy(graph: Graph) -> None:
    odd = Node("hard_swish", ("input",), "odd", graph.input_shape)  # type: ignore[arg-type]
    (obstacle,) = precheck(Graph(graph.input_shape, (odd,)), "onnxruntime", "u8s8")
    assert obstacle.layer == "odd"
    assert obstacle.effect == "float"
    assert "ReLU6" in obstacle.remedy
    assert precheck(Graph(graph.input_shape, (odd,)), "litert_builtin", "s8s8") == ()


def test_tensorrt_takes_its_own_scheme_only(graph: Graph) -> None:
    assert precheck(graph, "tensorrt", "s8s8-symmetric") == ()
    (obstacle,) = precheck(graph, "tensorrt", "u8s8")
    assert obstacle.effect == "refused"
    assert "s8s8-symmetric" in obstacle.remedy


@pytest.mark.parametrize(
    ("engine", "provider", "as_asked"),
    [
        ("onnxruntime", "CPUExecutionProvider", True),
        ("onnxruntime", "CPUExecutionProvider; exact u8s8, as the CPU has no VNNI", True),
        ("tensorrt", "CPUExecutionProvider", False),
        ("litert", "XNNPACK", True),
        ("litert", "XNNPACK; built-in kernels for 2 of 39: QUANTIZE", False),
        ("litert", "built-in kernels", False),
        ("tflite_runtime", "built-in kernels", False),
        ("tflite_runtime_builtin", "built-in kernels", True),
        ("litert", "", False),
    ],
)
def test_what_ran_is_compared_with_what_was_asked(
    engine: str, provider: str, as_asked: bool
) -> None:
    found = check_provider(engine, provider)
    assert (found is None) == as_asked
    if found:
        assert provider in found.problem


def test_unknown_engine_and_scheme_are_one_clear_line(graph: Graph) -> None:
    with pytest.raises(ExportError, match="Did you mean 'litert'"):
        precheck(graph, "litrt", "s8s8")
    with pytest.raises(ExportError, match="no int8 scheme"):
        precheck(graph, "litert", "s8")
