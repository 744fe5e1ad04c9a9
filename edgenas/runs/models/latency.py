"""Models of which only the latency means something: int8 with random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.core import plugins
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import Architecture, Layer
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.targets.base import ModelFile

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext
    from edgenas.spaces.base import MobileSpace
    from edgenas.targets.base import Target
    from edgenas.targets.jobs.job_target import JobTarget


def latency_model(
    context: RunContext,
    architecture: Architecture,
    target: Target | None = None,
    space: MobileSpace | None = None,
) -> ModelFile:
    """Write an int8 model of `architecture` with seeded random weights; return its file.

    Latency and memory do not depend on the weights' values, so a target can be measured before
    anything is trained. target : in place of the run's, with another engine. space : in place of
    the run's, for images of another size.
    """
    target = target or context.target
    layers = (space or context.space).layers(architecture)
    folder = context.folder.jobs / "models"
    return random_model(folder, architecture.short_name, layers, target, context.config.seed)


def random_model(
    folder: Path,
    key: str,
    layers: tuple[Layer, ...],
    target: Target | JobTarget,
    seed: int,
    *,
    int8: bool = True,
    n_images: int = 4,
) -> ModelFile:
    """Write a model of `layers` with seeded random weights for the target's engine below `folder`.

    int8 : else float32. n_images : random ones, by which the ranges of int8 are found.
    """
    exporter = plugins.load("exporters", find_engine(target.engine).exporter)
    graph = lower(layers, random_state(layers, seed))
    if int8:
        content = exporter.emit(graph, random_ranges(graph, seed, n_images), scheme=target.scheme)
    else:
        content = exporter.emit(graph, None)
    path = folder / f"{key}{exporter.FILE_SUFFIX}"
    write_bytes(path, content)
    return ModelFile(key, path, hashlib.sha256(content).hexdigest())
