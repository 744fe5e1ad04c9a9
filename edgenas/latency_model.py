"""Models of which only the latency means something: int8 with random weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgenas import plugins
from edgenas.graph.lower import lower
from edgenas.graph.random_state import random_state
from edgenas.graph.ranges import random_ranges
from edgenas.records import Architecture
from edgenas.run_folder import write_bytes
from edgenas.targets.base import ModelFile

if TYPE_CHECKING:
    from edgenas.run_context import RunContext


def latency_model(context: RunContext, architecture: Architecture) -> ModelFile:
    """Write an int8 model of `architecture` with seeded random weights; return its file.

    Latency and memory do not depend on the weights' values, so a target can be measured before
    anything is trained.
    """
    exporter = plugins.load("exporters", context.engine.exporter)
    layers = context.space.layers(architecture)
    seed = context.config.seed
    graph = lower(layers, random_state(layers, seed))
    content = exporter.emit(graph, random_ranges(graph, seed), scheme=context.target.scheme)
    path = context.folder.jobs / "models" / (architecture.short_name + exporter.FILE_SUFFIX)
    write_bytes(path, content)
    return ModelFile(architecture.short_name, path, hashlib.sha256(content).hexdigest())
