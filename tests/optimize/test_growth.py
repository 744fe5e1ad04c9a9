"""Which channels to add or to leave, against every combination there is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Limit, StageChoice
from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.optimize.growth import most_valuable, widest_scaled
from edgenas.optimize.layout import Predictors
from edgenas.optimize.limits import keeps
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.resizing import hidden_widths, narrower, scaled, wider

WIDTHS = (10, 12, 15, 16, 20, 24, 31, 32)  # some leave a rest of 8, and cost more than wider ones


def space(**flags: bool) -> MobileSpace:
    stages = tuple(
        StageSpec(width, 2, (1, 2), (3,), (), others=((HIDDEN_WIDTH, WIDTHS),), **flags)
        for width in (8, 12)
    )
    return MobileSpace("grows", 8, 1, stages, 16, (16, 24), 10, 1)


def predictors(of: MobileSpace, seed: int) -> Predictors:
    """Of a made-up board that computes the rest of 8 channels one by one."""
    rng = np.random.default_rng(seed)
    networks = [one for one, _ in zip(of.distinct(rng), range(80), strict=False)]
    fitted = {}
    for name, unit in (("latency_ms", "ms"), ("accuracy", ""), ("energy_mj", "mJ")):
        rows = TermRows(of, REGISTRY[name].source)
        matrix, names = rows.matrix(networks), rows.terms.names
        slow = [3e3 if "rest_of_eights" in one else 1.0 for one in names]
        costs = rng.uniform(0.5, 2.0, len(names)) * slow
        values = matrix @ costs / (matrix @ costs).max() * 0.7 + 0.1
        values *= 1 + 0.01 * rng.standard_normal(len(networks))
        fitted[name] = regression.fit(TrainingData(name, unit, names, matrix, values), 0)
    energy = {"energy_mj": fitted.pop("energy_mj")}
    return Predictors(of, *fitted.values(), confidence=0.9, others=energy)


def network(of: MobileSpace, *hidden: tuple[int, ...]) -> Architecture:
    stages = (StageChoice.of({"kernel_size": (3,) * len(one), HIDDEN_WIDTH: one}) for one in hidden)
    return Architecture.of(of.name, 16, tuple(stages))


@pytest.mark.parametrize("cost", ["latency_ms", "energy_mj"])
@pytest.mark.parametrize("seed", range(3))
def test_the_choice_is_that_of_brute_force(seed: int, cost: str) -> None:
    of = space()
    known, start = predictors(of, seed), network(of, (12, 10), (15,))
    choices = wider(of, start)
    rng = np.random.default_rng(seed)
    values = {
        (stage, one): 0.0 if one == start.stages[stage] else float(rng.exponential())
        for stage, options in enumerate(choices)
        for one in options
    }
    everything = [Architecture.of(of.name, 16, stages) for stages in itertools.product(*choices)]
    candidates = known.candidates(everything)
    uppers = np.array([one[cost].upper for one in candidates])
    limit = {cost: Limit(cost, at_most=float(np.quantile(uppers, 0.4)))}

    def worth(one: Architecture) -> float:
        return sum(values[stage, choice] for stage, choice in enumerate(one.stages))

    within = [one for one in candidates if keeps(one.predicted, limit.values())]
    best = max(worth(one.architecture) for one in within)
    found = most_valuable(known, 16, choices, lambda *at: values[at], limit)
    assert found is not None
    assert worth(found) == pytest.approx(best)
    (candidate,) = known.candidates([found])
    assert keeps(candidate.predicted, limit.values())  # never over the limit by the upper bound


def test_where_nothing_keeps_the_limit_there_is_no_choice() -> None:
    of = space()
    known, start = predictors(of, 0), network(of, (12,), (16,))
    limit = {"latency_ms": Limit("latency_ms", at_most=1e-6)}
    assert most_valuable(known, 16, wider(of, start), lambda *at: 0.0, limit) is None


def test_eights_are_taken_where_they_cost_no_more() -> None:
    of = space()
    known, start = predictors(of, 3), network(of, (12,), (16,))
    (upper,) = (one["latency_ms"].upper for one in known.candidates([start]))
    limit = {"latency_ms": Limit("latency_ms", at_most=upper)}  # not a microsecond more

    def channels(stage: int, choice: StageChoice) -> float:
        return float(choice.choices[HIDDEN_WIDTH][0]) if choice.depth == 1 else 0.0

    found = most_valuable(known, 16, wider(of, start), channels, limit)
    assert found is not None
    assert hidden_widths(of, found)[0, 0] % 8 == 0


def test_a_stage_grows_to_twice_its_channels_and_by_one_block() -> None:
    of = space()
    first, second = wider(of, network(of, (12, 16), (10,)))
    assert first[0].choices[HIDDEN_WIDTH] == (12, 16)
    grown = {one.choices[HIDDEN_WIDTH] for one in first}
    assert grown == set(itertools.product((12, 15, 16, 20, 24), (16, 20, 24, 31, 32)))
    widths = (10, 12, 15, 16, 20)
    assert {one.choices[HIDDEN_WIDTH] for one in second} == {
        *((width,) for width in widths),
        *((width, 10) for width in widths),
    }


def test_blocks_that_have_to_be_alike_grow_alike() -> None:
    stage = replace(space().stages[0], uniform_inner=True, depths=(2, 3, 4))
    of = replace(space(), stages=(stage,))
    choices = wider(of, network(of, (16, 10, 10)))[0]
    assert all(of.contains(Architecture.of(of.name, 16, (one,))) for one in choices)
    assert {one.choices[HIDDEN_WIDTH] for one in choices if one.depth == 3} == {
        (first, inner, inner) for first in (16, 20, 24, 31, 32) for inner in (10, 12, 15, 16, 20)
    }


def test_expand_ratios_are_widths_too() -> None:
    stage = StageSpec(8, 1, (1, 2), (3, 5), (1, 2, 3, 6))
    of = MobileSpace("ratios", 4, 1, (stage,), 16, (16,), 10, 1)
    start = Architecture.of(of.name, 16, (StageChoice((5, 3), (2, 3)),))
    assert {one.expand_ratios for one in wider(of, start)[0]} == {(2, 3), (3, 3), (2, 6), (3, 6)}
    assert {one.expand_ratios for one in narrower(of, start, 0.5)[0]} == {
        (2, 3),
        (1, 3),
        (2, 2),
        (1, 2),
    }
    assert {one.kernel_sizes for one in wider(of, start)[0]} == {(5, 3)}


def test_scaling_is_alike_in_all_blocks_and_rises() -> None:
    of = space()
    start = network(of, (10,), (16,))
    found = {round(factor, 6): hidden_widths(of, one) for factor, one in scaled(of, start)}
    assert found[2.0] == {(0, 0): 20, (1, 0): 32}
    assert found[1.5] == {(0, 0): 15, (1, 0): 24}
    assert list(found) == sorted(found)
    known = predictors(of, 0)
    by_width = known.candidates([one for _, one in scaled(of, start)])
    limit = Limit("latency_ms", at_most=by_width[3]["latency_ms"].upper)
    widest = widest_scaled(known, start, {"latency_ms": limit})
    within = [one.architecture for one in by_width if keeps(one.predicted, [limit])]
    assert widest == within[-1]
