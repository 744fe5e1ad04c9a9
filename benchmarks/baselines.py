"""Searched subnets against hand-made MobileNets: one recipe, one int8 path, one measuring job.

Run: OMP_NUM_THREADS=1 python benchmarks/baselines.py --data imagefolder:DIR [--epochs 1]
     [--baselines mobilenetv2-0.35-stem2 …] [--runs RUN …] [--test-images 10000] [--work FOLDER]
     [--docs docs/benchmarks]
     OMP_NUM_THREADS=1 python benchmarks/baselines.py --ranks 8 --data digits --epochs 5

The supernet and each baseline see the same images for the same epochs. --runs takes
finished searches with the same weights; their winners are compared too. "-stem2" after a baseline's
name halves the image in its stem, as mbv3-tiny does from 17 px on; without it stems of small images
keep the size. Weights and what was found stay in --work, so that a run goes on where it was
stopped; --redraw only writes the tables again. --docs replaces the text in index.md there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines_page import page, ranks_page
from rank_agreement import agreement
from trained_networks import Recipe, million_macs, open_recipe

from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Architecture
from edgenas.core.records.intervals import wilson
from edgenas.data.base import Split
from edgenas.runs.open import open_run
from edgenas.spaces.base import MobileSpace
from edgenas.supernet.deploy import Deployable
from edgenas.targets.base import MeasureSettings, ModelFile

BASELINES = ["mobilenetv2-0.35-stem2", "mobilenetv3-small-stem2", "mobilenetv2-0.5-stem2"]
LOSSES = 20  # random subnets whose loss by int8 is looked at
GROUPS = 12  # of candidates alike in MACs; the best of each is measured
Z = 1.959964


class Printed(Silent):
    def message(self, text: str) -> None:
        print(text, flush=True)

    warning = message


@dataclass(frozen=True)
class Contender:
    """val_accuracy : int8, what a searched network was chosen by. right : test images, bool [n]."""

    name: str
    family: str
    architecture: Architecture
    mmac: float
    network: Deployable
    val_accuracy: float
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


def searched(
    recipe: Recipe, options: argparse.Namespace, test: Split, progress: Progress
) -> tuple[list[Contender], dict[str, Any]]:
    """Return the best of random subnets in each group of like MACs and the runs' winners, and what
    int8 costs 20."""
    space, samples = recipe.space(options.space), options.samples
    supernet = recipe.trained(space, progress)
    stream = space.distinct(np.random.default_rng(0))
    candidates = [next(stream) for _ in range(samples)]
    val = recipe.data.val
    networks = [recipe.deployable(supernet, one) for one in candidates]
    int8 = [float(recipe.right(one, val).mean()) for one in networks]
    random = range(2, min(samples, 2 + LOSSES))  # after the smallest and the largest
    losses = [float(recipe.right(networks[i], val, int8=False).mean()) - int8[i] for i in random]
    progress.message(f"{samples} subnets evaluated; int8 loses {np.mean(losses):.3%} on average")
    macs = np.array([million_macs(space, one) for one in candidates])
    groups = np.array_split(np.argsort(macs, kind="stable"), min(GROUPS, samples))
    best = [candidates[max(group, key=lambda i: int8[i])] for group in groups]
    winners = [winner for run in options.runs if (winner := _winner(run, space)) not in best]
    chosen = []
    for architecture in (*best, *winners):
        network = recipe.deployable(supernet, architecture)
        chosen.append(
            Contender(
                f"{space.name} {architecture.short_name[-6:]}{' *' * (architecture in winners)}",
                "searched",
                architecture,
                million_macs(space, architecture),
                network,
                float(recipe.right(network, val).mean()),
                recipe.right(network, test),
            )
        )
    about = {"n": len(losses), "mean": float(np.mean(losses)), "worst": float(np.max(losses))}
    return chosen, {**about, "n_images": len(val), "candidates": samples}


def _winner(run: Path, space: MobileSpace) -> Architecture:
    """Return the network that a search found; refused where it is of another space."""
    with open_run(run, {}, Silent(), resume=True, create=False) as context:
        best = context.best()
    if best is None:
        raise SystemExit(f"{run} has no winner.")
    space.check(best)
    return best


def handmade(recipe: Recipe, name: str, test: Split, progress: Progress) -> Contender:
    space = recipe.space(name)
    only = space.largest()
    network = recipe.deployable(recipe.trained(space, progress), only)
    val_accuracy = float(recipe.right(network, recipe.data.val).mean())
    macs = million_macs(space, only)
    return Contender(
        name, "baseline", only, macs, network, val_accuracy, recipe.right(network, test)
    )


def measured(recipe: Recipe, contenders: list[Contender], progress: Progress) -> dict[str, Any]:
    """Time all in one job, pass by pass in random order; return each one's latency."""
    folder = recipe.folder / "models"
    folder.mkdir(exist_ok=True)
    models = []
    for number, one in enumerate(contenders):
        content = one.network.emit(recipe.target.scheme, 1)
        path = folder / f"{number:02d}.onnx"
        path.write_bytes(content)
        models.append(ModelFile(f"n{number:02d}", path, hashlib.sha256(content).hexdigest()))
    settings = MeasureSettings(anchor=models[len(models) // 2].key)
    digest = hashlib.sha256("".join(model.sha256 for model in models).encode()).hexdigest()
    outcomes = recipe.target.measure(
        models, settings, recipe.folder / f"job-{digest[:8]}", progress
    )
    found = {}
    for model, one in zip(models, contenders, strict=True):
        latency = outcomes[model.key].latency
        if latency is None:
            raise SystemExit(f"{one.name} was not measured: {outcomes[model.key].reason}")
        found[one.name] = {
            "latency_ms": latency.median_ms,
            "ci95_ms": list(latency.ci95_ms),
            "converged": latency.converged,
            "stands_on_rejected": latency.stands_on_rejected,
        }
    return found


def comparison(
    contenders: list[Contender], latency_ms: dict[str, float], limit_ms: float
) -> dict[str, Any]:
    """Return the best of both families within a limit, and the points gained (95 % interval).

    A searched network is chosen by validation accuracy, the baseline by its test accuracy.
    """
    fast = [one for one in contenders if latency_ms[one.name] <= limit_ms]
    bar = max(_of(fast, "baseline"), key=lambda one: one.accuracy)
    faster_or_equal = [
        latency_ms[one.name] for one in _of(contenders, "searched") if one.accuracy >= bar.accuracy
    ]
    speed_up = latency_ms[bar.name] / min(faster_or_equal) if faster_or_equal else None
    found = {
        "limit_ms": limit_ms,
        "baseline": bar.name,
        "speed_up": speed_up,
        "searched": None,
    }
    ours = max(_of(fast, "searched"), key=lambda one: one.val_accuracy, default=None)
    if ours is None:
        return found
    gained = ours.right.astype(float) - bar.right
    half = Z * float(gained.std(ddof=1)) / len(gained) ** 0.5
    mean = float(gained.mean())
    return {**found, "searched": ours.name, "gained": mean, "ci95": [mean - half, mean + half]}


def _of(contenders: Iterable[Contender], family: str) -> list[Contender]:
    return [one for one in contenders if one.family == family]


def compare(recipe: Recipe, options: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """Train, evaluate and measure everything; return what the page shows."""
    whole = recipe.data.test
    drawn = np.random.default_rng(0).permutation(len(whole))[: options.test_images]
    test = whole.take(np.sort(drawn))
    baselines = [handmade(recipe, name, test, progress) for name in options.baselines]
    chosen, losses = searched(recipe, options, test, progress)
    contenders = [*chosen, *baselines]
    latencies = measured(recipe, contenders, progress)
    latency_ms = {name: found["latency_ms"] for name, found in latencies.items()}
    limits = sorted(latency_ms[one.name] for one in baselines)
    limits = sorted({limits[0], limits[len(limits) // 2], limits[-1]})
    rows = [_row(one, len(test), latencies[one.name]) for one in contenders]
    return {
        "data": recipe.data.name,
        "n_train": len(recipe.data.train),
        "n_test": len(test),
        "n_val": len(recipe.data.val),
        "epochs": recipe.epochs,
        "space": options.space,
        "int8_loss": losses,
        "rows": sorted(rows, key=lambda row: row["latency_ms"]),
        "comparisons": [comparison(contenders, latency_ms, limit) for limit in limits],
    }


def _row(one: Contender, n_test: int, latency: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": one.name,
        "family": one.family,
        "architecture": str(one.architecture) if one.family == "searched" else "",
        "mmac": one.mmac,
        "params": one.network.graph.params,
        "accuracy": one.accuracy,
        "accuracy_ci95": wilson(one.accuracy * n_test, n_test),
        "val_accuracy": one.val_accuracy,
        **latency,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mbv3-tiny")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--baselines", nargs="+", default=BASELINES)
    parser.add_argument("--samples", type=int, default=36, help="subnets to choose among")
    parser.add_argument("--runs", nargs="+", type=Path, default=[], help="searches to compare")
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--ranks", type=int, metavar="N", help="rank agreement of N subnets")
    parser.add_argument("--work", type=Path, default=Path("baselines-work"))
    parser.add_argument("--docs", type=Path, help="write into this folder's index.md")
    parser.add_argument("--redraw", action="store_true", help="only write what was found again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    progress = Printed()
    kind = options.data.partition(":")[0]
    name = f"ranks-{kind}-{options.epochs}.md" if options.ranks else "baselines.json"
    kept = options.work / name
    if not options.redraw:
        recipe = open_recipe(options.data, options.epochs, options.work, progress)
        if options.ranks:
            found = agreement(recipe, options.space, options.ranks, progress)
        else:
            found = json.dumps(compare(recipe, options, progress), indent=1)
        kept.write_text(found, "utf-8")
    if options.ranks:
        print(ranks_page(sorted(options.work.glob("ranks-*.md")), options.docs))
    else:
        print(page(json.loads(kept.read_text("utf-8")), options.docs))


if __name__ == "__main__":
    main()
