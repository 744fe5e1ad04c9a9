"""Predictors that are no sums over the choices: laid out, searched, refused where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import PredictorError
from edgenas.core.goals import Limit, Objective
from edgenas.optimize.front import lay_out_front
from edgenas.optimize.layout import Predictors, lay_out, load_predictor
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import Additive, TrainingData


def rows(n: int, seed: int) -> TrainingData:
    """A response that is no sum: the greater of two terms, times a third."""
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 4, (n, 3))
    response = 5 + np.maximum(matrix[:, 0], matrix[:, 1]) * matrix[:, 2]
    return TrainingData("latency_ms", "ms", ("a", "b", "c"), matrix, response)


def test_kriging_follows_what_a_sum_cannot() -> None:
    unseen = rows(500, 1)

    def error(name: str) -> float:
        fitted = plugins.load("predictors", name).fit(rows(60, 0), 0)
        return float(np.sqrt(np.mean((fitted.predict(unseen.matrix) - unseen.response) ** 2)))

    assert error("kriging") < error("regression") / 2


@pytest.fixture(scope="module")
def predictors() -> Predictors:
    space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    rng = np.random.default_rng(0)
    networks = [space.sample(rng) for _ in range(24)]
    fit = plugins.load("predictors", "kriging").fit
    latency, accuracy = TermRows(space, "physical"), TermRows(space, "choices")
    names = latency.terms.names, accuracy.terms.names
    macs = np.array([sum(layer.macs for layer in space.layers(one)) for one in networks])
    ms, share = macs / macs.max() + 0.1, 0.5 + 0.3 * (macs / macs.max()) ** 2
    return Predictors(
        space,
        fit(TrainingData("latency_ms", "ms", names[0], latency.matrix(networks), ms), 0),
        fit(TrainingData("accuracy", "", names[1], accuracy.matrix(networks), share), 0),
        0.9,
    )


def test_an_optimizer_without_sums_searches_within_the_limit(predictors: Predictors) -> None:
    assert not predictors.additive
    limits = {"latency_ms": Limit("latency_ms", at_most=0.8)}
    layout = lay_out_front(predictors, [Objective("accuracy", "max")], limits)
    assert layout.problem.sums is None
    archive = plugins.load("optimizers", "evolution").optimize(layout.problem, seed=0, budget=200)
    best = archive.points[archive.front(layout.problem)]
    chosen = predictors.candidates([layout.architecture(tuple(p)) for p in best.tolist()])
    assert chosen
    assert all(one.latency_ms.upper <= 0.8 for one in chosen)


def test_a_proof_is_refused_without_sums(predictors: Predictors) -> None:
    assert not isinstance(predictors.latency, Additive)
    with pytest.raises(PredictorError, match="no sums over the choices"):
        lay_out(predictors)


def test_a_file_of_another_predictor_is_refused(predictors: Predictors) -> None:
    document = predictors.latency.to_json()
    assert load_predictor(document, "kriging").to_json() == document
    with pytest.raises(PredictorError, match="fitted by 'kriging', not 'regression'"):
        load_predictor(document, "regression")
