"""Compare the predictors with their peers on measured tables whose choices are written otherwise.

    python benchmarks/nb201_encodings.py --data ../shared/data --results results.jsonl

Needs scikit-learn. The operations of NAS-Bench-201's six edges are written as counts, as 0/1
columns with telling and with plain names, as numbers 0 to 4, as text in columns with plain names,
and as one text a network. Prints the median RMSE over splits by number of rows, and in brackets
over that of the best of ridge, lasso and Gaussian process on the same columns.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_up_tables import Columns, Made
from other_tables import OURS, TEST_ROWS, compare
from predictor_results import Results, median
from predictor_tasks import Task, tasks

TASKS = ("nb201 raspi4", "nb201 pi5_onnx_lat_ms")
PEERS = ("ridge", "lasso", "Gaussian process")
# what NAS-Bench-201 calls the operations that its tables number
NAMES = {
    "0": "none",
    "1": "skip_connect",
    "2": "nor_conv_1x1",
    "3": "nor_conv_3x3",
    "4": "avg_pool_3x3",
}
TEXT = "one text a network"


def counts(operations: Columns) -> Columns:
    rows = np.column_stack(list(operations.values()))
    return {f"n_{name}": (rows == name).sum(axis=1).astype(float) for name in NAMES.values()}


def named_flags(operations: Columns) -> Columns:
    return {
        f"{edge}_{name}": (values == name).astype(float)
        for edge, values in operations.items()
        for name in NAMES.values()
    }


def plain_flags(operations: Columns) -> Columns:
    return {f"x{i}": column for i, column in enumerate(named_flags(operations).values())}


def numbers(operations: Columns) -> Columns:
    known = list(NAMES.values())
    return {
        edge: np.array([known.index(name) for name in values], float)
        for edge, values in operations.items()
    }


def letters(operations: Columns) -> Columns:
    return dict(zip("abcdef", operations.values(), strict=True))


def text(operations: Columns) -> Columns:
    """Write a network as NAS-Bench-201 does: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|."""
    into = [[f"op_{start}_{end}" for start in range(end)] for end in (1, 2, 3)]
    rows = range(len(operations["op_0_1"]))
    nodes = [
        ["|" + "|".join(f"{operations[e][row]}~{e[-3]}" for e in edges) + "|" for edges in into]
        for row in rows
    ]
    return {"arch": np.array(["+".join(node) for node in nodes])}


ENCODINGS: dict[str, Callable[[Columns], Columns]] = {
    "how often each operation is there": counts,
    "0/1 columns op_0_1_none …": named_flags,
    "0/1 columns x0 … x29": plain_flags,
    "numbers 0 to 4": numbers,
    "text in columns a … f": letters,
    TEXT: text,
}


def drawn(task: Task, encoding: str, n: int, split: int) -> Made:
    """Return `n` random rows of the table and the rows that judge behind them."""
    operations = {
        edge: np.array([NAMES[number] for number in values])
        for edge, values in task.columns.items()
        if edge != task.response
    }
    response = task.columns[task.response]
    known = np.flatnonzero(np.isfinite(response))
    rows = np.random.default_rng(split).permutation(known)[: n + TEST_ROWS]
    columns = ENCODINGS[encoding]({edge: values[rows] for edge, values in operations.items()})
    return f"{task.response}_ms", columns, response[rows], response[rows]


def line(results: Results, kind: str, sizes: list[int]) -> str:
    cells = []
    for n in sizes:
        found = {name: list(x.values()) for name, x in results.of(kind, n).items()}
        errors = {name: median(runs, "rmse") for name, runs in found.items()}
        ours = errors.pop(OURS)
        cells.append(f"{ours:.3g}" + (f" ({ours / min(errors.values()):.2f})" if errors else ""))
    return f"| {kind} | {', '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 100])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--results", type=Path, help="JSON lines to read and to add to.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = Results(options.results)
    for task in (task for task in tasks(options.data) if task.name in TASKS):
        for encoding in ENCODINGS:
            kind = f"{task.name}, {encoding}"
            for n in options.sizes:
                for split in range(options.splits):
                    made = drawn(task, encoding, n, split)
                    for method in (OURS, *PEERS) if encoding != TEXT else (OURS,):
                        if (kind, n, split, method) not in results.known:
                            results.add(compare(kind, made, n, split, method))
            print(line(results, kind, options.sizes), flush=True)


if __name__ == "__main__":
    main()
