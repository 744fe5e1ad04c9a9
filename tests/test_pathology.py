"""A kernel size that costs far more than its arithmetic is found in the fit, and only then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgenas.pathology import Pathology, find
from edgenas.predictors.base import TrainingData
from edgenas.predictors.regression import fit
from edgenas.records import Architecture
from edgenas.spaces import mbv3_cpu
from edgenas.term_rows import TermRows

SPACE = mbv3_cpu.create(10, 1, 16)


def time_ms(architecture: Architecture, dear: int, factor: float) -> float:
    """A made-up engine: 0.05 ms a million MACs, `factor` times that in kernels of size `dear`."""
    layers = SPACE.layers(architecture)
    usual = sum(layer.macs for layer in layers) / 1e6
    slow = sum(x.macs for x in layers if x.kind == "depthwise" and x.kernel_size == dear) / 1e6
    return 0.05 * (usual + (factor - 1) * slow) + 0.002 * len(layers)


def context(dear: int, factor: float) -> Any:
    rng = np.random.default_rng(0)
    networks = [SPACE.sample(rng) for _ in range(60)]
    rows = TermRows(SPACE, "physical")
    exact = np.array([time_ms(network, dear, factor) for network in networks])
    latency = exact * rng.normal(1, 0.02, len(exact))
    terms = rows.terms
    data = TrainingData("latency_ms", "ms", terms.names, rows.matrix(networks), latency, cost=True)
    predictors = SimpleNamespace(latency=fit(data, 0))
    return SimpleNamespace(
        space=SPACE, predictors=lambda: predictors, config=SimpleNamespace(confidence=0.95)
    )


def test_a_slow_kernel_is_found_and_by_how_much() -> None:
    (found,) = find(context(dear=7, factor=200))
    assert (found.kernel_size, found.usual) == (7, 5)
    assert found.work_ratio < 2
    assert found.ratio > 10


def test_an_engine_whose_time_follows_the_work_has_none() -> None:
    assert find(context(dear=7, factor=1)) == ()


@pytest.mark.parametrize(("kernel", "words"), [(3, "no candidate uses it"), (7, "1 of 1 candid")])
def test_the_sentence_says_what_the_search_made_of_it(kernel: int, words: str) -> None:
    smallest = SPACE.smallest()
    stages = tuple((kernel,) * len(stage) for stage in smallest.kernel_sizes)
    network = Architecture(smallest.space, smallest.resolution, stages, smallest.expand_ratios)
    said = Pathology(7, 5, 4.0, 0.1, 1.3).sentence("litert", [network])
    assert said.startswith("A block of kernel size 7 costs 40x one of kernel size 5 on litert")
    assert words in said
