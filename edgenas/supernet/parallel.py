"""Several processes that train or evaluate one supernet, each its share.

`torchrun` tells each process which one it is by environment variables. In training all draw the
same images, changes and subnets, and step by the mean of their gradients, so the recipe is that of
one process; only batch norm sees a share of the batch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from edgenas.core.errors import InputError, TrainingError


@dataclass(frozen=True)
class Workers:
    """The processes that work together: how many, and which one this is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's rows of a batch."""
        return batch[self.rank :: self.count]

    def mean_gradients(self, parameters: Sequence[Tensor], loss: float) -> float:
        """Set every gradient to its mean over the processes; return the mean loss.

        Raises
        ------
        TrainingError : another process is gone.
        """
        if self.count == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), gradients[0].new_tensor([loss])])
        with _others_alive():
            dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(
            gradients, flat[:-1].split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))
        return float(flat[-1])

    def agreed(self, text: str) -> str:
        """Return the text of the first process, in all of them; `TrainingError` if one is gone."""
        if self.count == 1:
            return text
        content = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        size = torch.tensor([len(content)])
        with _others_alive():
            dist.broadcast(size, 0)
            if not self.first:
                content = torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(content, 0)
        return bytes(content.tolist()).decode()

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of float64 arrays over the processes; `TrainingError` if one is gone."""
        if self.count == 1:
            return values
        total = torch.from_numpy(values.astype(np.float64))
        with _others_alive():
            dist.all_reduce(total)
        return total.numpy()

    def require_same(self, step: int) -> None:
        """Raise `InputError` unless all processes go on from the same step."""
        if self.count == 1:
            return
        steps = torch.tensor([step, -step])
        with _others_alive():
            dist.all_reduce(steps, dist.ReduceOp.MAX)
        if steps[0] != -steps[1]:
            raise InputError(
                "The processes of this training found different checkpoints.",
                "Put -o in a folder that all machines share.",
            )


@contextlib.contextmanager
def joined(device: str) -> Iterator[Workers]:
    """Join the processes that `torchrun` started; alone without it.

    Raises
    ------
    TrainingError : the others cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    with _others_alive():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Workers(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()


def started_here() -> bool:
    """Whether this process is the first of those that `torchrun` started, or alone."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as problem:
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else "no answer"
        raise TrainingError(
            f"Another process of this work is gone or cannot be reached: {reason}",
            "See why it ended, then start all processes again (a training with --resume).",
        ) from problem
