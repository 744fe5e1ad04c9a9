"""Objectives and limits on any response, laid out for optimizers: against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import InputError, PredictorError
from edgenas.core.goals import Objective, parse_constraints
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture
from edgenas.optimize.front import FrontLayout, lay_out_front, spread
from edgenas.optimize.infeasible import reach
from edgenas.optimize.layout import Predictors
from edgenas.optimize.optimizers.dominance import nondominated
from edgenas.optimize.optimizers.problem import NoneFeasibleError
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.spaces.base import MobileSpace, StageSpec

SPACE = MobileSpace(
    "small",
    4,
    1,
    tuple(StageSpec(width, 2, (1, 2), (3, 5), (1, 3)) for width in (8, 16)),
    32,
    (12, 16),
    10,
    1,
)
ACCURACY, LATENCY = Objective("accuracy", "max"), Objective("latency_ms", "min")


@pytest.fixture(scope="module")
def predictors() -> Predictors:
    rng = np.random.default_rng(0)
    sampled = list(dict.fromkeys(SPACE.sample(rng) for _ in range(90)))
    macs = np.array([sum(x.macs for x in SPACE.layers(one)) for one in sampled]) / 1e6
    params = np.array([sum(x.params for x in SPACE.layers(one)) for one in sampled]) / 1e3
    noise = rng.normal(0, 0.004, (3, len(sampled)))
    return Predictors(
        SPACE,
        fitted("latency_ms", sampled, 0.1 + macs + noise[0]),
        fitted("accuracy", sampled, 0.8 + 0.1 * np.log1p(macs) + noise[1]),
        0.9,
        {"model_bytes": fitted("model_bytes", sampled, 4e3 + 1e3 * params + noise[2])},
    )


def fitted(name: str, sampled: list[Architecture], response: np.ndarray) -> FittedPredictor:
    rows = TermRows(SPACE, REGISTRY[name].source)
    data = TrainingData(name, "", rows.terms.names, rows.matrix(sampled), response)
    predictor: FittedPredictor = plugins.load("predictors", "regression").fit(data, 0)
    return predictor


def every_point(layout: FrontLayout) -> np.ndarray:
    return np.array(list(itertools.product(*map(range, layout.problem.options))))


def test_columns_are_the_predicted_means_and_bounds_of_the_architectures(
    predictors: Predictors,
) -> None:
    limits = parse_constraints(["latency<=1ms", "accuracy>=50%", "macs<=9M", "model_bytes<=1MB"])
    layout = lay_out_front(predictors, (ACCURACY, LATENCY), limits)
    points = every_point(layout)[::37]
    values = layout.problem.evaluate(points)
    architectures = [layout.architecture(tuple(point)) for point in points.tolist()]
    candidates = predictors.candidates(architectures)
    for i, column in enumerate(layout.columns):
        predicted = [one.response(column.kind.name) for one in candidates]
        expected = [getattr(one, column.side) for one in predicted]
        assert values[:, i] == pytest.approx(np.array(expected)), column
    macs = [sum(layer.macs for layer in SPACE.layers(one)) for one in architectures]
    assert [one.responses["macs"].mean for one in candidates] == macs
    assert [layout.point(one) for one in architectures] == [tuple(p) for p in points.tolist()]


def test_the_sums_are_the_values_or_closer_to_the_good_side(predictors: Predictors) -> None:
    limits = parse_constraints(["latency<=1ms", "accuracy>=50%"])
    layout = lay_out_front(predictors, (ACCURACY, Objective("params", "min")), limits)
    points, sums = every_point(layout), layout.problem.sums
    assert sums is not None
    shift = layout.problem.evaluate(points) - sums.values(points)
    for i, column in enumerate(layout.columns):
        assert column.side != "mean" or np.abs(shift[:, i]).max() < 1e-6, column
        assert column.side != "upper" or shift[:, i].min() > -1e-9, column
        assert column.side != "lower" or shift[:, i].max() < 1e-9, column


def test_exact_finds_the_front_that_enumeration_finds(predictors: Predictors) -> None:
    objectives = (ACCURACY, LATENCY, Objective("model_bytes", "min"))
    layout = lay_out_front(predictors, objectives, {})
    exact = plugins.load("optimizers", "exact")
    archive = exact.optimize(layout.problem, seed=0, budget=10_000)
    points = every_point(layout)
    costs = layout.problem.costs(layout.problem.evaluate(points))
    true = {tuple(np.round(row, 9)) for row in costs[nondominated(costs)]}
    front = layout.problem.costs(archive.values[archive.front(layout.problem)])
    assert {tuple(np.round(row, 9)) for row in front} == true
    assert archive.optimal


def test_what_each_limit_can_reach_is_what_enumeration_says(predictors: Predictors) -> None:
    loose = lay_out_front(
        predictors, (ACCURACY,), parse_constraints(["accuracy>=1%", "latency<=9ms"])
    )
    values = loose.problem.evaluate(every_point(loose))
    sides = {(c.kind.name, c.side): values[:, i] for i, c in enumerate(loose.columns)}
    accuracy, latency = sides["accuracy", "lower"], sides["latency_ms", "upper"]
    floor = float(np.quantile(accuracy, 0.8))
    ceiling = 0.9 * float(latency[accuracy >= floor].min())
    texts = [f"accuracy>={floor!r}", f"latency<={ceiling!r}ms"]
    layout = lay_out_front(predictors, (ACCURACY,), parse_constraints(texts))
    exact = plugins.load("optimizers", "exact")
    with pytest.raises(NoneFeasibleError) as raised:
        exact.optimize(layout.problem, seed=0, budget=100_000)
    found = {one.column.kind.name: one for one in reach(layout, raised.value.archive.points)}
    assert found["accuracy"].alone == pytest.approx(accuracy.max())
    assert found["latency_ms"].alone == pytest.approx(latency.min())
    assert found["accuracy"].jointly == pytest.approx(accuracy[latency <= ceiling].max())
    assert found["latency_ms"].jointly == pytest.approx(latency[accuracy >= floor].min())
    assert "with the others kept it reaches no less than" in found["latency_ms"].sentence()


def test_a_limit_that_none_keeps_says_by_how_much(predictors: Predictors) -> None:
    layout = lay_out_front(predictors, (ACCURACY,), parse_constraints(["latency<=1us"]))
    (found,) = reach(layout, np.empty((0, 3), np.int64))
    assert not found.feasible_alone
    assert "cannot be kept by any" in found.sentence()


def test_unknown_and_constant_responses_are_one_clear_line(predictors: Predictors) -> None:
    with pytest.raises(PredictorError, match="no predictor of energy_mj"):
        lay_out_front(predictors, (ACCURACY,), parse_constraints(["energy<=1mJ"]))
    only = MobileSpace("one", 4, 1, (StageSpec(8, 2, (1,), (3,), (1,)),), 32, (12,), 10, 1)
    rows = TermRows(only, "physical").terms.names, TermRows(only, "choices").terms.names
    constant = Predictors(only, _Constant(rows[0]), _Constant(rows[1]), 0.9)
    with pytest.raises(InputError, match="for every network of the space"):
        lay_out_front(constant, (Objective("params", "min"),), {})


class _Constant:
    """A predictor that says 1 of everything."""

    name, unit, n, heldout, scale = "latency_ms", "ms", 9, None, 1.0

    def __init__(self, terms: tuple[str, ...]) -> None:
        self.terms = terms

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return np.ones(len(matrix))

    def least_margin(self, confidence: float) -> float:
        return 0.1

    def ceiling(self, limit: float, confidence: float) -> float:
        return limit - 0.1


def test_spread_takes_the_ends_and_then_the_middle() -> None:
    costs = np.column_stack((np.linspace(0, 1, 11), np.linspace(10, 0, 11)))
    assert spread(costs, 3).tolist() == [0, 10, 5]
    assert spread(costs[:1], 3).tolist() == [0]
    assert spread(np.zeros((4, 2)), 3).tolist() == [0]
