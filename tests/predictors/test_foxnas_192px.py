"""The published FOX-NAS predictors: their coefficients, their terms, and the known answers."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Iterable
from fractions import Fraction
from types import CodeType

import numpy as np
import pytest

from edgenas.core.errors import InfeasibleError, PredictorError
from edgenas.core.records import StageChoice
from edgenas.optimize.optimizers import anneal, exact
from edgenas.optimize.optimizers.base import StageProblem
from edgenas.predictors.published.foxnas_192px import RESPONSES, WIDTHS, published
from edgenas.spaces import foxnas_cpu

# of the rows "response,term,coefficient" of the published coefficients.csv, sorted, each number
# as Python writes it
COEFFICIENTS_SHA256 = "0117423cd401870d0cb14f3bad81cc215f7bfcbb25e3e340937aa253f9be7954"
BEST_AT_55_MS = (73.678681, 54.71517)  # top-1 %, ms: the README of the published coefficients
LEAST_LATENCY_MS = 27.98578
FRONTIER_POINTS = 654

PUBLISHED = published()
# Integers in the coefficients' last published digits, so that the reference has no rounding.
UNITS = {"latency_ms": 10**5, "top1_percent": 10**6}
Pair = tuple[int, int]


@pytest.fixture(scope="module")
def space():
    return foxnas_cpu.create()


@pytest.fixture(scope="module")
def problem(space) -> StageProblem:
    choices = [space.stage_choices(stage) for stage in range(5)]
    costs, values = (
        (tuple(PUBLISHED.stage_values(response, s, c) for s, c in enumerate(choices)),)
        for response in RESPONSES
    )
    intercepts = [np.array([PUBLISHED.intercept(response)]) for response in RESPONSES]
    return StageProblem(intercepts[1], intercepts[0], values, costs)


@pytest.fixture(scope="module")
def frontier(space) -> list[Pair]:
    """The whole frontier in integers, from the term strings as Python expressions."""
    merged = [tuple(scaled("intercept", response) for response in RESPONSES)]
    for stage in range(5):
        options = undominated(
            tuple(stage_sum(response, WIDTHS[stage], choice) for response in RESPONSES)
            for choice in space.stage_choices(stage)
        )
        merged = undominated(
            (a[0] + b[0], a[1] + b[1]) for a, b in itertools.product(merged, options)
        )
    return merged


def scaled(term: str, response: str) -> int:
    """The coefficient in its last published digit."""
    exact_value = Fraction(str(PUBLISHED.coefficients[response][term])) * UNITS[response]
    assert exact_value.denominator == 1
    return int(exact_value)


@functools.cache
def stage_terms(response: str, width: int) -> list[tuple[int, CodeType]]:
    terms = [t for t in PUBLISHED.coefficients[response] if t.endswith(f"_{width}")]
    return [(scaled(term, response), compile(term, term, "eval")) for term in terms]


def stage_sum(response: str, width: int, choice: StageChoice) -> int:
    features = {
        f"tot_{width}": choice.depth,
        f"avg_e_{width}": choice.expand_ratios[-1],
        f"avg_k_{width}": choice.kernel_sizes[-1],
        f"first_e_{width}": choice.expand_ratios[0],
        f"first_k_{width}": choice.kernel_sizes[0],
    }
    return sum(number * eval(term, {}, features) for number, term in stage_terms(response, width))


def undominated(pairs: Iterable[Pair]) -> list[Pair]:
    kept: list[Pair] = []
    for cost, value in sorted(pairs, key=lambda pair: (pair[0], -pair[1])):
        if not kept or value > kept[-1][1]:
            kept.append((cost, value))
    return kept


def test_coefficients_are_the_published_ones():
    rows = sorted(
        f"{response},{term},{value!r}\n"
        for response, terms in PUBLISHED.coefficients.items()
        for term, value in terms.items()
    )
    assert len(rows) == 36 + 41
    assert hashlib.sha256("".join(rows).encode()).hexdigest() == COEFFICIENTS_SHA256


def test_the_source_is_named():
    assert "great8nctu/FOX-NAS" in PUBLISHED.source


@pytest.mark.parametrize("stage", range(5))
def test_stage_values_are_the_sums_of_the_terms(space, stage):
    choices = space.stage_choices(stage)[::37]
    for response, unit in UNITS.items():
        expected = [stage_sum(response, WIDTHS[stage], choice) / unit for choice in choices]
        assert PUBLISHED.stage_values(response, stage, choices) == pytest.approx(expected)


def test_exact_finds_the_known_optimum(problem):
    found = exact.best_under(problem, 55.0, seed=0, budget=exact.BUDGET, count=3)
    points = np.array(found.points)
    assert (problem.value(points)[0], problem.cost(points)[0]) == pytest.approx(BEST_AT_55_MS)
    assert found.optimal
    assert problem.cost(points).max() <= 55.0


def test_exact_gives_the_whole_frontier(problem, frontier):
    found = exact.best_under(problem, 400.0, seed=0, budget=exact.BUDGET, count=1)
    points = np.array(found.frontier)
    assert len(points) == len(frontier) == FRONTIER_POINTS
    assert problem.cost(points) == pytest.approx([cost / 1e5 for cost, _ in frontier])
    assert problem.value(points) == pytest.approx([value / 1e6 for _, value in frontier])


def test_exact_is_right_at_each_frontier_point_and_just_below(problem, frontier):
    for (_, worse), (cost, value) in itertools.pairwise(frontier[::13]):
        on, below = (
            exact.best_under(problem, limit, seed=0, budget=exact.BUDGET, count=1)
            for limit in (cost / 1e5, cost / 1e5 - 1e-6)
        )
        best_below = max(v for c, v in frontier if c < cost)
        assert worse <= best_below < value
        assert problem.value(np.array(on.points))[0] == pytest.approx(value / 1e6)
        assert problem.value(np.array(below.points))[0] == pytest.approx(best_below / 1e6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [30.0, 55.0, 90.0])
def test_anneal_reaches_the_frontier(problem, frontier, seed, limit):
    found = anneal.best_under(problem, limit, seed=seed, budget=anneal.BUDGET, count=1)
    best = max(value for cost, value in frontier if cost <= limit * 1e5)
    assert problem.value(np.array(found.points))[0] == pytest.approx(best / 1e6)
    assert found.optimal
    assert found.evaluations <= anneal.BUDGET


@pytest.mark.parametrize("optimizer", [exact, anneal])
def test_an_infeasible_limit_is_proved_so(problem, optimizer):
    with pytest.raises(InfeasibleError) as caught:
        optimizer.best_under(problem, 27.98, seed=0, budget=optimizer.BUDGET, count=1)
    assert caught.value.least_cost == pytest.approx(LEAST_LATENCY_MS)
    assert problem.cost(np.array([caught.value.least_point]))[0] == pytest.approx(LEAST_LATENCY_MS)


def test_unknown_responses_stages_and_choices_are_refused():
    choice = StageChoice((3, 3), (4, 4))
    with pytest.raises(PredictorError, match="Did you mean 'latency_ms'"):
        PUBLISHED.stage_values("latency", 0, [choice])
    with pytest.raises(PredictorError, match="5 stages"):
        PUBLISHED.stage_values("latency_ms", 5, [choice])
    with pytest.raises(PredictorError, match="two blocks"):
        PUBLISHED.stage_values("latency_ms", 0, [StageChoice((3,), (4,))])
