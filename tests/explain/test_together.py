"""What two choices do together: as counted by hand over networks of a known latency."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.core.records import Architecture, StageChoice
from edgenas.explain.together import interactions
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.reporting.document import PredictorReport, Shapes
from edgenas.reporting.plots import of_shapes
from helpers.reporting_sample import SPACE, latency_ms

RNG = np.random.default_rng(11)
NETWORKS = [SPACE.sample(RNG) for _ in range(300)]
TYPICAL = NETWORKS[:30]


def fitted(terms: str, seconds: float = 1e-9) -> regression.Regression:
    rows = TermRows(SPACE, terms)
    noise = np.random.default_rng(1).normal(0, seconds, len(NETWORKS))
    latency = np.array(list(map(latency_ms, NETWORKS))) + noise
    data = TrainingData("latency_ms", "ms", rows.terms.names, rows.matrix(NETWORKS), latency)
    return regression.fit(data, 0)


def with_block(network: Architecture, stage: int, block: int, kernel: int, expand: int) -> float:
    """Return the latency of a network with another block."""
    stages = list(network.stages)
    kernels, expands = (list(stages[stage].kernel_sizes), list(stages[stage].expand_ratios))
    kernels[block], expands[block] = kernel, expand
    stages[stage] = StageChoice(tuple(kernels), tuple(expands))
    return latency_ms(Architecture.of(network.space, network.resolution, tuple(stages)))


def beyond_alone(grid: np.ndarray) -> np.ndarray:
    rows, columns = grid.mean(axis=1, keepdims=True), grid.mean(axis=0, keepdims=True)
    return np.asarray(grid - rows - columns + grid.mean())


def test_a_kernel_and_an_expansion_do_together_what_networks_say() -> None:
    pairs = interactions(TermRows(SPACE, "physical"), fitted("physical"), TYPICAL, 0.95)
    inside = [one for one in pairs if one.columns[0].startswith("kernel")]
    assert inside
    for one in inside:
        stage = int(one.columns[0][-1]) - 1
        assert one.columns[1] == f"expand ratio in one block of stage {stage + 1}"
        kernels, expands = ([int(float(x)) for x in of] for of in one.values)
        grids = [
            [[with_block(a, stage, block, k, e) for e in expands] for k in kernels]
            for a in TYPICAL
            for block in range(a.stages[stage].depth)
        ]
        expected = beyond_alone(np.mean(grids, axis=0))
        assert np.abs(np.array(one.effect) - expected).max() < 0.02 * np.abs(expected).max()


def test_an_input_and_a_depth_do_together_what_networks_say() -> None:
    pairs = interactions(TermRows(SPACE, "physical"), fitted("physical"), TYPICAL, 0.95)
    greatest = next(one for one in pairs if one.columns[1].startswith("blocks"))
    assert greatest.columns[0] == "input (px)"
    stage = int(greatest.columns[1][-1]) - 1
    depths = [int(float(x)) for x in greatest.values[1]]
    grids = [
        [[deep(a, stage, depth, size) for depth in depths] for size in SPACE.resolutions]
        for a in TYPICAL
        for _ in range(a.stages[stage].depth)
    ]
    expected = beyond_alone(np.mean(grids, axis=0))
    assert np.abs(np.array(greatest.effect) - expected).max() < 0.02 * np.abs(expected).max()


def deep(network: Architecture, stage: int, depth: int, size: int) -> float:
    """Return the latency with so many blocks, the last one repeated, at an input size."""
    stages, choice = list(network.stages), network.stages[stage]
    blocks = [choice.blocks[min(i, choice.depth - 1)] for i in range(depth)]
    stages[stage] = StageChoice.of_blocks(blocks)
    return latency_ms(Architecture.of(network.space, size, tuple(stages)))


def test_the_greatest_come_first_and_rows_and_columns_sum_to_nothing() -> None:
    pairs = interactions(TermRows(SPACE, "physical"), fitted("physical", 0.002), TYPICAL, 0.95)
    sizes = [max(map(abs, itertools.chain(*one.effect))) for one in pairs]
    assert sizes == sorted(sizes, reverse=True) and 0 < len(sizes) <= 6
    for one in pairs:
        effect, lower, upper = map(np.array, (one.effect, one.lower, one.upper))
        assert effect.sum(axis=0) == pytest.approx(0, abs=1e-9)
        assert effect.sum(axis=1) == pytest.approx(0, abs=1e-9)
        assert (lower <= effect).all() and (effect <= upper).all()
        assert ((lower > 0) | (upper < 0)).any()


def test_a_sum_over_choices_has_no_pairs() -> None:
    assert interactions(TermRows(SPACE, "choices"), fitted("choices"), TYPICAL, 0.95) == ()


def test_they_are_drawn_as_heat_maps() -> None:
    pairs = interactions(TermRows(SPACE, "physical"), fitted("physical"), TYPICAL, 0.95)
    report = PredictorReport(
        "latency_ms", "latency", "ms", 300, 0.95, shapes=Shapes("ms", (), pairs)
    )
    assert len(of_shapes.together(report)) == len(pairs)
