"""Every optimizer on measured tables whose true front is known by enumeration.

Run: python benchmarks/optimizers.py [--seeds 20] [--budgets 100 300 1000] [--tables pi5 …]
     [--optimizers surrogate …] [--data ../shared/data] [--docs docs/benchmarks]

One search a seed, to the greatest budget: what it saw first is what it sees with a smaller one.
`exact` is left out, as it is the enumeration that the others are held against. With all tables and
optimizers the results replace those in docs/benchmarks/index.md and docs/benchmarks/optimizers.svg.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from edgenas.core import plugins
from edgenas.optimize.optimizers.dominance import hypervolume, nondominated
from edgenas.optimize.optimizers.problem import Problem, Response

ROOT = Path(__file__).parents[1]
START, END = "<!-- optimizers:start -->\n", "<!-- optimizers:end -->"
OPERATIONS = [f"op_{edge}" for edge in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")]
PI5 = ["acc_cifar100", "lat_ms_pi5_onnx_cifar100", "energy_mj_pi5_onnx_cifar100"]
# Table: the responses that are objectives, the first to be great, the others small.
TABLES = {
    "pi5": PI5[:2],
    "pi5-energy": PI5,
    "raspi4": ["test_acc_cifar10", "lat_ms_raspi4"],
    "pixel3": ["test_acc_cifar10", "lat_ms_pixel3"],
}
LIMIT_QUANTILES = (0.25, 0.5, 0.75)  # of the true front's latencies
MARGIN = 1.1  # the reference point, in ranges of the true front from its best corner
CURVE = np.unique(np.geomspace(20, 1000, 25).astype(int))


@dataclass(frozen=True)
class Table:
    """values : float64 [5, 5, 5, 5, 5, 5, n_objectives], NaN where nothing was measured."""

    name: str
    columns: list[str]
    values: np.ndarray

    @cached_property
    def problem(self) -> Problem:
        goals = [Response(self.columns[0], goal="max")]
        goals += [Response(name, goal="min") for name in self.columns[1:]]
        return Problem(
            self.values.shape[:-1], tuple(goals), lambda points: self.values[tuple(points.T)]
        )

    @cached_property
    def front(self) -> np.ndarray:
        """The costs of the true front, float64 [n, n_objectives]."""
        costs = self.problem.costs(self.values.reshape(-1, len(self.columns)))
        costs = costs[~np.isnan(costs).any(axis=1)]
        return costs[nondominated(costs)]

    def share(self, values: np.ndarray) -> float:
        """Return the hypervolume of values [n, n_objectives] as a share of the true front's."""
        return self._volume(self.problem.costs(values)) / self._volume(self.front)

    def _volume(self, costs: np.ndarray) -> float:
        best, worst = self.front.min(axis=0), self.front.max(axis=0)
        scaled = (costs[~np.isnan(costs).any(axis=1)] - best) / (worst - best)
        return hypervolume(scaled, np.full(scaled.shape[1], MARGIN))

    @cached_property
    def limits_ms(self) -> np.ndarray:
        return np.quantile(self.front[:, 1], LIMIT_QUANTILES, method="higher")

    def regrets(self, values: np.ndarray) -> list[float]:
        """Return the accuracy missed at each latency limit, in points; NaN if nothing meets it."""
        costs = self.problem.costs(values)
        regrets = []
        for limit_ms in self.limits_ms:
            met = costs[costs[:, 1] <= limit_ms, 0]
            best = self.front[self.front[:, 1] <= limit_ms, 0].min()
            regrets.append(float(met.min() - best) if len(met) else np.nan)
        return regrets


def read_tables(data: Path, names: list[str]) -> list[Table]:
    pi5 = pd.read_csv(data / "nb201_hw360_pi5_pixel" / "nb201_hw360.csv.gz")
    latencies = pd.read_csv(data / "nb201_help_latency" / "nb201_help_latency.csv.gz")
    accuracies = pd.read_csv(data / "nb201_accuracy" / "nb201_accuracy.csv.gz")
    others = latencies.merge(accuracies, on=OPERATIONS)
    return [table(name, pi5 if name.startswith("pi5") else others, TABLES[name]) for name in names]


def table(name: str, rows: pd.DataFrame, columns: list[str]) -> Table:
    """Return the responses of all rows by the operations that they choose."""
    values = np.full((5,) * len(OPERATIONS) + (len(columns),), np.nan)
    values[tuple(rows[OPERATIONS].to_numpy().T)] = rows[columns].to_numpy()
    return Table(name, columns, values)


@dataclass(frozen=True)
class Runs:
    """What one optimizer saw on one table. archives : by seed, float64 [n, n_objectives]."""

    optimizer: str
    archives: list[np.ndarray]
    ms_per_evaluation: float

    def shares(self, table: Table, budget: int) -> np.ndarray:
        return np.array([table.share(archive[:budget]) for archive in self.archives])


def run(table: Table, name: str, n_seeds: int, budget: int) -> Runs:
    optimizer = plugins.load("optimizers", name)
    archives, started = [], time.process_time()
    for seed in range(n_seeds):
        archives.append(optimizer.optimize(table.problem, seed=seed, budget=budget).values)
    seconds = time.process_time() - started
    evaluations = sum(len(archive) for archive in archives)
    print(f"{table.name} {name}: {seconds:.0f} s", flush=True)
    return Runs(name, archives, 1e3 * seconds / evaluations)


def rows_of(table: Table, all_runs: list[Runs], budgets: list[int]) -> str:
    """Return the Markdown table of one measured table."""
    limits = ", ".join(f"{limit:.3g}" for limit in table.limits_ms)
    header = ["optimizer", *(f"share at {budget}" for budget in budgets), "p against random"]
    header += [f"regret at {budget}" for budget in budgets] + ["ms"]
    lines = [header, ["---"] * len(header)]
    random = next((runs for runs in all_runs if runs.optimizer == "random"), None)
    for runs in all_runs:
        shares = [runs.shares(table, budget) for budget in budgets]
        cells = [f"{np.median(share):.4f} ({share.min():.4f})" for share in shares]
        other = None if runs is random else random
        p_values = [
            _p_value(share, other, table, b) for share, b in zip(shares, budgets, strict=True)
        ]
        regrets = [
            np.nanmean([table.regrets(archive[:budget]) for archive in runs.archives], axis=0)
            for budget in budgets
        ]
        cells.append(", ".join(p_values))
        cells += [", ".join(f"{regret:.2f}" for regret in each) for each in regrets]
        lines.append([runs.optimizer, *cells, f"{runs.ms_per_evaluation:.2f}"])
    title = f"### {table.name}: {' x '.join(table.columns)}; limits {limits} ms\n\n"
    return title + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _p_value(shares: np.ndarray, random: Runs | None, table: Table, budget: int) -> str:
    """Return the one-sided p of the paired Wilcoxon test that shares are above random's."""
    if random is None or len(shares) < 5:
        return "-"
    p = wilcoxon(shares, random.shares(table, budget), alternative="greater").pvalue
    return f"{p:.0e}" if p < 0.01 else f"{p:.2f}"


def device_awareness(data: Path) -> str:
    """Return how much of one engine's front is lost by taking that of another, as a sentence."""
    rows = pd.read_csv(data / "nb201_hw360_pi5_pixel" / "nb201_hw360.csv.gz")
    engines = ("onnx", "litert", "torchmobile")
    tables = {e: table(e, rows, ["acc_cifar100", f"lat_ms_pi5_{e}_cifar100"]) for e in engines}
    lines = ["| front of | " + " | ".join(f"measured on {e}" for e in engines) + " |"]
    lines.append("|---" * (1 + len(engines)) + "|")
    for found_on in engines:
        own = tables[found_on]
        flat = own.values.reshape(-1, 2)
        front = nondominated(own.problem.costs(flat))
        shares = [tables[e].share(tables[e].values.reshape(-1, 2)[front]) for e in engines]
        lines.append(f"| {found_on} | " + " | ".join(f"{share:.4f}" for share in shares) + " |")
    return "\n".join(lines) + "\n"


def plot(path: Path, results: list[tuple[Table, list[Runs]]]) -> None:
    """Draw the median share by evaluations, one panel a table."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "edgenas"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 3.4), squeeze=False)
    for axis, (measured, all_runs) in zip(axes[0], results, strict=True):
        for runs in all_runs:
            budgets = CURVE[len(runs.archives[0]) >= CURVE]
            medians = [np.median(runs.shares(measured, budget)) for budget in budgets]
            axis.plot(budgets, 1 - np.array(medians), label=runs.optimizer)
        axis.set(title=measured.name, xlabel="evaluations", xscale="log", yscale="log")
    axes[0, 0].set_ylabel("hypervolume missed (share of exact)")
    axes[0, -1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    known = [name for name in plugins.names("optimizers") if name != "exact"]
    parser.add_argument("--optimizers", nargs="+", choices=known, default=known)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--jobs", type=int, default=1, help="searches that run side by side")
    parser.add_argument("--docs", type=Path, help="write into this folder's index.md and plot")
    options = parser.parse_args()
    budgets = sorted(options.budgets)
    tables = read_tables(options.data, options.tables)
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = [
            [pool.submit(run, t, name, options.seeds, budgets[-1]) for name in options.optimizers]
            for t in tables
        ]
        results = []
        for measured, futures in zip(tables, waiting, strict=True):
            results.append((measured, [future.result() for future in futures]))
            print(rows_of(*results[-1], budgets), flush=True)
    engines = device_awareness(options.data)
    print(engines)
    if options.docs:
        text = "\n".join(rows_of(measured, runs, budgets) for measured, runs in results)
        write(options.docs, options.seeds, text, engines)
        plot(options.docs / "optimizers.svg", results)


def write(docs: Path, n_seeds: int, tables: str, engines: str) -> None:
    """Replace what stands between the markers of docs/benchmarks/index.md."""
    page = docs / "index.md"
    before, rest = page.read_text("utf-8").split(START)
    text = f"""`python benchmarks/optimizers.py --jobs 2 --docs docs/benchmarks`: {n_seeds} seeds,
one thread, machine busy. Share: hypervolume of what was seen over that of the true front, median
(least); the reference point is 10 % of the front's range beyond its worst corner. p: paired
one-sided Wilcoxon test over seeds. Regret: accuracy points missed at three latency limits
(quartiles of the true front), mean of the seeds that met the limit. ms: CPU time per evaluation at
the greatest budget. The constants of `surrogate` were chosen on `pi5` and `pi5-energy`, 2
to 5 of these seeds.

{tables}
![hypervolume missed by evaluations](optimizers.svg)

The true front of one engine of the Raspberry Pi 5, measured on another, as a share of that
engine's own front:

{engines}"""
    page.write_text(before + START + text + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
