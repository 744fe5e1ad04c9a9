"""Compare last epochs that round as int8 does with ordinary ones; print a table and JSON.

Run: OMP_NUM_THREADS=1 python benchmarks/rounding.py --data imagefolder:DIR --space mbv3-cpu
     --image-size 20 --epochs 3 --qat-epochs 1 --work FOLDER

Both trainings share everything up to the last `--qat-epochs`. What was trained is in the folder and
is not trained again. Accuracies are of the emitted models, float and int8, in the host's engine.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from subnets import drawn
from trained_networks import Recipe, million_macs, percent

from edgenas.cli.progress_bars import Bars
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.spaces.base import MobileSpace
from edgenas.supernet import files
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings
from edgenas.supernet.trainer import Trainer
from edgenas.targets.config import resolve

KINDS = ("ordinary", "rounding")


def main() -> None:
    arguments = _arguments()
    keep_freed_memory()
    data = base.load(arguments.data, seed=0, progress=Bars(), image_size=arguments.image_size or 64)
    if arguments.images:
        data = replace(data, train=data.train.take(np.arange(len(data.train))[: arguments.images]))
    recipe = Recipe(data, arguments.epochs, resolve("local"), arguments.work)
    space = recipe.space(arguments.space)
    settings = default_settings(
        data,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=0.08 * arguments.batch_size / 64,
    )
    supernets = {}
    for kind in KINDS:
        qat_epochs = arguments.qat_epochs if kind == "rounding" else 0
        supernets[kind] = trained(
            recipe, space, data, replace(settings, qat_epochs=qat_epochs), arguments.qat_epochs
        )
    report(recipe, space, supernets, arguments)


def trained(
    recipe: Recipe, space: MobileSpace, data: Dataset, settings: TrainSettings, last: int
) -> Supernet:
    """Return the supernet of `settings`, whose first epochs are those of the ordinary training."""
    name = f"{space.name}-{settings.batch_size}-{settings.qat_epochs}"
    path = recipe.folder / f"{name}.safetensors"
    if path.exists():
        return files.load(path, space)
    ordinary = replace(settings, qat_epochs=0)
    shared = path.with_name(f"{space.name}-{settings.batch_size}.checkpoint")
    trainer = Trainer(space, data, ordinary, shared, "cpu")
    trainer.resume()
    fork = (settings.epochs - last) * trainer.steps_per_epoch
    if trainer.state.step < fork:
        train_until(trainer, fork)
    own = path.with_suffix(".checkpoint")
    if own.exists():
        trainer = Trainer(space, data, settings, own, "cpu")
        trainer.resume()
    trainer.settings, trainer.checkpoint = settings, own
    train_until(trainer, trainer.total_steps)
    files.save(trainer.averaged(), path, data, settings)
    return files.load(path, space)


def train_until(trainer: Trainer, stop: int) -> None:
    started, first = time.process_time(), trainer.state.step
    for loss in trainer.steps():
        step = trainer.state.step
        if step % 20 == 0 or step == stop:
            spent = (time.process_time() - started) / (step - first)
            print(f"step {step} of {stop}: loss {loss:.3f}, {spent:.2f} CPU s a step", flush=True)
        if step == stop:
            return


def report(
    recipe: Recipe,
    space: MobileSpace,
    supernets: dict[str, Supernet],
    arguments: argparse.Namespace,
) -> None:
    split = recipe.data.test.take(np.arange(len(recipe.data.test))[: arguments.test_images])
    networks = drawn(space, arguments.subnets + 2, (space.largest(), space.smallest()))
    right: dict[str, list[np.ndarray]] = {}
    print("| network | MMAC | fp32 | int8 | fp32, rounding | int8, rounding |\n|" + "---|" * 6)
    for architecture in networks:
        cells = [architecture.short_name, f"{million_macs(space, architecture):.1f}"]
        for kind, supernet in supernets.items():
            network = recipe.deployable(supernet, architecture)
            for form in ("fp32", "int8"):
                found = recipe.right(network, split, int8=form == "int8")
                right.setdefault(f"{kind} {form}", []).append(found)
                cells.append(percent(found))
        print("| " + " | ".join(cells) + " |", flush=True)
    print(json.dumps(summary(right), indent=1))


def summary(right: dict[str, list[np.ndarray]]) -> dict[str, float]:
    """Return means over networks, in points, and the paired difference's 95 % half-width."""
    means = {name: np.mean(found, 1) * 100 for name, found in right.items()}
    figures = {f"mean {name}": float(value.mean()) for name, value in means.items()}
    for kind in KINDS:
        loss = means[f"{kind} fp32"] - means[f"{kind} int8"]
        figures[f"int8 loses, {kind}: mean"] = float(loss.mean())
        figures[f"int8 loses, {kind}: worst"] = float(loss.max())
    by_image = 100 * (
        np.mean(right["rounding int8"], 0) - np.mean(right["ordinary int8"], 0)
    )  # of one image, the mean over the networks
    figures["rounding gains, int8"] = float(by_image.mean())
    figures["95 % half-width over images"] = float(
        1.96 * by_image.std(ddof=1) / np.sqrt(len(by_image))
    )
    return {name: round(value, 3) for name, value in figures.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--space", default="mbv3-cpu")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--images", type=int, help="training images to use, the first")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--qat-epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--subnets", type=int, default=8)
    parser.add_argument("--test-images", type=int, default=2500)
    parser.add_argument("--work", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
