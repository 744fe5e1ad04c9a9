"""Networks for photographs from ImageNet's weights, and what they are held against.

Run: OMP_NUM_THREADS=1 python benchmarks/photographs.py FOLDER --work WORK [--docs docs/benchmarks]
     [--parts classifier alone nothing search rounding promises] [--size 96] [--epochs 8]
     [--finetune 4] [--seconds 60] [--supernet FILE] [--quick]

FOLDER is an image folder as `edgenas search --data imagefolder:FOLDER` takes it. What each part
finds is kept in WORK, so parts can be run one after the other, or side by side; the table and the
plot show those that are there, and time all of their files in turns.

classifier: a linear classifier on the frozen EfficientNet-Lite0. alone: Lite0 and its uniform
scalings, each transferred by the recipe of a search in so many CPU seconds. nothing: MobileNetV2
from random weights. search: `edgenas search` within the latencies of those scalings, over one
supernet. rounding: what int8 costs 20 of its subnets. promises: accuracy as searches predict it,
and on the test images. Accuracy is of int8 files on the test images, in this computer's ONNX
Runtime. Latency is the thread time of one image on one thread, the median of rounds in which every
file has its turn, so that all of them see the machine as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from photographs_page import page
from photographs_searches import promises, rounding, searched
from photographs_timing import thread_ms

from edgenas.core.progress import Silent
from edgenas.core.records import Answers, Architecture, StageChoice
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.ranges import calibrate
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
# Uniform scalings of Lite0, pixels and expand ratio. A search has the latency of those in LIMITS.
SCALED = ((64, 6), (64, 2), (64, 3), (80, 6))
LIMITS = ((64, 2), (64, 3), (64, 6))
PARTS = ("classifier", "alone", "nothing", "search", "rounding", "promises")
QUICK = {"size": 80, "epochs": 1, "finetune": 1, "seconds": 15.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="where results are kept")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--size", type=int, default=96, help="pixels a side of the supernet")
    parser.add_argument("--epochs", type=int, default=8, help="of the supernet")
    parser.add_argument("--finetune", type=int, default=4, help="epochs of each candidate alone")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of each baseline")
    parser.add_argument("--supernet", type=Path, help="of --size, for promises, not the searches'")
    parser.add_argument("--docs", type=Path, help="folder of index.md, to write the table into")
    parser.add_argument("--quick", action="store_true", help="a few minutes in all")
    asked = parser.parse_args()
    if asked.quick:
        vars(asked).update(QUICK)
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], None]] = {
        "classifier": lambda: classifier(asked),
        "alone": lambda: alone(asked),
        "nothing": lambda: from_nothing(asked),
        "search": lambda: searched(asked, limits_ms()),
        "rounding": lambda: rounding(asked),
        "promises": lambda: promises(asked, reach_ms(asked.size)),
    }
    for name in asked.parts:
        parts[name]()
    print(page(asked.work, asked.docs))


def images_at(folder: Path, size: int) -> Dataset:
    """Return the images at `size` pixels, normalised as ImageNet's weights want them."""
    images = base.load(f"imagefolder:{folder}", seed=0, progress=Silent(), image_size=size)
    return normalised_as(images, find("imagenet").metadata())


def classifier(asked: argparse.Namespace) -> None:
    if known(asked.work, "classifier"):
        return
    data = images_at(asked.folder, asked.size)
    start, spent = begun(data)
    about = "linear classifier, frozen Lite0", spent, 0
    keep(asked.work, "classifier", about, start, start.space.largest(), data)


def alone(asked: argparse.Namespace) -> None:
    """Transfer Lite0 and narrower ones, each alone and from the same start as the supernet."""
    for size, ratio in SCALED:
        name = f"alone-{size}-{ratio}"
        if known(asked.work, name):
            continue
        data = images_at(asked.folder, size)
        start, begun_s = begun(data)
        architecture = uniform(start.space, ratio)
        space = fixed(start.space, architecture)
        initial = Supernet(space)
        initial.load_state_dict(start.subnet(architecture).state_dict())
        initial.keep_statistics()
        settings = replace(transfer_settings(data), random_subnets=0)
        trained, spent, epochs = training(space, data, settings, asked.seconds, initial)
        title = "Lite0" if ratio == max(lite.EXPAND_RATIOS) else f"Lite0, expand ratio {ratio}"
        about = f"{title}, transferred alone", begun_s + spent, epochs
        keep(asked.work, name, about, trained, space.largest(), data)


def from_nothing(asked: argparse.Namespace) -> None:
    """Train MobileNetV2 of half the width from random weights."""
    if known(asked.work, "nothing"):
        return
    data = base.load(
        f"imagefolder:{asked.folder}", seed=0, progress=Silent(), image_size=asked.size
    )
    space = baseline("mobilenetv2-0.5", len(data.class_names), 3, data.image_size)
    trained, spent, epochs = training(space, data, default_settings(data), asked.seconds, None)
    about = "MobileNetV2 0.5 from nothing", spent, epochs
    keep(asked.work, "nothing", about, trained, space.largest(), data)


def begun(data: Dataset) -> tuple[Supernet, float]:
    """Return where training begins, and the CPU seconds that it took."""
    started = time.process_time()
    space = lite.create(len(data.class_names), 3, data.image_size)
    start, _ = begin(find("imagenet").weights, space, data, Silent())
    return start, time.process_time() - started


def training(
    space: MobileSpace,
    data: Dataset,
    settings: TrainSettings,
    seconds: float,
    initial: Supernet | None,
) -> tuple[Supernet, float, int]:
    """Return the supernet after about so many CPU seconds, what it took, and its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "checkpoint", Path(folder) / "supernet"
        epochs = max(1, int(seconds / epoch_s(space, data, settings, initial, paths[0])))
        started = time.process_time()
        train(space, data, replace(settings, epochs=epochs), *paths, Silent(), initial=initial)
        spent = time.process_time() - started
        print(f"{space.name}: {epochs} epochs in {spent:.0f} s", file=sys.stderr)
        return files.load(paths[1], space), spent, epochs


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


def limits_ms() -> dict[str, float]:
    """Return the latencies of the scalings that searches have as limits: with random weights."""
    names, models = [], []
    for size, ratio in LIMITS:
        space = lite.create(10, 3, size)
        names.append(f"alone-{size}-{ratio}")
        models.append(untrained(space, uniform(space, ratio)))
    return dict(zip(names, thread_ms(models), strict=True))


def reach_ms(size: int) -> tuple[float, float]:
    """Return the latencies of the smallest and of the largest network: with random weights."""
    space = lite.create(10, 3, size)
    extremes = space.smallest(), space.largest()
    fastest, slowest = thread_ms([untrained(space, one) for one in extremes])
    return fastest, slowest


def untrained(space: MobileSpace, architecture: Architecture) -> bytes:
    """Return the int8 file of a network with random weights."""
    size = architecture.resolution
    subnet = Supernet(space).subnet(architecture).eval()
    graph = lower(space.layers(architecture), subnet.numpy_state())
    noise = np.random.default_rng(0).normal(size=(4, 3, size, size)).astype(np.float32)
    return Deployable(graph, calibrate(graph, noise), ENGINE).emit(SCHEME, batch=1)


def known(work: Path, name: str) -> bool:
    return (work / f"{name}.json").exists()


def keep(  # noqa: PLR0917 - where, what it is called, what it is
    work: Path,
    name: str,
    about: tuple[str, float, int],
    supernet: Supernet,
    architecture: Architecture,
    data: Dataset,
) -> None:
    """Write the int8 file and what it gets right of the test images; the JSON file comes last."""
    title, seconds, epochs = about
    layers = supernet.space.layers(architecture)
    network = deployable(supernet, architecture, layers, data, ENGINE)
    answers = Answers.of(network.right(SCHEME, data, data.test).tolist())
    (work / f"{name}.onnx").write_bytes(network.emit(SCHEME, batch=1))
    row: dict[str, Any] = {
        "title": title,
        "resolution": architecture.resolution,
        "mmac": sum(layer.macs for layer in layers) / 1e6,
        "answers": vars(answers),
        "seconds": seconds,
        "epochs": epochs,
        "n_train": len(data.train.labels),
    }
    (work / f"{name}.json").write_text(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
