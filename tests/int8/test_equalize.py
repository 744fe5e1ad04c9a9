"""Equalising: the same function in float, less noise in int8."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.int8.graph import float_reference, graph_file, integer_reference
from edgenas.int8.graph.calibrated import calibrated
from edgenas.int8.graph.equalize import (
    equalize,
    observe_channels,
    ranges_of,
    with_corrected_biases,
)
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.pixels import with_background, with_class_order
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.int8.graph.ranges import calibrate


@pytest.fixture
def uneven() -> tuple[Graph, np.ndarray]:
    """Return a network whose channels differ by a factor of 300, and images."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1, 300, 8)[:, None, None, None]

    def made(kind: str, source: str, to: str, weight: np.ndarray, activation: str) -> WeightedNode:
        values = weight.astype(np.float32)
        bias = rng.standard_normal(len(values)).astype(np.float32)
        shape = (1, len(values), 6, 6)
        return WeightedNode(
            kind,
            (source,),
            to,
            shape,
            values,
            bias,
            1,
            weight.shape[-1] // 2,
            activation=activation,
        )

    nodes = (
        made("conv", "input", "a", rng.standard_normal((8, 3, 3, 3)) * sizes, "relu"),
        made("depthwise", "a", "b", rng.standard_normal((8, 1, 3, 3)) / sizes, "relu"),
        made("conv", "b", "c", rng.standard_normal((4, 8, 1, 1)), "none"),
        Node("global_pool", ("c",), "pool", (1, 4, 1, 1)),
        WeightedNode(
            "linear",
            ("pool",),
            "logits",
            (1, 3),
            rng.standard_normal((3, 4), np.float32),
            np.zeros(3, np.float32),
        ),
    )
    return Graph((1, 3, 6, 6), nodes), rng.standard_normal((16, 3, 6, 6), np.float32)


def test_equalised_graph_computes_the_same(uneven: tuple[Graph, np.ndarray]) -> None:
    graph, images = uneven
    alike, seen = equalize(graph, observe_channels(graph, images)[0])
    expected = float_reference.run(graph, images)
    np.testing.assert_allclose(float_reference.run(alike, images), expected, rtol=1e-4, atol=1e-3)
    for name, (least, greatest) in calibrate(alike, images).items():
        assert ranges_of(seen)[name] == pytest.approx((least, greatest), rel=1e-4, abs=1e-4)


def test_equalising_is_taken_where_it_helps(uneven: tuple[Graph, np.ndarray]) -> None:
    graph, images = uneven
    found = calibrated(graph, images, SCHEMES["s8s8"])
    assert found.form.startswith("equalised")
    plain = found.others["as it is"]
    assert found.snr_db is not None
    assert plain is not None
    assert found.snr_db > plain + 3


def test_corrected_biases_keep_the_mean(uneven: tuple[Graph, np.ndarray]) -> None:
    """The mean of the first layer's sums is that of float, though its weights are rounded."""
    graph, images = uneven
    first = replace(graph.nodes[0], output="logits", activation="none")  # pads aside, it is exact
    assert isinstance(first, WeightedNode)
    first = replace(first, weight=first.weight[:, :, 1:2, 1:2], padding=0)
    one, images = Graph(graph.input_shape, (first,)), np.abs(images) + 1
    seen, _ = observe_channels(one, images)
    quantization = quantize(one, ranges_of(seen), SCHEMES["u8s8"])
    corrected = with_corrected_biases(one, quantization, seen)
    exact = float_reference.run(one, images).mean((0, 2, 3))

    def off(graph: Graph) -> np.ndarray:
        stored = integer_reference.stored_graph(graph, quantization)
        kept = replace(stored.nodes[0], bias=graph.nodes[0].int8_bias)  # type: ignore[attr-defined]
        made = float_reference.run(Graph(one.input_shape, (kept,)), images)
        return np.abs(made.mean((0, 2, 3)) - exact)

    assert off(one).max() > 1e-3
    assert off(corrected).max() < 0.01 * off(one).max()


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
def test_corrections_are_kept_in_files_and_go_with_their_classes(
    uneven: tuple[Graph, np.ndarray], scheme: str
) -> None:
    graph, images = uneven
    seen, exact = observe_channels(graph, images)
    ranges = ranges_of(seen)
    corrected = with_corrected_biases(graph, quantize(graph, ranges, SCHEMES[scheme]), seen)
    np.testing.assert_array_equal(float_reference.run(corrected, images), exact)

    def stored(network: Graph) -> np.ndarray:
        quantization = quantize(network, ranges, SCHEMES[scheme])
        return integer_reference.run(network, quantization, images)

    expected = stored(corrected)
    assert np.abs(expected - stored(graph)).max() > 0
    again, _ = graph_file.read(graph_file.write(corrected, ranges), "the graph")
    np.testing.assert_array_equal(stored(again), expected)
    np.testing.assert_array_equal(float_reference.run(again, images), exact)
    order = [2, 0, 1]
    np.testing.assert_array_equal(stored(with_class_order(corrected, order)), expected[:, order])
    wider = with_background(corrected, ranges)
    np.testing.assert_array_equal(stored(wider)[:, 1:], expected)
