"""Accuracy under limits on LUTs, block RAM and images/s: against enumeration and against HiGHS."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from edgenas.core import plugins
from edgenas.core.goals import Objective, parse_constraints
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Limit
from edgenas.core.records.hardware import HardwareEstimate
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline, divisors
from edgenas.optimize.front import FrontLayout, lay_out_front
from edgenas.optimize.layout import Grid, Predictors
from edgenas.optimize.optimizers.problem import NoneFeasibleError
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.spaces.base import MobileSpace, StageSpec

SPACE = MobileSpace(
    "small",
    4,
    1,
    tuple(StageSpec(width, 2, (1, 2), (3, 5), (1, 3)) for width in (8, 16)),
    16,
    (12, 16),
    10,
    1,
)
ACCURACY = (Objective("accuracy", "max"),)


@pytest.fixture(scope="module")
def fitted() -> Mapping[str, FittedPredictor]:
    rng = np.random.default_rng(0)
    sampled = list(dict.fromkeys(SPACE.sample(rng) for _ in range(60)))
    macs = np.array([sum(x.macs for x in SPACE.layers(one)) for one in sampled]) / 1e6
    truth = {"latency_ms": 0.1 + macs, "accuracy": 0.8 + 0.1 * np.log1p(macs)}
    return {
        name: plugins.load("predictors", "regression").fit(
            TrainingData(
                name,
                "",
                (rows := TermRows(SPACE, REGISTRY[name].source)).terms.names,
                rows.matrix(sampled),
                values + rng.normal(0, 0.004, len(sampled)),
            ),
            0,
        )
        for name, values in truth.items()
    }


def laid_out(
    fitted: Mapping[str, FittedPredictor], images_per_s: float, limits: Mapping[str, Limit]
) -> FrontLayout:
    counts = Pipeline(DEVICES["pynq-z2"], 100.0, images_per_s).counts()
    predictors = Predictors(
        SPACE, fitted["latency_ms"], fitted["accuracy"], 0.9, of_hardware=counts
    )
    return lay_out_front(predictors, ACCURACY, limits)


CASES = [
    (1_000, ["luts<=9000", "bram18<=120"]),
    (20_000, ["luts<=12000"]),
    (40_000, ["luts<=40000", "bram18<=110"]),
    (1_000, ["luts<=2000"]),
]


@pytest.mark.parametrize(("images_per_s", "asked"), CASES)
def test_exact_finds_what_enumeration_and_milp_find(
    fitted: Mapping[str, FittedPredictor], images_per_s: float, asked: list[str]
) -> None:
    layout = laid_out(fitted, images_per_s, parse_constraints(asked))
    problem, exact = layout.problem, plugins.load("optimizers", "exact")
    points = np.array(list(itertools.product(*map(range, problem.options))))
    values = problem.evaluate(points)
    within = problem.feasible(values)
    enumerated = values[within, 0].max() if within.any() else None
    other = _by_milp(layout)
    assert (enumerated is None) == (other is None)
    if enumerated is None:
        with pytest.raises(NoneFeasibleError):
            exact.optimize(problem, seed=0, budget=10_000)
        return
    archive = exact.optimize(problem, seed=0, budget=10_000)
    assert archive.values[problem.feasible(archive.values), 0].max() == pytest.approx(enumerated)
    assert other == pytest.approx(enumerated, abs=2e-6)  # HiGHS stops there
    assert archive.optimal


def test_values_are_the_resources_of_the_whole_network(
    fitted: Mapping[str, FittedPredictor],
) -> None:
    """Sums over stages against the pipeline of all layers, which knows no stages."""
    pipeline = Pipeline(DEVICES["pynq-z2"], 100.0, 2_000)
    limits = parse_constraints(["luts<=9000", "bram18<=900"])
    layout = laid_out(fitted, 2_000, limits)
    points = np.array(list(itertools.product(*map(range, layout.problem.options))))[::61]
    values = layout.problem.evaluate(points)
    for point, row in zip(points.tolist(), values, strict=True):
        estimate = pipeline.estimate(SPACE.layers(layout.architecture(tuple(point))))
        assert row[1:3] == pytest.approx([estimate.luts, estimate.bram18])
        assert estimate.images_per_s >= 2_000


RATES = [
    (("images_per_s",), 1_000, ["luts<=9000", "bram18<=120"]),
    (("accuracy", "images_per_s"), 1_000, ["luts<=9000", "bram18<=90"]),
    (("images_per_s", "accuracy"), 30_000, ["luts<=14000"]),
    (("images_per_s", "accuracy", "bops"), 1_000, ["luts<=7000", "accuracy>=84%"]),
    (("images_per_s",), 1_000, ["luts<=2000"]),
]


@pytest.fixture(scope="module")
def foldings() -> list[tuple[Architecture, HardwareEstimate]]:
    """Every network at every throughput that any way to divide the work of its layers gives."""
    grid, found = Grid.of(SPACE), []
    slowest = Pipeline(DEVICES["pynq-z2"], 100.0, 1_000)
    points = itertools.product(range(len(SPACE.resolutions)), *map(range, map(len, grid.choices)))
    for network in map(grid.architecture, points):
        layers = SPACE.layers(network)
        shares = {
            layer.out_size**2 * outputs * inputs * taps
            for layer in layers
            for outputs in divisors(layer.out_channels)
            for inputs in divisors(1 if layer.kind == "depthwise" else layer.in_channels)
            for taps in divisors(layer.kernel_size**2)
        }
        fewest = 100e6 / slowest.fastest(layers)[0]
        for cycles in (one for one in shares if fewest - 0.5 <= one <= slowest.cycles):
            found.append((network, slowest.at(100e6 / cycles).estimate(layers)))
    return found


@pytest.mark.parametrize(("objectives", "least", "asked"), RATES)
def test_images_per_s_as_an_objective_are_those_of_enumeration(
    fitted: Mapping[str, FittedPredictor],
    foldings: list[tuple[Architecture, HardwareEstimate]],
    objectives: tuple[str, ...],
    least: int,
    asked: list[str],
) -> None:
    plain = Pipeline(DEVICES["pynq-z2"], 100.0, least)
    limits = {
        **{name: Limit(name, at_most=most) for name, most in plain.limits().items()},
        **parse_constraints(asked),
    }
    filled = plain.filling({name: limits[name].at_most or 0.0 for name in plain.limits()})
    predictors = Predictors(
        SPACE, fitted["latency_ms"], fitted["accuracy"], 0.9,
        of_hardware=filled.counts(), filled=filled,
    )  # fmt: skip
    wanted = tuple(Objective(name, REGISTRY[name].goal or "min") for name in objectives)
    layout = lay_out_front(predictors, wanted, limits)
    exact = plugins.load("optimizers", "exact")
    fast = [one for one in foldings if one[1].images_per_s >= least * (1 - 1e-9)]
    truth = _enumerated(predictors, fast, objectives, limits)
    if not len(truth):
        with pytest.raises(NoneFeasibleError):
            exact.optimize(layout.problem, seed=0, budget=100_000)
        return
    archive = exact.optimize(layout.problem, seed=0, budget=100_000)
    front = archive.front(layout.problem)
    costs = layout.problem.costs(archive.values[front])
    better = (truth[:, None] <= truth).all(axis=2) & (truth[:, None] < truth).any(axis=2)
    best = np.unique(truth[~better.any(axis=0)].round(9), axis=0)
    assert np.unique(costs.round(9), axis=0) == pytest.approx(best, rel=1e-9)
    of_rate = objectives.index("images_per_s")
    for point, cost in zip(archive.points[front].tolist(), costs, strict=True):
        network = layout.architecture(tuple(point))
        assert layout.point(network) == tuple(point)
        shown = predictors.candidates([network])[0]
        assert shown["images_per_s"].mean == pytest.approx(-cost[of_rate])
        assert all(shown[name].mean <= (limits[name].at_most or 0) for name in plain.limits())


def _enumerated(
    predictors: Predictors,
    foldings: list[tuple[Architecture, HardwareEstimate]],
    objectives: tuple[str, ...],
    limits: Mapping[str, Limit],
) -> np.ndarray:
    """Return the distinct costs of all foldings within the limits, [n, n_objectives]."""
    signs = [-1.0 if REGISTRY[name].goal == "max" else 1.0 for name in objectives]
    networks = list(dict.fromkeys(network for network, _ in foldings))
    of = dict(zip(networks, predictors.candidates(networks), strict=True))
    rows = []
    for network, estimate in foldings:
        low, mean = of[network]["accuracy"].lower, of[network]["accuracy"].mean
        here = {name: getattr(estimate, name) for name in ("luts", "dsps", "bram18")}
        here |= {"images_per_s": estimate.images_per_s, "accuracy": low}
        if all(limit.holds(here[name], here[name]) for name, limit in limits.items()):
            here |= {"accuracy": mean, "bops": of[network]["bops"].mean}
            rows.append([s * here[name] for s, name in zip(signs, objectives, strict=True)])
    return np.unique(np.array(rows).reshape(len(rows), len(objectives)), axis=0)


def _by_milp(layout: FrontLayout) -> float | None:
    """Return the greatest value within the limits, by HiGHS: one binary an option and size."""
    sums, best = layout.problem.sums, None
    assert sums is not None
    for size in range(len(sums.offsets)):
        parts = [part[size] for part in sums.parts]
        columns = np.concatenate(parts)
        groups = np.zeros((len(parts), len(columns)))
        start = 0
        for row, part in enumerate(parts):
            groups[row, start : start + len(part)] = 1
            start += len(part)
        constraints = [LinearConstraint(groups, 1, 1)]
        for column, sign, bound in layout.problem.limits():
            most = bound - sign * sums.offsets[size, column]
            constraints.append(LinearConstraint(sign * columns[None, :, column], -np.inf, most))
        found = milp(
            -columns[:, 0],
            constraints=constraints,
            integrality=np.ones(len(columns)),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0.0},
        )
        if found.success:
            value = sums.offsets[size, 0] - found.fun
            best = value if best is None else max(best, value)
    return best
