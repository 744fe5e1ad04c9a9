"""Compare the predictors with their peers on measured tables, all on the same random splits.

    python benchmarks/predictors.py --data ../shared/data --splits 20

Needs scikit-learn and torch. Writes tables into docs/benchmarks.md, between the predictors markers,
and a plot beside it. Peers get standardised numbers, or one-hot categories, at usual settings.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgenas.errors import PredictorError
from edgenas.predictors.table import TableRegression
from edgenas.predictors.table_columns import read_csv

SIZES = (20, 30, 50, 100, 200, 270)
CONFIDENCE = 0.9
START, END = "<!-- predictors:start -->", "<!-- predictors:end -->"
Columns = dict[str, np.ndarray]
TARGETS = (
    "raspi4", "pixel3", "pixel2", "samsung_a50", "essential_ph_1",
    "gold_6226", "silver_4114", "1080ti_1", "titan_rtx_1", "titanxp_256",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One response of one table. categorical : its features are categories."""

    name: str
    response: str
    columns: Columns
    categorical: bool
    test_rows: int

    def part(self, rows: np.ndarray) -> Columns:
        return {name: values[rows] for name, values in self.columns.items()}

    def features(self, rows: np.ndarray) -> np.ndarray:
        """What peers see, float64 [n, p]."""
        names = [name for name in self.columns if name != self.response]
        if not self.categorical:
            return np.column_stack([self.columns[name][rows] for name in names])
        marks = [(n, v) for n in names for v in np.unique(self.columns[n])]
        return np.column_stack([self.columns[n][rows] == v for n, v in marks]).astype(float)


class Mlp:
    """The 3 x 400 network of OFA's predictors (Cai et al. 2020), on standardised rows."""

    def fit(self, rows: np.ndarray, response: np.ndarray) -> Mlp:
        torch.manual_seed(0)
        self.shift = rows.mean(axis=0)
        self.scale = np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)
        self.mean, self.spread = response.mean(), response.std()
        x = torch.tensor((rows - self.shift) / self.scale, dtype=torch.float32)
        y = torch.tensor((response - self.mean) / self.spread, dtype=torch.float32)
        widths = (rows.shape[1], 400, 400, 400)
        layers: list[torch.nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(400, 1))
        optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, weight_decay=1e-4)
        for _ in range(300):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(self.network(x)[:, 0], y).backward()
            optimizer.step()
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        x = torch.tensor((rows - self.shift) / self.scale, dtype=torch.float32)
        with torch.no_grad():
            return self.network(x)[:, 0].numpy() * self.spread + self.mean


def gaussian_process() -> GaussianProcessRegressor:
    kernel = ConstantKernel(1.0) * RBF(3.0) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


PEERS: dict[str, Callable[[], object]] = {
    "ridge": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
    "lasso": lambda: make_pipeline(StandardScaler(), LassoCV(cv=5, max_iter=5000)),
    "random forest": lambda: RandomForestRegressor(random_state=0),
    "gradient boosting": lambda: GradientBoostingRegressor(random_state=0),
    "Gaussian process": lambda: make_pipeline(StandardScaler(), gaussian_process()),
    "MLP 3x400": Mlp,
}


def tasks(data: Path) -> Iterator[Task]:
    """Yield every response; NAS-Bench-201 with one row per distinct, live architecture."""
    fox = read_csv(data / "fox_nas_cpu256" / "fox_nas_cpu256.csv")
    terms = {k: v for k, v in fox.items() if k not in ("acc", "latency", "acc/latency")}
    for name in ("latency", "acc"):
        yield Task(f"fox_nas_cpu256 {name}", name, {**terms, name: fox[name]}, False, 300)
    help_ = read_csv(data / "nb201_help_latency" / "nb201_help_latency.csv.gz")
    pi5 = read_csv(data / "nb201_hw360_pi5_pixel" / "nb201_hw360.csv.gz")
    keep = live_and_distinct(data, help_)
    responses = {name: help_[f"lat_ms_{name}"] for name in ("raspi4", "pixel3")}
    for kind in ("lat_ms", "energy_mj"):
        for engine in ("onnx", "litert"):
            responses[f"pi5_{engine}_{kind}"] = pi5[f"{kind}_pi5_{engine}_cifar100"]
    ops = {k: np.array([f"{x:g}" for x in v[keep]]) for k, v in help_.items() if "op_" in k}
    for name, values in responses.items():
        yield Task(f"nb201 {name}", name, {**ops, name: values[keep]}, True, 1000)


def live_and_distinct(data: Path, help_: Columns) -> np.ndarray:
    """Return one row of each distinct architecture with a live path, bool [n]."""
    distinct = read_csv(data / "nb201_accuracy" / "nb201_accuracy.csv.gz")["iso_rep_arch_idx"]
    on = {k: v != 0 for k, v in help_.items() if k.startswith("op_")}
    live = on["op_0_3"] | on["op_0_1"] & on["op_1_3"] | on["op_0_2"] & on["op_2_3"]
    live |= on["op_0_1"] & on["op_1_2"] & on["op_2_3"]
    return np.asarray((distinct == np.arange(len(distinct))) & live)


def scores(truth: np.ndarray, mean: np.ndarray, coverage: float, seconds: float) -> list[float]:
    error = mean - truth
    return [
        float(np.sqrt(np.mean(error**2))),
        float(np.mean(np.abs(error / truth))),
        float(stats.kendalltau(truth, mean).statistic),
        coverage,
        seconds,
    ]


def compare(task: Task, n: int, split: int) -> dict[str, list[float]]:
    """Return the scores of every method on one split."""
    known = np.flatnonzero(np.isfinite(task.columns[task.response]))
    order = np.random.default_rng(split).permutation(known)
    train, test = order[:n], order[n : n + task.test_rows]
    truth = task.columns[task.response][test]
    found = {}
    for name, terms in (("edgenas", "auto"), ("published formula", "foxnas")):
        started = time.process_time()
        try:
            model = TableRegression(terms).fit(task.part(train), task.response)
        except PredictorError:
            continue  # the published formula needs its columns, and more rows than terms
        seconds = time.process_time() - started
        interval = model.get_prediction(task.part(test), CONFIDENCE)
        inside = (interval.lower <= truth) & (truth <= interval.upper)
        found[name] = scores(truth, interval.mean, float(inside.mean()), seconds)
    rows, unseen = task.features(train), task.features(test)
    for name, make in PEERS.items():
        started = time.process_time()
        peer = make().fit(rows, task.columns[task.response][train])  # type: ignore[attr-defined]
        seconds = time.process_time() - started
        found[name] = scores(truth, peer.predict(unseen), float("nan"), seconds)
    return found


def table(title: str, results: dict[int, dict[str, np.ndarray]]) -> str:
    """Return a Markdown table of medians over splits: RMSE by n; all scores at the largest n."""
    names = list(dict.fromkeys(name for result in results.values() for name in result))
    last = max(results)
    head = " | ".join(f"n = {n}" for n in results)
    lines = [f"### {title}", ""]
    lines += [f"| RMSE | {head} | MAPE | Kendall τ | 90 % covers | fit s |"]
    lines += ["|---" * (len(results) + 5) + "|"]
    for name in names:
        errors = [f"{r[name][0]:.4g}" if name in r else "-" for r in results.values()]
        rest = ["-"] * 4
        if name in results[last]:
            _, mape, tau, cover, seconds = results[last][name]
            shown = "-" if np.isnan(cover) else f"{cover:.1%}"
            rest = [f"{mape:.2%}", f"{tau:.3f}", shown, f"{seconds:.2f}"]
        lines.append(f"| {name} | {' | '.join([*errors, *rest])} |")
    return "\n".join([*lines, ""])


def plot(path: Path, results: dict[str, dict[int, dict[str, np.ndarray]]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-(len(results) + 1) // 4)  # one place more, for the legend
    figure, axes = plt.subplots(rows, 4, figsize=(16, 3.5 * rows), squeeze=False)
    for axis, (title, by_size) in zip(axes.flat, results.items(), strict=False):
        for name in dict.fromkeys(name for r in by_size.values() for name in r):
            sizes = [n for n, result in by_size.items() if name in result]
            width = 2.5 if name == "edgenas" else 1.0
            axis.loglog(sizes, [by_size[n][name][0] for n in sizes], label=name, linewidth=width)
        axis.set(title=title, xlabel="rows measured", ylabel="RMSE")
        axis.set_xticks(list(by_size), [str(n) for n in by_size])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        ticks = [t * 10.0**p for p in range(-4, 5) for t in (1, 2, 5) if low <= t * 10.0**p <= high]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    for axis in axes.flat[len(results) :]:
        axis.axis("off")
    handles, names = max(
        (a.get_legend_handles_labels() for a in axes.flat), key=lambda x: len(x[1])
    )
    axes.flat[len(results)].legend(handles, names, loc="center")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def devices(data: Path) -> tuple[Columns, dict[str, np.ndarray]]:
    """Return operations and latencies by device, of NAS-Bench-201's distinct, live networks."""
    raspi4 = next(task for task in tasks(data) if task.name == "nb201 raspi4")
    table_ = read_csv(data / "nb201_help_latency" / "nb201_help_latency.csv.gz")
    kept = live_and_distinct(data, table_)
    measured = {k.removeprefix("lat_ms_"): v[kept] for k, v in table_.items() if "lat_ms_" in k}
    for estimated in ("eyeriss", "fpga"):
        del measured[estimated]
    return {k: v for k, v in raspi4.columns.items() if k.startswith("op_")}, measured


def transfers(data: Path, splits: int, rows: int = 10) -> str:
    """Return a Markdown table: median RMSE of adapting to `rows` measurements of each device.

    Priors are predictors from 300 rows of every other device; settings of one device are no priors
    for each other.
    """
    ops, measured = devices(data)
    n = len(ops["op_0_1"])
    order = np.random.default_rng(99).permutation(n)
    known, rest = order[:300], order[300:]
    models = {
        name: TableRegression().fit(
            {**{k: v[known] for k, v in ops.items()}, "ms": ms[known]}, "ms"
        )
        for name, ms in measured.items()
    }
    lines = ["| device | scratch | mean of priors, affine | best prior, affine | edgenas | used |"]
    lines.append("|---" * 6 + "|")
    won = 0
    for name in TARGETS:
        family = name.rstrip("0123456789").rstrip("_")
        priors = {k: m for k, m in models.items() if not k.startswith(family)}
        runs = [
            _transfer(ops, measured[name], priors, rest, (split, rows)) for split in range(splits)
        ]
        scratch, mean, best, ours, used = np.median(runs, axis=0)
        won += ours < min(scratch, mean, best)
        shown = " | ".join(f"{x:.3g}" for x in (scratch, mean, best, ours))
        lines.append(f"| {name} | {shown} | {used:.0%} |")
    return "\n".join([*lines, "", f"Least error of the four on {won} of {len(TARGETS)} devices."])


def _transfer(
    ops: Columns,
    ms: np.ndarray,
    priors: dict[str, TableRegression],
    rest: np.ndarray,
    split_and_rows: tuple[int, int],
) -> list[float]:
    split, rows = split_and_rows
    drawn = np.random.default_rng(split).permutation(rest)
    train, test = drawn[:rows], drawn[rows : rows + 1000]
    here, there = ({k: v[part] for k, v in ops.items()} for part in (train, test))
    few, truth = {**here, "ms": ms[train]}, ms[test]
    sources = {k: (m.predict(here), m.predict(there)) for k, m in priors.items()}

    def rmse(predicted: np.ndarray) -> float:
        return float(np.sqrt(np.mean((predicted - truth) ** 2)))

    def affine(pair: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
        """Left-out error on the few rows, and RMSE on the others."""
        x, unseen = pair
        left_out = [
            np.polyval(np.polyfit(np.delete(x, i), np.delete(ms[train], i), 1), x[i]) - ms[train][i]
            for i in range(rows)
        ]
        return float(np.mean(np.square(left_out))), rmse(
            np.polyval(np.polyfit(x, ms[train], 1), unseen)
        )

    mean = tuple(np.mean([pair[side] for pair in sources.values()], axis=0) for side in (0, 1))
    ours = TableRegression(priors=priors).fit(few, "ms")
    return [
        rmse(TableRegression().fit(few, "ms").predict(there)),
        affine((mean[0], mean[1]))[1],
        min(affine(pair) for pair in sources.values())[1],
        rmse(ours.predict(there)),
        float(bool(ours.priors)),
    ]


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


def write(document: Path, text: str) -> None:
    """Put `text` between the markers of `document`, which is made if it is not there."""
    before = document.read_text("utf-8") if document.exists() else "# Benchmarks\n"
    if START not in before:
        before += f"\n{START}\n{END}\n"
    head, rest = before.split(START, maxsplit=1)
    document.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END, maxsplit=1)[1]}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--speed", action="store_true", help="Print predictions a second only.")
    parser.add_argument("--transfer", action="store_true", help="Print adapting to boards only.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.transfer:
        print(transfers(options.data, options.splits))
        return
    if options.speed:
        print(speeds(options.data))
        return
    warnings.simplefilter("ignore")  # peers warn about convergence at small n
    results: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for task in tasks(options.data):
        for n in options.sizes:
            runs = [compare(task, n, split) for split in range(options.splits)]
            medians = {m: np.median([run[m] for run in runs], axis=0) for m in runs[0]}
            results.setdefault(task.name, {})[n] = medians
        print(table(task.name, results[task.name]), flush=True)
    plot(options.docs / "predictors.png", results)
    text = [
        "## Predictors",
        "",
        f"Medians over {options.splits} random splits, the same for all methods; one thread. "
        "MAPE, Kendall τ, coverage of the 90 % prediction intervals and CPU seconds are at the "
        "largest n. Errors are in the table's own unit (ms, mJ, top-1 points).",
        "",
        "![RMSE by rows measured](predictors.png)",
        "",
        *(table(name, by_size) for name, by_size in results.items()),
    ]
    write(options.docs / "benchmarks.md", "\n".join(text).rstrip())


if __name__ == "__main__":
    main()
