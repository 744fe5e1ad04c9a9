"""Additions without ties: the two roundings of onnxruntime, x86's and Arm's, give the same."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgenas.int8.graph.ir import Graph, Node
from edgenas.int8.graph.quantize import SCHEMES, TensorQuant, quantize, quantize_tensor
from edgenas.int8.graph.tie_free import DENOMINATOR, tie_free

SHAPE = (1, 4, 8, 8)
SUMS = Graph(
    SHAPE,
    (
        Node("add", ("input", "input"), "first", SHAPE),
        Node("add", ("first", "input"), "logits", SHAPE),
    ),
)
PAIRS = np.meshgrid(np.arange(256), np.arange(256))


def on_x86(a: TensorQuant, b: TensorQuant, c: TensorQuant) -> np.ndarray:
    """qladd.cpp of ONNX Runtime, float32 with two roundings a step, half to even."""
    ratios = [a.scale / c.scale, b.scale / c.scale]
    zeros = [np.float32(int(quant.zero_point)) for quant in (a, b)]
    fixed = np.float32(int(c.zero_point)) - (ratios[0] * zeros[0] + ratios[1] * zeros[1])
    total = fixed + PAIRS[0].astype(np.float32) * ratios[0]
    return np.rint(total + PAIRS[1].astype(np.float32) * ratios[1]).clip(0, 255).astype(int)


def on_arm(a: TensorQuant, b: TensorQuant, c: TensorQuant) -> np.ndarray:
    """The same file's NEON: multipliers of 22 bits, sums exact, half away from zero."""
    ratios = [a.scale / c.scale, b.scale / c.scale]
    shift = 21 - int(np.floor(np.log2(max(ratios))))
    multipliers = [int(np.rint(float(ratio) * 2**shift)) for ratio in ratios]
    sums = sum(
        (values.astype(np.int64) - int(quant.zero_point)) * multiplier
        for values, quant, multiplier in zip(PAIRS, (a, b), multipliers, strict=True)
    )
    assert isinstance(sums, np.ndarray)
    rounded = np.sign(sums) * ((np.abs(sums) + 2 ** (shift - 1)) >> shift)
    return (rounded + int(c.zero_point)).clip(0, 255).astype(int)


def drawn(seed: int) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    names = ("input", "first", "logits")
    return {name: (-float(rng.uniform(0.5, 4)), float(rng.uniform(0.5, 4))) for name in names}


def test_both_roundings_agree_on_all_pairs_of_integers() -> None:
    for seed in range(60):
        found = quantize(SUMS, drawn(seed), SCHEMES["u8s8"]).tensors
        three = found["first"], found["input"], found["logits"]
        np.testing.assert_array_equal(on_x86(*three), on_arm(*three), err_msg=f"seed {seed}")


def test_without_it_they_do_not() -> None:
    differing = 0
    for seed in range(60):
        first, second, total = (
            quantize_tensor(*bounds, SCHEMES["u8s8"]) for bounds in drawn(seed).values()
        )
        differing += int((on_x86(first, second, total) != on_arm(first, second, total)).sum())
    assert differing > 0


@pytest.mark.parametrize("seed", range(5))
def test_scales_become_greater_by_a_thousandth_of_the_sums_at_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = {name: np.float32(rng.uniform(0.01, 0.1)) for name in ("input", "first", "logits")}
    fitted = tie_free(SUMS, scales)
    assert fitted["logits"] == scales["logits"]
    for name in ("input", "first"):
        unit = float(fitted["logits"]) / DENOMINATOR
        raised = float(fitted[name]) - float(scales[name])
        assert -1e-9 <= raised <= unit * 1.001
        ratio = Fraction(round(float(fitted[name]) / unit), DENOMINATOR)
        assert float(ratio) == pytest.approx(float(fitted[name] / fitted["logits"]), rel=1e-6)
        assert ratio.denominator % 2 == 1


def test_a_graph_without_additions_is_left_alone() -> None:
    graph = Graph(SHAPE, (Node("global_pool", ("input",), "logits", (1, 4, 1, 1)),))
    scales = {"input": np.float32(0.1), "logits": np.float32(0.03)}
    assert tie_free(graph, scales) == scales
