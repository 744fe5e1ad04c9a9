"""What to change to save time: a path through real neighbours, as far as was asked."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.explain.savings import extrapolations, savings
from edgenas.optimize.layout import Predictors
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import TrainingData
from edgenas.spaces.base import MobileSpace


@pytest.fixture(scope="module")
def predictors() -> Predictors:
    space: MobileSpace = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    rng = np.random.default_rng(0)
    sampled = [space.sample(rng) for _ in range(60)]
    macs = np.array([sum(layer.macs for layer in space.layers(a)) for a in sampled]) / 1e6
    fit = plugins.load("predictors", "regression").fit
    fitted = []
    for name, terms, response in (
        ("latency_ms", "physical", 0.1 + 0.2 * macs),
        ("accuracy", "choices", 0.9 + 0.02 * macs),
    ):
        rows = TermRows(space, terms)
        noisy = response + rng.normal(0, 0.005, 60)
        matrix = rows.matrix(sampled)
        fitted.append(fit(TrainingData(name, "", rows.terms.names, matrix, noisy), 0))
    return Predictors(space, fitted[0], fitted[1], 0.9)


def test_savings_go_from_neighbour_to_neighbour_until_enough_is_saved(
    predictors: Predictors,
) -> None:
    largest = predictors.space.largest()
    before = predictors.candidates([largest])[0].latency_ms.mean
    path = savings(predictors, largest, 0.2)
    current = largest
    for step in path:
        assert step.candidate.architecture in set(predictors.space.neighbors(current))
        assert step.change != "nothing"
        current = step.candidate.architecture
    assert before - path[-1].candidate.latency_ms.mean >= 0.2
    assert before - path[-2].candidate.latency_ms.mean < 0.2


def test_more_than_there_is_to_save_ends_after_a_bounded_path(predictors: Predictors) -> None:
    path = savings(predictors, predictors.space.largest(), 100.0)
    assert 0 < len(path) <= 25
    assert path[-1].candidate.latency_ms.mean > -99


def test_candidates_far_from_what_is_known_are_named(predictors: Predictors) -> None:
    space = predictors.space
    typical = space.sample(np.random.default_rng(0))  # measured
    known = predictors.candidates([typical])
    assert extrapolations(predictors, known) == ()
    few = [space.smallest()] * 3 + [next(iter(space.neighbors(space.smallest())))] * 3
    rows = TermRows(space, "physical")
    response = np.array([1.0, 1.1, 0.9, 1.4, 1.5, 1.6])
    data = TrainingData("latency_ms", "ms", rows.terms.names, rows.matrix(few), response)
    narrow = plugins.load("predictors", "regression").fit(data, 0)
    far = Predictors(space, narrow, predictors.accuracy, 0.9)
    shown = [*known, *far.candidates([space.largest(), space.smallest()])]
    text = extrapolations(far, shown)[0]
    assert "Of 3 candidates, number 1, 2 lies" in text and "latency_ms" in text
