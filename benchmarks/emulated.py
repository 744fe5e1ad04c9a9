"""How well the latency of unseen subnets of the emulated board is predicted, and what is promised.

Everything that is measured stays in a folder: called again, it goes on where it was stopped.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from subnets import drawn, model_files, user_of

from edgenas.core import plugins
from edgenas.core.progress import Silent, Task
from edgenas.core.records import Architecture, Candidate
from edgenas.explain.slow_kernels import kernel_networks
from edgenas.optimize.layout import Predictors, lay_out
from edgenas.optimize.optimizers.base import StageProblem
from edgenas.optimize.plan import plan
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.runs.sources.board_machine import POOL
from edgenas.spaces.base import MobileSpace
from edgenas.targets.base import MeasureSettings, Target
from edgenas.targets.config import open_target, read
from helpers.boards.emulated import IMAGE, EmulatedBoard

CONFIDENCE = 0.9
N_FITTED = N_PREDICTED = 30
N_SEARCHES = 10
SETTINGS = MeasureSettings(budget_s=1e5)


class Spoken(Silent):
    """A progress that prints each new note on stderr."""

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        said = [""]

        class Bar:
            def advance(self, units: float = 1.0) -> None:
                pass

            def note(self, text: str) -> None:
                if text != said[0]:
                    print(f"{title}: {text}", file=sys.stderr, flush=True)
                said[0] = text

        yield Bar()


def figures(folder: Path) -> dict[str, Any]:
    """Print each figure when it is known; return all of them."""
    space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    architectures = _chosen(space)
    os.environ["XDG_CACHE_HOME"] = str(IMAGE / "cache")
    board = EmulatedBoard().start(timeout_s=600)
    try:
        with user_of(board.known_hosts_line()) as home:
            (home / "emulated.toml").write_text(board.target_file())
            target = open_target(read(home / "emulated.toml"))
            measured_ms = _measured(target, space, architectures, folder)
            found = {"latency_ms": [round(f(measured_ms), 3) for f in (min, max)]}
            latency = _fit(space, "latency_ms", architectures[:N_FITTED], measured_ms[:N_FITTED])
            unseen = architectures[N_FITTED:], measured_ms[N_FITTED:]
            found |= _shown(_errors(space, latency, *unseen))
            found |= _shown(_promises(target, space, latency, architectures[:N_FITTED], folder))
            target.close()  # type: ignore[attr-defined]
    finally:
        board.stop()
    return found


def _chosen(space: MobileSpace) -> tuple[Architecture, ...]:
    """Return 30 architectures that a run would measure, then 30 random others."""
    ends = tuple(
        dict.fromkeys((space.smallest(), space.largest(), *kernel_networks(space).values()))
    )
    pool = drawn(space, POOL, ends)
    fitted = plan(space, pool, len(ends), (), N_FITTED)
    others = [architecture for architecture in pool[len(ends) :] if architecture not in fitted]
    return (*fitted, *others[:N_PREDICTED])


def _measured(
    target: Target, space: MobileSpace, architectures: tuple[Architecture, ...], folder: Path
) -> list[float]:
    """Return the medians in ms; finished passes in `folder` are not measured again."""
    files = model_files(space, architectures, target.scheme, folder / "models")
    outcomes = target.measure(files, SETTINGS, folder / "jobs", Spoken())
    medians_ms = []
    for file in files:
        outcome = outcomes[file.key]
        if outcome.latency is None:
            raise SystemExit(f"{file.key} was not measured: {outcome.reason}")
        medians_ms.append(outcome.latency.median_ms)
    return medians_ms


def _fit(
    space: MobileSpace, name: str, architectures: tuple[Architecture, ...], response: list[float]
) -> FittedPredictor:
    unit, terms = {"latency_ms": ("ms", "physical"), "accuracy": ("fraction", "choices")}[name]
    rows = TermRows(space, terms)
    matrix = rows.matrix(architectures)
    data = TrainingData(
        name, unit, rows.terms.names, matrix, np.array(response), cost=rows.terms.cost
    )
    fitted: FittedPredictor = plugins.load("predictors", "regression").fit(data, 0)
    return fitted


def _errors(
    space: MobileSpace,
    latency: FittedPredictor,
    architectures: tuple[Architecture, ...],
    measured_ms: list[float],
) -> dict[str, Any]:
    from scipy.stats import kendalltau

    matrix, truth = TermRows(space, "physical").matrix(architectures), np.array(measured_ms)
    said = latency.get_prediction(matrix, CONFIDENCE)
    inside = (said.lower <= truth) & (truth <= said.upper)
    return {
        "mape_percent": round(100 * float(np.mean(np.abs(said.mean / truth - 1))), 2),
        "kendall_tau": round(float(kendalltau(said.mean, truth).statistic), 3),
        "inside_90_percent_intervals": f"{inside.sum()} of {len(truth)}",
    }


def _promises(
    target: Target,
    space: MobileSpace,
    latency: FittedPredictor,
    fitted: tuple[Architecture, ...],
    folder: Path,
) -> dict[str, Any]:
    """Search at ten limits and measure the winners.

    Nothing is trained here: in accuracy's place stands the logarithm of the MACs, so that a search
    goes as near to its limit as it may.
    """
    accuracy = _fit(space, "accuracy", fitted, [_stand_in(space, one) for one in fitted])
    predictors = Predictors(space, latency, accuracy, CONFIDENCE)
    winners = list(_winners(predictors))
    distinct = tuple(dict.fromkeys(winner.architecture for _, winner in winners))
    truth = dict(zip(distinct, _measured(target, space, distinct, folder), strict=True))
    inside = within = 0
    for limit_ms, winner in winners:
        said, measured_ms = winner.latency_ms, truth[winner.architecture]
        inside += said.lower <= measured_ms <= said.upper
        within += measured_ms <= limit_ms
        shown = {"mean": said.mean, "lower": said.lower, "upper": said.upper}
        row = {"limit_ms": limit_ms, **shown, "measured_ms": measured_ms}
        _shown({name: round(value, 4) for name, value in row.items()})
    return {
        "searches": len(winners),
        "distinct_winners": len(distinct),
        "winners_inside_their_interval": inside,
        "winners_within_their_limit": within,
    }


def _stand_in(space: MobileSpace, architecture: Architecture) -> float:
    macs = sum(layer.macs for layer in space.layers(architecture))
    return float(np.log10(macs)) / 10


def _winners(predictors: Predictors) -> Iterator[tuple[float, Candidate]]:
    layout = lay_out(predictors)
    least, greatest = _ends(layout.problem)
    optimizer = plugins.load("optimizers", "exact")
    for share in np.linspace(0.1, 0.9, N_SEARCHES):
        limit_ms = float(least + share * (greatest - least))
        found = optimizer.best_under(
            layout.problem, limit_ms, seed=0, budget=optimizer.BUDGET, count=1
        )
        yield limit_ms, predictors.candidates([layout.architecture(found.points[0])])[0]


def _ends(problem: StageProblem) -> tuple[float, float]:
    """Return the upper bounds, in ms, where the summed latency is least and greatest."""
    bounds = []
    for pick in (np.argmin, np.argmax):
        points = [
            [size, *(int(pick(costs)) for costs in problem.costs[size])] for size in problem.sizes
        ]
        bounds.append(problem.upper(np.array(points)))
    return float(bounds[0].min()), float(bounds[1].max())


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(figures), flush=True)
    return figures
