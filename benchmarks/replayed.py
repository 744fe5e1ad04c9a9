"""Winners of searches on measured tables, looked up: is the limit kept, what do they lack?

    python benchmarks/replayed.py --data ../shared/data

Each search knows the latency of `--samples` networks and the accuracy of `--evaluate`, chosen as
`edgenas search --target TABLE.toml` chooses them, and predicts all others. The winner has the
highest predicted accuracy of all networks whose upper latency bound is within the limit. Networks
that were looked up before cannot win: only predictions are put to the test. Limits are quantiles
of the table's latencies. The second winner is chosen with every accuracy known, so that it lies as
near the limit as the latency predictor lets it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.optimize import table_predictors
from edgenas.targets.table import measured_table
from edgenas.targets.table.measured_table import MeasuredTable
from edgenas.targets.table.target_file import Column, TableTarget

LIMITS = (0.1, 0.25, 0.5, 0.75)
START, END = "<!-- replayed:start -->", "<!-- replayed:end -->"
OPERATIONS = ("op_0_1", "op_0_2", "op_1_2", "op_0_3", "op_1_3", "op_2_3")
HW360, HELP = (
    "nb201_hw360_pi5_pixel/nb201_hw360.csv.gz",
    "nb201_help_latency/nb201_help_latency.csv.gz",
)
TRAINED = "nb201_accuracy/nb201_accuracy.csv.gz"


@dataclass(frozen=True)
class Winner:
    """known : chosen with every accuracy known. regret : accuracy, fraction, behind the best."""

    known: bool
    within: bool
    regret: float


def targets(data: Path) -> list[TableTarget]:
    """Return the tables, as target files would name them."""

    def target(name: str, path: str, latency: str, accuracy: str, **more: object) -> TableTarget:
        cells = {"architecture": OPERATIONS, "categorical": OPERATIONS, **more}
        responses = {"latency_ms": Column(latency), "accuracy": Column(accuracy, "percent")}
        return TableTarget(name, str(data / "targets"), path, responses=responses, **cells)  # type: ignore[arg-type]

    found = []
    for engine in ("onnx", "litert", "torchmobile"):
        latency = f"lat_ms_pi5_{engine}_cifar100"
        name = f"Raspberry Pi 5, {engine}"
        found.append(target(name, HW360, latency, "acc_cifar100", same_network="rep_arch_idx"))
    joined = {"join": TRAINED, "join_on": ("arch_idx",), "same_network": "iso_rep_arch_idx"}
    for board in ("raspi4", "pixel3"):
        found.append(target(board, HELP, f"lat_ms_{board}", "test_acc_cifar10", **joined))
    blocks = {"architecture": ("mbcv_*", "se_*"), "categorical": ()}
    fox = "fox_nas_cpu256/fox_nas_cpu256.csv"
    found.append(target("FOX-NAS, Raspberry Pi 4", fox, "latency", "acc", **blocks))
    return found


def winners(table: MeasuredTable, samples: int, evaluate: int, seed: int) -> list[Winner]:
    """Return the winners at every limit of one draw of networks."""
    measured = table_predictors.plan(table, samples, seed)
    evaluated = table_predictors.evaluated(table, measured, evaluate, seed)
    of_latency = table_predictors.fit(table, "latency_ms", measured, seed)
    others = {"latency_ms": of_latency}
    of_accuracy = table_predictors.fit(table, "accuracy", evaluated, seed, others)
    latency = table_predictors.predict(table, of_latency, 0.95)
    accuracy = table_predictors.predict(table, of_accuracy, 0.95)
    latency_ms, truth = table.response("latency_ms"), table.response("accuracy")
    unseen = ~np.isin(np.arange(len(latency_ms)), measured)
    found = []
    for share in LIMITS:
        limit_ms = float(np.quantile(latency_ms, share))
        allowed = np.flatnonzero(unseen & (latency.upper <= limit_ms))
        if not allowed.size:
            continue
        best = truth[unseen & (latency_ms <= limit_ms)].max()
        for known, values in ((False, accuracy.mean), (True, truth)):
            winner = allowed[np.argmax(values[allowed])]
            within = bool(latency_ms[winner] <= limit_ms)
            found.append(Winner(known, within, float(best - truth[winner])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--samples", type=int, nargs="+", default=(40, 100))
    parser.add_argument("--evaluate", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args()
    started = time.process_time()
    rows, all_winners = [], []
    for target in targets(options.data):
        table = measured_table.read(target)
        for samples in options.samples:
            found = [
                winner
                for seed in range(options.seeds)
                for winner in winners(table, samples, options.evaluate, seed)
            ]
            all_winners += found
            rows.append(f"| {target.name} | {samples} | {cells(found)} |")
            print(rows[-1], flush=True)
    rows.append(f"| all | | {cells(all_winners)} |")
    limits = ", ".join(f"{share:.0%}" for share in LIMITS)
    text = f"""## Searches on replayed tables

Winners of {options.seeds} seeds at limits below which {limits} of a table's networks lie, looked
up. The limit is on the upper end of the 95 % prediction interval; {options.evaluate} accuracies are
known ("predicted"), or all of them ("known"). Networks looked up before cannot win, and a limit
that no upper bound meets has no winner. Regret: accuracy points behind the best such network within
the limit, median / 90th percentile. `python benchmarks/replayed.py`
({time.process_time() - started:.0f} CPU s).

| table | latencies known | winners, predicted | keep the limit | regret | \
winners, known | keep the limit | regret |
|---|---|---|---|---|---|---|---|
"""
    write(options.docs / "index.md", text + "\n".join(rows))


def cells(found: list[Winner]) -> str:
    """Return count, share within the limit and regret, of both kinds of winner."""
    texts = []
    for known in (False, True):
        some = [winner for winner in found if winner.known == known]
        regret = 100 * np.quantile([winner.regret for winner in some], (0.5, 0.9))
        share = np.mean([winner.within for winner in some])
        texts.append(f"{len(some)} | {share:.1%} | {regret[0]:.2f} / {regret[1]:.2f}")
    return " | ".join(texts)


def write(document: Path, text: str) -> None:
    """Put `text` between the markers of `document`."""
    before = document.read_text("utf-8")
    if START not in before:
        before += f"\n{START}\n{END}\n"
    head, rest = before.split(START, maxsplit=1)
    document.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END, maxsplit=1)[1]}", "utf-8")


if __name__ == "__main__":
    main()
