"""NASFLAT's transfer tasks (Akhauri & Abdelfattah 2024) that HELP's public latencies suffice for.

    git clone https://github.com/HayeonLee/HELP
    python benchmarks/nasflat.py HELP/data

FBNet's six tasks and the first of NAS-Bench-201 (its devices are HELP's too): predictors of the
task's training devices, of 300 random networks each, are adapted to 20 random networks of a test
device. Prints the Spearman correlation over all networks, as NASFLAT's code takes it, means over
devices and trials, from scratch and adapted, beside what is published; and how much worse than fits
from scratch transfers are. The other tasks of NAS-Bench-201 need LatBench's devices, which that
folder does not have. NASFLAT trains on 800 networks (FBNet) and 512 of each training device and
chooses its 20; MultiPredict, too, sees 20 of the test device, HELP 10. Nothing of the folder is
kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables.regression import TableRegression

Columns = dict[str, np.ndarray]
EDGES = ("op_0_1", "op_0_2", "op_1_2", "op_0_3", "op_1_3", "op_2_3")
KNOWN, SAMPLES, RESPONSE = 300, 20, "latency_ms"
# Of github.com/abdelfattah-lab/nasflat_latency, correlation_trainer/results_geomean.py.
PUBLISHED: dict[str, dict[str, float]] = {
    "NASFLAT": {
        "ND": 0.959,
        "FD": 0.961,
        "F1": 0.809,
        "F2": 0.871,
        "F3": 0.814,
        "F4": 0.734,
        "FA": 0.577,
    },
    "MultiPredict": {
        "ND": 0.930,
        "FD": 0.960,
        "F1": 0.756,
        "F2": 0.567,
        "F3": 0.434,
        "F4": 0.763,
        "FA": 0.45,
    },
    "HELP": {
        "ND": 0.948,
        "FD": 0.91,
        "F1": 0.793,
        "F2": 0.543,
        "F3": 0.413,
        "F4": 0.799,
        "FA": 0.37,
    },
}
WORSE = 1.1  # a transfer is worse than scratch by more than 10 %
HELP_TRAIN = "silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7"
GPUS = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp")
# space, devices that are known, devices that are new: as NASFLAT's device_task_list.py has them
TASKS: dict[str, tuple[str, str, str]] = {
    "ND": (
        "nasbench201",
        f"1080ti_1 1080ti_32 1080ti_256 {HELP_TRAIN}",
        "titan_rtx_256 gold_6226 fpga pixel2 raspi4 eyeriss",
    ),
    "FD": ("fbnet", f"1080ti_1 1080ti_32 1080ti_64 {HELP_TRAIN}", "fpga raspi4 eyeriss"),
    "F1": (
        "fbnet",
        "2080ti_1 essential_ph_1 silver_4114 titan_rtx_1 titan_rtx_32",
        "eyeriss fpga raspi4 samsung_a50 samsung_s7",
    ),
    "F2": (
        "fbnet",
        "essential_ph_1 gold_6226 gold_6240 pixel3 raspi4",
        "1080ti_1 1080ti_32 2080ti_32 titan_rtx_1 titanxp_1",
    ),
    "F3": (
        "fbnet",
        "essential_ph_1 pixel2 pixel3 raspi4 samsung_s7",
        "1080ti_1 1080ti_32 2080ti_1 titan_rtx_1 titan_rtx_32",
    ),
    "F4": (
        "fbnet",
        "1080ti_64 2080ti_1 eyeriss gold_6226 gold_6240 raspi4 samsung_s7 silver_4210r "
        "titan_rtx_1 titan_rtx_32",
        "1080ti_1 pixel2 essential_ph_1",
    ),
    "FA": (
        "fbnet",
        " ".join(f"{gpu}_{batch}" for gpu in GPUS for batch in (1, 32, 64)),
        "gold_6226 essential_ph_1 samsung_s7 pixel2",
    ),
}


class Space:
    """The networks of one search space, their latencies by device, and predictors of these."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.columns = _fbnet(folder) if folder.name == "fbnet" else _nasbench201(folder)
        self._latencies: Columns = {}
        self._predictors: dict[str, TableRegression] = {}

    def latencies(self, device: str) -> np.ndarray:
        if device not in self._latencies:
            read = torch.load(self._folder / "latency" / f"{device}.pt", weights_only=True)
            self._latencies[device] = np.asarray(read, float)
        return self._latencies[device]

    def rows(self, which: np.ndarray, device: str = "") -> Columns:
        found = {name: values[which] for name, values in self.columns.items()}
        return found | ({RESPONSE: self.latencies(device)[which]} if device else {})

    def predictor(self, device: str) -> TableRegression:
        """Return the predictor of a device from `KNOWN` random networks."""
        if device not in self._predictors:
            which = np.random.default_rng(99).permutation(len(self.latencies(device)))[:KNOWN]
            self._predictors[device] = TableRegression().fit(self.rows(which, device), RESPONSE)
        return self._predictors[device]


def _fbnet(folder: Path) -> Columns:
    read = torch.load(folder / "metainfo.pt", weights_only=True)["arch"]
    texts = np.array([network["arch_str"] for network in read])
    return {f"layer_{at}": texts[:, at] for at in range(texts.shape[1])}


def _nasbench201(folder: Path) -> Columns:
    read: Mapping[str, int] = torch.load(folder / "str_arch2idx.pt", weights_only=True)
    texts = sorted(read, key=read.__getitem__)
    each = [[x.partition("~")[0] for x in t.replace("+", "").split("|") if x] for t in texts]
    return dict(zip(EDGES, np.array(each).T, strict=True))


def judged(
    space: Space, device: str, priors: Mapping[str, TableRegression], trial: int
) -> tuple[float, float]:
    """Return the Spearman correlation over all networks, and the RMSE."""
    truth = space.latencies(device)
    everything = np.arange(len(truth))
    which = np.random.default_rng(trial).permutation(everything)[:SAMPLES]
    fitted = TableRegression(priors=priors).fit(space.rows(which, device), RESPONSE)
    mean = fitted.predict(space.rows(everything))
    rank = float(stats.spearmanr(mean, truth).statistic)
    return rank, float(np.sqrt(np.mean((mean - truth) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="HELP's data folder.")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    options = parser.parse_args()
    spaces: dict[str, Space] = {}
    print(f"| task | from scratch | adapted | {' | '.join(PUBLISHED)} | by device, adapted |")
    print("|---" * (4 + len(PUBLISHED)) + "|")
    won, ratios = 0, []
    for name in options.tasks:
        where, known, new = TASKS[name]
        if where not in spaces:
            spaces[where] = Space(options.folder / where)
        space = spaces[where]
        priors = {device: space.predictor(device) for device in known.split()}
        results = np.array(
            [
                [
                    [judged(space, device, of, trial) for of in ({}, priors)]
                    for trial in range(options.trials)
                ]
                for device in new.split()
            ]
        )  # [devices, trials, scratch and adapted, Spearman and RMSE]
        means = results[..., 0].mean(axis=1)
        each = ", ".join(
            f"{device} {x:.3f}" for device, x in zip(new.split(), means[:, 1], strict=True)
        )
        scratch, adapted = means.mean(axis=0)
        others = [published[name] for published in PUBLISHED.values()]
        won += adapted > max(others)
        ratios += (results[:, :, 1, 1] / results[:, :, 0, 1]).ravel().tolist()
        shown = " | ".join(f"{x:.3f}" for x in (scratch, adapted, *others))
        print(f"| {name} | {shown} | {each} |", flush=True)
    print(f"\nThe highest of {won} of {len(options.tasks)} tasks.")
    print(
        f"RMSE over that of the fit from scratch, of {len(ratios)} transfers: geometric mean "
        f"{np.exp(np.mean(np.log(ratios))):.3f}, at most {max(ratios):.2f}; "
        f"{sum(x > WORSE for x in ratios)} are worse by more than {WORSE - 1:.0%}."
    )


if __name__ == "__main__":
    try:
        main()
    except (OSError, PredictorError) as problem:
        raise SystemExit(f"{problem}") from None
