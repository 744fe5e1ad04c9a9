"""Compare last epochs that round as int8 does with ordinary ones; print a table and JSON.

Run: OMP_NUM_THREADS=1 python benchmarks/rounding.py --data imagefolder:DIR --space NAME
     --epochs 3 --qat-epochs 1 --work FOLDER [--initial FILE] [--squeeze-excite]

Both trainings share everything up to the last `--qat-epochs`, and the weights in `--initial` if
there are any; what is not in that file keeps its random weights. What was trained is in the folder
and is not trained again. Accuracies are of the emitted models in the host's engine.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from subnets import drawn
from trained_networks import Recipe, million_macs, percent

from edgenas.cli.progress_bars import Bars
from edgenas.data import base
from edgenas.data.base import Split
from edgenas.int8.checks.sensitivity import sensitivity
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.spaces.base import MobileSpace
from edgenas.supernet import files
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings
from edgenas.supernet.trainer import Trainer
from edgenas.targets.config import resolve

LAYER_IMAGES = 128


def main() -> None:
    arguments = _arguments()
    keep_freed_memory()
    data = base.load(arguments.data, seed=0, progress=Bars())
    data = replace(data, train=some(data.train, arguments.images))
    recipe = Recipe(data, arguments.epochs, resolve("local"), arguments.work)
    space = _space(recipe, arguments)
    settings = default_settings(
        data,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
    )
    training = Training(recipe, space, arguments.qat_epochs, arguments.initial)
    rounding = replace(settings, qat_epochs=arguments.qat_epochs)
    supernets = {"ordinary": training.done(settings), "rounding": training.done(rounding)}
    if arguments.initial and arguments.epochs == arguments.qat_epochs:
        supernets = {"before": training.begun(), **supernets}
    report(recipe, space, supernets, arguments)
    if arguments.layers:
        for kind, supernet in supernets.items():
            print(f"{kind}: {noisiest(recipe, supernet, arguments.layers)}")


def noisiest(recipe: Recipe, supernet: Supernet, count: int) -> str:
    """Return the layers of the largest network that bring the logits most noise, in dB."""
    network = recipe.deployable(supernet, supernet.space.largest())
    images = recipe.data.normalize(
        some(recipe.data.val, LAYER_IMAGES).resized(network.graph.input_shape[2]).images
    )
    scheme = stored_scheme(recipe.target.scheme, network.engine.exporter)
    quantization = quantize(network.graph, network.ranges, scheme)
    found = sensitivity(network.graph, quantization, images, None)
    layers = sorted(found.layers, key=lambda one: one.logits_snr_db or np.inf)[:count]
    return ", ".join(f"{one.name} {one.logits_snr_db:.1f}" for one in layers) + (
        f"; all {found.logits_snr_db:.1f}"
    )


def some(split: Split, count: int) -> Split:
    """Return `count` of the images, or all, always the same."""
    return split.take(np.random.default_rng(0).permutation(len(split))[:count])


def _space(recipe: Recipe, arguments: argparse.Namespace) -> MobileSpace:
    space = recipe.space(arguments.space)
    if arguments.squeeze_excite:
        stages = tuple(replace(stage, squeeze_excite=True) for stage in space.stages)
        space = replace(space, stages=stages)
    return replace(space, stem_stride=2) if arguments.stem2 else space


@dataclass(frozen=True)
class Training:
    """Trainings that differ in their last epochs. initial : weights to begin with, or None."""

    recipe: Recipe
    space: MobileSpace
    last: int
    initial: Path | None

    def begun(self) -> Supernet:
        """Return the supernet that training begins with."""
        supernet = Supernet(self.space)
        if self.initial is not None:
            known = files.read_state(self.initial)
            with torch.no_grad():
                for name, value in supernet.named_parameters():
                    value.copy_(known.get(name, value))
        return supernet

    def done(self, settings: TrainSettings) -> Supernet:
        """Return the supernet trained by `settings`; the ordinary training's first epochs serve."""
        folder, name = self.recipe.folder, self.space.name
        path = folder / f"{name}-{settings.qat_epochs}.safetensors"
        if not path.exists():
            shared = replace(settings, qat_epochs=0)
            trainer = self._trainer(shared, folder / f"{name}.checkpoint")
            fork = (settings.epochs - self.last) * trainer.steps_per_epoch
            train_until(trainer, fork)
            own = path.with_suffix(".checkpoint")
            if own.exists():
                trainer = self._trainer(settings, own)
            trainer.settings, trainer.checkpoint = settings, own
            train_until(trainer, trainer.total_steps)
            files.save(trainer.averaged(), path, self.recipe.data, settings)
        return files.load(path, self.space)

    def _trainer(self, settings: TrainSettings, checkpoint: Path) -> Trainer:
        data = self.recipe.data
        trainer = Trainer(self.space, data, settings, checkpoint, "cpu", self.begun())
        trainer.resume()
        return trainer


def train_until(trainer: Trainer, stop: int) -> None:
    started, first = time.process_time(), trainer.state.step
    if first >= stop:
        return
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
    split = some(recipe.data.test, arguments.test_images)
    first = dict.fromkeys((space.largest(), space.smallest()))
    networks = drawn(space, min(arguments.subnets + 2, space.size), first)
    right: dict[str, list[np.ndarray]] = {}
    kinds = [f"{kind} {form}" for kind in supernets for form in ("fp32", "int8")]
    print(f"| network | MMAC | {' | '.join(kinds)} |\n{'|---' * (len(kinds) + 2)}|")
    for architecture in networks:
        cells = [architecture.short_name, f"{million_macs(space, architecture):.1f}"]
        for kind, supernet in supernets.items():
            network = recipe.deployable(supernet, architecture)
            for form in ("fp32", "int8"):
                found = recipe.right(network, split, int8=form == "int8")
                right.setdefault(f"{kind} {form}", []).append(found)
                cells.append(percent(found))
        print("| " + " | ".join(cells) + " |", flush=True)
    print(json.dumps(summary(right, tuple(supernets)), indent=1))


def summary(right: dict[str, list[np.ndarray]], kinds: tuple[str, ...]) -> dict[str, float]:
    """Return means over networks, in points, and the paired difference's 95 % half-width."""
    means = {name: np.mean(found, 1) * 100 for name, found in right.items()}
    figures = {f"mean {name}": float(value.mean()) for name, value in means.items()}
    for kind in kinds:
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
    parser.add_argument("--stem2", action="store_true", help="halve the images in the stem")
    parser.add_argument("--images", type=int, default=4000, help="to train on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--qat-epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--initial", type=Path, help="weights to begin with")
    parser.add_argument("--squeeze-excite", action="store_true", help="in every stage")
    parser.add_argument("--subnets", type=int, default=8)
    parser.add_argument("--test-images", type=int, default=2500)
    parser.add_argument("--layers", type=int, default=0, help="name so many of the noisiest")
    parser.add_argument("--work", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
