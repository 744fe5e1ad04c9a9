"""Compare the predictors with their peers on measured tables, all on the same random splits.

    python benchmarks/predictors.py --data ../shared/data --splits 20 --results results.jsonl

Needs scikit-learn and torch. Every method's errors on a split are added to the results file as they
come: a run that was stopped goes on where it was, `--only` does some methods, `--again` does all
that some methods did once more. `--more-peers` adds CatBoost and the Explainable Boosting Machine,
leaves out the MLP, and prints the errors of all methods side by side. `--docs` writes the tables of
the file into docs/benchmarks, between the predictors markers, and a plot beside it. Peers get
standardised numbers, or one-hot categories, at usual settings.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from board_transfers import transfers
from designed_rows import designs
from predictor_results import Result, Results, by_method
from predictor_tasks import MORE_PEERS, PEERS, Task, tasks
from predictors_page import OURS, page, plot, write
from scipy import stats

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables.regression import TableRegression

SIZES = (20, 30, 50, 100, 200, 270)
CONFIDENCE = 0.9
TERMS = {OURS: "auto", "published formula": "foxnas"}


def compare(task: Task, n: int, split: int, method: str) -> Result | None:
    """Return how `method` did on one split; None if it cannot be fitted there."""
    known = np.flatnonzero(np.isfinite(task.columns[task.response]))
    order = np.random.default_rng(split).permutation(known)
    train, test = order[:n], order[n : n + task.test_rows]
    truth = task.columns[task.response][test]
    more: dict[str, Any] = {}
    started = time.process_time()
    if method in PEERS | MORE_PEERS:
        make = (PEERS | MORE_PEERS)[method]
        peer: Any = make().fit(task.features(train), task.columns[task.response][train])  # type: ignore[attr-defined]
        seconds = time.process_time() - started
        mean = peer.predict(task.features(test))
    else:
        try:
            model = TableRegression(TERMS[method]).fit(task.part(train), task.response)
        except PredictorError:
            return None  # the published formula needs its columns, and more rows than terms
        seconds = time.process_time() - started
        found = model.get_prediction(task.part(test), CONFIDENCE)
        mean = found.mean
        inside = (found.lower <= truth) & (truth <= found.upper)
        more["coverage"] = float(inside.mean())
        more["thirds"] = _thirds(inside, truth)
        more["predicted_thirds"] = _thirds(inside, mean)
        more["width"] = float(np.mean(found.upper - found.lower))
    error = mean - truth
    return Result(
        task.name,
        n,
        split,
        method,
        rmse=float(np.sqrt(np.mean(error**2))),
        mape=float(np.mean(np.abs(error / truth))),
        kendall_tau=float(stats.kendalltau(truth, mean).statistic),
        seconds=seconds,
        **more,
    )


def _thirds(inside: np.ndarray, by: np.ndarray) -> tuple[float, ...]:
    return tuple(float(part.mean()) for part in np.array_split(inside[np.argsort(by)], 3))


def speeds(data: Path) -> str:
    """Return a Markdown table of architectures a second, in millions, from columns."""
    lines = ["| predictor of 270 rows | terms | means | with intervals |", "|---" * 4 + "|"]
    for task in tasks(data):
        known = np.flatnonzero(np.isfinite(task.columns[task.response]))
        rng = np.random.default_rng(0)
        model = TableRegression().fit(task.part(rng.permutation(known)[:270]), task.response)
        found = []
        for predict, count in ((model.predict, 500_000), (model.get_prediction, 20_000)):
            rows = task.part(rng.choice(known, count))
            best = np.inf
            for _ in range(3):
                started = time.process_time()
                predict(rows)
                best = min(best, time.process_time() - started)
            found.append(f"{count / best / 1e6:.2g}")
        lines.append(f"| {task.name} | {len(model.regression.terms)} | {' | '.join(found)} |")
    return "\n".join(lines)


def run(options: argparse.Namespace, results: Results) -> None:
    """Do what is missing of the comparison, split by split."""
    methods = options.only or [*TERMS, *PEERS]
    if options.more_peers:
        methods = [name for name in methods if not name.startswith("MLP")] + [*MORE_PEERS]
    chosen = [task for task in tasks(options.data) if options.tasks in task.name]
    for split in range(options.splits):
        for task in chosen:
            for n in options.sizes:
                for method in methods:
                    if (task.name, n, split, method) in results.known:
                        continue
                    found = compare(task, n, split, method)
                    if found is not None:
                        results.add(found)
        print(f"split {split} done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--tasks", default="", help="Only tasks whose name contains this.")
    parser.add_argument("--results", type=Path, help="JSON lines to read and to add to.")
    parser.add_argument("--only", nargs="+", metavar="METHOD", choices=[*TERMS, *PEERS])
    parser.add_argument("--again", nargs="+", metavar="METHOD", choices=[*TERMS, *PEERS])
    parser.add_argument("--more-peers", action="store_true", help="CatBoost and EBM, no MLP.")
    parser.add_argument("--docs", type=Path, help="Folder of index.md, which is written.")
    parser.add_argument("--speed", action="store_true", help="Print predictions a second only.")
    parser.add_argument("--transfer", action="store_true", help="Print adapting to boards only.")
    parser.add_argument("--design", action="store_true", help="Print choosing rows only.")
    parser.add_argument("--rows", type=int, default=10, help="Of the new board, for --transfer.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.transfer:
        print(transfers(options.data, options.splits, options.rows))
        return
    if options.design:
        print(designs(options.data, options.splits))
        return
    if options.speed:
        print(speeds(options.data))
        return
    warnings.simplefilter("ignore")  # peers warn about convergence at small n
    results = Results(options.results)
    if options.again:
        results.forget(options.again)
    run(options, results)
    if options.more_peers:
        peers = [name for name in PEERS if not name.startswith("MLP")]
        print(by_method(results, [*TERMS, *peers, *MORE_PEERS]))
        return
    print(page(results))
    if options.docs is not None:
        plot(options.docs / "predictors.png", results)
        write(options.docs / "index.md", page(results))


if __name__ == "__main__":
    main()
