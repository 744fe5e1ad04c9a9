"""Rows of terms add up over stages, and a laid-out search says what the predictors say."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture, Layer, StageChoice
from edgenas.explain.choices import changes
from edgenas.optimize.layout import Predictors, half_way, lay_out
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import TrainingData
from edgenas.spaces.base import MobileSpace


@pytest.fixture(scope="module")
def space() -> MobileSpace:
    created: MobileSpace = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    return created


@pytest.fixture(scope="module")
def predictors(space: MobileSpace) -> Predictors:
    rng = np.random.default_rng(0)
    sampled = [space.sample(rng) for _ in range(60)]
    latency, accuracy = TermRows(space, "physical"), TermRows(space, "choices")
    macs = np.array([total_macs(space, architecture) for architecture in sampled]) / 1e6
    fit = plugins.load("predictors", "regression").fit
    noise = rng.normal(0, 0.01, (2, 60))
    return Predictors(
        space,
        fit(rows(latency, sampled, "latency_ms", 0.1 + 0.2 * macs + noise[0]), 0),
        fit(rows(accuracy, sampled, "accuracy", 0.9 + 0.02 * macs + noise[1]), 0),
        0.9,
    )


def rows(
    terms: TermRows, sampled: list[Architecture], name: str, response: np.ndarray
) -> TrainingData:
    return TrainingData(name, "ms", terms.terms.names, terms.matrix(sampled), response)


def total_macs(space: MobileSpace, architecture: Architecture) -> int:
    return sum(layer.macs for layer in space.layers(architecture))


def test_physical_terms_account_for_all_the_work_of_the_layers(space: MobileSpace) -> None:
    terms = TermRows(space, "physical")
    architecture = space.sample(np.random.default_rng(5))
    row = dict(zip(terms.terms.names, terms.row(architecture), strict=True))
    kinds = ("fixed_mmac", ".conv1x1_mmac", ".convkxk_mmac", ".depthwise_mmac")
    mmacs = sum(value for name, value in row.items() if name.endswith(kinds))
    assert mmacs == pytest.approx(total_macs(space, architecture) / 1e6)

    def in_stages(layer: Layer) -> bool:
        return layer.stage >= 0

    launches = sum(value for name, value in row.items() if name.endswith("launches"))
    staged = filter(in_stages, space.layers(architecture))
    assert launches == sum(layer.launches for layer in staged)


def test_the_order_of_inner_blocks_changes_no_term(space: MobileSpace) -> None:
    one = StageChoice((3, 5, 3), (2, 6, 1))
    other = StageChoice((3, 3, 5), (2, 1, 6))
    for name in ("physical", "choices"):
        terms = TermRows(space, name)
        assert terms.stage_row(14, 1, one) == pytest.approx(terms.stage_row(14, 1, other))


def test_points_cost_what_the_predictor_says_of_their_architectures(
    predictors: Predictors,
) -> None:
    layout = lay_out(predictors)
    rng = np.random.default_rng(1)
    options = [len(choices) for choices in layout.choices]
    points = np.array(
        [[rng.integers(3), *(rng.integers(count) for count in options)] for _ in range(20)]
    )
    architectures = [layout.architecture(tuple(point)) for point in points.tolist()]
    candidates = predictors.candidates(architectures)
    means = [candidate.latency_ms.mean for candidate in candidates]
    uppers = [candidate.latency_ms.upper for candidate in candidates]
    matrix = TermRows(predictors.space, "choices").matrix(architectures)
    assert layout.problem.cost(points) == pytest.approx(np.array(means))
    assert layout.problem.upper(points) == pytest.approx(np.array(uppers))
    assert layout.problem.value(points) == pytest.approx(predictors.accuracy.predict(matrix))


def test_half_way_is_between_the_extremes(predictors: Predictors) -> None:
    layout = lay_out(predictors)
    limit = half_way(layout)
    extremes = predictors.candidates([predictors.space.smallest(), predictors.space.largest()])
    assert extremes[0].latency_ms.upper < limit < extremes[1].latency_ms.upper


def test_marginal_changes_are_differences_of_real_architectures(space: MobileSpace) -> None:
    terms = TermRows(space, "choices")
    base = Architecture(space.name, 12, ((3,), (3,), (3,)), ((1,), (1,), (1,)))
    found = {change.text: change.difference for change in changes(terms, [base])}
    names = terms.terms.names
    amounts = np.array(["log1p" not in name for name in names])
    kernel = found["kernel 5 instead of 3 in one block of stage 2"] * amounts
    assert np.flatnonzero(kernel).size == 1
    assert kernel.max() == 2.0  # the first block's kernel size went from 3 to 5
    deeper = found["one more block in stage 1"] * amounts
    assert np.flatnonzero(deeper).size == 3  # one more block, with its expand ratio and kernel
    size = found["input of 14 px instead of 12 px"]
    assert names[int(np.flatnonzero(size)[0])].startswith("resolution")
    assert "expand ratio 6 instead of 4 in one block of stage 1" not in found  # base has none
