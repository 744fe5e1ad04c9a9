"""Whether few images are better learnt by a recipe chosen by successive halving, at equal time.

Run: OMP_NUM_THREADS=1 python benchmarks/recipes.py FOLDER [--data imagefolder:PATH ...]
     [--size 32] [--seconds 60] [--seeds 1]

The drawn sets of few_images.py and other_images.py are made in FOLDER, always the same. Of each
set at most 800 images train mbv3-tiny from nothing. "Default" is the default recipe for so many
CPU seconds. "Halving" (Jamieson and Talwalkar 2016) begins four: learning rate 0.08 or 0.2,
augmentation "auto" or "strong". After a tenth of the steps the two that do best on the validation
images go on, after a fifth the best, which has its whole schedule within what is left. Both take
as many steps together. Accuracy is in fp32, on the test images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import few_images
import numpy as np
import other_images
import torch

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.base import Dataset, Split
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import accuracy
from edgenas.supernet.settings import TrainSettings, default_settings
from edgenas.supernet.trainer import Trainer

RECIPES = {
    f"{rate}, {augmentation}": (rate, augmentation)
    for rate in (0.08, 0.2)
    for augmentation in ("auto", "strong")
}
DEFAULT = "0.08, auto"
RUNGS = ((0.1, 2), (0.2, 1))  # of all steps, that each has had by then; how many go on
LAST = 0.6  # what is left for the last one, with what it has had: 1 - 2 x 0.1 - 0.2
MOST_TRAIN, MOST_TEST = 800, 1000


@dataclass
class Training:
    """One recipe on its way. steps : yields the loss of each step."""

    recipe: str
    trainer: Trainer
    steps: Iterator[float]

    def until(self, step: int) -> None:
        while self.trainer.state.step < step and next(self.steps, None) is not None:
            pass

    def scores(self, split: Split) -> tuple[float, float]:
        """Return the accuracy of the largest and of the smallest network."""
        supernet, data = self.trainer.averaged(), self.trainer.data
        largest, smallest = (
            accuracy(calibrated_subnet(supernet, network, data), split, data)
            for network in (supernet.space.largest(), supernet.space.smallest())
        )
        return largest, smallest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs="*", default=[])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not (asked.folder / "drawings").exists():
        few_images.write(asked.folder / "drawings")
    other_images.make(asked.folder)
    drawn = [f"imagefolder:{asked.folder / name}" for name in ("drawings", "letters28")]
    print("| images | seed | epochs | default: largest, smallest % | CPU s ", end="")
    print("| halving: largest, smallest % | CPU s | chosen |\n|---|---|---|---|---|---|---|---|")
    for seed in range(asked.seeds):
        for name in (*asked.data, *drawn):
            data = few(base.load(name, seed=0, progress=Silent(), image_size=asked.size))
            print(row(data, Path(name).name, seed, asked.seconds), flush=True)


def row(data: Dataset, name: str, seed: int, seconds: float) -> str:
    epochs = epochs_of(data, seconds)
    shown = [f"{name}, {len(data.train)}", str(seed), str(epochs)]
    for way in (default, halving):
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            trained = way(data, epochs, seed, Path(folder))
            spent_s = time.process_time() - started
        scores = ", ".join(f"{100 * score:.1f}" for score in trained.scores(data.test))
        shown += [scores, f"{spent_s:.0f}"]
    return f"| {' | '.join([*shown, trained.recipe])} |"


def few(data: Dataset) -> Dataset:
    """Return a data set with at most `MOST_TRAIN` and `MOST_TEST` images, drawn at random."""
    rng = np.random.default_rng(0)
    train, test = (
        split.take(rng.permutation(len(split))[:most])
        for split, most in ((data.train, MOST_TRAIN), (data.test, MOST_TEST))
    )
    return replace(data, train=train, test=test)


def begun(data: Dataset, recipe: str, epochs: int, seed: int, folder: Path) -> Training:
    rate, augmentation = RECIPES[recipe]
    settings: TrainSettings = default_settings(
        data, augmentation, epochs=epochs, learning_rate=rate, seed=seed
    )
    channels = data.train.images.shape[-1]
    space = mbv3_tiny.create(len(data.class_names), channels, data.image_size)
    trainer = Trainer(space, data, settings, folder / f"{recipe}.checkpoint", "cpu")
    return Training(recipe, trainer, trainer.steps())


def epochs_of(data: Dataset, seconds: float) -> int:
    """Return the epochs of the default recipe in so many CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        one, taken = begun(data, DEFAULT, 100, 0, Path(folder)), []
        for step in range(1, 6):
            started = time.process_time()
            one.until(step)
            taken.append(time.process_time() - started)
    return max(10, int(seconds / min(taken[1:]) / one.trainer.steps_per_epoch))


def default(data: Dataset, epochs: int, seed: int, folder: Path) -> Training:
    one = begun(data, DEFAULT, epochs, seed, folder)
    one.until(one.trainer.total_steps)
    return one


def halving(data: Dataset, epochs: int, seed: int, folder: Path) -> Training:
    last = round(LAST * epochs)
    running = [begun(data, recipe, last, seed, folder) for recipe in RECIPES]
    steps = epochs * running[0].trainer.steps_per_epoch
    for part, go_on in RUNGS:
        for one in running:
            one.until(round(part * steps))
        running.sort(key=lambda one: -sum(one.scores(data.val)))
        running = running[:go_on]
    running[0].until(running[0].trainer.total_steps)
    return running[0]


if __name__ == "__main__":
    main()
