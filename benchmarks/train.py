"""Time a training step of a supernet on one CPU core, in CPU seconds; print JSON.

Run: OMP_NUM_THREADS=1 python benchmarks/train.py [--space mbv3-tiny] [--image-size 32]

All is measured in turn in one run, so that a busy machine slows all alike: "sandwich" is a step of
four networks, "largest" one of the largest alone, "torch" a sandwich with torch's own depthwise
gradient and batch norm, and without keeping freed memory.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.core import plugins
from edgenas.data.base import Dataset, Split, assemble
from edgenas.supernet import batch_norm, blocks
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.trainer import Trainer

REPEATS = 7


def images(size: int) -> Dataset:
    """Return noise in ten classes."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        pixels = rng.integers(0, 256, (n, size, size, 3), np.uint8)
        return Split(pixels, np.arange(n, dtype=np.int64) % 10)

    names = tuple(map(str, range(10)))
    return assemble("noise", names, split(2000), split(40), split(40), seed=0)


def trainer(arguments: argparse.Namespace, data: Dataset, random_subnets: int) -> Trainer:
    space = plugins.load("spaces", arguments.space).create(10, 3, arguments.image_size)
    settings = TrainSettings(
        batch_size=arguments.batch_size, random_subnets=random_subnets, flip=True, shift=4
    )
    return Trainer(space, data, settings, Path("none"), "cpu")


def largest_only(made: Trainer) -> Callable[[], None]:
    """Return a plain step of the largest network: what a training without a supernet does."""

    def step() -> None:
        rng = np.random.default_rng(0)
        inputs, targets = made._batch(0, 0, rng)
        made.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(made.supernet(inputs, made.space.largest()), targets).backward()
        torch.nn.utils.clip_grad_norm_(made.supernet.parameters(), 5.0)
        made.optimizer.step()

    return step


def sandwich(made: Trainer) -> Callable[[], None]:
    def step() -> None:
        made._step()
        made.state.step += 1

    return step


def with_torchs_own(step: Callable[[], None]) -> Callable[[], None]:
    """Return `step` by torch's own depthwise convolution, and batch norm apart from ReLU6."""

    def depthwise(values: Tensor, weight: Tensor, stride: int) -> Tensor:
        return F.conv2d(values, weight, None, stride, weight.shape[2] // 2, groups=weight.shape[0])

    def changed() -> None:
        kept = blocks.depthwise, batch_norm.BatchNorm._learns
        blocks.depthwise = depthwise
        batch_norm.BatchNorm._learns = lambda self: False  # type: ignore[method-assign]
        try:
            step()
        finally:
            blocks.depthwise, batch_norm.BatchNorm._learns = kept  # type: ignore[method-assign]

    return changed


def cpu_seconds(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the median CPU time of each step, taken in turn."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(REPEATS + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if repeat:  # the first is to warm up
                taken[name].append(time.process_time() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="mbv3-tiny")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = images(arguments.image_size)
    own = cpu_seconds({"torch": with_torchs_own(sandwich(trainer(arguments, data, 2)))})
    keep_freed_memory()
    made = trainer(arguments, data, 2)
    quantized = trainer(arguments, data, 2)
    quantized.settings = TrainSettings(**{**vars(made.settings), "qat_epochs": 14})
    steps = {
        "largest": largest_only(trainer(arguments, data, 2)),
        "sandwich": sandwich(made),
        "sandwich, rounding": sandwich(quantized),
    }
    started = time.process_time()
    found = {**own, **cpu_seconds(steps)}
    ready = made.waited_s / (REPEATS + 1) / found["sandwich"]
    document: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        **vars(arguments),
        "cpu_s_a_step": {name: round(seconds, 4) for name, seconds in found.items()},
        "images_a_cpu_s": {n: round(arguments.batch_size / s, 1) for n, s in found.items()},
        "sandwich_to_largest": round(found["sandwich"] / found["largest"], 2),
        "torch_to_sandwich": round(found["torch"] / found["sandwich"], 2),
        "waiting_share": round(ready, 4),
        "measured_s": round(time.process_time() - started, 1),
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
