"""Training: all subnets at once, by the sandwich rule with in-place distillation.

In each step the largest network learns the labels; the smallest and some random ones learn what the
largest answers (Yu and Huang 2019, Universally Slimmable Networks; Cai et al. 2020, Once-for-All).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from edgenas.errors import TrainingError
from edgenas.progress import Progress
from edgenas.records import Architecture, from_json
from edgenas.supernet import files
from edgenas.supernet.augment import augment
from edgenas.supernet.evaluate import accuracy
from edgenas.supernet.interfaces import Data, Space
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet, to_input
from edgenas.supernet.settings import TrainSettings

CHECKPOINT_EVERY_S = 30.0
MOMENTUM_PREFIX = "momentum."


@dataclass(frozen=True)
class TrainReport:
    """What training did.

    losses : mean cross-entropy of the largest network, one an epoch.
    seconds, images_per_second : of this call; images count once though four networks saw them.
    resumed_steps : steps that were found done in the checkpoint.
    largest_accuracy, smallest_accuracy : fractions of the validation split, after recalibration.
    """

    losses: tuple[float, ...]
    seconds: float
    images_per_second: float
    resumed_steps: int
    largest_accuracy: float
    smallest_accuracy: float


@dataclass
class _State:
    """Where training is; with the tensors, all that a checkpoint holds."""

    step: int = 0
    loss_sum: float = 0.0
    losses: list[float] = field(default_factory=list)


def train(  # noqa: PLR0917 - what, from what, how, to where
    space: Space,
    data: Data,
    settings: TrainSettings,
    checkpoint: Path,
    output: Path,
    progress: Progress,
) -> TrainReport:
    """Train a supernet of `space` and write it to `output`.

    Every random number is a function of seed, epoch and step. So a run that was interrupted goes on
    from `checkpoint`, written every 30 s and after each epoch, to the result of one that was not.

    Raises
    ------
    InputError : `checkpoint` is damaged, or of another space, data set or recipe.
    TrainingError : the loss is not finite.
    """
    torch.set_flush_denormal(True)  # denormals in dying channels slow a CPU several times
    trainer = _Trainer(space, data, settings, checkpoint)
    trainer.resume()
    resumed = trainer.state.step
    if resumed:
        epoch = resumed / trainer.steps_per_epoch
        progress.message(f"Training goes on after {epoch:.1f} of {settings.epochs} epochs.")
    started = time.perf_counter()
    with progress.task("Training the supernet", trainer.total_steps) as task:
        task.advance(resumed)
        for loss in trainer.steps():
            task.advance()
            epoch = trainer.state.step / trainer.steps_per_epoch
            task.note(f"epoch {epoch:.1f} of {settings.epochs}, loss {loss:.2f}")
    seconds = time.perf_counter() - started
    files.save(trainer.supernet, output, data, settings)
    seen = (trainer.total_steps - resumed) * trainer.batch_size
    extremes = (
        accuracy(calibrated_subnet(trainer.supernet, architecture, data), data.val, data)
        for architecture in (space.largest(), space.smallest())
    )
    return TrainReport(tuple(trainer.state.losses), seconds, seen / seconds, resumed, *extremes)


class _Trainer:
    def __init__(self, space: Space, data: Data, settings: TrainSettings, checkpoint: Path) -> None:
        self.space, self.data, self.settings, self.checkpoint = space, data, settings, checkpoint
        self.supernet = Supernet(space, settings.seed)
        self.supernet.train()
        self.optimizer = _optimizer(self.supernet, settings)
        self.images = torch.from_numpy(data.train.images)
        self.labels = torch.from_numpy(data.train.labels)
        self.batch_size = min(settings.batch_size, len(self.labels))
        self.steps_per_epoch = len(self.labels) // self.batch_size
        self.total_steps = settings.epochs * self.steps_per_epoch
        self.state = _State()

    def steps(self) -> Iterator[float]:
        """Train from where the state is to the end; yield the loss of each step."""
        saved_at = time.monotonic()
        while self.state.step < self.total_steps:
            loss = self._step()
            self.state.step += 1
            self.state.loss_sum += loss
            ended = self.state.step % self.steps_per_epoch == 0
            if ended:
                self.state.losses.append(self.state.loss_sum / self.steps_per_epoch)
                self.state.loss_sum = 0.0
            if ended or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                self._save()
                saved_at = time.monotonic()
            yield loss

    def _step(self) -> float:
        epoch, index = divmod(self.state.step, self.steps_per_epoch)
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.labels))
        chosen = torch.from_numpy(order[index * self.batch_size :][: self.batch_size])
        rng = np.random.default_rng([self.settings.seed, epoch, index + 1])
        pixels = augment(self.images[chosen], rng, self.settings.shift, self.settings.flip)
        self._set_learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._sandwich(to_input(pixels, self.data), self.labels[chosen], rng)
        norm = clip_grad_norm_(self.supernet.parameters(), self.settings.clip_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError(
                f"Training on {self.data.name} diverged in epoch {epoch + 1}, step {index + 1}: "
                f"the loss is {loss:g}, the gradients' norm {norm:g}.",
                "Look at the images' labels, then train again with another --seed.",
            )
        self.optimizer.step()
        return loss

    def _sandwich(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> float:
        """Add up the gradients of one step's networks; return the largest's loss on the labels."""
        sized: dict[int, Tensor] = {}

        def answers(architecture: Architecture) -> Tensor:
            size = architecture.resolution
            if size not in sized:
                sized[size] = _resized(images, size)
            logits: Tensor = self.supernet(sized[size], architecture)
            return logits

        logits = answers(self.space.largest())
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        soft_labels = logits.detach().softmax(1)
        drawn = [self.space.sample(rng) for _ in range(self.settings.random_subnets)]
        for architecture in (self.space.smallest(), *drawn):
            F.cross_entropy(answers(architecture), soft_labels).backward()
        return loss.item()

    def _set_learning_rate(self) -> None:
        warmup_steps = max(1, round(self.settings.warmup * self.total_steps))
        warm = min(1.0, (self.state.step + 1) / warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * self.state.step / self.total_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * warm * cosine

    def _save(self) -> None:
        tensors = files.weights(self.supernet)
        for name, value in self.supernet.named_parameters():
            buffer = self.optimizer.state[value]["momentum_buffer"]
            tensors[MOMENTUM_PREFIX + name] = buffer.contiguous()
        about = files.metadata("checkpoint", self.space, self.data, self.settings)
        about["state"] = asdict(self.state)
        files.write_tensors(self.checkpoint, tensors, about)

    def resume(self) -> None:
        """Take up the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        tensors, about = files.read_tensors(self.checkpoint, "checkpoint")
        wanted = files.metadata("checkpoint", self.space, self.data, self.settings)
        for what in ("space", "data", "settings"):
            files.require_same(self.checkpoint, what, wanted[what], about.get(what))
        self.state = from_json(about.get("state"), _State, f"The state in {self.checkpoint}")
        parameters = dict(self.supernet.named_parameters())
        momenta = {MOMENTUM_PREFIX + name: torch.zeros_like(p) for name, p in parameters.items()}
        files.copy_tensors(self.checkpoint, tensors, {**parameters, **momenta})
        for name, parameter in parameters.items():
            self.optimizer.state[parameter]["momentum_buffer"] = momenta[MOMENTUM_PREFIX + name]


def _optimizer(supernet: Supernet, settings: TrainSettings) -> torch.optim.SGD:
    parameters = list(supernet.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=True
    )


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[2] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
