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
from edgenas.core.records import Limit
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.optimize.front import FrontLayout, lay_out_front
from edgenas.optimize.layout import Predictors
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
