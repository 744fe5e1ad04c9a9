"""Layers of FBNet's space: what they compute is known, and few rows tell what that costs."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.predictors.tables import published_layers
from edgenas.predictors.tables.regression import TableRegression

BLOCKS = ["k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip"]
COLUMNS = [f"layer_{layer}" for layer in range(22)]
# FBNet-C: Wu et al. 2019, 375 M multiplications and 5.5 M parameters at 224 px
FBNET_C = [
    *["k3_e1", "k3_e6", "skip", "k3_e1", "k3_e1", "k5_e6", "k5_e3", "k5_e6", "k3_e6"],
    *["k5_e6", "k5_e3", "k5_e6", "k5_e6", "k5_e6", "k5_e6", "k5_e6", "k5_e3"],
    *["k5_e6", "k5_e6", "k5_e6", "k5_e6", "k3_e6"],
]


def test_a_network_computes_what_is_published() -> None:
    layers = published_layers.of(COLUMNS, BLOCKS)
    assert layers is not None
    macs, _, weights, _ = sum(layers.work[at, BLOCKS.index(x)] for at, x in enumerate(FBNET_C))
    stem, head, classes = 27 * 16 * 112**2, 352 * 1984 * 49, 1984 * 1000
    assert macs + stem + head + classes == pytest.approx(375e6, rel=0.04)
    assert weights + 27 * 16 + 352 * 1984 + classes == pytest.approx(5.5e6, rel=0.02)
    assert layers.stages.tolist() == np.repeat(range(7), (1, 4, 4, 4, 4, 4, 1)).tolist()


def test_columns_may_stand_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(22)
    there = published_layers.of([COLUMNS[at] for at in order], BLOCKS)
    layers = published_layers.of(COLUMNS, BLOCKS)
    assert there is not None
    assert layers is not None
    np.testing.assert_array_equal(there.work, layers.work[order])


@pytest.mark.parametrize(
    ("columns", "blocks"),
    [
        (COLUMNS[:21], BLOCKS),
        ([f"layer_{2 * layer}" for layer in range(22)], BLOCKS),
        ([*COLUMNS[:21], "engine"], BLOCKS),
        (COLUMNS, [*BLOCKS, "se_e4"]),
    ],
)
def test_other_tables_are_of_no_published_space(columns: list[str], blocks: list[str]) -> None:
    assert published_layers.of(columns, blocks) is None


def _measured(seed: int, n: int, renamed: bool = False) -> dict[str, np.ndarray]:
    """Time by multiplications and weights of layers, worked out here for blocks alone."""
    rng = np.random.default_rng(seed)
    picked = rng.integers(0, 8, (n, 22))
    channels = np.repeat((16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1))
    sides = 112 // np.repeat((1, 2, 4, 8, 8, 16, 16), (1, 4, 4, 4, 4, 4, 1))
    before, wider = np.append(16, channels[:-1]), np.append(112, sides[:-1])
    kernel = np.array([int(name[1]) for name in BLOCKS[:8]])[picked]
    hidden = np.array([int(name[4]) for name in BLOCKS[:8]])[picked] * before
    groups = np.array([2 if "g2" in name else 1 for name in BLOCKS[:8]])[picked]
    first, last = before * hidden / groups, hidden * channels / groups
    macs = first * wider**2 + (kernel**2 * hidden + last) * sides**2
    time = 5 + 4e-8 * macs.sum(axis=1) + 2e-6 * (first + last).sum(axis=1)
    names = np.array([f"op{x}" for x in "abcdefgh"] if renamed else BLOCKS[:8])
    columns = {column: names[picked[:, at]] for at, column in enumerate(COLUMNS)}
    return {**columns, "latency_ms": time * rng.lognormal(0, 0.005, n)}


def test_twenty_rows_tell_what_work_costs() -> None:
    fitted = TableRegression().fit(_measured(1, 20), "latency_ms")
    unseen = _measured(2, 400)
    error = np.std(fitted.predict(unseen) - unseen["latency_ms"])
    assert error < 0.15 * unseen["latency_ms"].std()
    assert any("published space" in note for note in fitted.report()["notes"])
    other = TableRegression().fit(_measured(1, 20, renamed=True), "latency_ms")
    unnamed = _measured(2, 400, renamed=True)
    assert error < 0.4 * np.std(other.predict(unnamed) - unnamed["latency_ms"])
