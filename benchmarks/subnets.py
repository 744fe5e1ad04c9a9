"""Models of random subnets to measure, and a user of their own to measure them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces.base import MobileSpace
from edgenas.targets.base import ModelFile


def drawn(
    space: MobileSpace, count: int, first: Iterable[Architecture] = ()
) -> tuple[Architecture, ...]:
    """Return `count` distinct architectures, always the same; `first` are among them."""
    rng = np.random.default_rng(0)
    found: dict[Architecture, None] = dict.fromkeys(first)
    while len(found) < count:
        found.setdefault(space.sample(rng))
    return tuple(found)


def model_files(
    space: MobileSpace, architectures: Iterable[Architecture], scheme: str, folder: Path
) -> list[ModelFile]:
    """Write int8 models with random weights into `folder`; return them in order."""
    from helpers.scripted_runtime import model_file

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for architecture in architectures:
        path = folder / f"{architecture.short_name}.onnx"
        layers = space.layers(architecture)
        graph = lower(layers, random_state(layers, 0))
        exporter = plugins.load("exporters", "onnx")
        path.write_bytes(exporter.emit(graph, random_ranges(graph, 0), scheme=scheme))
        files.append(model_file(path))
    return files


@contextmanager
def user_of(line: str) -> Iterator[Path]:
    """Give this process a home in which the board's host key is known."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".ssh").mkdir()
        (home / ".ssh" / "known_hosts").write_text(line)
        os.environ["HOME"] = str(home)
        yield home
