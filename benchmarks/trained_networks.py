"""Networks trained by one recipe, and which images their int8 models get right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenas.core import plugins
from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Architecture
from edgenas.core.records.intervals import wilson
from edgenas.data.base import Dataset, Split
from edgenas.int8.engines.facts import Engine, find_engine
from edgenas.int8.engines.host import logits
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.baselines import baseline
from edgenas.supernet.deploy import Deployable, deployable
from edgenas.supernet.files import load
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import default_settings
from edgenas.supernet.train import train
from edgenas.targets.base import Target
from edgenas.targets.config import resolve

STEM2 = "-stem2"


@dataclass(frozen=True)
class Recipe:
    """Images and epochs that all networks share; `folder` keeps the weights, one file a space."""

    data: Dataset
    epochs: int
    target: Target
    work: Path

    @cached_property
    def folder(self) -> Path:
        folder = self.work / f"{self.data.identity[:8]}-{self.epochs}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def engine(self) -> Engine:
        return find_engine(self.target.engine)

    def space(self, name: str) -> MobileSpace:
        """Return the space, or the baseline; with "-stem2" after its name its stem halves."""
        about = len(self.data.class_names), len(self.data.mean), self.data.image_size
        if name in plugins.names("spaces"):
            space: MobileSpace = plugins.load("spaces", name).create(*about)
            return space
        made = baseline(name.removesuffix(STEM2), *about)
        return replace(made, name=name, stem_stride=2) if name.endswith(STEM2) else made

    def trained(self, space: MobileSpace, progress: Progress) -> Supernet:
        """Return the trained networks of a space; what was trained before is read."""
        path = self.folder / f"{space.name}.safetensors"
        if not path.exists():
            progress.message(f"Training {space.name}")
            settings = default_settings(self.data, epochs=self.epochs)
            checkpoint = path.with_suffix(".checkpoint")
            train(space, self.data, settings, checkpoint, path, Silent())
        return load(path, space)

    def deployable(self, supernet: Supernet, architecture: Architecture) -> Deployable:
        layers = supernet.space.layers(architecture)
        return deployable(supernet, architecture, layers, self.data, self.engine)

    def right(self, network: Deployable, split: Split, int8: bool = True) -> np.ndarray:
        """Return which images the emitted model gets right in the host's engine, bool [n]."""
        model = network.emit(self.target.scheme if int8 else None, None)
        images = self.data.normalize(split.resized(network.graph.input_shape[2]).images)
        answers: np.ndarray = logits(model, images, self.engine.host_engine).argmax(1)
        return answers == split.labels


def open_recipe(data: str, epochs: int, work: Path, progress: Progress) -> Recipe:
    from edgenas.data import base

    return Recipe(base.load(data, seed=0, progress=progress), epochs, resolve("local"), work)


def alone(space: MobileSpace, architecture: Architecture) -> MobileSpace:
    """Return the space that has only `architecture`, each block a stage of its own."""
    stages: list[StageSpec] = []
    for spec, choice in zip(space.stages, architecture.stages, strict=True):
        sizes = zip(choice.kernel_sizes, choice.expand_ratios, strict=True)
        for block, (kernel_size, expand_ratio) in enumerate(sizes):
            one = {"depths": (1,), "kernel_sizes": (kernel_size,), "expand_ratios": (expand_ratio,)}
            stages.append(replace(spec, stride=1 if block else spec.stride, **one))
    name = f"{space.name}-{architecture.short_name}"
    resolution = (architecture.resolution,)
    return replace(space, name=name, stages=tuple(stages), resolutions=resolution)


def million_macs(space: MobileSpace, architecture: Architecture) -> float:
    return sum(layer.macs for layer in space.layers(architecture)) / 1e6


def percent(right: np.ndarray) -> str:
    """Return the share that is right and its 95 % interval (Wilson): "71.2 (69.9 to 72.4)"."""
    share = float(right.mean())
    low, high = wilson(share * len(right), len(right))
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"
