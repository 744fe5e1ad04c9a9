"""Choosing which rows to measure: a design against random rows of the same pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from predictor_tasks import Columns, Task, tasks

from edgenas.predictors.linear.d_optimal import choose, prior_rows
from edgenas.predictors.tables import main_terms
from edgenas.predictors.tables.regression import TableRegression

SIZES = (25, 30)
POOL, TESTED = 200, 100


def designs(data: Path, splits: int) -> str:
    """Return a Markdown table: median RMSE of latency on `TESTED` rows outside the pool, where the
    rows to fit were drawn from the pool, or chosen from it by a criterion before any was measured.
    """
    task = next(task for task in tasks(data) if task.name == "fox_nas_cpu256 latency")
    head = " | ".join(f"n = {n}, ms" for n in SIZES)
    lines = [f"| rows of {POOL} | {head} |", "|---" * (1 + len(SIZES)) + "|"]
    for name in ("random", "D", "I"):
        errors = [[_error(task, split, n, name) for n in SIZES] for split in range(splits)]
        shown = " | ".join(f"{x:.3g}" for x in np.median(errors, axis=0))
        lines.append(f"| {name if name == 'random' else f'{name}-optimal'} | {shown} |")
    return "\n".join(lines)


def _error(task: Task, split: int, n: int, how: str) -> float:
    response = task.columns[task.response]
    order = np.random.default_rng(split).permutation(len(response))
    pool, test = order[:POOL], order[POOL : POOL + TESTED]
    rows = pool[:n] if how == "random" else pool[_chosen(task.part(pool), task.response, n, how)]
    model = TableRegression().fit(task.part(rows), task.response)
    return float(np.sqrt(np.mean((model.predict(task.part(test)) - response[test]) ** 2)))


def _chosen(pool: Columns, response: str, n: int, criterion: str) -> np.ndarray:
    """Return which rows of `pool` to measure; responses are not looked at."""
    names = [name for name in pool if name != response]
    found = main_terms.main(pool, names, ())
    terms = prior_rows(found.levels, found.matrix)
    return choose(terms, n, criterion="D" if criterion == "D" else "I")
