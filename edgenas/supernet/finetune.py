"""Fine-tuning one subnet by itself: rounded as int8, taught by the largest network."""

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
from edgenas.core.records import Architecture
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.batches import Batches
from edgenas.supernet.blocks import Subnet
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
TAUGHT = 0.5  # share of the loss that is the teacher's


class FineTuning:
    """The training of one subnet; `steps` yields the loss of each, `total_steps` in all."""

    def __init__(
        self, supernet: Supernet, architecture: Architecture, data: Data, settings: TrainSettings
    ) -> None:
        keep_freed_memory()
        self.data, self.settings = data, settings
        self.largest = calibrated_subnet(supernet, supernet.space.largest(), data)
        self.subnet = supernet.subnet(architecture)
        self.optimizer = torch.optim.SGD(
            split_decay(self.subnet, settings.weight_decay),
            lr=LEARNING_RATE,
            momentum=settings.momentum,
            nesterov=True,
        )
        self.batches = Batches(data, settings)
        self.total_steps = settings.epochs * self.batches.per_epoch

    def steps(self) -> Iterator[float]:
        """Train; the subnet is calibrated and rounds nothing when this has ended."""
        self.subnet.train()
        self.subnet.round_like_int8(True)
        with denormals_flushed():
            for step in range(self.total_steps):
                cosine = 0.5 * (1 + math.cos(math.pi * step / self.total_steps))
                for group in self.optimizer.param_groups:
                    group["lr"] = LEARNING_RATE * cosine
                yield self._step(step)
        self.subnet.round_like_int8(False)
        recalibrate(self.subnet, calibration_images(self.subnet, self.data), self.data)

    def _step(self, step: int) -> float:
        epoch, index = divmod(step, self.batches.per_epoch)
        images, labels = self.batches.batch(epoch, index, self.batches.rng(epoch, index))
        with torch.no_grad():
            answers = self.largest(resized(images, self.largest.resolution))
            soft_targets = self.data.task.soft_targets(answers)
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.subnet(resized(images, self.subnet.resolution))
        taught, labelled = (self.data.task.loss(logits, one) for one in (soft_targets, labels))
        loss = TAUGHT * taught + (1 - TAUGHT) * labelled
        loss.backward()
        norm = clip_grad_norm_(self.subnet.parameters(), self.settings.clip_norm)
        if not (math.isfinite(loss.item()) and math.isfinite(norm)):
            raise TrainingError(
                f"Fine-tuning on {self.data.name} diverged in step {step + 1}: "
                f"the loss is {loss.item():g}.",
                "Search again without --finetune, or with another --seed.",
            )
        self.optimizer.step()
        return loss.item()


def save(subnet: Subnet, path: Path) -> None:
    """Write the state of a subnet as safetensors."""
    state = {name: value.contiguous() for name, value in subnet.state_dict().items()}
    write_bytes(path, safetensors_torch.save(state))


def load(path: Path, supernet: Supernet, architecture: Architecture) -> Subnet:
    """Return the subnet in `path`, ready to lower; `InputError` if it is another one."""
    subnet = supernet.subnet(architecture)
    copy_tensors(path, read_state(path), subnet.state_dict())
    subnet.eval()
    return subnet
