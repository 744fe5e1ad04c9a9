"""The int8 arithmetic, against onnxruntime's quantizer and against what the numbers must mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto
from onnxruntime.quantization import quant_utils

from edgenas.core.errors import ExportError
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import (
    SCHEMES,
    find_scheme,
    quantize,
    quantize_tensor,
    quantize_weights,
)
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, random_ranges
from edgenas.spaces import mbv3_tiny

RANGES = [(0.0, 6.0), (-1.0, 1.0), (-3.7, 0.2), (0.5, 2.0), (-8.0, -1.0), (-1e-6, 4e-6), (0, 1e6)]


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    space = replace(space, stages=tuple(replace(s, squeeze_excite=True) for s in space.stages))
    layers = space.layers(space.smallest())
    return lower(layers, random_state(layers, 0))


@pytest.fixture(scope="module")
def ranges(graph: Graph) -> Ranges:
    return random_ranges(graph, 0)


def node(weight: np.ndarray, bias: np.ndarray) -> WeightedNode:
    return WeightedNode("conv", ("input",), "conv", (1, len(bias), 4, 4), weight, bias)


@pytest.mark.parametrize("bounds", RANGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_activation_parameters_are_those_of_onnxruntime(
    bounds: tuple[float, float], scheme: str
) -> None:
    activation, symmetric = SCHEMES[scheme].activation, SCHEMES[scheme].symmetric
    kind = TensorProto.UINT8 if activation is np.uint8 else TensorProto.INT8
    low, high = quant_utils.get_qmin_qmax_for_qType(kind, symmetric=symmetric)
    zero_point, scale = quant_utils.compute_scale_zp(
        *(np.array(bound, np.float32) for bound in bounds), low, high, symmetric
    )
    ours = quantize_tensor(*bounds, SCHEMES[scheme])

    assert ours.scale.dtype == np.float32
    assert type(ours.zero_point) is activation
    assert ours.scale == pytest.approx(float(scale), rel=1e-6)
    assert int(ours.zero_point) == int(zero_point)


@pytest.mark.parametrize("bounds", RANGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_value_of_the_range_comes_back_within_half_a_step(
    bounds: tuple[float, float], scheme: str
) -> None:
    quant = quantize_tensor(*bounds, SCHEMES[scheme])
    limits = np.iinfo(SCHEMES[scheme].activation)
    values = np.append(np.linspace(*bounds, 1001), 0.0)
    scale, zero_point = float(quant.scale), int(quant.zero_point)
    stored = np.rint(values / scale + zero_point).clip(limits.min, limits.max)
    back = (stored - zero_point) * scale

    assert back[-1] == 0.0
    # The zero point is rounded too: at the ends of the range half a step more is cut off.
    assert np.abs(back - values).max() <= scale * (1 + 1e-5)
    inner = np.abs(values - (bounds[0] + bounds[1]) / 2) < (bounds[1] - bounds[0]) / 2 - scale
    assert np.abs(back - values)[inner].max() <= scale * (0.5 + 1e-4)


def test_weights_are_those_of_onnxruntime() -> None:
    rng = np.random.default_rng(0)
    weight = (
        rng.standard_normal((6, 4, 3, 3), np.float32) * np.logspace(-4, 1, 6)[:, None, None, None]
    )
    weight = weight.astype(np.float32)
    ours = quantize_weights(
        node(weight, np.zeros(6, np.float32)), np.float32(0.02), SCHEMES["u8s8"]
    )
    for channel in range(6):
        _, scale, stored = quant_utils.quantize_data(weight[channel], TensorProto.INT8, True)[-3:]
        assert ours.scale[channel] == pytest.approx(float(scale), rel=1e-6)
        assert np.abs(ours.weight[channel].astype(int) - stored.astype(int)).max() <= 1
        assert (ours.weight[channel] == stored).mean() > 0.97
    assert np.abs(ours.weight.astype(int)).reshape(6, -1).max(1).tolist() == [127] * 6


def test_biases_fit_int32_and_keep_their_value_beside_tiny_weights() -> None:
    weight = np.full((4, 2, 1, 1), 0.5, np.float32)
    weight[1] = 1e-9
    weight[2] = 0.0
    bias = np.array([0.1, 3.0, -5.0, 1e6], np.float32)
    stored = quantize_weights(node(weight, bias), np.float32(1e-5), SCHEMES["u8s8"])

    assert stored.bias.dtype == np.int32
    assert np.abs(stored.bias.astype(np.int64)).max() <= 2**30
    np.testing.assert_allclose(stored.bias * stored.bias_scale, bias, rtol=1e-3)
    np.testing.assert_array_equal(stored.bias_scale, np.float32(1e-5) * stored.scale)
    assert np.isfinite(stored.scale).all()
    assert not stored.weight[2].any()


def test_a_layer_of_zeros_has_usable_parameters() -> None:
    zeros = np.zeros((3, 2, 1, 1), np.float32)
    for scheme in SCHEMES.values():
        stored = quantize_weights(node(zeros, np.zeros(3, np.float32)), np.float32(1), scheme)
        assert (stored.scale > 0).all()
        assert not stored.weight.any()
        assert not stored.bias.any()
        quant = quantize_tensor(0.0, 0.0, scheme)
        assert quant.scale > 0


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
def test_the_stored_range_of_an_activation_begins_at_zero_and_ends_by_six(
    graph: Graph, ranges: Ranges, scheme: str
) -> None:
    # Ranges recorded elsewhere may be wider than what this network's activations let through.
    wide = dict.fromkeys(ranges, (-1.0, 9.0))
    limits = np.iinfo(SCHEMES[scheme].activation)
    for bounds in (wide, ranges):
        quantization = quantize(graph, bounds, SCHEMES[scheme])
        for weighted in (n for n in graph.nodes if isinstance(n, WeightedNode)):
            quant = quantization.tensors[weighted.output]
            greatest = (limits.max - int(quant.zero_point)) * float(quant.scale)
            if weighted.activation == "none":
                assert int(quant.zero_point) > limits.min
                continue
            assert quant.zero_point == limits.min
            raised = float(quant.scale) / 2  # at most, of what an addition reads
            if weighted.activation == "relu6":
                assert greatest <= 6 + raised
            if bounds is wide:
                limit = 6 if weighted.activation == "relu6" else 9
                assert greatest == pytest.approx(limit, abs=raised)


def test_every_tensor_and_weight_has_parameters(graph: Graph, ranges: Ranges) -> None:
    quantization = quantize(graph, ranges, SCHEMES["u8s8"])
    assert set(quantization.tensors) == set(graph.shapes)
    weighted = {node.output for node in graph.nodes if isinstance(node, WeightedNode)}
    assert set(quantization.weights) == weighted


def test_missing_and_broken_ranges_name_the_tensor(graph: Graph, ranges: Ranges) -> None:
    missing = {name: bounds for name, bounds in ranges.items() if name != "head"}
    with pytest.raises(ExportError, match="no range for the tensor 'head'"):
        quantize(graph, missing, SCHEMES["u8s8"])
    with pytest.raises(ExportError, match="range of the tensor 'head' is not finite"):
        quantize(graph, {**ranges, "head": (0.0, float("nan"))}, SCHEMES["u8s8"])


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(ExportError, match=r"no int8 scheme 'u8u8'. Did you mean 'u8s8'"):
        find_scheme("u8u8")
