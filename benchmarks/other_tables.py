"""Compare the predictors with their peers on made-up tables of kinds that users have.

    python benchmarks/other_tables.py --results results.jsonl

`--structured` takes those whose structure is known instead (structured_tables.py): slots behind
gates, cells, codes, products, derived columns, outliers, families; `--devices` those that papers
publish of devices (device_tables.py): transformers, layers, blocks of FPGAs, zoos.
`--more-peers` adds CatBoost and the Explainable Boosting Machine (predictor_tasks.MORE_PEERS).

`--rows 1000000` times `edgenas fit` and `edgenas predict` instead, each in a process of its own, on
a table of 30 columns with so many rows (structured_tables.thirty_columns).

`--time 300` times a fit of so many rows of each kind instead, in a process that has all loaded.

Needs scikit-learn and torch. Prints, for each kind and number of rows, the median RMSE over splits
and in brackets over that of the best peer; coverage of the 90 % intervals, Kendall tau (in brackets
the best peer's), the RMSE that a fit says of rows left out over the one on unseen rows, and CPU
seconds of a fit. Results are added to the file as they come, and are not
done again. Peers get standardised numbers,
and categories one-hot.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import structured_tables
import torch
from device_tables import DEVICES
from made_up_tables import KINDS, Columns, Made
from predictor_results import Result, Results, by_method, median
from predictor_tasks import MORE_PEERS, PEERS
from scipy import stats
from structured_tables import STRUCTURED

from edgenas.predictors.tables.regression import TableRegression

SIZES = (20, 40, 100, 200)
TEST_ROWS = 600
OURS = "edgenas"
TABLES = {**KINDS, **STRUCTURED, **DEVICES}
CONFIDENCE = 0.9


def compare(kind: str, made: Made, n: int, split: int, method: str) -> Result:
    """Return how `method` did with the first `n` rows of a table, on the rows behind them."""
    response, columns, measured, judged = made
    train = {name: values[:n] for name, values in columns.items()}
    test = {name: values[n:] for name, values in columns.items()}
    more: dict[str, Any] = {}
    started = time.process_time()
    if method == OURS:
        model = TableRegression().fit({**train, response: measured[:n]}, response)
        seconds = time.process_time() - started
        found = model.get_prediction(test, CONFIDENCE)
        mean = found.mean
        more["coverage"] = float(
            np.mean((found.lower <= measured[n:]) & (measured[n:] <= found.upper))
        )
        more["width"] = float(np.mean(found.upper - found.lower))
        if model.heldout is not None:
            more["promised"] = model.heldout.rmse / float(
                np.sqrt(np.mean((mean - measured[n:]) ** 2))
            )
    else:
        rows = encoded(columns, n)
        peer: Any = (PEERS | MORE_PEERS)[method]().fit(rows[:n], measured[:n])  # type: ignore[attr-defined]
        seconds = time.process_time() - started
        mean = peer.predict(rows[n:])
    error = mean - judged[n:]
    return Result(
        kind,
        n,
        split,
        method,
        rmse=float(np.sqrt(np.mean(error**2))),
        mape=float(np.mean(np.abs(error / judged[n:]))),
        kendall_tau=float(stats.kendalltau(judged[n:], mean).statistic) if np.ptp(mean) else 0.0,
        seconds=seconds,
        **more,
    )


def encoded(columns: Columns, n: int) -> np.ndarray:
    """Return what peers see: numbers, and one-hot categories of the first `n` rows, [rows, p]."""
    parts = []
    for values in columns.values():
        if values.dtype.kind == "f":
            parts.append(values)
        else:
            parts += [(values == x).astype(float) for x in np.unique(values[:n])]
    return np.column_stack(parts)


def table(results: Results, peers: list[str], sizes: list[int]) -> str:
    """Return Markdown, a line for each kind: RMSE and in brackets over that of the best peer, by
    number of rows; the best peer, coverage, Kendall tau and that of the best peer, RMSE that is
    said of rows left out over the one on unseen rows, and seconds."""
    head = ["table", *(f"n = {n}" for n in sizes), "best peer", "90 % covers", "tau"]
    head += ["said / true RMSE", "fit s"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind in results.tasks():
        cells, best, covers, taus, said, seconds = [kind], [], [], [], [], []
        for n in sizes:
            found = {name: list(x.values()) for name, x in results.of(kind, n).items()}
            errors = {name: median(found[name], "rmse") for name in peers}
            best.append(min(peers, key=errors.__getitem__))
            ours = median(found[OURS], "rmse")
            cells.append(f"{ours:.3g} ({ours / errors[best[-1]]:.2f})")
            covers.append(f"{100 * np.mean([x.coverage for x in found[OURS]]):.0f}")
            theirs = max(median(found[name], "kendall_tau") for name in peers)
            taus.append(f"{median(found[OURS], 'kendall_tau'):.2f} ({theirs:.2f})")
            said.append(f"{median(found[OURS], 'promised'):.2f}")
            seconds.append(median(found[OURS], "seconds"))
        cells += [", ".join(dict.fromkeys(best)), ", ".join(covers), ", ".join(taus)]
        cells.append(", ".join(said))
        lines.append(f"| {' | '.join(cells)} | {min(seconds):.1f} to {max(seconds):.1f} |")
    return "\n".join(lines)


def times(rows: int) -> str:
    """Return Markdown: CPU seconds of a fit of `rows` rows of each kind of table."""
    lines = ["| table | fit, CPU s |", "|---|---|"]
    for kind, make in TABLES.items():
        response, columns, measured, _ = make(np.random.default_rng([0, rows]), rows)
        started = time.process_time()
        TableRegression().fit({**columns, response: measured}, response)
        lines.append(f"| {kind} | {time.process_time() - started:.2f} |")
    return "\n".join(lines)


def long_table(rows: int) -> None:
    """Print what a table of `rows` rows costs, and how far its predictor is from the truth."""
    import pandas

    from edgenas.core.tables.file import read_table

    with tempfile.TemporaryDirectory() as made_in:
        folder = Path(made_in)
        response, columns, measured, mean = structured_tables.thirty_columns(
            np.random.default_rng(0), rows
        )
        frame = pandas.DataFrame(columns)
        frame.to_csv(folder / "new.csv", index=False)
        frame[response] = measured
        frame.to_csv(folder / "measured.csv", index=False)
        edgenas = [sys.executable, "-m", "edgenas"]
        fit = ["fit", "measured.csv", "--response", response, "-o", "fitted.json"]
        predict = ["predict", "fitted.json", "new.csv", "-o", "predicted.csv"]
        for command in (fit, predict):
            started = time.perf_counter()
            made = subprocess.Popen([*edgenas, *command], cwd=folder, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(made.pid, 0)
            print(
                f"{command[0]}: exit {os.waitstatus_to_exitcode(status)}, "
                f"{time.perf_counter() - started:.1f} s, "
                f"{used.ru_utime + used.ru_stime:.1f} CPU s, peak {used.ru_maxrss / 1e6:.2f} GB"
            )
        fitted, new = TableRegression.read(folder / "fitted.json"), read_table(folder / "new.csv")
        fitted.predict(new)
        started = time.process_time()
        found = fitted.predict(new)
        print(f"means: {rows / (time.process_time() - started) / 1e6:.2f} M rows a CPU second")
        off = np.sqrt(np.mean((found - mean) ** 2))
        noise = np.sqrt(np.mean((measured - mean) ** 2))
        left_out = fitted.heldout.rmse if fitted.heldout else float("nan")
        print(
            f"RMSE to the truth {off:.3f}, noise {noise:.3f}, said of rows left out {left_out:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=TABLES, default=list(KINDS))
    parser.add_argument("--structured", action="store_true", help="Tables of known structure.")
    parser.add_argument("--devices", action="store_true", help="Tables as papers publish.")
    parser.add_argument("--more-peers", action="store_true", help="CatBoost and EBM, too.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--results", type=Path, help="JSON lines to read and to add to.")
    parser.add_argument("--rows", type=int, help="Time one long table instead.")
    parser.add_argument("--time", type=int, metavar="ROWS", help="Time a fit of each kind instead.")
    parser.add_argument("--again", action="store_true", help="Fit our side once more.")
    options = parser.parse_args()
    if options.rows:
        long_table(options.rows)
        return
    torch.set_num_threads(1)
    if options.time:
        print(times(options.time))
        return
    warnings.simplefilter("ignore")
    peers = [name for name in PEERS if not name.startswith("MLP")]
    results = Results(options.results)
    if options.again:
        results.forget([OURS])
    if options.more_peers:
        peers += MORE_PEERS
    chosen = [*STRUCTURED] * options.structured + [*DEVICES] * options.devices
    for kind in chosen or options.kinds:
        for n in options.sizes:
            for split in range(options.splits):
                made = TABLES[kind](np.random.default_rng([split, n]), n + TEST_ROWS)
                for method in (OURS, *peers):
                    if (kind, n, split, method) not in results.known:
                        results.add(compare(kind, made, n, split, method))
    print(table(results, peers, list(options.sizes)))
    if options.more_peers:
        print(by_method(results, [OURS, *peers]))


if __name__ == "__main__":
    main()
