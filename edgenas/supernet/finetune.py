"""Training one network by itself; fine-tuning is that of a subnet, as int8 and taught."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import torch as safetensors_torch
from torch.nn.utils import clip_grad_norm_

from edgenas.core.errors import TrainingError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.interfaces import Data
from edgenas.core.records import Architecture, Layer
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.batches import Batches
from edgenas.supernet.blocks import Network, Subnet
from edgenas.supernet.denormals import denormals_flushed
from edgenas.supernet.files import copy_tensors, read_state
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import (
    calibrated_subnet,
    calibration_images,
    recalibrate,
)
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.trainer import resized, split_decay

LEARNING_RATE = 0.01
# Of a subnet whose supernet was trained for long: it has little left to learn, and a greater rate
# takes some of it away (docs/decisions).
LATE_LEARNING_RATE = 0.003
TAUGHT = 0.5  # share of the loss that is the teacher's


class SubnetTraining:
    """The training of one network by itself; `steps` yields the loss of each, `total_steps` in all.

    subnet : is trained in place.
    rates : the learning rate at the first and at the last step, along a cosine; None for the
        recipe's, down to zero. warmup : share of the steps over which it rises to the first.
    teacher : half of the loss is what it answers; None where labels alone teach.
    rounds : whether weights and activations are rounded as int8 does.
    """

    def __init__(
        self,
        subnet: Subnet,
        data: Data,
        settings: TrainSettings,
        *,
        rates: tuple[float, float] | None = None,
        warmup: float = 0.0,
        teacher: Subnet | None = None,
        rounds: bool = False,
    ) -> None:
        keep_freed_memory()
        self.subnet, self.data, self.settings = subnet, data, settings
        self.first_rate, self.last_rate = rates or (settings.learning_rate, 0.0)
        self.teacher, self.rounds = teacher, rounds
        self.optimizer = torch.optim.SGD(
            split_decay(self.subnet, settings.weight_decay),
            lr=self.first_rate,
            momentum=settings.momentum,
            nesterov=True,
        )
        self.batches = Batches(data, settings)
        self.total_steps = settings.epochs * self.batches.per_epoch
        self.warmup_steps = max(1, round(warmup * self.total_steps))

    def steps(self) -> Iterator[float]:
        """Train; the subnet is calibrated and rounds nothing when this has ended."""
        self.subnet.train()
        self.subnet.round_like_int8(self.rounds)
        with denormals_flushed():
            for step in range(self.total_steps):
                cosine = 0.5 * (1 + math.cos(math.pi * step / self.total_steps))
                rate = self.last_rate + (self.first_rate - self.last_rate) * cosine
                for group in self.optimizer.param_groups:
                    group["lr"] = rate * min(1.0, (step + 1) / self.warmup_steps)
                yield self._step(step)
        self.subnet.round_like_int8(False)
        recalibrate(self.subnet, calibration_images(self.subnet, self.data), self.data)

    def _step(self, step: int) -> float:
        epoch, index = divmod(step, self.batches.per_epoch)
        images, labels = self.batches.batch(epoch, index, self.batches.rng(epoch, index))
        task = self.data.task
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.subnet(resized(images, self.subnet.resolution))
        loss = task.loss(logits, labels)
        if self.teacher is not None:
            with torch.no_grad():
                answers = self.teacher(resized(images, self.teacher.resolution))
            taught = task.loss(logits, task.soft_targets(answers))
            loss = TAUGHT * taught + (1 - TAUGHT) * loss
        loss.backward()
        norm = clip_grad_norm_(self.subnet.parameters(), self.settings.clip_norm)
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise TrainingError(
                f"Training one network on {self.data.name} diverged in step {step + 1}: "
                f"the loss is {loss.item():g}.",
                "Run again with another --seed.",
            )
        self.optimizer.step()
        return loss.item()


def fine_tuning(
    supernet: Supernet,
    architecture: Architecture,
    data: Data,
    settings: TrainSettings,
    learning_rate: float = LEARNING_RATE,
) -> SubnetTraining:
    """Return the fine-tuning of a subnet: rounded as int8, taught by the largest network.

    learning_rate : of the first step; it falls to zero.
    """
    return SubnetTraining(
        supernet.subnet(architecture),
        data,
        settings,
        rates=(learning_rate, 0.0),
        teacher=calibrated_subnet(supernet, supernet.space.largest(), data),
        rounds=True,
    )


def save(subnet: Subnet, path: Path) -> None:
    """Write the state of a subnet as safetensors."""
    state = {name: value.contiguous() for name, value in subnet.state_dict().items()}
    write_bytes(path, safetensors_torch.save(state))


def load(path: Path, layers: tuple[Layer, ...], like: Network) -> Subnet:
    """Return the network of `layers` in `path`, ready to lower; `InputError` if it is another one.

    like : what it was cut out of; where that keeps its statistics, so does this.
    """
    subnet = Subnet(layers)
    if like.keeps_statistics:
        subnet.keep_statistics()
    copy_tensors(path, read_state(path), subnet.state_dict())
    subnet.eval()
    return subnet
