"""Networks for photographs from ImageNet's weights, and what they are held against; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/photographs.py FOLDER [--size 96] [--seconds 300] [--quick]

FOLDER is an image folder as `edgenas search --data imagefolder:FOLDER` takes it. Each training gets
the same CPU seconds: the supernet of the space `lite`, EfficientNet-Lite0 and its uniform scalings
transferred alone by the same recipe, and MobileNetV2 from random weights. The linear classifier on
the frozen network takes what it takes. Accuracy is of the int8 files on the test images, on this
computer's ONNX Runtime. Latency is the thread time of one image on one thread, the median of rounds
in which every file has its turn, so that all of them see the machine as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.intervals import wilson
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.int8.engines.facts import find_engine
from edgenas.spaces import lite
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.baselines import baseline
from edgenas.supernet import files
from edgenas.supernet.deploy import Deployable, deployable
from edgenas.supernet.imagenet.start import begin
from edgenas.supernet.network import Supernet
from edgenas.supernet.packages.package import find
from edgenas.supernet.packages.trained_size import normalised_as
from edgenas.supernet.settings import TrainSettings, default_settings, transfer_settings
from edgenas.supernet.train import train
from edgenas.supernet.trainer import Trainer

SCHEME, ENGINE = "u8s8", find_engine("onnxruntime")
RATIOS = (6, 3, 2)  # of the uniform scalings of Lite0
RANDOM = 4  # subnets of the supernet, besides the extremes and the uniform ones
ROUNDS, QUICK_S = 40, 20.0


@dataclass(frozen=True)
class Row:
    """A network: what it is, what trained it in how many CPU seconds, and its int8 model."""

    name: str
    architecture: Architecture
    macs: int
    seconds: float
    right: int
    n_images: int
    model: bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--seconds", type=float, default=300.0, help="CPU time of each training")
    parser.add_argument("--quick", action="store_true", help="20 s each, 64 px, fewer networks")
    asked = parser.parse_args()
    size, seconds = (64, QUICK_S) if asked.quick else (asked.size, asked.seconds)
    torch.set_num_threads(1)
    package = find("imagenet")
    images = base.load(f"imagefolder:{asked.folder}", seed=0, progress=Silent(), image_size=size)
    data = normalised_as(images, package.metadata())
    space = lite.create(len(data.class_names), 3, size)
    started = time.process_time()
    start, _ = begin(package.weights, space, data, Silent())
    begun_s = time.process_time() - started
    rows = [row("linear classifier, frozen Lite0", start, space.largest(), data, begun_s)]
    ratios = RATIOS[:1] if asked.quick else RATIOS
    rows += scaled(start, data, seconds, ratios)
    rows += of_supernet(start, data, seconds, ratios, 1 if asked.quick else RANDOM)
    if not asked.quick:
        rows.append(from_nothing(images, seconds))
    show(rows, timed_ms(rows))


def scaled(start: Supernet, data: Dataset, seconds: float, ratios: Sequence[int]) -> Iterator[Row]:
    """Yield Lite0 and narrower ones, each transferred alone from the same start."""
    for ratio in ratios:
        architecture = uniform(start.space, ratio)
        alone = fixed(start.space, architecture)
        initial = Supernet(alone)
        initial.load_state_dict(start.subnet(architecture).state_dict())
        initial.keep_statistics()
        settings = replace(transfer_settings(data), random_subnets=0)
        trained, spent = training(alone, data, settings, seconds, initial)
        yield row(f"Lite0 alone, expand ratio {ratio}", trained, alone.largest(), data, spent)


def of_supernet(
    start: Supernet, data: Dataset, seconds: float, ratios: Sequence[int], random: int
) -> Iterator[Row]:
    """Yield networks of one supernet, trained from the same start: the recipe of a search."""
    initial = Supernet(start.space)
    initial.load_state_dict(start.state_dict())
    initial.keep_statistics()
    trained, spent = training(start.space, data, transfer_settings(data), seconds, initial)
    rng = np.random.default_rng(0)
    networks = {f"subnet, expand ratio {ratio}": uniform(start.space, ratio) for ratio in ratios}
    networks["subnet, smallest"] = start.space.smallest()
    networks |= {f"subnet, random {n}": start.space.sample(rng) for n in range(random)}
    for name, architecture in networks.items():
        yield row(name, trained, architecture, data, spent)


def from_nothing(data: Dataset, seconds: float) -> Row:
    """Return MobileNetV2 of half the width, trained from random weights."""
    space = baseline("mobilenetv2-0.5", len(data.class_names), 3, data.image_size)
    trained, spent = training(space, data, default_settings(data), seconds, None)
    return row("MobileNetV2 0.5 from nothing", trained, space.largest(), data, spent)


def training(
    space: MobileSpace,
    data: Dataset,
    settings: TrainSettings,
    seconds: float,
    initial: Supernet | None,
) -> tuple[Supernet, float]:
    """Return the supernet after about so many CPU seconds of training, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "checkpoint", Path(folder) / "supernet"
        epochs = max(1, int(seconds / epoch_s(space, data, settings, initial, paths[0])))
        started = time.process_time()
        train(space, data, replace(settings, epochs=epochs), *paths, Silent(), initial=initial)
        spent = time.process_time() - started
        print(f"{space.name}: {epochs} epochs in {spent:.0f} s", file=sys.stderr)
        return files.load(paths[1], space), spent


def epoch_s(
    space: MobileSpace,
    data: Dataset,
    settings: TrainSettings,
    initial: Supernet | None,
    checkpoint: Path,
) -> float:
    """Return the CPU seconds of an epoch, timed on a few steps of a copy."""
    copy = None
    if initial is not None:
        copy = Supernet(space)
        copy.load_state_dict(initial.state_dict())
        copy.keep_statistics()
    trainer = Trainer(space, data, settings, checkpoint.with_name("timed"), "cpu", copy)
    steps, taken = trainer.steps(), []
    for _ in range(min(4, trainer.total_steps)):
        started = time.process_time()
        next(steps)
        taken.append(time.process_time() - started)
    return float(np.mean(taken[1:] or taken)) * trainer.steps_per_epoch


def fixed(space: MobileSpace, architecture: Architecture) -> MobileSpace:
    """Return the space of this one network."""
    stages = [
        replace(spec, depths=(len(kernels),), expand_ratios=(ratios[0],))
        for spec, kernels, ratios in zip(
            space.stages, architecture.kernel_sizes, architecture.expand_ratios, strict=True
        )
    ]
    return replace(space, stages=tuple(stages), resolutions=(architecture.resolution,))


def uniform(space: MobileSpace, ratio: int) -> Architecture:
    """Return the network of full depth and resolution with one expand ratio, where it is there."""
    stages = []
    for spec in space.stages:
        depth, ratios = spec.depths[-1], spec.expand_ratios
        chosen = ratio if ratio in ratios else ratios[-1]
        stages.append(StageChoice((spec.kernel_sizes[-1],) * depth, (chosen,) * depth))
    return Architecture.of(space.name, max(space.resolutions), tuple(stages))


def row(
    name: str, supernet: Supernet, architecture: Architecture, data: Dataset, seconds: float
) -> Row:
    layers = supernet.space.layers(architecture)
    network: Deployable = deployable(supernet, architecture, layers, data, ENGINE)
    right = network.right(SCHEME, data, data.test)
    macs = sum(layer.macs for layer in layers)
    model = network.emit(SCHEME, batch=1)
    return Row(name, architecture, macs, seconds, int(right.sum()), len(right), model)


def timed_ms(rows: Sequence[Row]) -> list[float]:
    """Return the median thread time of each model in ms, timed in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(model, options) for model in (one.model for one in rows)
    ]
    images = [
        np.zeros((1, 3, one.architecture.resolution, one.architecture.resolution), np.float32)
        for one in rows
    ]
    taken: list[list[float]] = [[] for _ in rows]
    for _ in range(ROUNDS):
        for index, session in enumerate(sessions):
            entry = {session.get_inputs()[0].name: images[index]}
            session.run(None, entry)  # the first run after another model finds cold caches
            started = time.thread_time()
            session.run(None, entry)
            taken[index].append(1e3 * (time.thread_time() - started))
    return [float(np.median(one)) for one in taken]


def show(rows: Sequence[Row], ms: Sequence[float]) -> None:
    print("| network | px | MMAC | int8 test % | 95 % interval | ms | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for one, latency in zip(rows, ms, strict=True):
        low, high = wilson(one.right, one.n_images)
        print(
            f"| {one.name} | {one.architecture.resolution} | {one.macs / 1e6:.0f} | "
            f"{100 * one.right / one.n_images:.1f} | {100 * low:.1f} to {100 * high:.1f} | "
            f"{latency:.2f} | {one.seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
