"""Does the value of more measurements come true? A made-up board, of which the truth is known.

    python benchmarks/certainty.py --seeds 6

Networks of `mbv3-tiny` chosen by design are timed on it (work, launches and bytes; 2 % noise), and
64 evaluated (0.4 points of noise). Prints, by how many are timed: what is said that knowing all
latencies, or all accuracies, would gain (edgenas.optimize.certainty, 200 draws), what it gains once
they are known, and how far the winner is from the best network, in points of accuracy; means.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture
from edgenas.optimize import certainty
from edgenas.optimize.layout import Layout, Predictors, lay_out, option_rows
from edgenas.optimize.optimizers.base import StageProblem
from edgenas.optimize.optimizers.exact import best_under
from edgenas.optimize.plan import plan
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.spaces.base import MobileSpace

CONFIDENCE, EVALUATED, BUDGET = 0.95, 64, 2_000_000
NOISE, ACCURACY_NOISE = 0.02, 0.004
Truth = tuple[TermRows, np.ndarray]  # coefficients of (1, *terms)


def truths(space: MobileSpace, rng: np.random.Generator) -> tuple[Truth, Truth]:
    """Return latency in ms and accuracy as a fraction, of every network."""
    work, choices = TermRows(space, "physical"), TermRows(space, "choices")
    per = {"launches": 0.004, "moved_kb": 1e-4, "ktaps": 1e-4, "kpixels": 1e-3}
    costs = np.array(
        [next((v for k, v in per.items() if name.endswith(k)), 0.02) for name in work.terms.names]
    )
    latency = np.append(0.01, costs * rng.lognormal(0, 0.3, len(costs)))
    drawn = choices.matrix([space.sample(rng) for _ in range(200)])
    spread = np.maximum(drawn.std(axis=0), 1e-9)
    gains = np.abs(rng.normal(0, 0.006, len(spread))) / spread * (drawn.std(axis=0) > 0)
    return (work, latency), (choices, np.append(0.7 - drawn.mean(axis=0) @ gains, gains))


def means(truth: Truth, networks: list[Architecture]) -> np.ndarray:
    rows, params = truth
    return np.asarray(params[0] + rows.matrix(networks) @ params[1:])


def summed(truth: Truth, layout: Layout) -> certainty.Sums:
    rows, params = truth
    each = option_rows(rows, layout.choices)
    offsets = params[0] + rows.size_rows @ params[1:]
    return offsets, tuple(tuple(stage @ params[1:] for stage in stages) for stages in each)


def best(
    costs: certainty.Sums, values: certainty.Sums, limit: float, layout: Layout
) -> Architecture:
    problem = StageProblem(values[0], costs[0], values[1], costs[1])
    found = best_under(problem, limit, seed=0, budget=BUDGET, count=1)
    return layout.architecture(found.points[0])


def one(seed: int, timed: int) -> tuple[float, ...]:
    """Return what is said and what comes true, in points, and the seconds it took to say."""
    rng = np.random.default_rng(seed)
    space: MobileSpace = plugins.load("spaces", "mbv3-tiny").create(10, 3, 32)
    latency, accuracy = truths(space, rng)
    pool = list(dict.fromkeys([space.smallest(), space.largest(), *map(space.sample, [rng] * 200)]))
    fitted = []
    for name, truth, networks, noise in (
        ("latency_ms", latency, plan(space, pool, 2, set(), timed), NOISE),
        ("accuracy", accuracy, pool[:EVALUATED], ACCURACY_NOISE),
    ):
        exact = means(truth, networks)
        off = rng.standard_normal(len(networks)) * noise
        response = exact * (1 + off) if name == "latency_ms" else exact + off
        rows, names = truth[0].matrix(networks), truth[0].terms.names
        is_cost = name == "latency_ms"
        fitted.append(
            regression.fit(TrainingData(name, "", names, rows, response, cost=is_cost), 0)
        )
    predictors = Predictors(space, fitted[0], fitted[1], CONFIDENCE)
    layout = lay_out(predictors)
    limit = float(np.quantile(means(latency, pool), 0.4))
    found = best_under(layout.problem, limit, seed=0, budget=BUDGET, count=1)
    winner = layout.architecture(found.points[0])
    started = time.process_time()
    said = certainty.find(predictors, limit, winner)
    seconds = time.process_time() - started
    assert said is not None
    costs, values = summed(latency, layout), summed(accuracy, layout)
    known = (predictors.rows("choices"), fitted[1].params)
    margin = fitted[0].least_margin(CONFIDENCE)
    informed = best(costs, summed(known, layout), limit - margin, layout)
    evaluated = best(summed((latency[0], fitted[0].params), layout), values, limit - margin, layout)
    ideal = best(costs, values, limit, layout)

    def gained(truth: Truth, network: Architecture) -> float:
        return 100 * float(np.diff(means(truth, [winner, network]))[0])

    return (
        100 * said.gains["latency_ms"],
        gained(known, informed),
        100 * said.gains["accuracy"],
        gained(accuracy, evaluated),
        gained(accuracy, ideal),
        seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--timed", type=int, nargs="+", default=[16, 24, 40, 60])
    options = parser.parse_args()
    head = ["timed", "latencies: said", "true", "accuracies: said", "true", "behind the best", "s"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for timed in options.timed:
        row = np.mean([one(seed, timed) for seed in range(options.seeds)], axis=0)
        print(f"| {timed} | {' | '.join(f'{x:.2g}' for x in row)} |", flush=True)


if __name__ == "__main__":
    main()
