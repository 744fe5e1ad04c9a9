"""Adapting predictors to a new board: ours against scratch, the mean and the best of the priors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from predictor_tasks import Columns, live_and_distinct, tasks

from edgenas.core.tables.file import read_table
from edgenas.predictors.tables.regression import TableRegression

COLUMNS = (
    "device", "scratch", "mean of priors, affine", "best prior, affine", "with hindsight",
    "edgenas", "90 % cover", "used",
)  # fmt: skip
TARGETS = (
    "raspi4", "pixel3", "pixel2", "samsung_a50", "essential_ph_1",
    "gold_6226", "silver_4114", "1080ti_1", "titan_rtx_1", "titanxp_256",
)  # fmt: skip

WORSE = 1.1


def devices(data: Path) -> tuple[Columns, dict[str, np.ndarray]]:
    """Return operations and latencies by device, of NAS-Bench-201's distinct, live networks."""
    raspi4 = next(task for task in tasks(data) if task.name == "nb201 raspi4")
    table_ = read_table(data / "nb201_help_latency" / "nb201_help_latency.csv.gz")
    kept = live_and_distinct(data, table_)
    measured = {k.removeprefix("lat_ms_"): v[kept] for k, v in table_.items() if "lat_ms_" in k}
    for estimated in ("eyeriss", "fpga"):
        del measured[estimated]
    return {k: v for k, v in raspi4.columns.items() if k.startswith("op_")}, measured


def transfers(data: Path, splits: int, rows: int = 10) -> str:
    """Return a Markdown table: median RMSE of adapting to `rows` measurements of each device.

    Priors are predictors from 300 rows of every other device; settings of one device are no priors
    for each other. "best prior" is the one that is best on the rows left out, each in turn; with
    "hindsight" the one that is best on the networks that are predicted. Below it how often, and by
    how much, transfers are worse than fits of the same rows without priors.
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
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    won, covered, ratios = 0, [], []
    for name in TARGETS:
        family = name.rstrip("0123456789").rstrip("_")
        priors = {k: m for k, m in models.items() if not k.startswith(family)}
        runs = [
            _transfer(ops, measured[name], priors, rest, (split, rows)) for split in range(splits)
        ]
        scratch, mean, best, hindsight, ours = np.median([run[:5] for run in runs], axis=0)
        won += ours < min(scratch, mean, best)
        inside, used = np.mean([run[5:] for run in runs], axis=0)
        covered.append(inside)
        ratios += [run[4] / run[0] for run in runs]
        shown = " | ".join(f"{x:.3g}" for x in (scratch, mean, best, hindsight, ours))
        lines.append(f"| {name} | {shown} | {inside:.0%} | {used:.0%} |")
        print(lines[-1], file=sys.stderr, flush=True)
    found = f"Least error of scratch, mean, best and edgenas on {won} of {len(TARGETS)} devices; "
    found += f"{np.mean(covered):.1%} inside the 90 % intervals.\n"
    found += f"RMSE over that of the fit from scratch, of {len(ratios)} transfers: geometric mean "
    found += f"{np.exp(np.mean(np.log(ratios))):.3f}, at most {max(ratios):.2f}; "
    found += f"{np.mean(np.array(ratios) > WORSE):.1%} are worse by more than {WORSE - 1:.0%}."
    return "\n".join([*lines, "", found])


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
    affines = [affine(pair) for pair in sources.values()]
    ours = TableRegression(priors=priors).fit(few, "ms")
    found = ours.get_prediction(there, 0.9)
    return [
        rmse(TableRegression().fit(few, "ms").predict(there)),
        affine((mean[0], mean[1]))[1],
        min(affines)[1],
        min(unseen for _, unseen in affines),
        rmse(found.mean),
        float(np.mean((found.lower <= truth) & (truth <= found.upper))),
        float(bool(ours.priors)),
    ]
